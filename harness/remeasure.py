"""Measures suspected cells of two releases again, both in one session and in turn:

    round 0   BASE NEW      round 1   NEW BASE      round 2   BASE NEW  …      one process each

Between two sessions a device drifts by some percent; processes that take turns see the same drift. Nothing is
built: the runner and model files of a release stay on the device under the names of their content.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import devices
from devices import Device
from harness import lease
from harness.deploy import NAME_DIGITS
from harness.environment import State, await_cool, disturbances, watched
from harness.errors import UsageError
from harness.measure import summarize, unmet
from harness.regression import Finding
from harness.releases import INTERLEAVED, Measured, Side
from harness.results import INVALID, VALID, Cell, LatencySample, Measurement, Variant
from harness.store import Store
from harness.trial import LENGTHS, Progress, TrialSettings, latency_process


@dataclass(frozen=True)
class _Files:
    """Names on the device."""

    runner: str
    variant: Variant
    data: str | None


def remeasure(
    base: Side,
    new: Side,
    suspects: Sequence[Finding],
    store: Store,
    progress: Progress,
    note: Callable[[str], None],
) -> None:
    """Measures the suspects again; stores both sides under their releases, where `releases.read` finds them.

    Raises UsageError where a side is no release of the database or its files are gone from the device,
    DeviceError and TrialError.
    """
    for finding in suspects:
        pair = [side.newest(finding.key) for side in (base, new)]
        with closing(devices.open_device(finding.device)) as device:
            files = [_files(device, measured) for measured in pair]
            note(f"{' '.join(finding.key)}: measuring both releases again, in turn")
            with lease.for_measuring(device, 0.0, progress) as owned:
                _measure(owned, pair, files, store, progress)


def _files(device: Device, measured: Measured) -> _Files:
    cell, record = measured.cell, measured.record
    if record is None or record.release is None or record.settings.get("trial") not in LENGTHS:
        raise UsageError("--confirm measures two releases of a database again: give both by their names")
    runners = dict(part.split(":", 1) for part in record.runtime_sha256.split(",") if ":" in part)
    runner = _name_on(device, runners.get(cell.arch), "", record.release)
    model = _name_on(device, cell.model_sha256, ".qbm", record.release)
    variant = Variant(cell.variant, cell.arithmetic, model, cell.model_sha256, cell.size_bytes)
    data = _named(cell.dataset_sha256, ".qbd")
    return _Files(runner, variant, data if data and device.has(data, cell.dataset_sha256) else None)


def _named(digest: str | None, suffix: str) -> str | None:
    return None if digest is None else f"{digest[:NAME_DIGITS]}{suffix}"


def _name_on(device: Device, digest: str | None, suffix: str, release: str) -> str:
    name = _named(digest, suffix)
    if name is None or not device.has(name, digest):
        raise UsageError(
            f"device '{device.info().name}' does not have the files of release '{release}' any more: "
            f"run it again from its sources (bench run --release {release}), which sends them"
        )
    return name


def _measure(
    device: Device, pair: Sequence[Measured], files: Sequence[_Files], store: Store, progress: Progress
) -> None:
    settings = [_settings(measured) for measured in pair]
    too_hot = await_cool(device, progress)
    info = device.info()
    states: list[list[State]] = [[], []]
    processes: list[list[LatencySample]] = [[], []]
    turns = max(s.processes for s in settings)
    for turn in range(turns):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            progress(f"latency {pair[side].record.release}", sum(map(len, processes)), 2 * turns)
            on = files[side]
            with watched(device, states[side]):
                sample = latency_process(device, on.runner, on.variant, settings[side], on.data, turn)
            processes[side].append(sample)
    after = device.info().facts
    together = uuid.uuid4().hex
    for measured, samples, length, seen in zip(pair, processes, settings, states, strict=True):
        disturbed = disturbances(info.facts, seen, after, samples[0].core)
        reasons = [*unmet(samples, length), *([too_hot] if too_hot else []), *disturbed]
        cell = _cell(measured, samples, reasons)
        record = dataclasses.replace(
            measured.record,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            settings=measured.settings | {INTERLEAVED: together},
            uuid=uuid.uuid4().hex,
        )
        store.new_run(record).add(Measurement(cell, info, tuple(samples), after=after))


def _settings(measured: Measured) -> TrialSettings:
    length = LENGTHS[measured.settings["trial"]]
    return dataclasses.replace(length, processes=int(measured.settings.get("processes", length.processes)))


def _cell(measured: Measured, samples: Sequence[LatencySample], reasons: Sequence[str]) -> Cell:
    """The cell with new times and nothing else that would have to be measured."""
    cores = {sample.core for sample in samples}
    return dataclasses.replace(
        measured.cell,
        core=cores.pop() if len(cores) == 1 else None,
        verdict=INVALID if reasons else VALID,
        reasons=tuple(reasons),
        warnings=(),
        latency_ms=summarize(samples),
        instructions=None,
        top1=None,
        top5=None,
        samples=None,
        dataset_sha256=None,
        peak_memory_bytes=None,
        energy_mj=None,
    )

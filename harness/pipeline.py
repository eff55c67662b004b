"""The main job, step by step. Start reading here.

import → optimize → quantize → pack        harness/prepare.py, once per model
build → deploy → trial                     once per device and model
store → report                             each cell as soon as it is complete
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import devices
from devices import Device
from harness import __version__, build, lease
from harness.deploy import deploy
from harness.errors import UsageError
from harness.measure import measure
from harness.prepare import Prepared, deployed, prepare
from harness.results import Cell, RunRecord
from harness.sources import open_source
from harness.store import RunWriter, Store
from harness.trial import DEFAULT, Progress, TrialSettings


@dataclass(frozen=True)
class Request:
    """What `bench run` was asked for; the fields are its options."""

    devices: tuple[str, ...]
    models: tuple[str, ...]
    variants: tuple[str, ...] | None = None
    weights: str | None = None
    preprocess: str | None = None
    dataset: str | None = None
    samples: int | None = None
    settings: TrialSettings = DEFAULT
    store: str = "results/quantbench.db"
    release: str | None = None
    wait_s: float = 0.0  # for a device that somebody else uses


@dataclass(frozen=True)
class Outcome:
    """What a run measured. notes: remarks on the whole run, for the reader of the table."""

    cells: list[Cell]
    record: RunRecord
    notes: list[str]


def run(request: Request, progress: Progress, note: Callable[[str], None]) -> Outcome:
    """Measures every model on every device; every cell is stored before the next begins.

    note: told what happened, one line each. Bad input is found before anything is measured or stored. Raises
    BenchError.
    """
    if request.weights is not None and len(request.models) != 1:
        raise UsageError("--weights FILE goes with one model at a time")
    with tempfile.TemporaryDirectory(prefix="quantbench-") as folder, ExitStack() as until_done:
        opened = {
            name: until_done.enter_context(closing(devices.open_device(name))) for name in request.devices
        }
        prepared = _prepare_all(request, Path(folder), progress)
        notes = [remark for job in prepared for remark in job.notes]
        record = _record(request, _runner_hashes(opened.values(), progress))
        cells = []
        with Store.open(request.store, notes.append) as store:
            writer = store.new_run(record)
            for name, device in opened.items():
                with _leased(name, device, request.wait_s, progress) as leased:
                    for job in prepared:
                        cells += _trial(name, leased, job, request.settings, writer, progress, note)
    return Outcome(cells, record, notes)


def _prepare_all(request: Request, folder: Path, progress: Progress) -> list[Prepared]:
    prepared: dict[str, Prepared] = {}
    for model in request.models:
        job = _prepare(request, model, folder, progress)
        if job.model in prepared:
            raise UsageError(f"two of the models are called '{job.model}': run them one at a time")
        prepared[job.model] = job
    return list(prepared.values())


def _prepare(request: Request, model: str, folder: Path, progress: Progress) -> Prepared:
    progress(f"{model}: importing and optimizing", 0, 0)
    source = open_source(model, request.weights, request.preprocess)
    variants = list(request.variants) if request.variants else None
    return prepare(source, variants, request.dataset, request.samples, folder, _named(progress, source.name))


@contextmanager
def _leased(name: str, device: Device, wait_s: float, progress: Progress) -> Iterator[Device]:
    """The device under its lease, which the runner grants: it is sent first, and alone."""
    runner = build.runner(device.info().arch, lambda text: progress(text, 0, 0))
    there = deploy(device, runner).runner
    with lease.held(device, there, wait_s, lambda text: progress(f"{name}: {text}", 0, 0)) as leased:
        yield leased


def _trial(
    name: str,
    device: Device,
    job: Prepared,
    settings: TrialSettings,
    writer: RunWriter,
    progress: Progress,
    note: Callable[[str], None],
) -> list[Cell]:
    """Deploys one model to one device and measures its variants."""
    runner = build.runner(device.info().arch, lambda text: progress(text, 0, 0))
    progress(f"{name}: deploying {job.model}", 0, 0)
    files = [*job.variants, *([job.data] if job.data else [])]
    there = deploy(device, runner, files)
    note(f"{name}: {job.model}: {there.sent_bytes:,} bytes sent")
    variants, evaluation = deployed(job, there.files)
    cells = []
    shown = _named(progress, f"{name}: {job.model}")
    for measurement in measure(device, there.runner, job.model, variants, settings, evaluation, shown):
        writer.add(measurement)
        cells.append(measurement.cell)
    return cells


def _named(progress: Progress, prefix: str) -> Progress:
    """The same progress with every line beginning with `prefix`."""
    return lambda what, done=0, total=0: progress(f"{prefix}: {what}", done, total)


def _runner_hashes(opened: Iterable[Device], progress: Progress) -> str:
    """`arch:sha256` of every runner that takes part, built where it is not cached."""
    archs = sorted({device.info().arch for device in opened})
    hashes = [build.runner_sha256(arch, lambda text: progress(text, 0, 0)) for arch in archs]
    return ",".join(f"{arch}:{digest}" for arch, digest in zip(archs, hashes, strict=True))


def _record(request: Request, runtime_sha256: str) -> RunRecord:
    """What would have to be equal for another run to repeat this one."""
    settings = {
        "models": list(request.models),
        "trial": request.settings.name,
        "processes": request.settings.processes,
        "variants": list(request.variants or ()),
        "weights": request.weights,
        "preprocess": request.preprocess,
        "dataset": request.dataset,
        "samples": request.samples,
    }
    return RunRecord(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        bench_version=__version__,
        runtime_sha256=runtime_sha256,
        settings=settings,
        release=request.release,
        environment={"python": platform.python_version(), "host": platform.platform()},
    )

"""The main job, step by step. Start reading here.

import → optimize → quantize → pack        harness/prepare.py, once per model
build → deploy → trial                     once per device and model
store → report                             each cell as soon as it is complete
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import devices
from devices import Device, DeviceInfo
from harness import __version__, build, lease, parallel, ptq
from harness.deploy import Depot
from harness.errors import UsageError
from harness.layer_costs import Meter
from harness.measure import measure
from harness.ota import with_delta
from harness.prepare import Prepared, deployed, prepare
from harness.results import Cell, Measurement, RunRecord
from harness.resume import Earlier, last_run_like
from harness.sources import FETCHED, SEEDED, open_source
from harness.store import Store
from harness.trial import DEFAULT, Progress, TrialSettings


@dataclass(frozen=True)
class Request:
    """What `bench run` was asked for; the fields are its options."""

    devices: tuple[str, ...]
    models: tuple[str, ...]
    variants: tuple[str, ...] | None = None
    weights: str | None = None
    preprocess: str | None = None
    qat: str | None = None
    dataset: str | None = None
    calibration: str | None = None  # a folder
    ptq: str | None = None  # steps of post-training quantization, None for the default ones
    samples: int | None = None
    settings: TrialSettings = DEFAULT
    store: str = "results/quantbench.db"
    release: str | None = None
    wait_s: float = 0.0  # for a device that somebody else uses
    resume: bool = False  # go on with the last run of the same request


@dataclass(frozen=True)
class Outcome:
    """What a run measured. notes: remarks on the whole run, for the reader of the table."""

    cells: list[Cell]
    record: RunRecord
    notes: list[str]


Known = Callable[[Store, RunRecord, list[DeviceInfo], list[Prepared]], Earlier]


def run(
    request: Request, progress: Progress, note: Callable[[str], None], known: Known | None = None
) -> Outcome:
    """Measures every model on every device; every cell is stored before the next begins.

    note: told what happened, one line each. known: says what need not be measured; by default a run that
    --resume goes on with. Bad input is found before anything is measured or stored. Raises
    BenchError.
    """
    if request.weights not in (None, SEEDED, FETCHED) and len(request.models) != 1:
        raise UsageError("--weights FILE goes with one model at a time")
    if request.qat is not None and len(request.models) != 1:
        raise UsageError("--qat FILE goes with one model at a time")
    with tempfile.TemporaryDirectory(prefix="quantbench-") as folder, ExitStack() as until_done:
        opened = {
            name: until_done.enter_context(closing(devices.open_device(name))) for name in request.devices
        }
        meter = Meter(next(iter(opened.values())), request.wait_s) if len(opened) == 1 else None
        prepared = _prepare_all(request, Path(folder), progress, meter)
        notes = [remark for job in prepared for remark in job.notes]
        record = _record(request, _runner_hashes(opened.values(), progress))
        with Store.open(request.store, notes.append) as store:
            infos = [device.info() for device in opened.values()]
            if known is None:
                earlier = _earlier(store, record, request.resume, note)
            else:
                earlier = known(store, record, infos, prepared)
            writer = store.new_run(earlier.record)
            cells = dict(earlier.cells)

            def measured(name: str) -> Iterator[Measurement]:
                jobs = [job for job in prepared if earlier.missing(name, job.model, job.variants.values())]
                if not jobs:
                    return
                with lease.for_measuring(opened[name], request.wait_s, progress, note) as held:
                    for job in jobs:
                        yield from _trial(name, held, job, request.settings, earlier, progress, note)

            groups = parallel.machines(infos)
            for measurement in parallel.results(groups, measured):
                measurement = with_delta(measurement, store, record)
                writer.add(measurement)
                cell = measurement.cell
                cells[cell.device, cell.model, cell.variant] = cell
    return Outcome(_in_order(cells, request.devices, prepared), earlier.record, notes)


def _earlier(store: Store, record: RunRecord, resume: bool, note: Callable[[str], None]) -> Earlier:
    """The run to go on with; a new one where none is asked for, or none is there."""
    found = last_run_like(store, record) if resume else None
    if resume:
        note(
            f"going on with the run of {found.record.started}: {len(found.cells)} cells are there already"
            if found
            else "no earlier run has these settings, release and runner: a new one begins"
        )
    return found or Earlier(record, {})


def _in_order(
    cells: dict[tuple[str, str, str], Cell], names: tuple[str, ...], prepared: list[Prepared]
) -> list[Cell]:
    """Cells by device, model and variant as they were asked for, whatever was ready first."""
    keys = [
        (name, job.model, variant.name)
        for name in names
        for job in prepared
        for variant in job.variants.values()
    ]
    return [cells[key] for key in keys if key in cells]


def _prepare_all(request: Request, folder: Path, progress: Progress, meter: Meter | None) -> list[Prepared]:
    prepared: dict[str, Prepared] = {}
    for model in request.models:
        job = _prepare(request, model, folder, progress, meter)
        if job.model in prepared:
            raise UsageError(f"two of the models are called '{job.model}': run them one at a time")
        prepared[job.model] = job
    return list(prepared.values())


def _prepare(request: Request, model: str, folder: Path, progress: Progress, meter: Meter | None) -> Prepared:
    progress(f"{model}: importing and optimizing", 0, 0)
    shown = _named(progress, model)
    source = open_source(model, request.weights, request.preprocess, request.qat, shown)
    variants = list(request.variants) if request.variants else None
    shown = _named(progress, source.name)
    return prepare(
        source,
        variants,
        request.dataset,
        request.samples,
        folder,
        shown,
        request.calibration,
        request.ptq,
        meter,
    )


def _trial(
    name: str,
    device: Device,
    job: Prepared,
    settings: TrialSettings,
    earlier: Earlier,
    progress: Progress,
    note: Callable[[str], None],
) -> Iterator[Measurement]:
    """Deploys one model to one device and measures those of its variants that were not measured earlier."""
    missing = earlier.missing(name, job.model, job.variants.values())
    runner = build.runner(device.info().arch, lambda text: progress(text, 0, 0))
    depot = Depot(device)
    progress(f"{name}: deploying {job.model}", 0, 0)
    there = depot.place(runner)
    variants, evaluation = deployed(job, depot, missing)
    shown = _named(progress, f"{name}: {job.model}")
    float_top1 = earlier.float_top1(name, job.model)
    yield from measure(device, there, job.model, variants, settings, evaluation, shown, float_top1)
    note(f"{name}: {job.model}: {depot.sent_bytes:,} bytes sent")


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
        "qat": request.qat,
        "dataset": request.dataset,
        "calibration": request.calibration,
        "ptq": request.ptq or ptq.DEFAULT,
        "samples": request.samples,
    }
    return RunRecord(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        bench_version=__version__,
        runtime_sha256=runtime_sha256,
        settings=settings,
        release=request.release,
        environment={
            "python": platform.python_version(),
            "host": platform.platform(),
            "load": f"{os.getloadavg()[0]:.2f}",
        },
    )

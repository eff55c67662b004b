"""What a run would measure and how long that takes, before anything is measured: `bench run --dry-run`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import devices
from devices import DeviceInfo
from harness.measure import EMULATED_PROFILE_RUNS, PROFILE_RUNS
from harness.pipeline import Request
from harness.prepare import open_dataset
from harness.results import Cell
from harness.sources import open_source
from harness.store import Store
from harness.trial import COUNTED_RUNS, TrialSettings
from harness.variants import kinds_of


@dataclass(frozen=True)
class Planned:
    """A cell that a run would measure. samples: of the evaluation, 0 without one.

    earlier: the newest stored cell of this device, model and variant that has a latency, if there is one.
    seconds: expected where there is an earlier cell, else what the trial takes at least.
    """

    device: str
    model: str
    variant: str
    processes: int
    samples: int
    earlier: Cell | None
    seconds: float


def plan(request: Request, store: Store | None) -> Iterator[Planned]:
    """The cells of a run in its order. Asks every device what it is, but sends nothing there.

    Raises BenchError where the run could not begin.
    """
    models = [_model(request, name) for name in request.models]
    for device in request.devices:
        with closing(devices.open_device(device)) as opened:
            info = opened.info()
        for model, variants, samples in models:
            for variant in variants:
                yield _planned(info, model, variant, samples, request.settings.on(info), store)


def _model(request: Request, name: str) -> tuple[str, list[str], int]:
    """Name, variants and number of samples."""
    source = open_source(name, request.weights, request.preprocess, request.qat)
    dataset = open_dataset(source, request.dataset, request.samples, request.calibration)
    calibrates = bool(dataset or request.calibration)
    asked = list(request.variants) if request.variants else None
    variants = kinds_of(source, asked, request.ptq, samples=calibrates)
    evaluated = dataset is not None and not source.seeded
    return source.name, list(variants), len(dataset) if evaluated else 0


def _planned(
    info: DeviceInfo, model: str, variant: str, samples: int, settings: TrialSettings, store: Store | None
) -> Planned:
    earlier = _earlier(info, model, variant, store)
    run_s = earlier.latency_ms.median / 1000 if earlier else 0.0
    seconds = latency_seconds(settings, run_s) + run_s * (samples + _other_runs(info))
    return Planned(info.name, model, variant, settings.processes, samples, earlier, seconds)


def _earlier(info: DeviceInfo, model: str, variant: str, store: Store | None) -> Cell | None:
    cells = [cell for _, _, cell in store.history(info.name, model, variant)] if store else []
    return next((cell for cell in reversed(cells) if cell.latency_ms is not None), None)


def latency_seconds(settings: TrialSettings, run_s: float) -> float:
    """A cell's latency trial: the warm-up of each process, and timed runs until the minimums."""
    warm_up = max(settings.warmup_ms / 1000, settings.warmup_runs * run_s) + run_s
    timed = min(max(settings.min_ms / 1000, settings.min_runs * run_s), settings.max_ms / 1000)
    return settings.processes * warm_up + timed


def _other_runs(info: DeviceInfo) -> int:
    """Inferences for the profile and, under emulation, for counting instructions."""
    return EMULATED_PROFILE_RUNS + sum(COUNTED_RUNS) if info.emulated else PROFILE_RUNS

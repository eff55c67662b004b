"""What must be equal for two measurements to be compared, and how much a device differs from itself.

The release is what is compared, so the runner and the model file that it made may differ. Everything around
them may not.
"""

from __future__ import annotations

from harness.comparison import repeat_noise
from harness.releases import Measured
from harness.results import VALID
from harness.text import clean

MOST_REPEATS = 20


def differences(base: Measured, new: Measured) -> list[str]:
    """What differs and should not, as "governor performance and ondemand"; empty where they are alike.

    What one side does not know (a file has no settings) is not compared. Under emulation only accuracy and
    exact figures are compared, so core, governor and length do not matter.
    """
    pairs = [
        (name, getattr(base.cell, name), getattr(new.cell, name)) for name in ("arch", "cpu", "emulated")
    ]
    known = [
        ("data set", base.cell.dataset_sha256, new.cell.dataset_sha256),
        ("samples", base.cell.samples, new.cell.samples),
    ]
    if not (base.cell.emulated and new.cell.emulated):
        known += [("core", base.cell.core, new.cell.core)]
        known += [("governor", base.facts.get("governor"), new.facts.get("governor"))]
        known += [("trial", base.settings.get("trial"), new.settings.get("trial"))]
    pairs += [(name, a, b) for name, a, b in known if a is not None and b is not None]
    return [f"{name} {_short(a)} and {_short(b)}" for name, a, b in pairs if a != b]


def _short(value: object) -> str:
    return clean(str(value), 16)


def own_noise(base: Measured, new: Measured) -> float:
    """The device's own A/A noise for this variant, a share: from builds of it that were measured repeatedly.

    Takes the newest MOST_REPEATS valid measurements of the database that are like `new`; 0 where no build was
    measured twice.
    """
    if new.store is None:
        return 0.0
    cell, runs = new.cell, new.store.runs()
    groups: dict[object, list[float]] = {}
    rows = [
        Measured(found, new.store, run_id, cell_id, runs[run_id])
        for run_id, cell_id, found in new.store.history(cell.device, cell.model, cell.variant)
        if found.verdict == VALID and found.latency_ms is not None
    ]
    for measured in rows[-MOST_REPEATS:]:
        if not differences(measured, new):
            build = (measured.record.runtime_sha256, measured.cell.model_sha256)
            groups.setdefault(build, []).append(measured.cell.latency_ms.median)
    return repeat_noise(list(groups.values()))

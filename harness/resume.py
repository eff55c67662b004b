"""Going on with a run that was cut off: what it has stored is not measured again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.errors import UsageError
from harness.results import Cell, RunRecord, Variant
from harness.store import Store


@dataclass(frozen=True)
class Earlier:
    """The run to go on with, and its cells by (device, model, variant)."""

    record: RunRecord
    cells: dict[tuple[str, str, str], Cell]

    def missing(self, device: str, model: str, variants: Iterable[Variant]) -> list[Variant]:
        """The variants that the run lacks. UsageError where a stored one is of another model file."""
        missing = []
        for variant in variants:
            cell = self.cells.get((device, model, variant.name))
            if cell is None:
                missing.append(variant)
            elif cell.model_sha256 != variant.model_sha256:
                raise UsageError(
                    f"{model}: the {variant.name} file is not the one that was measured on {device} before: "
                    "run without --resume"
                )
        return missing

    def float_top1(self, device: str, model: str) -> float | None:
        """The accuracy that quantized variants are held against, where it was measured before."""
        found = (c for (d, m, _), c in self.cells.items() if (d, m, c.arithmetic) == (device, model, "f32"))
        return next((cell.top1 for cell in found), None)


def last_run_like(store: Store, record: RunRecord) -> Earlier | None:
    """The newest run with the same settings, release, version and runner; None where there is none."""

    def identity(run: RunRecord) -> tuple:
        return run.settings, run.release, run.bench_version, run.runtime_sha256

    for run_id, run in reversed(store.runs().items()):
        if identity(run) == identity(record):
            cells = store.cells(run_id).values()
            return Earlier(run, {(cell.device, cell.model, cell.variant): cell for cell in cells})
    return None

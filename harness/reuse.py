"""Trials of one model on one device that the store has already, so that only the others are measured.

A stored trial is taken where it is valid and everything is the same: model file, device and its processor,
runner, data set; and at least as long a trial as is asked for. Instructions and accuracy do not depend on the
hour. Times do: on a real device a trial is taken only with the float variant's of the same run, whose
processes took turns with its own, and what is missing is measured together with the float variant anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from devices import DeviceInfo
from harness import pipeline
from harness.advise import Trial
from harness.advise.evidence import FLOAT
from harness.errors import TrialError
from harness.prepare import Prepared
from harness.releases import INTERLEAVED
from harness.results import VALID, Cell, RunRecord
from harness.resume import Earlier
from harness.store import Store
from harness.trial import LENGTHS, Progress, TrialSettings

Check = Callable[[DeviceInfo, Prepared], None]  # raises UsageError where measuring would be in vain


@dataclass(frozen=True)
class _Found:
    run_id: int
    cell_id: int
    cell: Cell


@dataclass
class _Wanted:
    """What a stored trial must be of; known once the model is prepared."""

    info: DeviceInfo
    job: Prepared
    runner: str
    settings: TrialSettings

    def fitting(self, store: Store) -> list[_Found]:
        """Every trial of these files on this device, of any verdict, oldest first."""
        runs = store.runs()
        found = (_Found(*row) for row in store.history(self.info.name, self.job.model))
        return [one for one in found if self._fits(one.cell, runs[one.run_id])]

    def usable(self, found: list[_Found]) -> list[_Found]:
        """The valid ones; on a real device only those of a run that has the float variant's times as well."""
        valid = [one for one in found if one.cell.verdict == VALID]
        if self.info.emulated or FLOAT not in {v.arithmetic for v in self.job.variants.values()}:
            return valid
        runs = {one.run_id for one in valid if one.cell.arithmetic == FLOAT}
        return [one for one in valid if one.run_id in runs]

    def _fits(self, cell: Cell, run: RunRecord) -> bool:
        files = {variant.name: variant.model_sha256 for variant in self.job.variants.values()}
        evaluation = self.job.evaluation
        return (
            files.get(cell.variant) == cell.model_sha256
            and (cell.arch, cell.cpu, cell.emulated) == (self.info.arch, self.info.cpu, self.info.emulated)
            and self.runner in run.runtime_sha256.split(",")
            and (cell.verdict != VALID or cell.dataset_sha256 == (evaluation and evaluation.sha256))
            and INTERLEAVED not in run.settings
            and (self.info.emulated or self._long_enough(run))
        )

    def _long_enough(self, run: RunRecord) -> bool:
        asked, lengths = self.settings, list(LENGTHS)
        length, processes = run.settings.get("trial"), run.settings.get("processes")
        longer = length in lengths and lengths.index(length) >= lengths.index(asked.name)
        return longer and isinstance(processes, int) and processes >= asked.processes


def trials(
    request: pipeline.Request, check: Check, progress: Progress, note: Callable[[str], None]
) -> tuple[list[Trial], list[str]]:
    """Every wanted variant's trial, and remarks for the reader; measures what the store lacks.

    request: of one device and one model. check is asked once the model is prepared, before anything is
    measured. Raises BenchError.
    """
    asked: list[_Wanted] = []

    def known(store: Store, record: RunRecord, infos: list[DeviceInfo], jobs: list[Prepared]) -> Earlier:
        (info,), (job,) = infos, jobs
        check(info, job)
        asked.append(_Wanted(info, job, record.runtime_sha256, request.settings))
        there = {one.cell.variant: one.cell for one in asked[0].usable(asked[0].fitting(store))}
        cells = {(info.name, job.model, name): cell for name, cell in there.items()}
        missing = [v.name for v in job.variants.values() if v.name not in there]
        if missing and not info.emulated:  # float is measured with them, in turn
            cells = {key: cell for key, cell in cells.items() if cell.arithmetic != FLOAT}
        return Earlier(record, cells)

    outcome = pipeline.run(request, progress, note, known)
    with Store.open(request.store) as store:
        return list(_collected(store, asked[0], outcome.record)), outcome.notes


def _collected(store: Store, wanted: _Wanted, record: RunRecord) -> Iterator[Trial]:
    """The newest trial of each variant, in their order; a usable one where there is any."""
    found = wanted.fitting(store)
    usable = wanted.usable(found)
    newest = {one.cell.variant: one for one in [*found, *usable]}
    floats = [one for one in usable if one.cell.arithmetic == FLOAT]
    runs = store.runs()

    def trial(one: _Found, float_trial: Trial | None) -> Trial:
        run = runs[one.run_id]
        raw = store.measurement(one.cell_id)
        predicted = (raw.dataset, raw.predictions) if raw.predictions is not None else None
        return Trial(
            one.cell, one.cell_id, one.run_id, run.started, run.uuid != record.uuid,
            raw.processes, predicted, raw.layers, float_trial,
        )  # fmt: skip

    for variant in wanted.job.variants.values():
        one = newest.get(variant.name)
        if one is None:
            raise TrialError(f"the trial of {variant.name} is not in the database yet: try again later")
        beside = [each for each in floats if wanted.info.emulated or each.run_id == one.run_id]
        yield trial(one, trial(beside[-1], None) if beside else None)

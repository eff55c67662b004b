"""Measures suspected cells of a release once more, the way they were measured, under the same release."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import build, pipeline
from harness.errors import UsageError
from harness.regression import Finding
from harness.releases import Measured, Side
from harness.trial import LENGTHS, Progress


def remeasure(
    side: Side, suspects: Sequence[Finding], store: str, progress: Progress, note: Callable[[str], None]
) -> None:
    """Runs the suspects again and stores what was measured; `releases.read` then finds it.

    Raises UsageError where this tree builds another runner than the suspected one, or the run does not say
    what it measured, and everything that a run raises.
    """
    together: dict[tuple[str, str], list[Finding]] = {}
    for finding in suspects:
        together.setdefault((finding.device, finding.model), []).append(finding)
    for found in together.values():
        measured = side.newest(found[0].key)
        _check_build(measured, progress)
        variants = tuple(finding.variant for finding in found)
        note(f"{found[0].device}: {found[0].model}: measuring {', '.join(variants)} again")
        pipeline.run(_request(side, measured, variants, store), progress, note)


def _check_build(measured: Measured, progress: Progress) -> None:
    arch = measured.cell.arch
    here = f"{arch}:{build.runner_sha256(arch, lambda text: progress(text, 0, 0))}"
    if here not in measured.record.runtime_sha256.split(","):
        raise UsageError(
            f"this tree builds another runner for {arch} than the one that run {measured.run_id} measured: "
            f"check out the sources of release '{measured.record.release}' to measure it again"
        )


def _request(side: Side, measured: Measured, variants: tuple[str, ...], store: str) -> pipeline.Request:
    settings = measured.settings
    name = measured.cell.model
    model = next((m for m in settings.get("models", ()) if name in (m, Path(m).stem)), None)
    if model is None or settings.get("trial") not in LENGTHS:
        raise UsageError(f"run {measured.run_id} does not say how it was measured: measure NEW again by hand")
    length = LENGTHS[settings["trial"]]
    return pipeline.Request(
        devices=(measured.cell.device,),
        models=(model,),
        variants=variants,
        weights=settings.get("weights"),
        preprocess=settings.get("preprocess"),
        dataset=settings.get("dataset"),
        samples=settings.get("samples"),
        settings=dataclasses.replace(length, processes=settings.get("processes", length.processes)),
        store=store,
        release=side.name,
    )

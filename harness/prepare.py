"""Everything that happens on the host before a device is touched: import → optimize → quantize → pack.

A model is prepared once for all devices, because the model file is the same for every target, and what was
made is kept for the next run (harness/artifacts.py).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from harness import artifacts, datasets, random_samples
from harness.calibration import Calibration
from harness.datasets import Dataset
from harness.deploy import Depot
from harness.errors import UsageError
from harness.graph import Graph
from harness.layer_costs import Meter
from harness.pack import pack
from harness.results import EvaluationSet, Shard, Variant
from harness.sources import PREPROCESS_HELP, Source
from harness.trial import Progress
from harness.variants import ALL, VariantKind, kinds_of
from models import Preprocess

CALIBRATION_SAMPLES = 100
SHARD_BYTES = 64 << 20  # of the evaluation's data: what a device has to have room for
COMPRESSION = 9  # zlib's strongest: what an over-the-air update would carry


@dataclass(frozen=True)
class Prepared:
    """One model ready for any device: its variants' files, and the evaluation's data if there is one.

    shards: the data files, with how many samples each holds. The `remote` names of variants and the shards of
    the evaluation are still empty: deploying gives them.
    """

    model: str
    variants: dict[Path, Variant]
    evaluation: EvaluationSet | None
    shards: tuple[tuple[Path, int], ...]
    notes: tuple[str, ...] = ()


def prepare(
    source: Source,
    variants: list[str] | None,
    dataset: str | None,
    samples: int | None,
    work: Path,
    progress: Progress,
    calibration_folder: str | None = None,
    steps: str | None = None,
    meter: Meter | None = None,
) -> Prepared:
    """Makes the files of one model's trial in the folder `work`.

    dataset: a name or folder, None for the recipe's own; without any, accuracy is not measured, nor with
    seeded weights. calibration_folder: to calibrate on instead of a part of the data set. steps: of
    post-training quantization, in place of the default ones. meter: of the device whose latency a step may
    ask for. Raises UsageError or FormatError for input that cannot be used.
    """
    opened = open_dataset(source, dataset, samples, calibration_folder)
    kinds = kinds_of(source, variants, steps, samples=bool(opened or calibration_folder))
    calibration = _calibration(source, opened, calibration_folder, kinds, work, progress, meter)
    files = {}
    for name, kind in kinds.items():
        progress(f"making {name}", 0, 0)
        path = work / f"{source.name}-{name}.qbm"
        files[path] = _write(name, kind, kind.of(source), calibration, path)
    evaluated = None if source.seeded else opened
    notes = (
        *_seeded_note(source),
        *_left_out(source, variants or [], kinds),
        *_calibration_notes(source.name, evaluated, calibration),
    )
    evaluation, shards = _write_evaluation(evaluated, work, source.name, progress)
    if evaluation is not None:
        evaluation = replace(evaluation, metric=source.metric)
    return Prepared(source.name, files, evaluation, shards, notes)


def variant_graph(
    source: Source,
    variant: str,
    dataset: str | None,
    work: Path,
    progress: Progress,
    calibration_folder: str | None = None,
) -> Graph:
    """The graph of one variant; calibrated, where it has to be, on the dataset or the recipe's own."""
    kinds = kinds_of(source, [variant])
    kind = kinds[variant]
    opened = open_dataset(source, dataset, None) if kind.calibrated else None
    calibration = _calibration(source, opened, calibration_folder, kinds, work, progress)
    return kind.make(kind.of(source).graph, calibration)


def open_calibration(
    source: Source,
    dataset: str | None,
    work: Path,
    progress: Progress,
    calibration_folder: str | None = None,
    meter: Meter | None = None,
) -> Calibration:
    """The calibration set of the dataset, or of the recipe's own. Raises UsageError where there is none."""
    return _chosen(source, open_dataset(source, dataset, None), calibration_folder, work, progress, meter)


def _calibration(
    source: Source,
    dataset: Dataset | None,
    folder: str | None,
    kinds: dict[str, VariantKind],
    work: Path,
    progress: Progress,
    meter: Meter | None = None,
) -> Calibration | None:
    """None where no variant needs one."""
    if not any(kind.calibrated for kind in kinds.values()):
        return None
    return _chosen(source, dataset, folder, work, progress, meter)


def _chosen(
    source: Source,
    dataset: Dataset | None,
    folder: str | None,
    work: Path,
    progress: Progress,
    meter: Meter | None,
) -> Calibration:
    if folder is not None:
        dataset = datasets.open_unlabelled(folder, _preprocess(source), source.input_shape)
    if dataset is None:
        raise UsageError(
            f"model '{source.name}': int8 is calibrated on samples, and there are none: give --dataset or "
            "--calibration, or leave int8 out"
        )
    return Calibration(datasets.calibration_split(dataset, CALIBRATION_SAMPLES), work, progress, meter)


def _seeded_note(source: Source) -> tuple[str, ...]:
    if not source.seeded:
        return ()
    return (
        f"{source.name}: its weights are random (--weights seeded), so it has no accuracy, and without "
        "--dataset int8 is calibrated on random inputs",
    )


def _left_out(source: Source, asked: list[str], kinds: dict[str, VariantKind]) -> Iterator[str]:
    """What of all variants cannot be made, and what it would take."""
    if ALL not in asked or source.quantized:
        return
    if "int8" not in kinds:
        yield f"{source.name}: no int8 variant: give samples to calibrate on, --dataset or --calibration"
    if "qat" not in kinds:
        yield f"{source.name}: no qat variant: give the network trained with quantization, --qat FILE"


def training_samples(source: Source, dataset: str | None, folder: str | None, labelled: bool) -> Dataset:
    """What a network may be trained on, as `pool`: what calibration may draw from, or all of a folder.

    Nothing of it is evaluated. labelled: the folder's labels are read too. Raises UsageError where there is
    nothing to train on.
    """
    if folder is not None and labelled:
        preprocess, shape = _preprocess(source), source.input_shape
        return datasets.open_dataset(folder, preprocess, shape, classes=source.classes)
    if folder is not None:
        return datasets.open_unlabelled(folder, _preprocess(source), source.input_shape)
    opened = open_dataset(source, dataset, None)
    if opened is None:
        raise UsageError(
            f"model '{source.name}': there is nothing to train on: give --dataset or --calibration"
        )
    return opened


def _calibration_notes(
    name: str, dataset: Dataset | None, calibration: Calibration | None
) -> tuple[str, ...]:
    """What the user should know about the samples."""
    if dataset is None:
        return ()
    if calibration is not None and datasets.overlap(calibration.samples, dataset):
        return (
            f"{name}: calibrated on samples that are evaluated too (without their labels); give "
            f"--calibration another folder, or at least {2 * CALIBRATION_SAMPLES} samples to choose from",
        )
    if dataset.held_out:
        return (
            f"{name}: {dataset.held_out} samples of data set '{dataset.name}' are kept for calibration, the "
            f"{len(dataset)} evaluated are others; --calibration DIR takes other images instead",
        )
    return ()


def open_dataset(
    source: Source, dataset: str | None, samples: int | None, calibration_folder: str | None = None
) -> Dataset | None:
    """The evaluation's samples; None where neither `dataset` nor the recipe names any. Raises UsageError.

    Where calibration has no samples of its own, some of a folder are held out for it, whichever variants are
    made: the same folder is always the same evaluation. Seeded weights, of which nothing is evaluated, are
    calibrated on random samples then.
    """
    chosen = dataset or source.dataset
    if chosen is None:
        return random_samples.dataset(_preprocess(source), source.input_shape) if source.seeded else None
    opened = datasets.open_dataset(
        chosen,
        _preprocess(source),
        source.input_shape,
        samples,
        classes=2 if source.metric == "auc" else source.classes,
        hold_out=0 if calibration_folder else CALIBRATION_SAMPLES,
    )
    if source.metric == "auc" and len(set(opened.labels.tolist())) == 1:
        raise UsageError(f"data set {chosen}: an AUC takes samples of both kinds, labels 0 (normal) and 1")
    return opened


def _preprocess(source: Source) -> Preprocess:
    if source.preprocess is None:
        raise UsageError(
            f"model '{source.name}' does not say how samples become inputs: give --preprocess, "
            f"for example --preprocess {PREPROCESS_HELP}"
        )
    return source.preprocess


def _write(
    name: str, kind: VariantKind, source: Source, calibration: Calibration | None, path: Path
) -> Variant:
    """The variant of a source as a model file."""

    def make(path: Path) -> dict[str, int]:
        content = pack(kind.make(source.trial_graph, calibration))
        path.write_bytes(content)
        return {"size": len(content), "compressed_size": len(zlib.compress(content, COMPRESSION))}

    made_from = [source.fingerprint, name, kind.steps]
    if kind.calibrated:
        made_from.append(calibration.contents(kind.steps))
    file = artifacts.provide(made_from, path, make)
    return Variant(
        name=name,
        arithmetic=kind.arithmetic,
        remote="",
        model_sha256=file.sha256,
        size_bytes=file.facts["size"],
        size_compressed_bytes=file.facts["compressed_size"],
    )


def _write_evaluation(
    dataset: Dataset | None, work: Path, name: str, progress: Progress
) -> tuple[EvaluationSet | None, tuple[tuple[Path, int], ...]]:
    """The evaluation and its data files, each of at most SHARD_BYTES where that holds a sample."""
    if dataset is None:
        return None, ()
    shown = _reading(progress, "evaluation")
    length = max(1, SHARD_BYTES // dataset.sample_bytes)
    digests, shards = [], []
    for first in range(0, len(dataset), length):
        part = dataset.part(first, first + length)

        def make(path: Path, part: Dataset = part, first: int = first) -> dict[str, int]:
            datasets.write_dataset(part, path, lambda done, _: shown(first + done, len(dataset)))
            return {}

        file = artifacts.provide(part.contents, work / f"{name}-{first}.qbd", make)
        digests.append(file.sha256)
        shards.append((file.path, len(part)))
    sha256 = datasets.content_sha256(dataset, digests)
    return EvaluationSet(dataset.name, sha256, tuple(dataset.ids), dataset.labels), tuple(shards)


def _reading(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(f"reading {what} samples", done, total)


def deployed(
    prepared: Prepared, depot: Depot, wanted: Iterable[Variant]
) -> tuple[list[Variant], EvaluationSet | None]:
    """These variants with their names on the device, where they are now, and the evaluation.

    Its shards are sent as they are needed: together they may be larger than the device's free space.
    """
    wanted = list(wanted)
    variants = [
        replace(variant, remote=depot.place(path))
        for path, variant in prepared.variants.items()
        if variant in wanted
    ]
    if prepared.evaluation is None:
        return variants, None
    shards = [Shard(count, partial(depot.place, path, pin=False)) for path, count in prepared.shards]
    return variants, replace(prepared.evaluation, shards=shards)

"""Everything that happens on the host before a device is touched: import → optimize → quantize → pack.

A model is prepared once for all devices, because the model file is the same for every target.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from harness import calibration, datasets
from harness.datasets import Dataset
from harness.deploy import Depot
from harness.errors import UsageError
from harness.graph import Graph
from harness.pack import pack
from harness.passes import dequantize_weights, turn_inputs
from harness.results import EvaluationSet, Shard, Variant
from harness.sources import PREPROCESS_HELP, Source
from harness.trial import Progress
from harness.variants import Ranges, VariantKind, kinds_of

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
) -> Prepared:
    """Makes the files of one model's trial in the folder `work`.

    dataset: a name or folder, None for the recipe's own; without any, accuracy is not measured. Raises
    UsageError or FormatError for input that cannot be used.
    """
    kinds = kinds_of(source, variants)
    opened = open_dataset(source, dataset, samples)
    notes = []

    def observed() -> Ranges:
        ranges, note = _calibrate(source.trial_graph, source.name, opened, work, progress)
        notes.extend(note)
        return ranges

    files = {}
    for name, graph in _variant_graphs(source.trial_graph, kinds, observed):
        path, variant = _write(graph, name, kinds[name].arithmetic, work / f"{source.name}-{name}.qbm")
        files[path] = variant
    evaluation, shards = _write_evaluation(opened, work, source.name, progress)
    return Prepared(source.name, files, evaluation, shards, tuple(notes))


def variant_graph(source: Source, variant: str, dataset: str | None, work: Path, progress: Progress) -> Graph:
    """The graph of one variant; calibrated, where it has to be, on the dataset or the recipe's own."""
    kinds = kinds_of(source, [variant])
    observe = calibrator(source, dataset, work, progress)
    graphs = _variant_graphs(source.graph, kinds, lambda: observe(source.graph))
    return dict(graphs)[variant]


def calibrator(
    source: Source, dataset: str | None, work: Path, progress: Progress
) -> Callable[[Graph], Ranges]:
    """A function that observes the activation ranges of source.graph or of what passes made of it.

    It opens the dataset, or the recipe's own, when it is called, and raises UsageError where there is none.
    """

    def observe(graph: Graph) -> Ranges:
        opened = open_dataset(source, dataset, None)
        ranges = dict(_calibrate(turn_inputs.run(graph), source.name, opened, work, progress)[0])
        for node in graph.execution_order():  # what turns the input has its range
            if node.op == "Transpose" and node.inputs[0] in ranges:
                ranges.setdefault(node.outputs[0], ranges[node.inputs[0]])
        return ranges

    return observe


def _variant_graphs(graph: Graph, kinds: dict[str, VariantKind], observed: Callable[[], Ranges]):
    """(name, graph) of each variant; calibrates once, and only where some variant needs it."""
    ranges = observed() if any(kind.calibrated for kind in kinds.values()) else None
    for name, kind in kinds.items():
        yield name, kind.make(graph, ranges)


def open_dataset(source: Source, dataset: str | None, samples: int | None) -> Dataset | None:
    """The evaluation's samples; None where neither `dataset` nor the recipe names any. Raises UsageError."""
    chosen = dataset or source.dataset
    if chosen is None:
        return None
    if source.preprocess is None:
        raise UsageError(
            f"model '{source.name}' does not say how samples become inputs: give --preprocess, "
            f"for example --preprocess {PREPROCESS_HELP}"
        )
    return datasets.open_dataset(
        chosen, source.preprocess, source.input_shape, samples, classes=source.classes
    )


def _calibrate(
    graph: Graph, name: str, dataset: Dataset | None, work: Path, progress: Progress
) -> tuple[Ranges, list[str]]:
    """Activation ranges of the float graph, and what the user should know about them."""
    if dataset is None:
        raise UsageError(
            f"model '{name}': int8 is calibrated on samples, and there are none: give --dataset, "
            "or leave int8 out"
        )
    chosen = datasets.calibration_split(dataset, CALIBRATION_SAMPLES)
    data = work / "calibration.qbd"
    datasets.write_dataset(chosen, data, _reading(progress, "calibration"))
    ranges = calibration.observe(dequantize_weights.run(graph), data, len(chosen), work, progress)
    if not chosen.overlaps_evaluation:
        return ranges, []
    note = (
        f"{name}: calibrated on {len(chosen)} of the evaluation's samples (without their labels), "
        f"because data set '{dataset.name}' has no training split"
    )
    return ranges, [note]


def _write(graph: Graph, name: str, arithmetic: str, path: Path) -> tuple[Path, Variant]:
    content = pack(graph)
    path.write_bytes(content)
    return path, Variant(
        name=name,
        arithmetic=arithmetic,
        remote="",
        model_sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        size_compressed_bytes=len(zlib.compress(content, COMPRESSION)),
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
        path = work / f"{name}-{first}.qbd"
        part = dataset.part(first, first + length)
        written = datasets.write_dataset(
            part, path, lambda done, _, first=first: shown(first + done, len(dataset))
        )
        digests.append(written.file_sha256)
        shards.append((path, len(part)))
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

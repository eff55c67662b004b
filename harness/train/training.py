"""From a float graph and samples to a trained graph, in float or with the ranges that int8 needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.datasets import Dataset
from harness.graph import Graph
from harness.quantize import int8
from harness.quantize.calibrate import Range
from harness.train.checkpoint import Checkpoint
from harness.train.fitting import Fitted, Settings, fit
from harness.train.network import Arithmetic, Network
from harness.train.norms import BatchNorm
from harness.train.samples import Samples, read, split
from harness.trial import Progress

VALIDATION = 0.15  # of the training samples: they choose the epoch


@dataclass(frozen=True)
class Score:
    """Of the validation samples. agreement: the share in the same class as the teacher puts them."""

    top1: float
    agreement: float


@dataclass(frozen=True)
class Trained:
    """teacher, student: the float network's score and the trained one's, for int8 as it is simulated."""

    network: Network
    fitted: Fitted
    teacher: Score
    student: Score


def train(
    graph: Graph,
    teacher: Graph,
    dataset: Dataset,
    settings: Settings,
    arithmetic: Arithmetic,
    work: Path,
    progress: Progress,
    norms: Mapping[str, BatchNorm] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Trains `graph` on the pool of a data set, a part of which is kept for validation.

    graph, teacher: optimized, channels last; the teacher may be the same. norms: the batch norms to follow
    the batches at first. work: a folder for files in between. Raises FormatError naming what cannot be
    trained or cannot be int8, UsageError for too few samples.
    """
    if arithmetic.quantized:  # what cannot be quantized is refused now, not after the training
        int8.quantize(graph, dict.fromkeys(graph.tensors, Range(-1.0, 1.0)))
    parts = split(dataset, VALIDATION)
    training, validation = (
        read(
            part, work / f"{name}.npy", lambda done, total: progress("reading training samples", done, total)
        )
        for name, part in zip(("training", "validation"), parts, strict=True)
    )
    network, model = Network(graph, norms or {}, arithmetic), Network(teacher, {}, Arithmetic(False)).eval()
    shown = "training with simulated quantization" if arithmetic.quantized else "training"
    fitted = fit(
        network, model, training, validation, settings, lambda i, n: progress(shown, i, n), checkpoint
    )
    known = predictions(model, validation)
    found = predictions(network, validation)
    return Trained(
        network,
        fitted,
        _score(known, known, validation.labels),
        _score(found, known, validation.labels),
    )


@torch.no_grad()
def predictions(network: Network, samples: Samples, batch: int = 32) -> torch.Tensor:
    """The class of each sample, int64 (samples,), as the device will find it: the first of the largest."""
    exact, output = network.arithmetic.quantized, network.graph.outputs[0]
    outputs = [network(x, (output,), exact)[0].flatten(1) for x, _ in samples.batches(batch)]
    return torch.cat(outputs).argmax(1)


def _score(found: torch.Tensor, known: torch.Tensor, labels: torch.Tensor) -> Score:
    return Score(*((found == wanted).double().mean().item() for wanted in (labels, known)))

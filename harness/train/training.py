"""From a float graph and samples to a trained graph, in float or with the ranges that int8 needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.datasets import Dataset
from harness.graph import Graph
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
    """teacher, beginning, student: the scores of the float network, and of the other before and after the
    training, for int8 as it is simulated."""

    network: Network
    fitted: Fitted
    teacher: Score
    beginning: Score
    student: Score


def train(
    graph: Graph,
    teacher: Graph,
    dataset: Dataset,
    settings: Settings,
    arithmetic: Arithmetic | None,
    work: Path,
    progress: Progress,
    norms: Mapping[str, BatchNorm] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Trains `graph` on the pool of a data set, a part of which is kept for validation.

    graph, teacher: optimized, channels last; the teacher may be the same. arithmetic: of
    `initial`, or None for float32. norms: the batch norms to follow the batches at first. work: a folder for
    files in between. Raises FormatError naming what cannot be trained, UsageError for too few samples.
    """
    parts = split(dataset, VALIDATION)
    training, validation = (
        read(
            part, work / f"{name}.npy", lambda done, total: progress("reading training samples", done, total)
        )
        for name, part in zip(("training", "validation"), parts, strict=True)
    )
    network, model = Network(graph, norms or {}, arithmetic).eval(), Network(teacher, {}, None).eval()
    shown = "training with simulated quantization" if arithmetic else "training"
    fitted = fit(
        network, model, training, validation, settings, lambda i, n: progress(shown, i, n), checkpoint
    )
    known, after = predictions(model, validation), predictions(network, validation)
    began = Score(fitted.history[0].top1, fitted.history[0].agreement)
    exact, found = (_score(each, known, validation.labels) for each in (known, after))
    return Trained(network, fitted, exact, began, found)


@torch.no_grad()
def predictions(network: Network, samples: Samples, batch: int = 32) -> torch.Tensor:
    """The class of each sample, int64 (samples,), as the device will find it: the first of the largest."""
    exact, output = network.arithmetic is not None, network.graph.outputs[0]
    outputs = [network(x, (output,), exact)[0].flatten(1) for x, _ in samples.batches(batch)]
    return torch.cat(outputs).argmax(1)


def _score(found: torch.Tensor, known: torch.Tensor, labels: torch.Tensor) -> Score:
    return Score(*((found == wanted).double().mean().item() for wanted in (labels, known)))

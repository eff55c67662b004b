"""What `bench train` does; apart from its options, because PyTorch is imported here."""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from pathlib import Path

from tabulate import tabulate

from harness import artifacts, exporters, transforms
from harness.errors import UsageError
from harness.graph import Graph
from harness.prepare import training_samples
from harness.progress import ProgressLine
from harness.sources import Source, open_source
from harness.text import duration
from harness.train.checkpoint import Checkpoint
from harness.train.fitting import Settings
from harness.train.network import Arithmetic
from harness.train.norms import BatchNorm, batch_norms
from harness.train.samples import ALTERATIONS
from harness.train.training import Trained
from harness.train.training import train as train_graph

NO_ALTERATIONS = ("none",)


def train(arguments: Namespace) -> int:
    """Opens, changes, trains and writes a network, and prints what became of it."""
    began = time.monotonic()
    settings, arithmetic = _settings(arguments), Arithmetic(not arguments.float, not arguments.per_tensor)
    with ProgressLine(arguments.quiet) as progress, tempfile.TemporaryDirectory() as work:
        source, norms = _open(arguments, progress)
        graph = source.trial_graph
        if arguments.transforms:
            graph = transforms.apply(graph, transforms.parse(arguments.transforms))
        dataset = training_samples(source, arguments.dataset, arguments.calibration, settings.labels)
        purpose = artifacts.fingerprint([graph, dataset.pool, settings, arithmetic, sorted(norms)])
        checkpoint = arguments.checkpoint and Checkpoint(arguments.checkpoint, purpose, arguments.resume)
        trained = train_graph(
            graph, source.trial_graph, dataset, settings, arithmetic, Path(work), progress, norms, checkpoint
        )
    network = trained.network
    graph = network.int8_graph() if arithmetic.quantized else network.float_graph()
    written = exporters.save(graph, arguments.out)
    print(_table(trained, labelled=settings.labels))
    print(f"\n{_course(trained, time.monotonic() - began)}")
    print(f"wrote {arguments.out}: {written / 1e6:.2f} MB")
    return 0


def _settings(arguments: Namespace) -> Settings:
    alterations = () if arguments.alter == NO_ALTERATIONS else arguments.alter
    for name in alterations:
        if name not in ALTERATIONS:
            raise UsageError(f"--alter knows {', '.join(ALTERATIONS)} and none, not '{name}'")
    return Settings(
        labels=arguments.labels,
        distill=arguments.distill or not arguments.labels,
        epochs=arguments.epochs,
        batch=arguments.batch,
        rate=arguments.rate,
        patience=arguments.patience,
        alterations=alterations,
        seed=arguments.seed,
    )


def _open(arguments: Namespace, progress: ProgressLine) -> tuple[Source, dict[str, BatchNorm]]:
    """The float network, and the batch norms to be trained with it."""
    unfolded: list[Graph] = []

    def observe(name: str, before: Graph, _: Graph) -> None:
        if name == "fold_constants" and not unfolded:
            unfolded.append(before)

    source = open_source(
        arguments.model, arguments.weights, arguments.preprocess, progress=progress, observe=observe
    )
    if source.quantized:
        raise UsageError(f"model '{source.name}' is quantized already; give its float network to train it")
    if not arguments.batch_norm:
        return source, {}
    norms = batch_norms(unfolded[0], source.trial_graph)
    if not norms:
        raise UsageError(f"--batch-norm: model '{source.name}' has no batch norms that could be unfolded")
    return source, norms


def _table(trained: Trained, labelled: bool) -> str:
    """Both networks on the validation part; without labels there is no top-1."""
    what = "int8, trained" if trained.network.arithmetic.quantized else "f32, trained"
    rows = [("f32", trained.teacher), (what, trained.student)]
    top1 = [[f"{score.top1:.3f}"] if labelled else [] for _, score in rows]
    return tabulate(
        [[name, *share, f"{score.agreement:.3f}"] for (name, score), share in zip(rows, top1, strict=True)],
        ["validation part", *(["top-1"] if labelled else []), "same class as f32"],
        disable_numparse=True,
    )


def _course(trained: Trained, seconds: float) -> str:
    """How the training went, in a line."""
    fitted = trained.fitted
    return (
        f"trained {len(fitted.history)} epochs in {duration(seconds)}, kept the {fitted.best + 1}. of them: "
        f"validation loss {fitted.history[0].validation_loss:.3g} → "
        f"{fitted.history[fitted.best].validation_loss:.3g}"
    )

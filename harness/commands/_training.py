"""What `bench train` does; apart from its options, because PyTorch is imported here."""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from pathlib import Path

from tabulate import tabulate

from harness import artifacts, exporters, ptq, transforms
from harness.errors import UsageError
from harness.graph import Graph
from harness.prepare import open_calibration, training_samples
from harness.progress import ProgressLine
from harness.sources import Source, open_source
from harness.text import duration
from harness.train.checkpoint import Checkpoint
from harness.train.fitting import Settings
from harness.train.initial import initial
from harness.train.norms import BatchNorm, batch_norms
from harness.train.samples import ALTERATIONS
from harness.train.training import Trained
from harness.train.training import train as train_graph
from harness.transforms import Call

NO_ALTERATIONS = ("none",)


def train(arguments: Namespace) -> int:
    """Opens, changes, trains and writes a network, and prints what became of it."""
    began = time.monotonic()
    settings, calls = _settings(arguments), _steps(arguments)
    with ProgressLine(arguments.quiet) as progress, tempfile.TemporaryDirectory() as work:
        source, unfolded = _open(arguments, progress)
        graph, arithmetic = source.trial_graph, None
        if arguments.transforms:
            graph = transforms.apply(graph, transforms.parse(arguments.transforms))
        dataset = training_samples(source, arguments.dataset, arguments.calibration, settings.labels)
        if not arguments.float:
            learned = open_calibration(source, arguments.dataset, Path(work), progress, arguments.calibration)
            graph, arithmetic = initial(ptq.draft(graph, learned, calls))
        norms = _norms(source, unfolded, graph) if arguments.batch_norm else {}
        purpose = artifacts.fingerprint([graph, dataset.pool, settings, arithmetic, sorted(norms)])
        checkpoint = arguments.checkpoint and Checkpoint(arguments.checkpoint, purpose, arguments.resume)
        trained = train_graph(
            graph, source.trial_graph, dataset, settings, arithmetic, Path(work), progress, norms, checkpoint
        )
    network = trained.network
    graph = network.float_graph() if arguments.float else network.int8_graph()
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


def _steps(arguments: Namespace) -> list[Call]:
    """What the training in int8 begins with."""
    if arguments.float and arguments.ptq is not None:
        raise UsageError("--ptq says how int8 begins, and --float trains without int8: leave one out")
    return ptq.parse(ptq.DEFAULT if arguments.ptq is None else arguments.ptq)


def _open(arguments: Namespace, progress: ProgressLine) -> tuple[Source, Graph]:
    """The float network, and the same before its batch norms were folded."""
    unfolded: list[Graph] = []

    def observe(name: str, before: Graph, _: Graph) -> None:
        if name == "fold_constants" and not unfolded:
            unfolded.append(before)

    source = open_source(
        arguments.model, arguments.weights, arguments.preprocess, progress=progress, observe=observe
    )
    if source.quantized:
        raise UsageError(f"model '{source.name}' is quantized already; give its float network to train it")
    return source, unfolded[0]


def _norms(source: Source, unfolded: Graph, graph: Graph) -> dict[str, BatchNorm]:
    """The batch norms to be trained with the graph: those whose layers are still as they were."""
    norms = batch_norms(unfolded, graph)
    if not norms:
        raise UsageError(
            f"--batch-norm: model '{source.name}' has no batch norms that could be unfolded; --transforms "
            "and --ptq leave none of layers that they change"
        )
    return norms


def _table(trained: Trained, labelled: bool) -> str:
    """The float network, and the other before and after, on the validation part; top-1 only with labels."""
    what = "int8" if trained.network.arithmetic else "f32"
    ends = [(f"{what}, untrained", trained.beginning), (f"{what}, trained", trained.student)]
    rows = [("f32", trained.teacher), *ends]
    top1 = [[f"{score.top1:.3f}"] if labelled else [] for _, score in rows]
    return tabulate(
        [[name, *share, f"{score.agreement:.3f}"] for (name, score), share in zip(rows, top1, strict=True)],
        ["validation part", *(["top-1"] if labelled else []), "same class as f32"],
        disable_numparse=True,
    )


def _course(trained: Trained, seconds: float) -> str:
    """How the training went, in a line."""
    history, best = trained.fitted.history, trained.fitted.best
    kept = f"kept the {best}. of them" if best else "kept none of them, for it began best"
    return (
        f"trained {len(history) - 1} epochs in {duration(seconds)}, {kept}: "
        f"validation loss {history[0].loss:.3g} → {history[best].loss:.3g}"
    )

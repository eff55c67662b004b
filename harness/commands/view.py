"""graphs before and after: as a picture, in TensorBoard, in Netron"""

from __future__ import annotations

import socket
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from pathlib import Path

import models
from harness import exporters, importers
from harness.changes import size
from harness.commands._options import add_weights, names
from harness.errors import FormatError, UsageError
from harness.files import replacing
from harness.graph import Graph
from harness.importers import SAVED_MODEL
from harness.ops import infer_shapes, spec
from harness.passes.strip_unused_nodes import live_nodes
from harness.progress import ProgressLine
from harness.sources import open_source
from harness.text import clean
from harness.view import picture, tensorboard

WIDEST = 60  # of a name in a title
OPENED_BY_NETRON = (".onnx", ".pb", ".tflite", ".meta")


def add(parser: ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="a model file, or a recipe's name")
    parser.add_argument("b", metavar="B", nargs="?", help="another to see beside it, such as A optimized")
    add_weights(parser)
    parser.add_argument("--inputs", type=names, default=(), metavar="N,…", help="where the networks begin")
    parser.add_argument("--outputs", type=names, default=(), metavar="N,…", help="where they end")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw them side by side, without a server")
    parser.add_argument(
        "--logdir",
        type=Path,
        metavar="DIR",
        help="write a TensorBoard run for each (without this and --png: results/graphs)",
    )
    parser.add_argument(
        "--serve", action="store_true", help="open each in Netron, on this machine only, until Ctrl-C"
    )


def run(arguments: Namespace) -> int:
    chosen = [model for model in (arguments.a, arguments.b) if model is not None]
    graphs = [_load(model, arguments) for model in chosen]
    if arguments.png is not None:
        _draw(arguments.png, chosen, graphs)
    logdir = arguments.logdir or (None if arguments.png else Path("results/graphs"))
    if logdir is not None:
        tensorboard.write_runs(graphs, logdir)
        print(f"TensorBoard: tensorboard --logdir {logdir}, page Graphs, runs before and after")
    if arguments.serve:
        _serve([_netron_file(model, graph) for model, graph in zip(chosen, graphs, strict=True)])
    elif logdir is not None:
        print("Netron: the same command with --serve, or netron FILE")
    return 0


def _load(model: str, arguments: Namespace) -> Graph:
    """A graph with shapes as far as they can be inferred."""
    if model in models.names():
        with ProgressLine() as progress:
            return open_source(model, arguments.weights, progress=progress).graph
    graph = importers.load(model, arguments.inputs, arguments.outputs)
    with suppress(FormatError):  # a graph with ops that cannot run can be looked at all the same
        infer_shapes(Graph(graph.name, graph.tensors, live_nodes(graph), graph.inputs, graph.outputs))
    return _with_turned_weights(graph)


def _with_turned_weights(graph: Graph) -> Graph:
    """The graph with constant weights in the IR's layout, instead of the nodes that importing adds."""
    for node in list(graph.nodes):
        added = ":" in node.name and node.op in ("Transpose", "Reshape")
        if added and graph.tensors[node.inputs[0]].is_const and graph.tensors[node.outputs[0]].shape:
            arrays = [graph.const(name) for name in node.inputs]
            output = graph.tensors[node.outputs[0]]
            (output.data,) = spec(node).reference(node, arrays)
            graph.nodes.remove(node)
    graph.drop_unused_tensors()
    return graph


def _draw(path: Path, chosen: list[str], graphs: list[Graph]) -> None:
    if path.suffix.lower() != ".png":
        raise UsageError(f"--png '{path}': the name of a picture ends in .png")
    titles = []
    for model, graph in zip(chosen, graphs, strict=True):
        found = size(graph)
        facts = f"{found.nodes} nodes, {found.constant_bytes / 1e6:.2f} MB of constants"
        titles.append(f"{clean(Path(model).name, WIDEST)}\n{facts}")
    try:
        with replacing(path) as temporary:
            width, height = picture.draw(list(zip(titles, graphs, strict=True)), temporary)
    except OSError as error:
        raise UsageError(f"cannot write '{path}': {error.strerror}") from error
    print(f"wrote {path}: {width} × {height} pixels")


def _netron_file(model: str, graph: Graph) -> Path:
    """A file of the model that Netron opens; a recipe's network is written to results/graphs."""
    path = Path(model)
    if (path / SAVED_MODEL).is_file():
        return path / SAVED_MODEL
    if path.suffix.lower() in OPENED_BY_NETRON:
        return path
    folder = Path("results/graphs")
    folder.mkdir(parents=True, exist_ok=True)
    exporters.save(graph, folder / f"{graph.name}.tflite")
    return folder / f"{graph.name}.tflite"


def _serve(files: list[Path]) -> None:
    try:
        import netron
    except ImportError as error:
        raise UsageError("--serve needs Netron: pip install 'quantbench[view]'") from error
    for file in files:
        host, port = netron.start(str(file), address=("127.0.0.1", _free_port()), browse=False)
        print(f"Netron: http://{host}:{port} shows {file}", flush=True)
    netron.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

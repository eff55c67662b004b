"""Graph → a run that TensorBoard's page "Graphs" shows. It is for looking at: values are left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.graph import OPTIONAL, Graph, Tensor

DATA_TYPES = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int8": 6, "int64": 9, "bool": 10}


RUNS = ("before", "after")
EVENT_FILES = "events.out.tfevents.*"


def write_runs(graphs: Sequence[Graph], logdir: Path) -> None:
    """Writes one or two graphs as the runs `RUNS` of a log folder, in place of what these showed.

    Raises UsageError where they cannot be written, or TensorBoard is not installed.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise UsageError("TensorBoard runs need TensorBoard: pip install 'quantbench[graphdef]'") from error
    try:
        for name in RUNS:
            for file in (logdir / name).glob(EVENT_FILES):
                file.unlink()
        for name, graph in zip(RUNS, graphs, strict=False):
            writer = EventFileWriter(str(logdir / name))
            writer.add_event(Event(graph_def=graph_message(graph).SerializeToString()))
            writer.close()
    except OSError as error:
        raise UsageError(f"cannot write '{logdir}': {error.strerror}") from error


def graph_message(graph: Graph):
    """A GraphDef of the IR's own ops: a node for each node, input and constant, with shapes and attrs."""
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    message = GraphDef()
    constants = [t.name for t in graph.tensors.values() if t.is_const]
    references: dict[str, str] = {}
    taken: set[str] = set()
    for op, names in (("Placeholder", graph.inputs), ("Const", constants)):
        for name in names:
            references[name] = _free_name(name, taken)
            _add(message, references[name], op, [], [graph.tensors[name]], {})
    for node in graph.execution_order():
        name = _free_name(node.name, taken)
        references |= {out: f"{name}:{k}" if k else name for k, out in enumerate(node.outputs)}
        inputs = [references[read] for read in node.inputs if read != OPTIONAL]
        _add(message, name, node.op, inputs, [graph.tensors[out] for out in node.outputs], node.attrs)
    return message


def _free_name(wanted: str, taken: set[str]) -> str:
    """A name for a node; ":" would mean one of its outputs."""
    base = wanted.removesuffix(":0").replace(":", "_") or "_"
    name, count = base, 0
    while name in taken:
        count += 1
        name = f"{base}_{count}"
    taken.add(name)
    return name


def _add(message, name: str, op: str, inputs: list[str], outputs: list[Tensor], attrs: dict) -> None:
    node = message.node.add(name=name, op=op, input=inputs)
    for key, value in attrs.items():
        node.attr[key].s = str(value).encode()
    if str(outputs[0].dtype) in DATA_TYPES:
        node.attr["dtype"].type = DATA_TYPES[str(outputs[0].dtype)]
    for tensor in outputs:
        shape = node.attr["_output_shapes"].list.shape.add()  # what the page writes on the edges
        shape.unknown_rank = tensor.shape is None
        for size in tensor.shape or ():
            shape.dim.add(size=size)

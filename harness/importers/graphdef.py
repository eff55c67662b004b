"""Frozen TensorFlow GraphDef (.pb) → Graph, with TensorBoard's protobufs and without TensorFlow.

Every NodeDef becomes one IR node of the same name (`graphdef_ops` translates it), every Const a constant,
every Placeholder a graph input. Output k of node "n" is tensor "n" for k = 0 and "n:k" otherwise, as
TensorFlow writes it; names that this importer adds contain a colon too, so none collides. Control inputs
("^n") are dropped: a frozen network has no side effects to order.

An op that cannot be translated becomes an opaque node under TensorFlow's name. `strip_unused_nodes` removes
it when no output needs it; otherwise shape inference refuses it by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.errors import FormatError, UsageError, unknown_name
from harness.graph import Graph, Node, Tensor
from harness.importers import read_bytes
from harness.importers.graphdef_math import MATH_OPS
from harness.importers.graphdef_ops import TF_OPS, Source
from harness.importers.graphdef_tensors import placeholder_dtype, placeholder_shape, tensor_values
from harness.ops import OPS

MAX_NODES = 1_000_000
MAX_NAME = 1024
GROWTH, FREE_BYTES = 16, 2**26  # constants may take GROWTH times the file's size and FREE_BYTES more
NO_OUTPUT = {"NoOp", "Assert"}  # ops without output tensors, so never an output of the network
PLACEHOLDERS = {"Placeholder", "PlaceholderV2"}
VARIABLES = {"Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable"}


def load(path: Path, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Graph:
    """Reads a frozen GraphDef; see `harness.importers.load` for arguments and errors.

    An unknown batch dimension becomes 1. With `inputs` given the graph is cut there.
    """
    return import_message(parse(path, "GraphDef"), path, path.stat().st_size, inputs, outputs)


def import_message(
    message, path: Path, size: int, inputs: Sequence[str] = (), outputs: Sequence[str] = ()
) -> Graph:
    """A GraphDef that was read from `path`, whose files have `size` bytes, as a Graph."""
    defs = _definitions(message, path)
    references = _references(defs)
    reads = {source for sources in references.values() for source in sources}
    ends = list(dict.fromkeys(_known(defs, n, "output") for n in outputs)) or _unread(defs, reads, path)
    starts = list(dict.fromkeys(_known(defs, n, "input") for n in inputs)) or [
        name for name, node in defs.items() if node.op in PLACEHOLDERS
    ]
    needed = _needed(defs, references, ends, starts)
    if inputs:
        _check_placeholders(defs, needed, starts)
    _check_variables(defs, needed, path)

    graph = Graph(path.stem, inputs=starts, outputs=ends)
    for name in starts:
        source = defs[_split(name)[0]]
        graph.tensors[name] = Tensor(name, placeholder_shape(source), placeholder_dtype(source))
    importer = _Importer(graph, defs, references, needed, size)
    for name in sorted(defs, key=lambda name: defs[name].op != "Const"):  # translators look at constants
        importer.add(name)
    return graph.verify()


def protobuf_class(kind: str, path: Path):
    """The class of a message, "GraphDef" or "MetaGraphDef"; UsageError where TensorBoard is not installed."""
    module = {"GraphDef": "graph_pb2", "MetaGraphDef": "meta_graph_pb2"}[kind]
    try:
        return getattr(importlib.import_module(f"tensorboard.compat.proto.{module}"), kind)
    except ImportError as error:
        raise UsageError(
            f"reading '{path}' needs TensorBoard's protobufs: pip install 'quantbench[graphdef]'"
        ) from error


def parse(path: Path, kind: str, content: bytes | None = None):
    """The message of this kind that a file, or these bytes of it, holds; FormatError where it is none."""
    message = protobuf_class(kind, path)()
    from google.protobuf.message import DecodeError

    try:
        message.ParseFromString(read_bytes(path) if content is None else content)
    except DecodeError as error:
        raise FormatError(f"'{path}' is not a {kind}, or it is damaged: {error}") from error
    return message


def _definitions(message, path: Path) -> dict:
    """Node name → NodeDef, in file order."""
    if not message.node:
        raise FormatError(f"'{path}' holds no nodes, so it is no GraphDef; of a SavedModel give the folder")
    if len(message.node) > MAX_NODES:
        raise FormatError(f"'{path}' has {len(message.node)} nodes; at most {MAX_NODES} are read")
    defs = {}
    for node in message.node:
        if not _is_name(node.name) or not _is_name(node.op):
            raise FormatError(f"'{path}' has a node with the impossible name {node.name[:80]!r}")
        if node.name in defs:
            raise FormatError(f"'{path}' has two nodes called '{node.name}'")
        defs[node.name] = node
    return defs


def _is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME and text.isprintable() and ":" not in text and text[0] != "^"


def _split(reference: str) -> tuple[str, int]:
    """("n", 1) of the reference "n:1"."""
    name, colon, index = reference.partition(":")
    if not colon:
        return name, 0
    if not (index.isascii() and index.isdigit() and len(index) < 6):
        raise FormatError(f"'{reference}' is not a tensor of the graph")
    return name, int(index)


def _tensor_name(reference: str) -> str:
    name, index = _split(reference)
    return f"{name}:{index}" if index else name


def _references(defs: dict) -> dict[str, list[str]]:
    """Node name → the tensors that it reads, control inputs kept as "^name"."""
    references = {}
    for name, node in defs.items():
        references[name] = [r if r.startswith("^") else _tensor_name(r) for r in node.input]
        for reference in references[name]:
            if _split(reference.lstrip("^"))[0] not in defs:
                raise FormatError(
                    f"node '{name}' ({node.op}) reads '{reference}', which is missing; is the file cut short?"
                )
    return references


def _known(defs: dict, reference: str, kind: str) -> str:
    name = reference.partition(":")[0]
    if name not in defs:
        raise unknown_name(f"{kind} of the graph", name, defs)
    return _tensor_name(reference)


def _unread(defs: dict, reads: set[str], path: Path) -> list[str]:
    """The outputs when none are named: nodes that nobody reads, all of them."""
    read = {_split(reference.lstrip("^"))[0] for reference in reads}
    silent = NO_OUTPUT | PLACEHOLDERS | {"Const"}
    ends = [name for name, node in defs.items() if name not in read and node.op not in silent]
    if not ends:
        raise FormatError(f"'{path}' has no node that could be its output; name one")
    return ends


def _needed(defs: dict, references: dict, ends: list[str], starts: list[str]) -> set[str]:
    """Names of the nodes that the outputs depend on, down to the inputs."""
    needed: set[str] = set()
    stack = [reference for reference in ends if reference not in starts]
    while stack:
        name = _split(stack.pop())[0]
        if name in needed:
            continue
        needed.add(name)
        stack += [r for r in references[name] if r not in starts and not r.startswith("^")]
    return needed


def _check_placeholders(defs: dict, needed: set[str], starts: list[str]) -> None:
    for name in needed:
        if defs[name].op in PLACEHOLDERS:
            raise UsageError(
                f"the outputs depend on placeholder '{name}' too; the inputs named are {', '.join(starts)}"
            )


def _check_variables(defs: dict, needed: set[str], path: Path) -> None:
    left = [name for name, node in defs.items() if name in needed and node.op in VARIABLES]
    if left:
        shown = ", ".join(left[:10]) + (f" and {len(left) - 10} more" if len(left) > 10 else "")
        raise FormatError(
            f"'{path}' has variables left, whose values are in a checkpoint: {shown}; give the checkpoint's "
            ".meta file, --checkpoint PREFIX with this file, or the SavedModel's folder"
        )


class _Importer:
    """Adds one NodeDef after the other to the graph."""

    def __init__(self, graph: Graph, defs: dict, references: dict, needed: set[str], file_size: int):
        self.graph = graph
        self.defs = defs
        self.references = references
        self.needed = needed
        # a repeated value is stored once: a few bytes could claim all the memory
        self.room = GROWTH * file_size + FREE_BYTES
        self.read_outputs: dict[str, set[str]] = {name: set() for name in defs}
        for reference in [*graph.outputs, *graph.inputs, *(r for rs in references.values() for r in rs)]:
            if not reference.startswith("^"):
                self.read_outputs[_split(reference)[0]].add(reference)

    def add(self, name: str) -> None:
        definition = self.defs[name]
        if name in self.graph.inputs:
            return
        try:
            if definition.op == "Const":
                self._add_const(definition)
            else:
                self._add_node(definition)
        except FormatError:
            if name in self.needed:
                raise
            self._add_opaque(definition)

    def _add_const(self, definition) -> None:
        name = definition.name
        values = tensor_values(definition, self.room)
        self.room -= values.nbytes
        self.graph.tensors[name] = Tensor(name, values.shape, values.dtype, values)

    def _add_node(self, definition) -> None:
        translate = (TF_OPS | MATH_OPS).get(definition.op)
        if translate is None:
            self._add_opaque(definition)
            return
        name = definition.name
        extra = self.read_outputs[name] - {name, *self.graph.inputs}
        if extra:
            raise FormatError(f"'{min(extra)}': only the first output of {definition.op} is supported")
        source = Source(definition, self._data_inputs(name), self.graph, self._behind_identity)
        op, inputs, attrs = translate(source)
        if definition.device:
            attrs = attrs | {"device": definition.device}
        self.graph.nodes.append(Node(op, name, inputs, [name], attrs))
        self.graph.tensors[name] = Tensor(name, None, np.dtype(np.float32))

    def _add_opaque(self, definition) -> None:
        """A node that only says which op it is; its outputs are those that somebody reads."""
        op = f"tf.{definition.op}" if definition.op in OPS else definition.op
        outputs = sorted((self.read_outputs[definition.name] | {definition.name}) - {*self.graph.inputs})
        self.graph.nodes.append(Node(op, definition.name, self._data_inputs(definition.name), outputs))
        for output in outputs:
            self.graph.tensors[output] = Tensor(output, None, np.dtype(np.float32))

    def _data_inputs(self, name: str) -> list[str]:
        return [r for r in self.references[name] if not r.startswith("^")]

    def _behind_identity(self, reference: str) -> str:
        """The tensor that a chain of Identity nodes hands on, as freezing leaves them around constants."""
        passed = set()
        while reference not in passed and reference in self.defs and self.defs[reference].op == "Identity":
            passed.add(reference)
            reference = (self._data_inputs(reference) or [reference])[0]
        return reference

"""Freezing: a graph with variables and the checkpoint of their values → one constant GraphDef.

    Before                                          After

    x ── Conv2D ── y                                x ── Conv2D ── y
    VarHandleOp ── ReadVariableOp ──┘  (TF2)        Const ──┘
    VariableV2 ── Identity ──┘         (TF1)        Const ── Identity ──┘

Only what the outputs depend on stays. Under which key a checkpoint has a variable's value, the graph's own
restoring part says (RestoreV2 → Assign); without one the key is the variable's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.errors import FormatError, unknown_name
from harness.importers.functions import inline
from harness.importers.graphdef_tensors import DTYPES
from harness.importers.tensor_bundle import Bundle

HANDLES = {"VarHandleOp"}
VARIABLES = {"Variable", "VariableV2", "AutoReloadVariable"}
READS, ASSIGNS = {"ReadVariableOp"}, {"Assign", "AssignVariableOp"}
_NUMBERS = {np.dtype(dtype): number for number, (dtype, _) in DTYPES.items()}


def freeze(graph_def, bundle: Bundle, ends: Mapping[str, str]):
    """A GraphDef without functions and variables.

    ends: name that an output gets → reference in `graph_def`; equal where it is a node's name already. Raises
    FormatError naming the variables without a value, UsageError for an unknown output.
    """
    nodes, resolve = inline(graph_def)
    keys = _restored_keys(nodes)
    frozen = type(graph_def)()
    frozen.versions.CopyFrom(graph_def.versions)
    outputs = {name: resolve(reference) for name, reference in ends.items()}
    for name, reference in outputs.items():
        if _node(reference) not in nodes:
            raise unknown_name("output of the graph", ends[name].partition(":")[0], nodes)
    missing = []
    for node in _needed(nodes, outputs.values()):
        variable = _variable(nodes, node)
        copy = frozen.node.add()
        copy.CopyFrom(node)
        copy.input[:] = [reference.removesuffix(":0") for reference in node.input]
        if variable is not None:
            key = keys.get(variable.name, _name(variable))
            if key in bundle.names:
                _make_const(copy, bundle.tensor(key))
            else:
                missing.append(_name(variable))
    if missing:
        raise FormatError(f"the checkpoint has no value for {', '.join(missing[:10])}: is it this graph's?")
    taken = {node.name for node in frozen.node}
    for name, reference in outputs.items():
        if name not in taken:
            frozen.node.add(name=name, op="Identity", input=[reference.removesuffix(":0")])
    return frozen


def _node(reference: str) -> str:
    return reference.partition(":")[0]


def _name(variable) -> str:
    """The name that a checkpoint knows a variable by."""
    return variable.attr["shared_name"].s.decode("utf-8", "replace") or variable.name


def _behind_identity(nodes: Mapping, reference: str) -> str:
    """The reference that a chain of Identity nodes hands on."""
    passed = set()
    while reference not in passed:
        passed.add(reference)
        node = nodes.get(_node(reference))
        if node is None or node.op != "Identity" or not node.input:
            break
        reference = node.input[0]
    return reference


def _source(nodes: Mapping, reference: str):
    """The node behind any Identity nodes, or None."""
    return nodes.get(_node(_behind_identity(nodes, reference)))


def _variable(nodes: Mapping, node):
    """The variable whose value this node gives, or None."""
    if node.op in VARIABLES:
        return node
    if node.op in READS and node.input:
        handle = _source(nodes, node.input[0])
        return handle if handle is not None and handle.op in HANDLES else None
    return None


def _needed(nodes: Mapping, ends: Sequence[str]) -> list:
    """The nodes that these references depend on, in file order; what is behind a variable is not needed."""
    needed: set[str] = set()
    stack = [_node(reference) for reference in ends]
    while stack:
        name = stack.pop()
        if name in needed:
            continue
        if name not in nodes:
            raise FormatError(f"a node reads '{name}', which is missing; is the file cut short?")
        needed.add(name)
        if _variable(nodes, nodes[name]) is None:
            stack += [_node(reference) for reference in nodes[name].input]
    return [node for name, node in nodes.items() if name in needed]


def _restored_keys(nodes: Mapping) -> dict[str, str]:
    """Name of a variable's node → key in the checkpoint, from the part of the graph that restores it."""
    keys = {}
    for node in nodes.values():
        if node.op not in ASSIGNS or len(node.input) < 2:
            continue
        target = _source(nodes, node.input[0])
        reference = _behind_identity(nodes, node.input[1])
        restore = nodes.get(_node(reference))
        if target is None or restore is None or restore.op != "RestoreV2" or len(restore.input) < 2:
            continue
        names = nodes.get(_node(restore.input[1]))
        listed = names.attr["value"].tensor.string_val if names is not None and names.op == "Const" else []
        index = int(reference.partition(":")[2] or 0)
        if index < len(listed):
            keys[target.name] = listed[index].decode("utf-8", "replace")
    return keys


def _make_const(node, values: np.ndarray) -> None:
    """Turns a NodeDef into a Const of the same name."""
    number = _NUMBERS[values.dtype.newbyteorder("=")]
    name = node.name
    node.Clear()
    node.name, node.op = name, "Const"
    node.attr["dtype"].type = number
    proto = node.attr["value"].tensor
    proto.dtype = number
    for size in values.shape:
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_content = values.tobytes()

"""Inlining: a TF2 graph keeps the network in functions that call each other; here they become plain nodes.

    Before                                   After

    y = PartitionedCall(x, w; f)             f/z = MatMul(x, w)
    f(a, b): z = MatMul(a, b); return z      y:0 stands for f/z:0

A node of a function gets the call's name in front. Inside a function "z:product:0" means output 0 of the
outputs called product (tensorflow/core/framework/function.proto); outside, "z:0" is output 0 of all.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import FormatError

CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
MAX_DEPTH = 50
MAX_NODES = 1_000_000
# Names of outputs in their order, for the ops that have several and occur in networks
_NORM = ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2", "reserve_space_3")
OUTPUT_NAMES = {"FusedBatchNorm": _NORM, "FusedBatchNormV2": _NORM, "FusedBatchNormV3": _NORM}


def inline(graph_def) -> tuple[dict[str, object], Callable[[str], str]]:
    """Node name → NodeDef without calls of functions, and `resolve`: reference → the one that it stands for.

    References are all written "name:index"; control inputs are left out. Raises FormatError for functions
    that call themselves or are not there.
    """
    inliner = _Inliner({function.signature.name: function for function in graph_def.library.function})
    for node in graph_def.node:
        inputs = [_indexed(r) for r in node.input if not r.startswith("^")]
        inliner.add(node, node.name, inputs, 0)
    for node in inliner.nodes.values():
        node.input[:] = [inliner.resolve(reference) for reference in node.input]
    return inliner.nodes, lambda reference: inliner.resolve(_indexed(reference))


def _indexed(reference: str) -> str:
    return reference if ":" in reference else f"{reference}:0"


class _Inliner:
    def __init__(self, library: dict) -> None:
        self.library = library
        self.nodes: dict[str, object] = {}
        self.aliases: dict[str, str] = {}  # output of a call → output of a node in the function

    def add(self, node, name: str, inputs: list[str], depth: int) -> None:
        """One node of the graph or of a function under a new name, with inputs outside all functions."""
        called = node.attr["f"].func.name if node.op in CALLS else node.op
        if called in self.library:
            self._call(self.library[called], name, inputs, depth)
            return
        if node.op in CALLS:
            raise FormatError(f"node '{name}' calls the function '{called}', which is not in the file")
        if name in self.nodes or len(self.nodes) >= MAX_NODES:
            raise FormatError(
                f"node '{name}' is there twice, or the functions have more than {MAX_NODES} nodes"
            )
        copy = type(node)()
        copy.CopyFrom(node)
        copy.name = name
        copy.input[:] = inputs
        self.nodes[name] = copy

    def _call(self, function, name: str, inputs: list[str], depth: int) -> None:
        where = f"function '{function.signature.name}', called by node '{name}',"
        if depth >= MAX_DEPTH:
            raise FormatError(f"{where} is more than {MAX_DEPTH} calls deep")
        arguments = [argument.name for argument in function.signature.input_arg]
        if len(arguments) != len(inputs):
            raise FormatError(f"{where} takes {len(arguments)} arguments, not {len(inputs)}")
        known = dict(zip(arguments, inputs, strict=True))
        ops = {node.name: node.op for node in function.node_def}

        def outside(reference: str) -> str:
            """A reference inside the function as one outside."""
            if reference in known:
                return known[reference]
            node, _, output = reference.partition(":")
            if node not in ops:
                raise FormatError(f"{where} reads '{reference}', which is not there")
            return f"{name}/{node}:{self._output_index(ops[node], output)}"

        for node in function.node_def:
            read = [outside(r) for r in node.input if not r.startswith("^")]
            self.add(node, f"{name}/{node.name}", read, depth + 1)
        for index, output in enumerate(function.signature.output_arg):
            if output.name not in function.ret:
                raise FormatError(f"{where} does not return '{output.name}'")
            self.aliases[f"{name}:{index}"] = outside(function.ret[output.name])

    def _output_index(self, op: str, output: str) -> int:
        """3 of "output:3"; behind the outputs of other names where the op has several."""
        name, _, index = output.partition(":")
        if index and not (index.isascii() and index.isdigit() and len(index) < 6):
            raise FormatError(f"'{output}' is not an output of {op}")
        names = OUTPUT_NAMES.get(op, ())
        if op in self.library:
            names = [argument.name for argument in self.library[op].signature.output_arg]
        return (names.index(name) if name in names else 0) + int(index or 0)

    def resolve(self, reference: str) -> str:
        passed = set()
        while reference in self.aliases and reference not in passed:
            passed.add(reference)
            reference = self.aliases[reference]
        return reference

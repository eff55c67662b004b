"""Passes: named rewrites of a Graph, one file each, and the order in which the default ones run.

A pass is `run(graph, **params) -> Graph`. It works on a clone, keeps the names of the graph's outputs,
keeps their values (to rounding, unless its text says what it changes), and does nothing where its conditions
do not hold. The signature of `run` is the specification of its parameters, for `harness/transforms.py` too.
Modules with a leading underscore are what passes share.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence

from harness.errors import unknown_name
from harness.graph import Graph
from harness.ops import infer_shapes
from harness.passes.strip_unused_nodes import live_nodes

DEFAULT = [
    "strip_unused_nodes",
    "freeze",
    "remove_nodes",
    "remove_dropout",
    "fold_constants",
    "merge_duplicate_nodes",
    "canonicalize_reshapes",
    "merge_transposes",
    "merge_pads",
    "simplify_arithmetic",
    "flatten_atrous_conv",
    "convert_matmul",
    "fold_batch_norms",
    "fold_old_batch_norms",
    "fuse_bias",
    "fold_input_scales",
    "fuse_convolutions",
    "fuse_activations",
    "fuse_quantization",
    "lower_ops",
    "sort_by_execution_order",
]
LOWERING = ["strip_unused_nodes", "canonicalize_reshapes", "merge_transposes", "convert_matmul", "lower_ops"]
"""Say the same in ops that TFLite and the runtime have; for graphs on which only chosen transforms ran."""

NAMES = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
MAX_ROUNDS = 50

Observer = Callable[[str, Graph, Graph], None]
"""Called with the name of a pass and the graph before and after it."""


def function(name: str) -> Callable[..., Graph]:
    """The `run` of a pass; UsageError with the nearest names where there is none."""
    if name not in NAMES:
        raise unknown_name("transform", name, NAMES)
    return importlib.import_module(f"{__name__}.{name}").run


def apply(graph: Graph, names: Sequence[str] | None = None, observe: Observer | None = None) -> Graph:
    """Runs the passes named (default: `DEFAULT`, in that order) again and again until none changes the graph.

    Every pass makes the graph smaller or brings it nearer to the ops of the runtime, none undoes another, so
    this ends; MAX_ROUNDS stands against mistakes. The graph is verified and its shapes inferred before the
    first and after every pass. Raises UsageError for an unknown pass and FormatError for a graph whose
    outputs need an unsupported op.
    """
    functions = {name: function(name) for name in (DEFAULT if names is None else names)}
    graph = checked(graph.clone())
    for _ in range(MAX_ROUNDS):
        before = graph.nodes
        for name, run in functions.items():
            changed = checked(run(graph))
            if observe is not None:
                observe(name, graph, changed)
            graph = changed
        if graph.nodes == before:
            break
    return checked(graph, partial=False)


def checked(graph: Graph, *, partial: bool = True) -> Graph:
    """Verifies the graph and infers the shapes of what its outputs need.

    partial: some pass to come may still take out an op that is not supported; else it is refused.
    """
    graph.verify()
    live = Graph(graph.name, graph.tensors, live_nodes(graph), graph.inputs, graph.outputs)
    infer_shapes(live, partial=partial)
    return graph

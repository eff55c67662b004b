"""Passes: named rewrites of a Graph, one file each, and the order in which the default ones run.

A pass is `run(graph, **params) -> Graph`. It works on a clone, keeps the names of the graph's outputs,
keeps their values (to rounding), and does nothing where its conditions do not hold. Modules with a
leading underscore are what passes share.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from harness.errors import unknown_name
from harness.graph import Graph
from harness.ops import infer_shapes
from harness.passes.strip_unused_nodes import live_nodes

DEFAULT = [
    "strip_unused_nodes",
    "remove_nodes",
    "fold_constants",
    "canonicalize_reshapes",
    "convert_matmul",
    "fold_batch_norms",
    "fold_old_batch_norms",
    "fuse_bias",
    "fuse_pad",
    "fuse_activations",
    "sort_by_execution_order",
]
NAMES = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
MAX_ROUNDS = 20


def apply(graph: Graph, names: Sequence[str] | None = None) -> Graph:
    """Runs the passes named (default: `DEFAULT`, in that order) again and again until none changes the graph.

    The graph is verified and its shapes inferred before the first and after every pass. Raises UsageError
    for an unknown pass and FormatError for a graph whose outputs need an unsupported op.
    """
    names = DEFAULT if names is None else names
    for name in names:
        if name not in NAMES:
            raise unknown_name("pass", name, NAMES)
    graph = _checked(graph.clone())
    for _ in range(MAX_ROUNDS):
        before = graph.nodes
        for name in names:
            graph = _checked(importlib.import_module(f"{__name__}.{name}").run(graph))
        if graph.nodes == before:
            break
    return graph


def _checked(graph: Graph) -> Graph:
    """Verifies the graph and infers shapes of what its outputs need; the rest may hold unsupported ops."""
    graph.verify()
    infer_shapes(Graph(graph.name, graph.tensors, live_nodes(graph), graph.inputs, graph.outputs))
    return graph

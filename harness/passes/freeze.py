"""freeze: make sure that no variable is left, so that the graph is complete in one file.

    Before                                       After

    x ── Conv2D ── y                             x ── Conv2D ── y
    constant w ──┘                               constant w ──┘

    x ── Conv2D ── y                             refused: names the variable w
    variable w ──┘

Condition: none. A SavedModel, or a checkpoint with its graph, gets the values of its variables as constants
when it is imported; a variable that is still there has no value anywhere.
"""

from __future__ import annotations

from harness.errors import FormatError
from harness.graph import Graph
from harness.passes.strip_unused_nodes import live_nodes

VARIABLES = {
    "Variable",
    "VariableV2",
    "VarHandleOp",
    "AutoReloadVariable",
    "TemporaryVariable",
    "VAR_HANDLE",  # TFLite's
}


def run(graph: Graph) -> Graph:
    """Raises FormatError with the names of the variables that the outputs depend on."""
    names = [node.name for node in live_nodes(graph) if node.op in VARIABLES]
    if names:
        shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        raise FormatError(
            f"graph '{graph.name}' has variables left: {shown}; freeze it: give the SavedModel or the "
            "checkpoint that holds their values"
        )
    return graph.clone()

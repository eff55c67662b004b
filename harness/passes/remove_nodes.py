"""remove_nodes: take out ops that hand their first input on unchanged.

    Before                          After

    A ── Identity ── B              A ── B
               └──── C               └── C

    A ── Identity ── output         A ── output      (A now writes under the output's name)

Condition: the op is one of `op`, and it is not what stands between a graph output and a graph input, a
constant or another graph output: there its output's name would be lost.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.graph import OPTIONAL, Graph
from harness.passes._edit import Editor, OpName

PASSED_THROUGH = (
    "Identity",
    "CheckNumerics",
    "StopGradient",
    "PlaceholderWithDefault",
    "PreventGradient",
    "Print",
    "Snapshot",
    "DebugIdentity",
    "DebugIdentityV2",
)


def run(graph: Graph, op: Sequence[OpName] = PASSED_THROUGH) -> Graph:
    """op: the ops to remove; whether they change nothing is the caller's knowledge."""
    edit = Editor(graph)
    for node in edit.nodes():
        if node.op in op and len(node.outputs) == 1 and node.inputs[:1] not in ([], [OPTIONAL]):
            edit.bypass(node)
    return edit.finish()

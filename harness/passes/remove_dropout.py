"""remove_dropout: what switches values off at random while training does nothing afterwards.

    Before                                                         After

    x ── Div(keep) ── Mul ── y                                     x ── y
    RandomUniform ── Add(keep) ── Floor ──┘

    x ── Mul(1 / keep) ── Mul ── y                                 x ── y
    RandomUniform ── GreaterEqual(rate) ── Cast ──┘

    x ── Mul(1 / keep) ── SelectV2 ── y                            x ── y
    RandomUniform ── GreaterEqual(rate) ──┘ └── 0

Conditions: the mask is computed from random numbers, constants, the shape of x and the probability alone.

Formula (Srivastava et al. 2014):  the expected value of x · mask / keep over the mask is x
"""

from __future__ import annotations

from harness.graph import OPTIONAL, Graph, Node
from harness.passes._edit import Editor

RANDOM = {"RandomUniform", "StatelessRandomUniform", "StatelessRandomUniformV2"}
MASK = {"Floor", "Cast", "GreaterEqual", "Add", "Sub", "Mul", "Shape", "Identity", *RANDOM}
SCALING = {"Div", "Mul"}


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in edit.nodes():
        source = _source(edit, node)
        if source is not None:
            edit.rewrite(node, "Identity", [source])
            edit.bypass(node)
    return edit.finish()


def _source(edit: Editor, node: Node) -> str | None:
    """x, where `node` is the last op of a dropout over x."""
    if node.op == "Mul" and len(node.inputs) == 2:
        a, b = node.inputs
        pairs = [(a, b), (b, a)]
    elif node.op in ("SelectV2", "Select") and len(node.inputs) == 3:
        pairs = [(node.inputs[1], node.inputs[0])]
    else:
        return None
    for scaled, mask in pairs:
        scaling = edit.producer(scaled)
        if scaling is not None and scaling.op in SCALING and len(scaling.inputs) == 2:
            varying = [name for name in scaling.inputs if edit.graph.const(name) is None]
            if varying and _is_mask(edit, mask):
                return scaling.inputs[0] if scaling.op != "Mul" else varying[0]
    return None


def _is_mask(edit: Editor, name: str) -> bool:
    """Whether a tensor depends on random numbers, and on no activation but through its shape."""
    random, stack, seen = False, [name], set()
    top = edit.producer(name)
    if top is None or top.op not in ("Floor", "Cast", "GreaterEqual"):
        return False
    while stack:
        name = stack.pop()
        node = edit.producer(name)
        if name == OPTIONAL or name in seen or edit.graph.const(name) is not None:
            continue
        seen.add(name)
        if node is None:  # a graph input: only the probability may be one
            if edit.graph.tensors[name].shape not in (None, (), (1,)):
                return False
            continue
        if node.op not in MASK:
            return False
        random |= node.op in RANDOM
        if node.op not in RANDOM and node.op != "Shape":
            stack += node.inputs
    return random

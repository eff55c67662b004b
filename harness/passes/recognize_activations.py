"""recognize_activations: swish, hard-swish and GELU written as arithmetic become one op each.

    Before                                               After

    x · Logistic(x)                                      Swish(x)
    x · Relu6(x + 3) · 1/6                               HardSwish(x)
    x · (1 + Erf(x / √2)) · 0.5                          Gelu(x)
    x · (1 + Tanh(√(2/π) (x + 0.044715 x³))) · 0.5       Gelu(x, approximate)

Not in the default list: the runtime has no kernel for these ops, while it does run the arithmetic of
hard-swish. TFLite and ONNX have HardSwish and Gelu.

Conditions: float values; products in any order, constants to 1e-4; each value between is read by this
pattern alone and is not a graph output.
"""

from __future__ import annotations

import math

from harness.graph import Graph, Node
from harness.passes._edit import Editor


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in reversed(list(edit.nodes())):
        if node.op == "Mul" and edit.is_float(*node.inputs, *node.outputs):
            _recognize(edit, node)
    return edit.finish()


def _near(value: float, wanted: float) -> bool:
    return math.isclose(value, wanted, rel_tol=1e-4)


def _recognize(edit: Editor, root: Node) -> None:
    factors, scale = _factors(edit, root)
    if len(factors) != 2 or root.attrs.get("activation"):
        return
    for x, gate in (factors, factors[::-1]):
        before = edit.producer(gate)
        if before is None or edit.only_reader(before) is None:
            continue
        if before.op == "Logistic" and before.inputs == [x] and _near(scale, 1):
            edit.rewrite(root, "Swish", [x])
            return
        if _near(scale, 1 / 6) and _is_relu6_of_x_plus_3(edit, before, x):
            edit.rewrite(root, "HardSwish", [x])
            return
        approximate = _gelu(edit, before, x) if _near(scale, 0.5) else None
        if approximate is not None:
            edit.rewrite(root, "Gelu", [x], approximate=approximate)
            return


def _factors(edit: Editor, root: Node) -> tuple[list[str], float]:
    """The tensors that a tree of products multiplies, and the product of its constants of one value."""
    factors, scale, stack = [], 1.0, list(root.inputs)
    while stack:
        name = stack.pop()
        values, before = edit.graph.const(name), edit.producer(name)
        if values is not None and values.size == 1:
            scale *= float(values.reshape(()))
        elif before is not None and before.op == "Mul" and _plain(edit, before):
            stack += before.inputs
        else:
            factors.append(name)
    return factors, scale


def _plain(edit: Editor, node: Node) -> bool:
    """Whether a node only serves the one that reads it, and does not clamp."""
    reader = edit.only_reader(node)
    return (
        reader is not None and reader.inputs.count(node.outputs[0]) == 1 and not node.attrs.get("activation")
    )


def _sum_with(edit: Editor, node: Node | None, wanted: float) -> str | None:
    """x where `node` is x + wanted."""
    if node is None or node.op != "Add":
        return None
    for x, other in (node.inputs, node.inputs[::-1]):
        values = edit.graph.const(other)
        if values is not None and values.size == 1 and _near(float(values.reshape(())), wanted):
            return x
    return None


def _is_relu6_of_x_plus_3(edit: Editor, node: Node, x: str) -> bool:
    if node.op == "Relu6":
        node = edit.producer(node.inputs[0])
        return node is not None and _plain(edit, node) and _sum_with(edit, node, 3) == x
    return node.attrs.get("activation") == "relu6" and _sum_with(edit, node, 3) == x


def _gelu(edit: Editor, node: Node, x: str) -> bool | None:
    """Whether `node` is 1 + tanh(…) (True) or 1 + erf(…) (False) of GELU over x; None for neither."""
    curve = edit.producer(_sum_with(edit, node, 1) or "")
    if curve is None or not _plain(edit, node) or not _plain(edit, curve) or curve.op not in ("Erf", "Tanh"):
        return None
    inner = edit.producer(curve.inputs[0])
    if inner is None or inner.op != "Mul" or not _plain(edit, inner):
        return None
    factors, scale = _factors(edit, inner)
    if curve.op == "Erf":
        return False if factors == [x] and _near(scale, math.sqrt(0.5)) else None
    cubic = edit.producer(factors[0]) if len(factors) == 1 and _near(scale, math.sqrt(2 / math.pi)) else None
    if cubic is None or cubic.op != "Add" or x not in cubic.inputs or not _plain(edit, cubic):
        return None
    power = edit.producer(cubic.inputs[1 - cubic.inputs.index(x)])
    if power is None or power.op != "Mul" or not _plain(edit, power):
        return None
    factors, scale = _factors(edit, power)
    return True if factors == [x, x, x] and _near(scale, 0.044715) else None

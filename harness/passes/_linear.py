"""Sums of multiples, Σ fᵢ · xᵢ + c, as simplify_arithmetic reads them from a graph and writes them back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from harness.graph import Graph, Node
from harness.passes._edit import Editor

Operand = str | np.ndarray | int  # a tensor, a constant, or the result of the step of this number


@dataclass
class Sum:
    """factors: tensor → its factor, float64; constant: c or None. nodes: those that compute it, by identity.

    holds: whether every value fits float32 and no constant had to grow beyond those there were.
    """

    factors: dict[str, np.ndarray] = field(default_factory=dict)
    constant: np.ndarray | None = None
    nodes: list[Node] = field(default_factory=list)
    holds: bool = True

    def _checked(self, result: np.ndarray, *operands: np.ndarray) -> np.ndarray:
        grown = result.size > max(operand.size for operand in operands)
        self.holds &= not grown and bool(np.isfinite(result.astype(np.float32)).all())
        return result

    def times(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self._checked(a * b, a, b)

    def add(self, name: str, factor: np.ndarray) -> None:
        old = self.factors.get(name, np.zeros(()))
        self.factors[name] = self._checked(old + factor, old, factor)

    def add_constant(self, values: np.ndarray) -> None:
        old = np.zeros(()) if self.constant is None else self.constant
        self.constant = self._checked(old + values, old, values)

    def steps(self) -> list[tuple[str, Operand, Operand]]:
        """The operations that compute it, the last one its value."""
        steps: list[tuple[str, Operand, Operand]] = []

        def do(op: str, a: Operand, b: Operand) -> int:
            steps.append((op, a, b))
            return len(steps) - 1

        def is_all(values: np.ndarray, value: float) -> bool:
            return bool((values == value).all())

        # a term that is subtracted comes first only where all are
        (name, factor), *rest = sorted(self.factors.items(), key=lambda term: is_all(term[1], -1))
        constant = self.constant
        if is_all(factor, -1) and constant is not None:
            total, constant = do("Sub", constant, name), None
        else:
            total = name if is_all(factor, 1) and (rest or constant is not None) else do("Mul", name, factor)
        for name, factor in rest:
            if is_all(factor, -1):
                total = do("Sub", total, name)
            else:
                total = do("Add", total, name if is_all(factor, 1) else do("Mul", name, factor))
        if constant is not None:
            do("Add", total, constant)
        return steps


def constant_operand(graph: Graph, node: Node) -> int | None:
    """Which of the two inputs of an Add, Sub or Mul is a constant; None for neither or both."""
    constants = [graph.const(name) is not None for name in node.inputs]
    return constants.index(True) if constants in ([True, False], [False, True]) else None


def read(edit: Editor, root: Node) -> Sum:
    """What `root` computes before its activation, seen through the linear ops that only it reads."""
    graph, total = edit.graph, Sum()
    stack = [(root, np.ones(()))]
    while stack:
        node, factor = stack.pop()
        total.nodes.append(node)
        for name, local in _terms(graph, node, factor, total).items():
            values = graph.const(name)
            if values is not None:
                total.add_constant(total.times(local, values.astype(np.float64)))
                continue
            before = edit.producer(name)
            if before is not None and _belongs(edit, before, node):
                stack.append((before, local))
            else:
                total.add(name, local)
    return total


def _terms(graph: Graph, node: Node, factor: np.ndarray, total: Sum) -> dict[str, np.ndarray]:
    """Input → its factor in `factor` · node; a product has its constant in the factor."""
    a, b = node.inputs
    if node.op == "Mul":
        index = constant_operand(graph, node)
        values = graph.const(node.inputs[index]).astype(np.float64)
        return {node.inputs[1 - index]: total.times(factor, values)}
    other = -factor if node.op == "Sub" else factor
    return {a: factor + other} if a == b else {a: factor, b: other}


def _belongs(edit: Editor, before: Node, node: Node) -> bool:
    """Whether `before` is part of the sum that `node` is in: linear, and read by `node` alone.

    A product does not reach into a sum of several tensors: multiplying each of them would cost more.
    """
    if not is_linear(edit, before) or before.attrs.get("activation") or edit.only_reader(before) is not node:
        return False
    of_one = constant_operand(edit.graph, before) is not None or before.inputs[0] == before.inputs[1]
    return node.op != "Mul" or of_one


def is_linear(edit: Editor, node: Node) -> bool:
    """Whether a node is a sum, a difference or a multiple of float values, of shapes known to fit."""
    if node.op not in ("Add", "Sub", "Mul") or not edit.is_float(*node.inputs, *node.outputs):
        return False
    if any(edit.graph.tensors[name].shape is None for name in (*node.inputs, *node.outputs)):
        return False
    return node.op != "Mul" or constant_operand(edit.graph, node) is not None


def write(edit: Editor, root: Node, total: Sum) -> None:
    """Makes `root` compute `total`, then its own activation."""
    results: list[str] = []

    def operand(value: Operand) -> str:
        if isinstance(value, int):
            return results[value]
        if isinstance(value, str):
            return value
        return edit.graph.add_const(f"{root.name}/constant", value.astype(np.float32))

    *steps, (op, a, b) = total.steps()
    for step, *operands in steps:
        results.append(edit.add(step, f"{root.name}/{step.lower()}", [operand(value) for value in operands]))
    activation = {key: root.attrs[key] for key in ("activation",) if key in root.attrs}
    edit.rewrite(root, op, [operand(a), operand(b)], **activation)
    for node in total.nodes:
        if node is not root:
            edit.remove(node)

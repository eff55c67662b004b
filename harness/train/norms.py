"""The batch norms of a network as it was imported, which optimizing folds into weights.

A BatchNorm node, or the arithmetic that a frozen TensorFlow graph has for it:

    x ── Conv2D ── Mul ── Add ── y       s = Rsqrt(σ² + ε) · γ     t = β − μ · s
                    └── s  └── t
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from harness.graph import OPTIONAL, Graph, Node
from harness.ops import run_reference
from harness.passes.strip_unused_nodes import live_nodes
from harness.quantize.weights import CHANNEL_AXIS

FOLDED = {"rtol": 1e-3, "atol": 1e-6}  # how far folding in float32 and in float64 may be apart


@dataclass(frozen=True)
class BatchNorm:
    """weights, bias: of the layer before, not folded; gamma, beta, mean, variance: (channels,)."""

    weights: np.ndarray
    bias: np.ndarray | None
    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    epsilon: float

    def folds_to(self, weights: np.ndarray, axis: int) -> bool:
        """Whether this layer's folded weights are `weights`; optimizing may have changed them further."""
        factor = self.gamma / np.sqrt(self.variance + self.epsilon)
        along = factor.reshape([-1 if i == axis else 1 for i in range(self.weights.ndim)])
        return self.weights.shape == weights.shape and np.allclose(self.weights * along, weights, **FOLDED)


def batch_norms(imported: Graph, optimized: Graph) -> dict[str, BatchNorm]:
    """Node of `optimized` with weights → the batch norm that is folded into it and can be unfolded again.

    imported: the same network before anything was folded; its layers have the same names.
    """
    found = {}
    readers, writers = imported.consumers(), imported.producers()
    layers = {node.name: node for node in imported.nodes if node.op in CHANNEL_AXIS}
    for node in optimized.nodes:
        before = layers.get(node.name)
        if before is None or before.op != node.op:
            continue
        norm = _behind(imported, before, readers, writers.get)
        if norm is not None and norm.folds_to(optimized.const(node.inputs[1]), CHANNEL_AXIS[node.op]):
            found[node.name] = norm
    return found


def _computed(graph: Graph, name: str) -> np.ndarray | None:
    """A constant, or what is computed of constants alone, as weights in another layout are; else None."""
    part = replace(graph, outputs=[name])
    part.nodes = live_nodes(part)
    if any(read in graph.inputs for node in part.nodes for read in node.inputs):
        return None
    return run_reference(part, {})[name]


Writer = Callable[[str], Node | None]


def _behind(graph: Graph, layer: Node, readers: dict[str, list[Node]], writer: Writer) -> BatchNorm | None:
    """The batch norm that alone reads a layer's output, with the layer's own weights."""
    weights, bias = _computed(graph, layer.inputs[1]), graph.const((*layer.inputs, OPTIONAL)[2])
    x = layer.outputs[0]
    if weights is None or len(readers[x]) != 1 or layer.attrs.get("activation"):
        return None
    follower = readers[x][0]
    if follower.op == "BatchNorm":
        parts = [graph.const(name) for name in follower.inputs[1:5]]
        epsilon = follower.attrs.get("epsilon", 1e-3)
    elif follower.op == "Mul" and len(readers[follower.outputs[0]]) == 1:
        parts, epsilon = _arithmetic(graph, follower, x, readers, writer)
    else:
        return None
    channels = weights.shape[CHANNEL_AXIS[layer.op]]
    if any(part is None or part.shape != (channels,) for part in parts):
        return None
    return BatchNorm(weights, bias, *parts, float(epsilon))


def _arithmetic(
    graph: Graph, product: Node, x: str, readers: dict[str, list[Node]], writer: Writer
) -> tuple[list[np.ndarray | None], float]:
    """γ, β, μ, σ² and ε where x · s + t has the form of the module's picture; else an empty part."""
    unknown = [None], 0.0
    factor = _other(product, x)
    total = readers[product.outputs[0]][0]
    scale, shift = writer(factor), writer(_other(total, product.outputs[0]))
    if total.op != "Add" or scale is None or scale.op != "Mul" or shift is None or shift.op != "Sub":
        return unknown
    root, gamma = _operand_by(scale, writer, "Rsqrt"), _constant_operand(graph, scale)
    product_of_mean = writer(shift.inputs[1])
    if root is None or product_of_mean is None or factor not in product_of_mean.inputs:
        return unknown
    sum_ = writer(root.inputs[0])
    if sum_ is None or sum_.op != "Add":
        return unknown
    values = sorted((graph.const(name) for name in sum_.inputs), key=np.size)
    if any(value is None for value in values) or np.size(values[0]) != 1:
        return unknown
    mean = graph.const(_other(product_of_mean, factor))
    return [gamma, graph.const(shift.inputs[0]), mean, values[1]], float(values[0].reshape(()))


def _other(node: Node, name: str) -> str:
    return node.inputs[1] if node.inputs[0] == name else node.inputs[0]


def _operand_by(node: Node, writer: Writer, op: str) -> Node | None:
    return next((n for n in map(writer, node.inputs) if n is not None and n.op == op), None)


def _constant_operand(graph: Graph, node: Node) -> np.ndarray | None:
    return next((graph.const(name) for name in node.inputs if graph.const(name) is not None), None)

"""correct_bias: takes out the error that quantizing adds to the mean of each output channel (M. Nagel et al.,
arXiv:1906.04721, section 4.2).

    W̃ = W + ε    E[W̃x] = E[Wx] + εE[x]    so the bias becomes b − εE[x]

analytic: E[x] is the mean of each input channel over the samples (the paper reads it off the batch norm
before, which folding has taken away). Padding is in it: ε is applied to an image of that mean.

empirical (the paper's appendix D): layer by layer in execution order, the layer is given what the int8
network before it really computes, with biases corrected so far; its mean before the activation function is
brought to the float network's. Also sees the errors of activations, and takes two runs over the samples for
each layer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.errors import UsageError
from harness.graph import Graph, Node, Tensor
from harness.ops import spec
from harness.passes import strip_unused_nodes
from harness.quantize import int8
from harness.quantize.draft import Draft
from harness.quantize.pairs import set_const
from harness.quantize.stages import WITHOUT_PAIRS

METHODS = ("analytic", "empirical")


def run(draft: Draft, method: str = "analytic") -> Draft:
    """Raises UsageError for an unknown method."""
    if method not in METHODS:
        raise UsageError(f"correct_bias: method '{method}' is neither {' nor '.join(METHODS)}")
    weights = int8_weights(draft)
    shifts = _analytic(draft, weights) if method == "analytic" else _empirical(draft, weights)
    return replace(draft, choices=replace(draft.choices, shifts=shifts))


def int8_weights(draft: Draft) -> dict[str, Tensor]:
    """The int8 weights of every weighted node by its name, as decided so far."""
    graph = replace(draft, stage=WITHOUT_PAIRS).quantized()
    names = {node.name for node in draft.weighted()}
    return {node.name: graph.tensors[node.inputs[1]] for node in graph.nodes if node.name in names}


def _reals(weights: Tensor) -> np.ndarray:
    return weights.quant.dequantize(weights.data)


def _analytic(draft: Draft, weights: dict[str, Tensor]) -> dict[str, np.ndarray]:
    nodes = draft.weighted()
    seen = draft.learned.channels(draft.graph, list(dict.fromkeys(node.inputs[0] for node in nodes)))
    shifts = {}
    for node in nodes:
        error = _reals(weights[node.name]) - draft.graph.const(node.inputs[1])
        shape = draft.graph.tensors[node.inputs[0]].shape
        mean = np.broadcast_to(seen[node.inputs[0]].mean.astype(np.float32), shape)
        linear = Node(node.op, node.name, [], [], node.attrs | {"activation": None})
        (added,) = spec(node).reference(linear, [mean, error, None])
        shifts[node.name] = -added.reshape(-1, added.shape[-1]).mean(0, dtype=np.float64).astype(np.float32)
    return shifts


def _empirical(draft: Draft, weights: dict[str, Tensor]) -> dict[str, np.ndarray]:
    shifts: dict[str, np.ndarray] = {}
    order = [node.name for node in draft.graph.execution_order()]
    ranges = draft.ranges()
    for node in draft.weighted():
        output = node.outputs[0]
        wanted = draft.learned.channels(_ending_at(draft.graph, node.name, None), [output])[output].mean
        later = frozenset(order[order.index(node.name) :])
        choices = replace(draft.choices, shifts=shifts, kept=draft.choices.kept | later)
        prefix = _ending_at(draft.graph, node.name, _reals(weights[node.name]))
        found = draft.learned.channels(int8.quantize(prefix, ranges, choices=choices), [output])[output].mean
        shifts[node.name] = (wanted - found).astype(np.float32)
    return shifts


def _ending_at(graph: Graph, name: str, weights: np.ndarray | None) -> Graph:
    """The graph up to a node, which loses its activation function and may be given other weights."""
    graph = graph.clone()
    node = next(node for node in graph.nodes if node.name == name)
    node.attrs["activation"] = None
    if weights is not None:
        set_const(graph, node, 1, weights)
    graph.outputs = [node.outputs[0]]
    return strip_unused_nodes.run(graph)

"""round: weights rounded so that each layer's output, not each weight, comes nearest to the float one.

    minimize over w̃   E‖(w̃ − w) x‖² = (w̃ − w) G (w̃ − w)ᵀ      G = E[x xᵀ] over patches of the layer's input

adaround (M. Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", ICML 2020,
arXiv:2004.10568): w̃ = s (⌊w/s⌋ + h(v)), h a stretched sigmoid, v trained by Adam with a regularizer that
drives h to 0 or 1.

descent (K. Behdin et al., "QuantEase", arXiv:2309.01885): cyclic coordinate descent from the nearest
weights; each weight in turn takes the best of all integers, the others fixed. No tuning, and the error falls
at every move.

Both use the layer before its activation function and float inputs. An output channel that comes out worse
than by rounding to nearest, as training can leave it, keeps the nearest.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.errors import UsageError
from harness.graph import Graph, Node
from harness.quantize import reconstruction
from harness.quantize.draft import Draft
from harness.quantize.steps.correct_bias import int8_weights

METHODS = {"adaround": reconstruction.adaround, "descent": reconstruction.descent}
SAMPLES = 32
PATCHES = 4096  # of a layer's input
GROUP_BYTES = 128 << 20  # of layers' inputs in memory at a time
WIDEST = 4608  # products in a sum: of a longer one G would take too long


def run(draft: Draft, method: str = "descent", samples: int = SAMPLES) -> Draft:
    """samples: how many of the calibration samples patches come from. Raises UsageError.

    Layers of more than WIDEST products in a sum, and grouped ones, stay rounded to nearest.
    """
    if method not in METHODS:
        raise UsageError(f"round: method '{method}' is neither {' nor '.join(METHODS)}")
    weights, rounded = int8_weights(draft), dict(draft.choices.rounded)
    nodes = [node for node in draft.weighted() if _can(draft.graph, node)]
    for group in _groups(draft.graph, nodes, samples):
        inputs = list(dict.fromkeys(node.inputs[0] for node in group))
        values = draft.learned.values(draft.graph, inputs, samples)
        for node in group:
            moments = second_moments(draft.graph, node, values[node.inputs[0]])
            stored = weights[node.name]
            scales = np.broadcast_to(stored.quant.scale, stored.data.shape[reconstruction.axis_of(node)])
            rounded[node.name] = reconstruction.reconstructed(
                METHODS[method], node, draft.graph.const(node.inputs[1]), scales, moments
            )
    return replace(draft, choices=replace(draft.choices, rounded=rounded))


def _can(graph: Graph, node: Node) -> bool:
    weights, depth = graph.const(node.inputs[1]), graph.tensors[node.inputs[0]].shape[-1]
    if node.op == "Conv2D":
        return weights.shape[3] == depth and weights[0].size <= WIDEST
    return node.op == "DepthwiseConv2D" or (node.op == "FullyConnected" and weights.shape[1] <= WIDEST)


def _groups(graph: Graph, nodes: list[Node], samples: int) -> list[list[Node]]:
    """Neighbours whose inputs together take at most GROUP_BYTES, or one alone."""
    groups: list[list[Node]] = []
    room = 0
    for node in nodes:
        needed = graph.tensors[node.inputs[0]].nbytes * samples
        if not groups or needed > room:
            groups.append([])
            room = GROUP_BYTES
        groups[-1].append(node)
        room -= needed
    return groups


def second_moments(graph: Graph, node: Node, values: np.ndarray) -> np.ndarray:
    """G of patches spread evenly over samples and places: float64 (channels, k, k) for a depthwise layer,
    else (1, k, k). values: (samples, …), the layer's input."""
    patches = reconstruction.patches(node, values, graph.const(node.inputs[1]).shape, PATCHES)
    patches = patches.astype(np.float32)
    return np.matmul(patches.transpose(0, 2, 1), patches).astype(np.float64) / patches.shape[1]

"""Where training with simulated quantization begins: at what post-training steps leave of a float graph.

The order of M. Nagel et al., "A White Paper on Neural Network Quantization", arXiv:2106.08295, section 4.3:
equalize, choose ranges, correct biases, then train.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.graph import Graph, Tensor
from harness.quantize.draft import Draft
from harness.quantize.int8 import shifted_bias
from harness.quantize.pairs import set_const
from harness.train.network import Arithmetic

ROOM = 0.49  # of a step: how far from a whole multiple of the scale a weight may be to be rounded to it


def initial(draft: Draft) -> tuple[Graph, Arithmetic]:
    """The float graph and the arithmetic that together compute what the draft's int8 graph computes.

    Corrections of biases are in the biases. Weights that a step rounded otherwise than to nearest are moved
    as little as makes nearest the same. Raises FormatError naming a node that has no int8 form.
    """
    int8 = draft.quantized()  # what cannot be int8 is refused now, not after the training
    stored = {
        node.name: int8.tensors[node.inputs[1]] for node in int8.nodes if node.name in draft.choices.rounded
    }
    graph = draft.graph.clone()
    for node in graph.nodes:
        if node.name in draft.choices.shifts:
            bias = shifted_bias(graph, node, draft.choices.shifts[node.name])
            node.inputs[2:3] = [graph.add_const(f"{node.name}/bias", bias)]
        if node.name in stored:
            set_const(graph, node, 1, _rounding_to(stored[node.name], graph.const(node.inputs[1])))
    graph.drop_unused_tensors()
    choices = replace(draft.choices, rounded={}, shifts={})
    return graph.verify(), Arithmetic(draft.ranges(), choices)


def _rounding_to(stored: Tensor, weights: np.ndarray) -> np.ndarray:
    reals = stored.quant.dequantize(stored.data)
    room = ROOM * stored.quant.dequantize(np.ones_like(stored.data))
    return np.clip(weights, reals - room, reals + room)

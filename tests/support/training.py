"""Simulated int8 that begins with the ranges of some inputs; needs PyTorch."""

import numpy as np
import torch

from harness.graph import Graph
from harness.quantize.calibrate import Range
from harness.quantize.int8 import Choices
from harness.train.network import Arithmetic, Network


def int8(graph: Graph, x: np.ndarray, **choices) -> Arithmetic:
    """The minimum and maximum that each activation has for x, (samples, …)."""
    names = [name for name, tensor in graph.tensors.items() if not tensor.is_const]
    with torch.no_grad():
        values = Network(graph, {}, None)(torch.from_numpy(x), tuple(names))
    ranges = {name: Range(y.min().item(), y.max().item()) for name, y in zip(names, values, strict=True)}
    return Arithmetic(ranges, Choices(**choices))

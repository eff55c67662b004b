"""AveragePool2D and MaxPool2D; padding never counts."""

from __future__ import annotations

import numpy as np

from harness.ops import op
from harness.ops.activations import activate
from harness.ops.windows import WINDOW_DEFAULTS, node_padding, windows


@op("AveragePool2D", "MaxPool2D")
class Pool2D:
    defaults = WINDOW_DEFAULTS | {"activation": None}

    @staticmethod
    def infer(node, inputs):
        x = inputs[0]
        _, size = node_padding(node, x.shape[1:3], node.attrs["filter"])
        return [((x.shape[0], *size, x.shape[3]), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        fill = np.nan if node.op == "AveragePool2D" else -np.inf
        view = windows(node, arrays[0], node.attrs["filter"], fill)
        reduce = np.nanmean if node.op == "AveragePool2D" else np.max
        return [activate(node, reduce(view, axis=(4, 5)).astype(np.float32))]

"""Sliding windows: the padding rule and views that convolution and pooling share."""

from __future__ import annotations

import numpy as np

from harness.graph import Node

Pads = tuple[tuple[int, int], tuple[int, int]]
WINDOW_DEFAULTS = {"stride": (1, 1), "dilation": (1, 1), "padding": "VALID"}


def resolve_padding(
    padding: str | Pads,
    size: tuple[int, int],
    window: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[Pads, tuple[int, int]]:
    """Explicit ((top, bottom), (left, right)) and the output's (height, width).

    SAME pads so that out = ceil(in / stride), the odd pixel after; VALID pads nothing (TensorFlow's
    "Neural network: convolution" padding rule). Raises ValueError where nothing is left of the output.
    """
    pads, out = [], []
    for i in range(2):
        if stride[i] < 1 or dilation[i] < 1 or window[i] < 1:
            raise ValueError(f"window {window}, stride {stride} and dilation {dilation} must be positive")
        extent = (window[i] - 1) * dilation[i] + 1
        if padding == "SAME":
            length = -(-size[i] // stride[i])
            total = max((length - 1) * stride[i] + extent - size[i], 0)
            pad = (total // 2, total - total // 2)
        elif padding == "VALID":
            pad = (0, 0)
        else:
            pad = (int(padding[i][0]), int(padding[i][1]))
        length = (size[i] + sum(pad) - extent) // stride[i] + 1
        if length < 1 or min(pad) < 0:
            raise ValueError(f"a window of {extent} does not fit {size[i]} pixels padded by {pad}")
        pads.append(pad)
        out.append(length)
    return (pads[0], pads[1]), (out[0], out[1])


def window_attrs(node: Node) -> tuple[tuple[int, int], tuple[int, int], str | Pads]:
    """(stride, dilation, padding) of a node, with their defaults."""
    attrs = WINDOW_DEFAULTS | node.attrs
    return attrs["stride"], attrs["dilation"], attrs["padding"]


def node_padding(node: Node, size: tuple[int, int], window: tuple[int, int]) -> tuple[Pads, tuple[int, int]]:
    """`resolve_padding` with the node's own attributes."""
    stride, dilation, padding = window_attrs(node)
    return resolve_padding(padding, size, window, stride, dilation)


def windows(node: Node, x: np.ndarray, window: tuple[int, int], fill: float) -> np.ndarray:
    """View of x (N, H, W, C), padded with `fill`, as (N, out_h, out_w, C, window_h, window_w)."""
    stride, dilation, _ = window_attrs(node)
    pads, out = node_padding(node, x.shape[1:3], window)
    x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
    extent = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(x, extent, axis=(1, 2))
    view = view[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    return view[:, : out[0], : out[1]]

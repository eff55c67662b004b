"""Conv2D, DepthwiseConv2D and TransposeConv2D."""

from __future__ import annotations

import numpy as np

from harness.ops import op
from harness.ops.activations import activate
from harness.ops.windows import WINDOW_DEFAULTS, node_padding, window_attrs, windows


def _check(node, x, weights, bias, channels_in, channels_out):
    if len(x.shape) != 4 or len(weights.shape) != 4:
        raise ValueError(f"needs input and weights of rank 4, not {x.shape} and {weights.shape}")
    if channels_in[0] != channels_in[1]:
        raise ValueError(f"input has {channels_in[0]} channels, the weights expect {channels_in[1]}")
    if bias is not None and tuple(bias.shape) != (channels_out,):
        raise ValueError(f"bias has shape {bias.shape}, expected ({channels_out},)")


@op("Conv2D")
class Conv2D:
    """y[n, i, j, o] = Σ x[n, i·s + ky·d, j·s + kx·d, c] · w[o, ky, kx, c] + b[o] (cross-correlation).

    Weights with a fraction of the input's channels make that many groups: the outputs' first share reads the
    first share of the input channels, and so on.
    """

    defaults = WINDOW_DEFAULTS | {"activation": None}

    @staticmethod
    def infer(node, inputs):
        x, weights, bias = (*inputs, None)[:3]
        out_channels, *window, depth = weights.shape
        groups = max(1, x.shape[-1] // depth)
        _check(node, x, weights, bias, (x.shape[3], depth * groups), out_channels)
        if out_channels % groups:
            raise ValueError(f"{out_channels} output channels do not divide into {groups} groups")
        _, size = node_padding(node, x.shape[1:3], tuple(window))
        return [((x.shape[0], *size, out_channels), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, weights, bias = (*arrays, None)[:3]
        groups = x.shape[3] // weights.shape[3]
        parts = zip(np.split(x, groups, axis=3), np.split(weights, groups), strict=True)
        views = [(windows(node, part, w.shape[1:3], 0.0), w) for part, w in parts]
        y = np.concatenate([np.tensordot(v, w, axes=([3, 4, 5], [3, 1, 2])) for v, w in views], axis=3)
        y = y.astype(np.float32)
        return [activate(node, y if bias is None else y + bias)]

    @staticmethod
    def macs(node, inputs, out):
        return int(np.prod(out) * np.prod(inputs[1].shape[1:]))


@op("DepthwiseConv2D")
class DepthwiseConv2D:
    """One filter per channel; output channel c·multiplier + m reads input channel c."""

    defaults = WINDOW_DEFAULTS | {"activation": None, "multiplier": 1}

    @staticmethod
    def infer(node, inputs):
        x, weights, bias = (*inputs, None)[:3]
        _, *window, out_channels = weights.shape
        _check(
            node, x, weights, bias, (x.shape[3] * node.attrs.get("multiplier", 1), out_channels), out_channels
        )
        _, size = node_padding(node, x.shape[1:3], tuple(window))
        return [((x.shape[0], *size, out_channels), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, weights, bias = (*arrays, None)[:3]
        view = windows(node, x, weights.shape[1:3], 0.0)
        view = np.repeat(view, node.attrs.get("multiplier", 1), axis=3)
        y = np.einsum("nhwckl,klc->nhwc", view, weights[0], optimize=True).astype(np.float32)
        return [activate(node, y if bias is None else y + bias)]

    @staticmethod
    def macs(node, inputs, out):
        return int(np.prod(out) * np.prod(inputs[1].shape[1:3]))


@op("TransposeConv2D")
class TransposeConv2D:
    """The gradient of a Conv2D that reads `size` pixels and writes those of x: with its stride s and its
    padding p, y[n, i·s + ky − p, j·s + kx − p, o] = b[o] + Σ x[n, i, j, c] · w[o, ky, kx, c].
    """

    defaults = {"stride": (1, 1), "padding": "VALID", "activation": None}

    @staticmethod
    def infer(node, inputs):
        x, weights, bias = (*inputs, None)[:3]
        out_channels, *window, depth = weights.shape
        _check(node, x, weights, bias, (x.shape[3], depth), out_channels)
        size = tuple(node.attrs["size"])
        _, read = node_padding(node, size, tuple(window))
        if read != tuple(x.shape[1:3]):
            raise ValueError(f"a convolution of {size} pixels writes {read}, not the input's {x.shape[1:3]}")
        return [((x.shape[0], *size, out_channels), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, weights, bias = (*arrays, None)[:3]
        size, (stride_h, stride_w) = node.attrs["size"], window_attrs(node)[0]
        ((top, _), (left, _)), _ = node_padding(node, size, weights.shape[1:3])
        batch, height, width, _ = x.shape
        out_channels, window_h, window_w, _ = weights.shape
        reach = [
            max((n - 1) * s + w, size[i] + before)
            for i, (n, s, w, before) in enumerate(
                ((height, stride_h, window_h, top), (width, stride_w, window_w, left))
            )
        ]
        y = np.zeros((batch, *reach, out_channels), np.float32)
        for ky, kx in np.ndindex(window_h, window_w):
            rows = slice(ky, ky + (height - 1) * stride_h + 1, stride_h)
            columns = slice(kx, kx + (width - 1) * stride_w + 1, stride_w)
            y[:, rows, columns] += x @ weights[:, ky, kx].T
        y = y[:, top : top + size[0], left : left + size[1]]
        return [activate(node, y if bias is None else y + bias)]

    @staticmethod
    def macs(node, inputs, out):
        return int(np.prod(inputs[0].shape) * np.prod(inputs[1].shape[:3]))

"""FullyConnected, MatMul, BatchMatMul, BiasAdd and BatchNorm."""

from __future__ import annotations

import numpy as np

from harness.ops import op
from harness.ops.activations import activate


@op("FullyConnected")
class FullyConnected:
    """y = x · Wᵀ + b; x is flattened to (batch, in), or keeps all its dimensions but the last."""

    defaults = {"activation": None, "keep_dims": False}

    @staticmethod
    def infer(node, inputs):
        x, weights, bias = (*inputs, None)[:3]
        outputs, depth = weights.shape
        if np.prod(x.shape) % depth:
            raise ValueError(f"input {x.shape} does not divide into rows of {depth}")
        if bias is not None and tuple(bias.shape) != (outputs,):
            raise ValueError(f"bias has shape {bias.shape}, expected ({outputs},)")
        if node.attrs.get("keep_dims") and x.shape[-1] != depth:
            raise ValueError(f"input {x.shape} does not end in rows of {depth}")
        rows = x.shape[:-1] if node.attrs.get("keep_dims") else (int(np.prod(x.shape)) // depth,)
        return [((*rows, outputs), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, weights, bias = (*arrays, None)[:3]
        y = x.reshape(-1, weights.shape[1]) @ weights.T
        if node.attrs.get("keep_dims"):
            y = y.reshape(*x.shape[:-1], -1)
        return [activate(node, y if bias is None else y + bias)]

    @staticmethod
    def macs(node, inputs, out):
        return int(np.prod(out) * inputs[1].shape[1])


@op("MatMul")
class MatMul:
    defaults = {"transpose_a": False, "transpose_b": False}

    @staticmethod
    def _operands(node, shapes_or_arrays, swap):
        a, b = shapes_or_arrays
        return (
            swap(a) if node.attrs.get("transpose_a") else a,
            swap(b) if node.attrs.get("transpose_b") else b,
        )

    @staticmethod
    def infer(node, inputs):
        a, b = MatMul._operands(node, [t.shape for t in inputs], lambda s: s[::-1])
        if len(a) != 2 or len(b) != 2 or a[1] != b[0]:
            raise ValueError(f"cannot multiply {a} by {b}")
        return [((a[0], b[1]), inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        a, b = MatMul._operands(node, arrays, np.transpose)
        return [a @ b]

    @staticmethod
    def macs(node, inputs, out):
        return int(np.prod(out) * np.prod(inputs[0].shape) // out[0])


@op("BatchMatMul")
class BatchMatMul:
    """a · b over the last two axes, those before broadcast; adj_x and adj_y swap the last two first."""

    defaults = {"adj_x": False, "adj_y": False}

    @staticmethod
    def infer(node, inputs):
        (*outer_a, rows, depth), (*outer_b, depth_b, columns) = (tensor.shape for tensor in inputs)
        if node.attrs.get("adj_x"):
            rows, depth = depth, rows
        if node.attrs.get("adj_y"):
            depth_b, columns = columns, depth_b
        if depth != depth_b:
            raise ValueError(f"cannot multiply {inputs[0].shape} by {inputs[1].shape}")
        return [((*np.broadcast_shapes(tuple(outer_a), tuple(outer_b)), rows, columns), inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        a, b = arrays
        a = a.swapaxes(-1, -2) if node.attrs.get("adj_x") else a
        b = b.swapaxes(-1, -2) if node.attrs.get("adj_y") else b
        return [a @ b]

    @staticmethod
    def macs(node, inputs, out):
        return int(np.prod(out) * inputs[0].shape[-2 if node.attrs.get("adj_x") else -1])


@op("BiasAdd")
class BiasAdd:
    @staticmethod
    def infer(node, inputs):
        x, bias = inputs
        if tuple(bias.shape) != (x.shape[-1],):
            raise ValueError(f"bias has shape {bias.shape}, expected ({x.shape[-1]},)")
        return [(x.shape, x.dtype)]

    @staticmethod
    def reference(node, arrays):
        return [arrays[0] + arrays[1]]


@op("BatchNorm")
class BatchNorm:
    """γ · (x − μ) / √(σ² + ε) + β over the last axis (Ioffe & Szegedy 2015), with fixed statistics."""

    defaults = {"epsilon": 1e-3}

    @staticmethod
    def infer(node, inputs):
        x, *parameters = inputs
        for tensor in parameters:
            if tuple(tensor.shape) != (x.shape[-1],):
                raise ValueError(f"'{tensor.name}' has shape {tensor.shape}, expected ({x.shape[-1]},)")
        return [(x.shape, x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, gamma, beta, mean, variance = arrays
        factor = gamma / np.sqrt(variance + np.float32(node.attrs.get("epsilon", 1e-3)))
        return [(x - mean) * factor + beta]

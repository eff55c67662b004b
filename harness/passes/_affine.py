"""The algebra of per-channel multiply-add that fold_batch_norms, fold_old_batch_norms and fuse_bias share."""

from __future__ import annotations

import numpy as np

from harness.graph import OPTIONAL, Graph, Node
from harness.passes._edit import Editor

# op → the axis of its weights (input 1) that is the output channel
CHANNEL_AXIS = {"Conv2D": 0, "DepthwiseConv2D": 3, "FullyConnected": 0, "MatMul": 1}
HAS_BIAS = {"Conv2D", "DepthwiseConv2D", "FullyConnected"}


def fold_into_weights(graph: Graph, ops: set[str]) -> Graph:
    """Folds the nodes of these ops that multiply and add per channel into the weighted op before them.

    w' = w · scale, b' = b · scale + shift, in float64 and rounded to float32 once for a run of followers. A
    result that float32 cannot hold is left unfolded.
    """
    edit = Editor(graph)
    with np.errstate(all="ignore"):  # what is not finite is left unfolded
        for node in edit.nodes():
            if node.op in CHANNEL_AXIS:
                _fold_followers(edit, node, ops)
    return edit.finish()


def _fold_followers(edit: Editor, node: Node, ops: set[str]) -> None:
    weights, bias = (edit.graph.const(name) for name in (*node.inputs, OPTIONAL)[1:3])
    axis = 0 if node.attrs.get("transpose_b") else CHANNEL_AXIS[node.op]
    has_bias = len(node.inputs) > 2 and node.inputs[2] != OPTIONAL
    if weights is None or axis >= weights.ndim or not edit.is_float(*node.inputs[1:]):
        return
    if has_bias and bias is None:
        return
    channels = weights.shape[axis]
    scale, shift = np.ones(channels), bias.astype(np.float64) if has_bias else np.zeros(channels)
    run, last = [], node
    while not last.attrs.get("activation"):
        follower = edit.only_reader(last)
        if follower is None or follower.op not in ops or not edit.is_float(*last.outputs, *follower.outputs):
            break
        step = multiply_add(edit.graph, follower, last.outputs[0], channels)
        if step is None or not _holds(node, weights, axis, *_compose(scale, shift, step)):
            break
        scale, shift = _compose(scale, shift, step)
        run.append(follower)
        last = follower
    if run:
        _write(edit, node, _scaled(weights, axis, scale), shift, run)


def multiply_add(graph: Graph, node: Node, x: str, channels: int) -> tuple[np.ndarray, np.ndarray] | None:
    """(scale, shift), float64 of shape (channels,), where `node` computes x · scale + shift per channel.

    None where it does something else, or where its other inputs are not constants of one value per channel.
    """
    others = [name for name in node.inputs if name != x]
    if len(others) != len(node.inputs) - 1 or (node.inputs[0] != x and node.op not in ("Add", "Sub", "Mul")):
        return None
    rows = [_per_channel(graph.const(name), channels, graph.tensors[x].shape) for name in others]
    if any(row is None for row in rows):
        return None
    one, zero = np.ones(channels), np.zeros(channels)
    if node.op in ("Add", "BiasAdd"):
        return one, rows[0]
    if node.op == "Sub":
        return (one, -rows[0]) if node.inputs[0] == x else (-one, rows[0])
    if node.op == "Mul":
        return rows[0], zero
    if node.op == "BatchNorm":
        gamma, beta, mean, variance = rows
        scale = gamma / np.sqrt(variance + node.attrs.get("epsilon", 1e-3))
        return scale, beta - mean * scale
    return None


def _per_channel(values: np.ndarray | None, channels: int, x_shape) -> np.ndarray | None:
    """A float constant as float64 (channels,), where broadcast over x it varies along the last axis only."""
    if values is None or values.dtype != np.float32:
        return None
    if values.ndim > (1 if x_shape is None else len(x_shape)):  # broadcasting would add axes to x
        return None
    if values.size == 1 or (values.size == channels == values.shape[-1]):
        return np.broadcast_to(values.reshape(-1).astype(np.float64), (channels,))
    return None


def _compose(scale: np.ndarray, shift: np.ndarray, step) -> tuple[np.ndarray, np.ndarray]:
    """(x · scale + shift) · step₀ + step₁ as one multiply-add."""
    return scale * step[0], shift * step[0] + step[1]


def _holds(node: Node, weights: np.ndarray, axis: int, scale: np.ndarray, shift: np.ndarray) -> bool:
    """Whether the node's weights and bias can hold the folded values in float32."""
    if node.op not in HAS_BIAS and shift.any():
        return False
    folded = _scaled(weights, axis, scale), shift.astype(np.float32)
    return all(np.isfinite(values).all() for values in folded)


def _scaled(weights: np.ndarray, axis: int, scale: np.ndarray) -> np.ndarray:
    along = scale.reshape([-1 if i == axis else 1 for i in range(weights.ndim)])
    return (weights.astype(np.float64) * along).astype(np.float32)


def _write(edit: Editor, node: Node, weights: np.ndarray, shift: np.ndarray, run: list[Node]) -> None:
    """Stores the folded weights and bias; `node` stands for the whole run from now on."""
    if not np.array_equal(weights, edit.graph.const(node.inputs[1])):
        edit.set_const(node, 1, weights, node.inputs[1])
    if node.op in HAS_BIAS:
        edit.set_const(node, 2, shift.astype(np.float32), f"{node.name}/bias")
    if run[-1].attrs.get("activation"):
        node.attrs["activation"] = run[-1].attrs["activation"]
    for follower in run:
        edit.absorb(node, follower)

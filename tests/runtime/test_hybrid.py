"""Hybrid convolutions and fully connected layers: NumPy's bits, on every ISA variant."""

from __future__ import annotations

import numpy as np
import pytest

from harness.graph import OPTIONAL, Graph, Node
from harness.ops.windows import node_padding, window_attrs
from tests.support import runner
from tests.support.linear_checks import VARIANTS, check_variant_equals_scalar
from tests.support.linear_graphs import OPS, linear_graph, random_inputs

LIMITS = {None: (-np.inf, np.inf), "relu": (0, np.inf), "relu6": (0, 6), "relu_n1_to_1": (-1, 1)}


def quantize_sample(x: np.ndarray, symmetric: bool) -> tuple[np.ndarray, np.float32]:
    """One sample to centred int values (q − zero_point) and its scale, as hybrid.h specifies."""
    low, high = np.float32(min(x.min(), 0)), np.float32(max(x.max(), 0))
    if symmetric:
        scale = max(high, -low) / np.float32(127)
        return np.rint(x * (np.float32(1) / scale)).astype(np.int64), scale
    scale = high / np.float32(255) - low / np.float32(255)
    zero_point = min(127, int(np.rint(np.float32(-128) - low / scale)))
    q = np.rint(x * (np.float32(1) / scale)).astype(np.int64) + zero_point
    return np.clip(q, -128, 127) - zero_point, scale


def integer_window_sums(node: Node, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Σ x·w of one sample, x (h, w, c) and w as in the graph, in int64."""
    pads, (out_h, out_w) = node_padding(node, x.shape[:2], w.shape[1:3])
    (stride_h, stride_w), (dilation_h, dilation_w), _ = window_attrs(node)
    x = np.pad(x, (*pads, (0, 0)))
    total = 0
    for ky in range(w.shape[1]):
        for kx in range(w.shape[2]):
            top, left = ky * dilation_h, kx * dilation_w
            taps = x[top::stride_h, left::stride_w][:out_h, :out_w]
            if node.op == "Conv2D":
                total = total + taps @ w[:, ky, kx, :].T
            else:
                total = total + np.repeat(taps, w.shape[3] // x.shape[2], axis=2) * w[0, ky, kx]
    return total


def expected_output(graph: Graph, node: Node, x: np.ndarray) -> np.ndarray:
    """The node's output in NumPy, every float operation in float32."""
    weights = graph.tensors[node.inputs[1]]
    has_bias = len(node.inputs) == 3 and node.inputs[2] != OPTIONAL
    bias = graph.tensors[node.inputs[2]].data if has_bias else np.float32(0)
    w = weights.data.astype(np.int64)
    outputs = []
    for sample in x:
        q, scale = quantize_sample(sample, symmetric=not weights.quant.per_channel)
        sums = q @ w.T if node.op == "FullyConnected" else integer_window_sums(node, q, w)
        outputs.append(sums.astype(np.float32) * (scale * weights.quant.scale) + bias)
    low, high = LIMITS[node.attrs["activation"]]
    return np.clip(np.array(outputs), np.float32(low), np.float32(high))


@pytest.mark.parametrize("op", OPS)
def test_reference_loops_equal_numpy(op, tmp_path):
    graph = linear_graph(op, "hybrid", 80, seed=1)
    inputs = random_inputs(graph, seed=1)
    actual = runner.predict(graph, inputs, tmp_path, isa="scalar", sanitized=True)
    for node, x, ours in zip(graph.nodes, inputs, actual, strict=True):
        expected = expected_output(graph, node, x)
        assert ours.dtype == expected.dtype == np.float32
        assert np.array_equal(ours, expected), (node, np.abs(ours - expected).max())


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_every_variant_equals_the_reference_loops(op, arch, isa, tmp_path):
    check_variant_equals_scalar(op, "hybrid", arch, isa, tmp_path)


@pytest.mark.parametrize("isa", ["scalar", ""])
@pytest.mark.parametrize("op", OPS)
def test_all_zero_input_gives_the_bias(op, isa, tmp_path):
    graph = linear_graph(op, "hybrid", 20, seed=2)
    inputs = [np.zeros_like(x) for x in random_inputs(graph, seed=2)]
    for node, ours in zip(graph.nodes, runner.predict(graph, inputs, tmp_path, isa=isa), strict=True):
        bias = graph.tensors[node.inputs[2]].data if len(node.inputs) == 3 else np.float32(0)
        assert np.array_equal(
            ours, np.broadcast_to(np.clip(bias, *LIMITS[node.attrs["activation"]]), ours.shape)
        )


@pytest.mark.parametrize("arch", [runner.HOST, "aarch64", "armv7"])
@pytest.mark.parametrize("op", OPS)
def test_input_that_is_not_finite_is_safe_and_the_same_everywhere(op, arch, tmp_path):
    graph = linear_graph(op, "hybrid", 20, seed=4)
    inputs = random_inputs(graph, seed=4)
    for index, x in enumerate(inputs):
        x.ravel()[index % x.size] = (np.inf, -np.inf, np.nan, 3e38)[index % 4]
    expected = runner.predict(graph, inputs, tmp_path, isa="scalar", sanitized=True)
    actual = runner.predict(graph, inputs, tmp_path, arch=arch)
    for ours, reference in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(ours, reference)

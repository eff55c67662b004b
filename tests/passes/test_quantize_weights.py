import numpy as np
import pytest

from harness.exporters import tflite
from harness.ops import run_reference
from harness.pack import pack
from harness.passes import dequantize_weights, quantize_weights
from tests.support import litert, runner
from tests.support.graphs import Builder, small_network


def dense(values):
    """x (1, in) times `values` (out, in)."""
    b = Builder("dense")
    return b.build(b.node("FullyConnected", b.input((1, values.shape[1])), b.const(values, "w")))


def stored(graph):
    """The int8 constants of a graph."""
    return {n: t for n, t in graph.tensors.items() if t.is_const and t.dtype == np.int8}


def test_largest_maps_to_127_and_zero_to_zero():
    graph = quantize_weights.run(dense(np.float32([[-2.0, 2.0, 0.0], [1.0, 0.004, -0.009]])), minimum_size=1)
    (weights,) = stored(graph).values()
    assert weights.data.tolist() == [[-127, 127, 0], [64, 0, -1]]
    assert weights.quant.scale[0] == np.float32(2 / 127)
    assert weights.quant.zero_point[0] == 0
    assert [node.op for node in graph.execution_order()] == ["Dequantize", "FullyConnected"]


@pytest.mark.parametrize("value", [0.0, 1e-42, 1e38])
def test_extreme_weights(value):
    graph = quantize_weights.run(dense(np.full((2, 2), value, np.float32)), minimum_size=1)
    (weights,) = stored(graph.verify()).values()
    assert abs(weights.quant.dequantize(weights.data) - value).max() <= max(value / 250, 1e-37)


def test_only_large_constants():
    sizes = {quantize_weights.run(dense(np.ones((32, n))), 32 * 32).nodes[0].op for n in (31, 32)}
    assert sizes == {"FullyConnected", "Dequantize"}
    assert not stored(quantize_weights.run(dense(np.ones((31, 33)))))
    assert stored(quantize_weights.run(dense(np.ones((32, 32)))))


def test_not_finite_or_an_output_stays():
    assert not stored(quantize_weights.run(dense(np.float32([[1, np.inf]])), 1))
    graph = dense(np.ones((2, 2)))
    graph.outputs.append("w")
    assert not stored(quantize_weights.run(graph, 1))


def test_a_constant_that_several_read_is_stored_once():
    b = Builder()
    w = b.const(np.ones((3, 3)), "w")
    y = b.node("FullyConnected", b.node("FullyConnected", b.input((1, 3)), w), w)
    graph = quantize_weights.run(b.build(b.node("Mul", y, w)), 1)
    assert [node.op for node in graph.nodes].count("Dequantize") == 1
    assert len(stored(graph)) == 1


def test_file_is_a_quarter_and_outputs_change_by_the_rounding():
    rng = np.random.default_rng(0)
    graph = dense(rng.normal(size=(64, 512)))
    small = quantize_weights.run(graph)
    assert len(pack(small)) < 0.3 * len(pack(graph))
    x = rng.uniform(-1, 1, (1, 512)).astype(np.float32)
    (before,), (after,) = (run_reference(g, {"x": x}).values() for g in (graph, small))
    step = np.abs(graph.const("w")).max() / 127
    assert 0 < np.abs(after - before).max() <= np.abs(x).sum() * step / 2


def test_the_runtime_computes_what_the_expanded_network_does(tmp_path):
    small = quantize_weights.run(small_network(), minimum_size=1)
    x = np.random.default_rng(0).normal(size=(1, 9, 9, 3)).astype(np.float32)
    (ours,) = runner.predict(small, [x], tmp_path, sanitized=True)
    (expanded,) = runner.predict(dequantize_weights.run(small), [x], tmp_path, sanitized=True)
    assert ours.tobytes() == expanded.tobytes()
    profile = runner.run("profile", "--model", tmp_path / "model.qbm", "--runs", 1)
    assert profile.exit_code == 0


def test_weights_are_expanded_once_at_load(tmp_path):
    small = quantize_weights.run(small_network(), minimum_size=1)
    (tmp_path / "small.qbm").write_bytes(pack(small))
    outcome = runner.run("profile", "--model", tmp_path / "small.qbm", "--runs", 1)
    kernels = {event["kernel"] for event in outcome.named("node") if event["op"] == "DEQUANTIZE"}
    assert kernels == {"at_load"}


def test_litert_runs_the_small_file(tmp_path):
    small = quantize_weights.run(small_network(), minimum_size=1)
    x = np.random.default_rng(0).normal(size=(1, 9, 9, 3)).astype(np.float32)
    (expected,) = litert.Reference(tflite.write(small)).run(x)
    (ours,) = runner.predict(small, [x], tmp_path)
    np.testing.assert_allclose(ours, expected, atol=1e-6)

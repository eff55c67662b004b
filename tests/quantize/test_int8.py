import numpy as np
import pytest

from harness.errors import FormatError
from harness.ops import run_reference
from harness.passes import dequantize_weights
from harness.quantize import hybrid, int8
from harness.quantize.calibrate import Range
from harness.quantize.weights import channel_scales
from tests.support.graphs import Builder, small_network
from tests.support.learned import Learned

litert = pytest.importorskip("tests.support.litert", reason="needs ai-edge-litert")


def ranges_of(graph, samples):
    seen = Learned(np.concatenate(samples)).activations(graph, bins=False)
    return {name: activation.range for name, activation in seen.items()}


@pytest.fixture(scope="module")
def calibrated():
    rng = np.random.default_rng(1)
    graph = small_network()
    samples = [rng.normal(size=(1, 9, 9, 3)).astype(np.float32) for _ in range(8)]
    return graph, samples, ranges_of(graph, samples)


def test_everything_becomes_integer(calibrated):
    graph, _, ranges = calibrated
    quantized = int8.quantize(graph, ranges)
    for name, tensor in quantized.tensors.items():
        assert tensor.dtype == (np.int32 if name.endswith("/int32") else np.int8), name
        assert tensor.quant is not None


def test_weights_are_symmetric_per_channel_and_use_the_whole_range(calibrated):
    graph, _, ranges = calibrated
    quantized = int8.quantize(graph, ranges)
    for node in quantized.nodes:
        if node.op == "Conv2D":
            weights = quantized.tensors[node.inputs[1]]
            assert not weights.quant.zero_point.any()
            assert (np.abs(weights.data.astype(int)).max(axis=(1, 2, 3)) == 127).all()


def test_ops_that_do_not_rescale_share_their_quantization(calibrated):
    graph, _, ranges = calibrated
    quantized = int8.quantize(graph, ranges)
    pool = next(n for n in quantized.nodes if n.op == "AveragePool2D")
    reshape = next(n for n in quantized.nodes if n.op == "Reshape")
    quants = [quantized.tensors[n].quant for n in (pool.inputs[0], pool.outputs[0], reshape.outputs[0])]
    assert len({(q.scale[0], q.zero_point[0]) for q in quants}) == 1


def test_softmax_output_is_fixed_even_through_a_reshape():
    b = Builder()
    x = b.node("Reshape", b.node("Softmax", b.input((1, 4))), shape=(2, 2))
    graph = b.build(x)
    quantized = int8.quantize(graph, {n: Range(0, 1) for n in graph.tensors})
    quant = quantized.tensors[x].quant
    assert (quant.scale[0], quant.zero_point[0]) == (1 / 256, -128)


def test_litert_gets_nearly_the_float_answer_from_the_int8_graph(calibrated):
    from harness.exporters import tflite

    graph, samples, ranges = calibrated
    quantized = int8.quantize(graph, ranges)
    model = litert.Reference(tflite.write(quantized))
    x, y = (quantized.tensors[n].quant for n in (graph.inputs[0], graph.outputs[0]))
    for sample in samples:
        (expected,) = run_reference(graph, {"x": sample}).values()
        (stored,) = model.run(x.quantize(sample, np.int8))
        assert np.abs(y.dequantize(stored) - expected).max() < 0.05


def test_missing_or_infinite_range_is_named(calibrated):
    graph, _, ranges = calibrated
    for bad in ({k: v for k, v in ranges.items() if k != "x"}, ranges | {"x": Range(0, np.inf)}):
        with pytest.raises(FormatError, match="no finite range for 'x'"):
            int8.quantize(graph, bad)


def test_dead_channel_keeps_its_bias():
    b = Builder()
    weights = np.float32([[1.0, -1.0], [0.0, 0.0]])
    out = b.node("FullyConnected", b.input((1, 2)), b.const(weights, "w"), b.const(np.float32([0, 5]), "b"))
    graph = b.build(out)
    quantized = int8.quantize(graph, {"x": Range(-1, 1), out: Range(-2, 5)})
    node = quantized.nodes[0]
    bias = quantized.tensors[node.inputs[2]]
    np.testing.assert_allclose(bias.quant.dequantize(bias.data), [0, 5], atol=0.01)


def test_hybrid_keeps_activations_and_biases_in_float():
    graph = hybrid.quantize(small_network())
    weighted = [n for n in graph.nodes if n.op in ("Conv2D", "DepthwiseConv2D", "FullyConnected")]
    assert len(weighted) == 4
    for node in weighted:
        x, weights, bias = (graph.tensors[name] for name in node.inputs)
        assert (x.dtype, weights.dtype, bias.dtype) == (np.float32, np.int8, np.float32)
        assert weights.quant.per_channel


def test_weights_of_a_hybrid_file_expand_to_what_they_stand_for():
    graph = small_network()
    stored = hybrid.quantize(graph)
    again = dequantize_weights.run(stored)
    assert {tensor.dtype for tensor in again.tensors.values()} == {np.dtype(np.float32)}
    for before, after in zip(graph.nodes, again.nodes, strict=True):
        if before.op == "Conv2D":
            step = np.abs(graph.const(before.inputs[1])).max() / 127
            assert np.abs(graph.const(before.inputs[1]) - again.const(after.inputs[1])).max() <= step
    assert [n.inputs for n in hybrid.quantize(stored).nodes] == [n.inputs for n in stored.nodes]


def test_quantizing_leaves_the_float_graph_alone(calibrated):
    graph, _, ranges = calibrated
    before = {name: tensor.dtype for name, tensor in graph.tensors.items()}
    int8.quantize(graph, ranges)
    hybrid.quantize(graph)
    assert {name: tensor.dtype for name, tensor in graph.tensors.items()} == before


def test_channel_scales():
    weights = np.float32([[127, 0], [-254, 1], [0, 0]])
    assert channel_scales(weights, 0).tolist() == [1, 2, 0]

import struct

import numpy as np
import pytest
import tflite as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import BenchError, FormatError, UsageError
from harness.exporters import tflite as exporter
from harness.graph import Graph, Node, Quantization, Tensor
from harness.importers import load
from harness.ops import infer_shapes, run_reference
from harness.passes import apply, dequantize_weights
from tests.support.fuzz import damaged
from tests.support.graphs import Builder, small_network

FLOAT_MODELS = {  # model → magnitude of its inputs
    "kws_ref_model_float32": 20.0,
    "pretrainedResnet": 255.0,
    "vww_96_float": 1.0,
    "ad01_fp32": 2.0,
}
INT8_MODELS = ["kws_ref_model", "pretrainedResnet_quant", "vww_96_int8", "ad01_int8"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.tflite"


def roundtrip(graph, path):
    path.write_bytes(exporter.write(graph))
    return load(path)


# --- agreement with LiteRT ---


def run_dynamic_range(graph, x):
    """A graph with int8 weights per tensor beside float activations, computed as LiteRT does: the activations
    are quantized symmetrically to their own range in front of each such node."""
    values = {graph.inputs[0]: x} | {name: t.data for name, t in graph.tensors.items() if t.is_const}
    for node in graph.execution_order():
        feeds = {name: values[name] for name in node.inputs}
        weights = graph.tensors[node.inputs[1]] if len(node.inputs) > 1 else None
        if weights is not None and weights.quant is not None:
            activations = feeds[node.inputs[0]]
            symmetric = Quantization(np.abs(activations).max() / np.float32(127), 0)
            feeds[node.inputs[0]] = symmetric.dequantize(symmetric.quantize(activations, np.int8))
            feeds[node.inputs[1]] = weights.quant.dequantize(weights.data)
        alone = Graph("node", graph.tensors, [node], outputs=node.outputs)
        values.update(run_reference(alone, feeds))
    return values[graph.outputs[0]]


@pytest.mark.parametrize("model", FLOAT_MODELS)
def test_float_network_agrees_with_litert(lab, model):
    """One of the four, keyword spotting, is a dynamic-range file: int8 weights of its 1×1 convolutions."""
    litert = pytest.importorskip("tests.support.litert", reason="needs ai-edge-litert")
    file = lab / "models" / f"{model}.tflite"
    graph, reference = apply(load(file)), litert.Reference(file.read_bytes())
    (name,) = graph.inputs
    for seed in range(5):
        x = np.random.default_rng(seed).uniform(-1, 1, graph.tensors[name].shape) * FLOAT_MODELS[model]
        x = x.astype(np.float32)
        ours, (theirs,) = run_dynamic_range(graph, x), reference.run(x)
        # the auto-encoder's outputs are no probabilities: 1e-5 of their magnitude
        bound = 1e-5 * max(1.0, float(np.abs(theirs).max()))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound)


def test_dynamic_range_network_becomes_the_float_network(lab):
    """LiteRT quantizes activations on the way, which costs it a few thousandths of probability."""
    litert = pytest.importorskip("tests.support.litert", reason="needs ai-edge-litert")
    file = lab / "models" / "kws_ref_model_float32.tflite"
    graph = dequantize_weights.run(apply(load(file)))
    assert all(graph.tensors[n.inputs[1]].dtype == np.float32 for n in graph.nodes if len(n.inputs) > 2)
    x = np.random.default_rng(0).uniform(-20, 20, (1, 49, 10, 1)).astype(np.float32)
    (ours,), (theirs,) = (
        run_reference(graph, {"input_1": x}).values(),
        litert.Reference(file.read_bytes()).run(x),
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.01)


@pytest.mark.parametrize("model", INT8_MODELS)
def test_int8_network_survives_import_and_export_to_the_byte(lab, model):
    litert = pytest.importorskip("tests.support.litert", reason="needs ai-edge-litert")
    file = lab / "models" / f"{model}.tflite"
    graph = apply(load(file))
    original, ours = litert.Reference(file.read_bytes()), litert.Reference(exporter.write(graph))
    shape = graph.tensors[graph.inputs[0]].shape
    for seed in range(3):
        x = np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
        np.testing.assert_array_equal(ours.run(x)[0], original.run(x)[0])


def test_int8_network_keeps_its_quantization(lab):
    graph = load(lab / "models" / "pretrainedResnet_quant.tflite")
    conv = graph.nodes[0]
    x, weights, bias = (graph.tensors[name] for name in conv.inputs)
    assert (x.dtype, weights.dtype, bias.dtype) == (np.int8, np.int8, np.int32)
    assert weights.quant.axis == 0
    assert len(weights.quant.scale) == weights.shape[0]
    assert not weights.quant.zero_point.any()
    np.testing.assert_allclose(bias.quant.scale, x.quant.scale * weights.quant.scale, rtol=1e-6)


# --- round trips ---


def test_every_op_survives_export_and_import(path):
    b = Builder()
    rng = np.random.default_rng(0)
    x = b.input((1, 8, 8, 4))
    w = b.const(rng.normal(size=(4, 3, 3, 4)), "w")
    dw = b.const(rng.normal(size=(1, 3, 3, 8)), "dw")
    fc = b.const(rng.normal(size=(5, 8)), "fc")
    window = {"stride": (2, 1), "padding": "SAME"}
    y = b.node("Conv2D", x, w, dilation=(1, 1), activation="relu", **window)
    z = b.node("MaxPool2D", x, filter=(2, 3), activation="relu6", **window)
    y = b.node("Add", y, z, activation="relu_n1_to_1")
    y = b.node("Sub", y, b.node("AveragePool2D", x, filter=(1, 2), **window))
    y = b.node("Mul", y, z)
    y = b.node("Concatenation", y, z, axis=3)
    y = b.node("Pad", y, b.const(np.array([[0, 0], [1, 0], [0, 2], [0, 0]], np.int32)))
    y = b.node("Relu6", b.node("Relu", y))
    first = b.node("Mean", y, b.const(np.array([3], np.int32)), keep_dims=True)
    y = b.node("DepthwiseConv2D", b.node("Reshape", x, shape=(1, 16, 4, 4)), dw, multiplier=2)
    y = b.node("Reshape", b.node("Mean", y, b.const(np.array([1, 2], np.int32))), shape=(1, 8))
    y = b.node("Softmax", b.node("FullyConnected", y, fc, activation="relu6"), beta=0.5)
    graph = b.build(first, y)
    back = infer_shapes(roundtrip(graph, path))
    values = rng.normal(size=(1, 8, 8, 4)).astype(np.float32)
    expected, got = run_reference(graph, {"x": values}), run_reference(back, {"x": values})
    for name in graph.outputs:
        np.testing.assert_array_equal(got[name], expected[name])
    assert [n.op for n in back.nodes] == [n.op for n in graph.execution_order()]


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    channels=st.integers(1, 5),
    zero_point=st.integers(-128, 127),
    seed=st.integers(0, 100),
)
def test_quantization_survives_export_and_import(tmp_path, channels, zero_point, seed):
    rng = np.random.default_rng(seed)
    s8 = np.dtype(np.int8)
    graph = Graph("q", inputs=["x"], outputs=["y"])
    x_quant = Quantization(rng.uniform(0.01, 1), zero_point)
    w_quant = Quantization(rng.uniform(0.01, 1, channels), np.zeros(channels), 0)
    b_quant = Quantization(x_quant.scale * w_quant.scale, np.zeros(channels), 0)
    graph.tensors["x"] = Tensor("x", (1, 3), s8, None, x_quant)
    graph.tensors["y"] = Tensor("y", (1, channels), s8, None, Quantization(0.5, -3))
    graph.add_const("w", rng.integers(-127, 128, (channels, 3)).astype(np.int8), w_quant)
    graph.add_const("b", rng.integers(-999, 999, channels).astype(np.int32), b_quant)
    graph.nodes.append(Node("FullyConnected", "fc", ["x", "w", "b"], ["y"]))
    back = roundtrip(graph.verify(), tmp_path / "q.tflite")
    for name, tensor in graph.tensors.items():
        got = back.tensors[name]
        assert (got.shape, got.dtype) == (tensor.shape, tensor.dtype)
        np.testing.assert_array_equal(got.quant.scale, tensor.quant.scale)
        np.testing.assert_array_equal(got.quant.zero_point, tensor.quant.zero_point)
        assert got.quant.axis == (tensor.quant.axis if channels > 1 else None)
        if tensor.is_const:
            np.testing.assert_array_equal(got.data, tensor.data)


# --- names ---


def test_named_inputs_and_outputs_cut_the_graph(path):
    graph = small_network()
    middle, last = graph.nodes[1].outputs[0], graph.nodes[2].outputs[0]
    path.write_bytes(exporter.write(graph))
    cut = apply(load(path, inputs=[middle], outputs=[last]))
    assert (cut.inputs, cut.outputs, len(cut.nodes)) == ([middle], [last], 1)
    with pytest.raises(UsageError, match="output 'conv2d:0' depends on more than the inputs named"):
        load(path, inputs=[middle], outputs=["conv2d:0"])
    with pytest.raises(UsageError, match="unknown output of the graph 'softmax:1'"):
        load(path, outputs=["softmax:1"])


# --- hostile files ---


def patched(content, table, slot, form, value):
    """A copy with one scalar field of a flatbuffer table overwritten."""
    offset = table._tab.Offset(slot)
    assert offset, "the field is not in the file"
    copy = bytearray(content)
    struct.pack_into(form, copy, table._tab.Pos + offset, value)
    return bytes(copy)


@pytest.fixture
def content():
    return exporter.write(small_network())


def test_op_outside_the_vocabulary_is_refused_by_name_unless_stripped(path, content):
    code = schema.Model.GetRootAsModel(content, 0).OperatorCodes(0)
    content = patched(content, code, 4, "b", schema.BuiltinOperator.HASHTABLE_LOOKUP)
    if code._tab.Offset(10):
        content = patched(content, code, 10, "<i", schema.BuiltinOperator.HASHTABLE_LOOKUP)
    path.write_bytes(content)
    name = load(path).nodes[0].name
    with pytest.raises(FormatError, match=rf"op 'HASHTABLE_LOOKUP' \(node '{name}'\) is not supported"):
        apply(load(path))
    after = load(path).nodes[2]
    assert apply(load(path, inputs=[after.outputs[0]])).nodes


def test_tensor_index_outside_the_file_is_refused(path, content):
    operator = schema.Model.GetRootAsModel(content, 0).Subgraphs(0).Operators(0)
    copy = bytearray(content)
    struct.pack_into("<i", copy, operator._tab.Vector(operator._tab.Offset(6)), 10_000)
    path.write_bytes(copy)
    with pytest.raises(FormatError, match=r"names tensor 10000 in the inputs of operator 0 \(CONV_2D\)"):
        load(path)


def test_shape_that_its_buffer_does_not_fill_is_refused(path, content):
    subgraph = schema.Model.GetRootAsModel(content, 0).Subgraphs(0)
    index = next(i for i in range(subgraph.TensorsLength()) if subgraph.Tensors(i).Name() == b"w1")
    tensor = subgraph.Tensors(index)
    copy = bytearray(content)
    struct.pack_into("<i", copy, tensor._tab.Vector(tensor._tab.Offset(4)), 2**31 - 1)
    path.write_bytes(copy)
    with pytest.raises(FormatError, match=r"tensor 'w1' of shape \(2147483647, 3, 3, 3\) with 864 bytes"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x18\0\0\0TFL2" + bytes(100)])
def test_file_without_the_identifier_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(FormatError, match="lacks the identifier TFL3"):
        load(path)


def complaint(path, content):
    """The message of the error that these bytes end in, or nothing."""
    path.write_bytes(content)
    try:
        apply(load(path))
    except BenchError as error:
        return str(error)
    return ""


def test_files_cut_short_anywhere_end_in_one_clear_line(path, content):
    for end in range(0, len(content), max(1, len(content) // 300)):
        assert "\n" not in complaint(path, content[:end])


@pytest.mark.parametrize("word", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_any_word_of_the_structure_may_be_hostile(path, word):
    b = Builder()
    b.input((1, 4))
    y = b.node("FullyConnected", "x", b.const(np.ones((2, 4))))
    content = exporter.write(b.build(b.node("Reshape", y, shape=(2, 1))))
    survivors = 0
    for position in range(0, len(content) - 3, 4):
        copy = bytearray(content)
        struct.pack_into("<I", copy, position, word)
        message = complaint(path, bytes(copy))
        assert "\n" not in message
        survivors += not message
    assert 0 < survivors < len(content) // 4  # neither all refused nor nothing checked


@pytest.mark.parametrize("model", ["kws_ref_model_float32", "kws_ref_model"])
def test_damaged_real_files_end_in_one_clear_line(lab, path, model):
    content = (lab / "models" / f"{model}.tflite").read_bytes()
    for copy in damaged(content, 150, window=8000):
        assert "\n" not in complaint(path, copy)

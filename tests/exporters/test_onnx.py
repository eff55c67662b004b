"""What we write as .onnx, judged by ONNX Runtime."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from harness import importers, passes
from harness.errors import FormatError
from harness.graph import Quantization
from harness.ops import infer_shapes, run_reference
from harness.passes import dequantize_weights, fuse_convolutions
from harness.quantize import float16
from tests.support.float_networks import NETWORKS, feeds, with_int8_weights
from tests.support.graphs import Builder, small_network
from tests.support.pass_graphs import random_network

onnx = pytest.importorskip("onnx", reason="needs onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from harness.exporters import onnx as exporter  # noqa: E402


def run_onnx(graph, inputs, optimized=True):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(exporter.write(graph), options).run(graph.outputs, inputs)


def assert_same(graph, inputs=None, optimized=True):
    inputs = inputs or feeds(graph)
    expected = run_reference(dequantize_weights.run(graph), inputs).values()
    for ours, theirs in zip(run_onnx(graph, inputs, optimized), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * max(1.0, float(np.abs(theirs).max())))


def ops(graph):
    return Counter(n.op_type for n in onnx.load_from_string(exporter.write(graph)).graph.node)


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - {"atrous"}))  # ONNX has no SpaceToBatchND
def test_same_outputs_in_onnx_runtime(name):
    # ONNX Runtime 1.31 merges Pad into MaxPool and then refuses a pad that is as wide as the window
    assert_same(NETWORKS[name](), optimized=name != "padded")


@pytest.mark.parametrize("run", [lambda graph: graph, fuse_convolutions.run], ids=["plain", "fused"])
@pytest.mark.parametrize("flag", ["align_corners", "half_pixel_centers", None])
def test_resizes_and_mirrored_pads(run, flag):
    b = Builder()
    size = b.const(np.array([9, 7], np.int32), "size")
    flags = {flag: True} if flag else {}
    pads = b.const(np.array([[0, 0], [1, 2], [2, 1], [0, 0]], np.int32), "pads")
    y = b.node("MirrorPad", b.node("ResizeBilinear", b.input((1, 6, 5, 2)), size, **flags), pads)
    graph = b.build(b.node("Conv2D", y, b.const(np.ones((2, 3, 3, 2)), "w")))
    assert_same(infer_shapes(run(graph)))


def test_pixels_at_the_edge_are_not_mirrored_in_onnx():
    b = Builder()
    pads = b.const(np.array([[1, 0], [0, 1]], np.int32), "pads")
    graph = b.build(b.node("MirrorPad", b.input((2, 3)), pads, name="culprit", mode="SYMMETRIC"))
    with pytest.raises(FormatError, match=r"'culprit' \(MirrorPad\): ONNX has no mode SYMMETRIC"):
        exporter.write(graph)


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_give_the_same_outputs(seed):
    assert_same(random_network(np.random.default_rng(seed), 10), optimized=False)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("name", ["small_network", "convolutions"])
def test_int8_weights_stay_int8(name, per_channel):
    graph = with_int8_weights(NETWORKS[name](), per_channel)
    assert_same(graph)
    types = {i.data_type for i in onnx.load_from_string(exporter.write(graph)).graph.initializer}
    assert onnx.TensorProto.INT8 in types


@pytest.mark.parametrize("model", ["kws_ref_model_float32", "ad01_fp32", "pretrainedResnet", "vww_96_float"])
def test_real_float_networks(lab, model):
    assert_same(passes.apply(importers.load(lab / "models" / f"{model}.tflite")))


@pytest.mark.parametrize("model", ["retrained_graph", "mobilenet_v1_0.25_128_frozen"])
def test_a_network_is_turned_to_channels_first_once(lab, model):
    graph = passes.apply(importers.load(lab / "models" / f"{model}.pb"))
    assert_same(graph)
    assert ops(graph)["Transpose"] == 1


@pytest.mark.parametrize("model", ["kws_ref_model", "pretrainedResnet_quant", "vww_96_int8", "ad01_int8"])
def test_real_int8_networks_differ_by_one_step_at_most(lab, model):
    litert = pytest.importorskip("tests.support.litert", reason="needs ai-edge-litert")
    path = lab / "models" / f"{model}.tflite"
    graph, reference = passes.apply(importers.load(path)), litert.Reference(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = rng.integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)
        (ours,), (theirs,) = run_onnx(graph, {graph.inputs[0]: x}), reference.run(x)
        assert ours.dtype == np.int8
        # ONNX rounds ties to even and a layer in real numbers, TFLite ties away from zero in integers
        assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


def test_a_quantized_output_that_is_channels_first_is_turned_back():
    rng = np.random.default_rng(0)
    b = Builder()
    y = b.node("Conv2D", b.input((1, 3, 4, 2)), b.const(rng.normal(size=(5, 1, 1, 2)), "w"))
    graph = b.build(y)
    graph.tensors[y].quant = Quantization(0.1, 3)
    graph.tensors[y].dtype = np.dtype(np.int8)
    (real,) = run_reference(graph, feeds(graph)).values()
    (got,) = run_onnx(graph, feeds(graph))
    assert got.dtype == np.int8
    assert np.abs(got.astype(int) - graph.tensors[y].quant.quantize(real, np.int8)).max() <= 1


def test_names_shapes_and_types_of_inputs_and_outputs_are_kept():
    graph = small_network()
    model = onnx.load_from_string(exporter.write(graph))
    for listed, names in ((model.graph.input, graph.inputs), (model.graph.output, graph.outputs)):
        assert [v.name for v in listed] == names
        shapes = [tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in listed]
        assert shapes == [graph.tensors[name].shape for name in names]


def test_one_value_under_two_names():
    b = Builder()
    x = b.node("Relu", b.input((1, 3)))
    graph = b.build(x, b.node("Identity", x), b.node("Identity", b.graph.inputs[0]))
    assert_same(graph)


def test_writing_does_not_change_the_graph():
    graph = NETWORKS["shapes"]()
    before = graph.clone()
    exporter.write(graph)
    assert graph.nodes == before.nodes
    assert graph.tensors.keys() == before.tensors.keys()


def test_float16_weights_are_cast_and_read_back(tmp_path):
    graph = infer_shapes(float16.convert(small_network()))
    assert_same(graph)
    assert ops(graph)["Cast"] == sum(t.dtype == np.float16 for t in graph.tensors.values())
    path = tmp_path / "halves.onnx"
    path.write_bytes(exporter.write(graph))
    again = infer_shapes(importers.load(path))
    assert {t.dtype for t in again.tensors.values() if t.data is not None} <= {np.dtype("f4"), np.dtype("i4")}
    ours, theirs = (run_reference(g, feeds(graph))[graph.outputs[0]] for g in (graph, again))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_unknown_op_is_named():
    b = Builder()
    graph = b.build(b.node("Relu", b.input((2,)), name="culprit"))
    graph.nodes[0].op = "Novelty"
    with pytest.raises(FormatError, match=r"'culprit' \(Novelty\)"):
        exporter.write(graph)

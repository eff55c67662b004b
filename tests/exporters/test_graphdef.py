"""What we write as .pb: TensorFlow's answers (tests/golden/make_exported_goldens.py), and reading it back."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from harness import importers, passes
from harness.errors import FormatError
from harness.exporters import graphdef
from harness.graph import Node, Quantization, Tensor
from harness.ops import infer_shapes, run_reference
from harness.passes import dequantize_weights
from tests.golden.make_exported_goldens import GOLDEN, exported_networks, run_tensorflow
from tests.support.float_networks import NETWORKS, feeds, with_int8_weights
from tests.support.graphs import Builder, small_network

EXPORTED = exported_networks()


def expected_outputs(graph):
    """What the references compute; int8 weights are expanded, as the file says."""
    return list(run_reference(dequantize_weights.run(graph), feeds(graph)).values())


def assert_close(got, expected):
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * max(1.0, float(np.abs(theirs).max())))


def read_back(graph, tmp_path):
    path = tmp_path / "out.pb"
    path.write_bytes(graphdef.write(graph))
    return infer_shapes(importers.load(path, outputs=[graphdef_name(name) for name in graph.outputs]))


def message(graph):
    return GraphDef.FromString(graphdef.write(graph))


@pytest.mark.parametrize("name", EXPORTED)
def test_tensorflow_gave_our_answers_for_this_very_file(name):
    golden, graph = np.load(GOLDEN), EXPORTED[name]
    digest = hashlib.sha256(graphdef.write(graph)).hexdigest()
    assert digest == golden[f"{name}/sha256"], (
        "the file changed: let TensorFlow judge it (make_exported_goldens)"
    )
    assert_close(expected_outputs(graph), [golden[f"{name}/{i}"] for i in range(len(graph.outputs))])


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTED)
def test_tensorflow_gives_our_answers(name):
    pytest.importorskip("tensorflow", reason="needs tensorflow-cpu")
    graph = EXPORTED[name]
    assert_close(run_tensorflow(graphdef.write(graph), graph), expected_outputs(graph))


@pytest.mark.parametrize(
    "name", sorted(NETWORKS.keys() - {"convolutions", "curves", "elementwise", "shapes"})
)
def test_reads_back_with_the_same_outputs(name, tmp_path):
    graph = NETWORKS[name]()
    again = read_back(graph, tmp_path)
    assert_close(run_reference(again, feeds(graph)).values(), run_reference(graph, feeds(graph)).values())


@pytest.mark.parametrize("name", ["resized", "resized-fused"])
def test_resizes_read_back_as_they_were(name, tmp_path):
    graph = EXPORTED[name]
    again = read_back(graph, tmp_path)
    assert_close(expected_outputs(again), expected_outputs(graph))
    assert {n.op for n in again.nodes} - {"Transpose", "Relu", "BiasAdd"} == {n.op for n in graph.nodes}


def test_a_fused_convolution_that_is_padded_once_more_is_refused(tmp_path):
    definition = message(EXPORTED["resized-fused"])
    (node,) = (n for n in definition.node if n.op == "FusedPadConv2D")
    node.attr["padding"].s = b"SAME"
    (tmp_path / "out.pb").write_bytes(definition.SerializeToString())
    with pytest.raises(
        FormatError, match=rf"'{node.name}' \(FusedPadConv2D\) pads its convolution once more"
    ):
        importers.load(tmp_path / "out.pb")


def graphdef_name(tensor):
    return tensor.removesuffix(":0").replace(":", "_")


@pytest.mark.parametrize("model", ["retrained_graph", "mobilenet_v1_0.25_128_frozen"])
def test_real_networks_are_no_larger_than_tensorflows_own_tool_makes_them(lab, model, tmp_path):
    graph = passes.apply(importers.load(lab / "models" / f"{model}.pb"))
    content = graphdef.write(graph)
    assert graph.inputs == ["input"]
    assert {"input", *graph.outputs} <= {node.name for node in GraphDef.FromString(content).node}
    if model == "retrained_graph":
        optimized = (lab / "models" / "optimized_graph.pb").read_bytes()
        assert len(content) <= len(optimized)
        assert len(GraphDef.FromString(content).node) <= len(GraphDef.FromString(optimized).node)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 128, 128, 3)).astype(np.float32)
    again = read_back(graph, tmp_path)
    assert again.outputs == graph.outputs
    assert_close(run_reference(again, {"input": x}).values(), run_reference(graph, {"input": x}).values())


def test_fused_ops_become_chains_that_end_in_the_tensors_name():
    b = Builder()
    w, bias = b.const(np.ones((2, 1, 1, 3)), "w"), b.const(np.ones(2), "bias")
    b.graph.nodes.clear()
    y = b.node("Conv2D", b.input((1, 2, 2, 3)), w, bias, name="conv", activation="relu6")
    nodes = message(b.build(y)).node
    assert [(n.op, n.name) for n in nodes] == [
        ("Placeholder", "x"),
        ("Const", "w"),
        ("Conv2D", "conv/Conv2D"),
        ("Const", "bias"),
        ("BiasAdd", "conv/BiasAdd"),
        ("Relu6", "conv"),
    ]


def test_weights_turned_on_import_are_turned_back_without_a_node(tmp_path):
    graph = NETWORKS["small_network"]()
    again = read_back(graph, tmp_path)  # has Transpose and Reshape before the weights
    assert Counter(n.op for n in message(again).node) == Counter(n.op for n in message(graph).node)


def test_attributes_are_written_only_where_they_differ_from_tensorflows_default():
    b = Builder()
    w = b.const(np.ones((2, 2, 2, 2)), "w")
    y = b.node("Conv2D", b.node("Conv2D", b.input((1, 9, 9, 2)), w), w, dilation=(2, 2))
    plain, dilated = (set(n.attr) for n in message(b.build(y)).node if n.op == "Conv2D")
    assert plain == {"T", "strides", "padding"}
    assert dilated == plain | {"dilations"}


def test_equal_constants_are_written_once():
    b = Builder()
    x = b.input((1, 4))
    y = b.node("Add", b.node("Add", x, b.const(np.ones(4))), b.const(np.ones(4)))
    assert Counter(n.op for n in message(b.build(y)).node)["Const"] == 1


def test_int8_weights_keep_their_size():
    graph = small_network()
    size = len(graphdef.write(graph))
    weights = sum(graph.tensors[n.inputs[1]].nbytes for n in graph.nodes if len(n.inputs) == 3)
    quantized = len(graphdef.write(with_int8_weights(graph, per_channel=False)))
    assert quantized < size - 0.75 * weights + 4 * 700  # four layers, each with a Dequantize and its range


@pytest.mark.parametrize("name", ["small_network-int8", "small_network-int8-channels"])
def test_int8_weights_read_back_as_they_were(name, tmp_path):
    graph = EXPORTED[name]
    again = read_back(graph, tmp_path)
    assert sum(t.dtype == np.int8 for t in again.tensors.values()) == 4
    assert_close(expected_outputs(again), expected_outputs(graph))


def test_weights_behind_a_dequantize_are_written_like_int8_weights():
    graph = with_int8_weights(small_network(), per_channel=False)
    behind = graph.clone()
    for node in list(behind.nodes):
        if len(node.inputs) == 3:
            name = f"{node.inputs[1]}:float"
            tensor = behind.tensors[node.inputs[1]]
            behind.tensors[name] = Tensor(name, tensor.shape, np.dtype(np.float32))
            behind.nodes.insert(0, Node("Dequantize", name, [tensor.name], [name]))
            node.inputs[1] = name
    assert graphdef.write(behind) == graphdef.write(graph)


def test_activations_in_int8_are_refused_with_a_way_out():
    b = Builder()
    graph = b.build(b.node("Relu", b.input((1, 4))))
    out = graph.outputs[0]
    graph.tensors[out] = Tensor(out, (1, 4), np.dtype(np.int8), None, Quantization(0.1, 0))
    with pytest.raises(FormatError, match=r"'relu:0' is quantized.*\.tflite"):
        graphdef.write(graph)


def test_weights_with_a_zero_point_are_refused():
    graph = small_network()
    quant = Quantization(0.1, 3)
    graph.tensors["w4"] = Tensor("w4", (5, 12), np.dtype(np.int8), np.ones((5, 12), np.int8), quant)
    with pytest.raises(FormatError, match="'w4' are not symmetric"):
        graphdef.write(graph)


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("AveragePool2D", {"filter": (2, 2), "padding": ((0, 1), (0, 0))}),
        ("DepthwiseConv2D", {"stride": (1, 2)}),
    ],
)
def test_what_tensorflow_does_not_have_is_refused_by_name(op, attrs):
    b = Builder()
    inputs = [b.input((1, 7, 7, 2))] + ([b.const(np.ones((1, 2, 2, 2)))] if op == "DepthwiseConv2D" else [])
    graph = b.build(b.node(op, *inputs, name="culprit", **attrs))
    with pytest.raises(FormatError, match=rf"'culprit' \({op}\)"):
        graphdef.write(graph)


def test_unknown_op_is_named():
    b = Builder()
    graph = b.build(b.node("Relu", b.input((2,)), name="culprit"))
    graph.nodes[0].op = "Quantize"
    with pytest.raises(FormatError, match=r"'culprit' \(Quantize\)"):
        graphdef.write(graph)

import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from harness.errors import BenchError, FormatError, UsageError
from harness.importers import load
from harness.ops import infer_shapes, run_reference
from harness.passes import apply
from tests.golden.make_graphdef_goldens import MODELS, noise, picture
from tests.support.fuzz import damaged

graphdefs = pytest.importorskip("tests.support.graphdefs", reason="needs tensorboard")
GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture
def b():
    return graphdefs.GraphDefBuilder()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pb"


def complaint(path):
    """The message of the error that a file ends in, or nothing."""
    try:
        apply(load(path))
    except BenchError as error:
        return str(error)
    return ""


def run(graph, x):
    return next(iter(run_reference(infer_shapes(graph), {graph.inputs[0]: x}).values()))


# --- constants ---


@pytest.mark.parametrize(
    ("listed", "expected"),
    [([], [0, 0, 0, 0]), ([2.5], [2.5] * 4), ([1, 2], [1, 2, 2, 2]), ([1, 2, 3, 4], [1, 2, 3, 4])],
)
def test_last_listed_value_fills_the_rest_of_a_constant(b, path, listed, expected):
    b.raw_const("c", (2, 2)).float_val.extend(listed)
    b.node("Relu", "y", "c")
    graph = load(b.save(path))
    np.testing.assert_array_equal(graph.tensors["c"].data, np.reshape(np.float32(expected), (2, 2)))


def test_scalar_and_integer_constants(b, path):
    b.const("scalar", np.float32(1.5))
    b.const("ints", [1, 2, 3])
    b.node("Mul", "y", "scalar", "ints")
    graph = load(b.save(path))
    assert graph.tensors["scalar"].shape == ()
    assert graph.tensors["ints"].dtype == np.int32


def _fill(proto, listed=(), content=b""):
    proto.float_val.extend(listed)
    proto.tensor_content = content


@pytest.mark.parametrize(
    ("shape", "values", "message"),
    [
        ((2, 2), {"content": b"1234"}, r"'c' of shape \(2, 2\) needs 16 bytes but has 4"),
        ((2,), {"listed": [1, 2, 3]}, r"'c' of shape \(2,\) has 3 values, more than fit"),
        ((1 << 20, 1 << 20), {"listed": [1]}, "more than a file of this size can mean"),
        ((1 << 62, 1 << 62), {}, "more than a file of this size can mean"),
        ((-1, 2), {"listed": [1]}, "does not say its shape"),
        ((1,) * 9, {"listed": [1]}, "9 dimensions"),
    ],
)
def test_constant_that_does_not_fill_its_shape_is_refused(b, path, shape, values, message):
    _fill(b.raw_const("c", shape), **values)
    b.node("Relu", "y", "c")
    with pytest.raises(FormatError, match=message):
        load(b.save(path))


def test_many_repeated_values_cannot_claim_all_the_memory(b, path):
    for i in range(100):
        b.raw_const(f"c{i}", (1 << 22,)).float_val.append(1.0)
        b.node("Relu", f"y{i}", f"c{i}")
    with pytest.raises(FormatError, match="more than a file of this size can mean"):
        load(b.save(path))


def test_constant_of_strings_is_refused_only_where_needed(b, path):
    b.placeholder("x", (1, 4))
    b.raw_const("names", (2,), graphdefs.STRING)
    b.node("Relu", "y", "x")
    b.node("Relu", "z", "names")
    b.save(path)
    assert [n.op for n in apply(load(path, outputs=["y"])).nodes] == ["Relu"]
    with pytest.raises(FormatError, match="constant 'names' has data type 7"):
        load(path, outputs=["z"])


# --- names and edges ---


def test_inputs_and_outputs_default_to_placeholders_and_unread_nodes(b, path):
    b.placeholder("x", (None or -1, 4))
    b.const("unread", [1.0])
    b.node("Relu", "a", "x")
    b.node("Relu6", "b", "a")
    b.node("Softmax", "c", "a")
    b.node("NoOp", "init", "^a")
    graph = load(b.save(path))
    assert (graph.inputs, graph.outputs) == (["x"], ["b", "c"])
    assert graph.tensors["x"].shape == (1, 4)  # the unknown batch


def test_named_inputs_cut_the_graph(b, path):
    b.placeholder("x", (1, 4))
    b.node("Unheard", "a", "x")
    b.placeholder("middle", (1, 4))
    b.node("Add", "y", "a", "middle")
    b.node("Relu", "z", "middle")
    b.save(path)
    graph = load(path, inputs=["middle:0"], outputs=["z:0"])
    assert (graph.inputs, graph.outputs) == (["middle"], ["z"])
    with pytest.raises(UsageError, match="depend on placeholder 'x' too; the inputs named are middle"):
        load(path, inputs=["middle"], outputs=["y"])


def test_unknown_output_suggests_the_nearest(b, path):
    b.placeholder("x", (1, 4))
    b.node("Softmax", "final_result", "x")
    with pytest.raises(UsageError, match="unknown output of the graph 'final_results': did you mean final_r"):
        load(b.save(path), outputs=["final_results"])


def test_control_inputs_are_dropped_and_second_outputs_kept_apart(b, path):
    b.placeholder("x", (1, 4))
    b.node("Split", "s", "x")
    b.node("Relu", "y", "s:1", "^x")
    graph = load(b.save(path))
    split, relu = graph.nodes
    assert (split.op, split.outputs, relu.inputs) == ("Split", ["s", "s:1"], ["s:1"])


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([("Relu", "y", "gone")], "reads 'gone', which is missing; is the file cut short"),
        ([("Relu", "y", "x"), ("Relu", "y", "x")], "two nodes called 'y'"),
        ([("Relu", "a", "b"), ("Relu", "b", "a"), ("Relu", "c", "b")], "is on a cycle"),
        ([("Relu", "", "x")], "impossible name ''"),
        ([("Relu", "two\nlines", "x")], "impossible name"),
        ([("Relu", "y", "x:-1")], "'x:-1' is not a tensor"),
        ([("Relu", "y", "x:1")], "reads 'x:1', which does not exist"),
        ([("Relu", "y")], r"node 'y' \(Relu\) has 0 inputs, expected 1"),
    ],
)
def test_broken_wiring_is_refused(b, path, nodes, message):
    b.placeholder("x", (1, 4))
    for op, name, *inputs in nodes:
        b.node(op, name, *inputs)
    with pytest.raises(FormatError, match=message):
        load(b.save(path))


# --- ops ---


def test_weights_take_the_layout_of_the_ir(b, path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 5, 5, 2)).astype(np.float32)
    w = rng.normal(size=(3, 3, 2, 4)).astype(np.float32)  # HWIO, HWCM
    b.placeholder("x", x.shape)
    b.const("w", w)
    b.node("Identity", "w/read", "w")
    window = {"strides": [1, 2, 2, 1], "padding": "VALID"}
    b.node("Conv2D", "conv", "x", "w/read", **window)
    b.node("DepthwiseConv2dNative", "dw", "x", "w/read", **window)
    graph = apply(load(b.save(path)))
    got = run_reference(graph, {"x": x})
    patches = np.stack([[x[0, i : i + 3, j : j + 3] for j in (0, 2)] for i in (0, 2)])
    np.testing.assert_allclose(got["conv"][0], np.einsum("ijklc,klco->ijo", patches, w), atol=1e-5)
    depthwise = np.einsum("ijklc,klcm->ijcm", patches, w).reshape(2, 2, 8)
    np.testing.assert_allclose(got["dw"][0], depthwise, atol=1e-5)


def test_explicit_padding(b, path):
    b.placeholder("x", (1, 4, 4, 1))
    b.const("w", np.ones((3, 3, 1, 1)))
    pads = [0, 0, 1, 2, 0, 1, 0, 0]
    b.node("Conv2D", "y", "x", "w", strides=[1, 1, 1, 1], padding="EXPLICIT", explicit_paddings=pads)
    graph = infer_shapes(load(b.save(path)))
    assert graph.nodes[-1].attrs["padding"] == ((1, 2), (0, 1))
    assert graph.tensors["y"].shape == (1, 5, 3, 1)


def test_batch_norm_epsilon_and_argument_order(b, path):
    x = np.float32([[[[1.0, 2.0]]]])
    b.placeholder("x", x.shape)
    gamma, beta, mean, variance = [2.0, 3.0], [0.5, -0.5], [0.25, 0.75], [4.0, 9.0]
    for name, values in (("g", gamma), ("b", beta), ("m", mean), ("v", variance)):
        b.const(name, values)
    b.node("FusedBatchNormV3", "new", "x", "g", "b", "m", "v", epsilon=0.125, is_training=False)
    old = {"variance_epsilon": 0.125, "scale_after_normalization": True}
    b.node("BatchNormWithGlobalNormalization", "old", "x", "m", "v", "b", "g", **old)
    graph = infer_shapes(load(b.save(path)))
    expected = (x - mean) / np.sqrt(np.array(variance) + 0.125) * gamma + beta
    for value in run_reference(graph, {"x": x}).values():
        np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_shape_arguments_behind_identity(b, path):
    x = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    b.placeholder("x", x.shape)
    for name, values in (
        ("axes", [1, 2]),
        ("pads", [[0, 0], [1, 0], [0, 1], [0, 0]]),
        ("axis", np.int32(-1)),
        ("shape", [1, -1]),
        ("perm", [0, 2, 1, 3]),
    ):
        b.const(f"{name}/c", values)
        b.node("Identity", name, f"{name}/c")
    b.node("Mean", "mean", "x", "axes", keep_dims=True)
    b.node("Pad", "pad", "x", "pads")
    b.node("ConcatV2", "concat", "x", "x", "axis")
    b.node("Reshape", "reshape", "x", "shape")
    b.node("Transpose", "transpose", "x", "perm")
    got = run_reference(infer_shapes(load(b.save(path))), {"x": x})
    np.testing.assert_allclose(got["mean"], x.mean((1, 2), keepdims=True))
    np.testing.assert_array_equal(got["pad"], np.pad(x, [[0, 0], [1, 0], [0, 1], [0, 0]]))
    np.testing.assert_array_equal(got["concat"], np.concatenate([x, x], -1))
    np.testing.assert_array_equal(got["reshape"], x.reshape(1, 12))
    np.testing.assert_array_equal(got["transpose"], x.transpose(0, 2, 1, 3))


CONV = {"strides": [1, 1, 1, 1], "padding": "SAME"}


@pytest.mark.parametrize(
    ("op", "inputs", "attrs", "message"),
    [
        ("Conv2D", ("x", "w"), CONV | {"data_format": "NCHW"}, "is in NCHW layout; only NHWC"),
        ("Conv2D", ("x", "w"), CONV | {"strides": [2, 1, 1, 1]}, r"has strides \[2, 1, 1, 1\]"),
        ("Conv2D", ("x", "w"), CONV | {"strides": []}, r"has strides \[\]"),
        ("Conv2D", ("x", "w"), CONV | {"padding": "ODD"}, "has padding 'ODD'"),
        ("DepthwiseConv2dNative", ("x", "x"), CONV, "has a filter 'x' that is not a constant"),
        ("DepthwiseConv2dNative", ("x", "v"), CONV, r"has a filter of shape \(1,\)"),
        ("FusedBatchNorm", ("x", "v", "v", "v", "v"), {}, "is in training mode"),
        ("ConcatV2", ("x", "x", "w"), {}, "has an axis of float32"),
        ("ConcatV2", ("x",), {}, "has 1 inputs, expected values and an axis"),
        ("MaxPool", ("x",), CONV | {"ksize": [1, 2, 2, 2]}, "has ksize"),
    ],
)
def test_unsupported_attributes_name_the_node_unless_nothing_needs_it(b, path, op, inputs, attrs, message):
    b.placeholder("x", (1, 4, 4, 1))
    b.const("w", np.ones((1, 1, 1, 1)))
    b.const("v", [1.0])
    b.node(op, "bad", *inputs, **attrs)
    b.node("Relu", "good", "x")
    b.save(path)
    with pytest.raises(FormatError, match=rf"node 'bad' \({op}\) {message}"):
        load(path, outputs=["bad"])
    assert [node.name for node in apply(load(path, outputs=["good"])).nodes] == ["good"]


@pytest.mark.parametrize("op", ["LRN", "DecodeJpeg", "Quantize"])  # the last is a different op in the IR
def test_unknown_op_is_refused_by_name_unless_stripped(b, path, op):
    b.placeholder("x", (1, 4))
    b.node(op, "odd", "x")
    b.node("Relu", "y", "odd")
    b.node("Relu", "z", "x")
    b.save(path)
    assert [node.name for node in apply(load(path, outputs=["z"])).nodes] == ["z"]
    with pytest.raises(FormatError, match=rf"{op}' \(node 'odd'\) is not supported"):
        apply(load(path, outputs=["y"]))


def test_input_without_a_shape_is_refused_by_name(b, path):
    b.placeholder("x", None)
    b.node("Relu", "y", "x")
    with pytest.raises(FormatError, match="the shape of 'x' is not known"):
        apply(load(b.save(path)))


# --- files ---


@pytest.mark.parametrize("content", [b"", b"\xff" * 50, b"\x08\x01"])
def test_file_that_is_no_graphdef_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"model\.pb' (is not a GraphDef|holds no nodes)"):
        load(path)


def test_missing_package_says_what_to_install(monkeypatch, b, path):
    b.save(path)
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.graph_pb2", None)
    with pytest.raises(UsageError, match=r"pip install 'quantbench\[graphdef\]'"):
        load(path)


def test_damaged_files_end_in_one_clear_line(b, path):
    rng = np.random.default_rng(0)
    b.placeholder("x", (1, 6, 6, 2))
    b.const("w", rng.normal(size=(3, 3, 2, 4)))
    b.node("Identity", "w/read", "w")
    b.node("Conv2D", "conv", "x", "w/read", **CONV)
    b.const("t", rng.normal(size=4))
    b.node("BiasAdd", "bias", "conv", "t")
    b.node("Relu6", "act", "bias")
    b.const("shape", [1, -1])
    b.node("Reshape", "y", "act", "shape")
    content = b.message.SerializeToString()
    for copy in damaged(content, 400):
        path.write_bytes(copy)
        assert "\n" not in complaint(path)


# --- the lab's networks against TensorFlow ---


@pytest.mark.parametrize("model", MODELS)
def test_optimized_network_agrees_with_tensorflow(lab, model):
    output = MODELS[model]
    graph = apply(load(lab / "models" / f"{model}.pb", ["input"], [output]))
    golden = np.load(GOLDEN / f"{model}.npz")
    for seed, expected in zip(golden["seeds"], golden["seeded"], strict=True):
        np.testing.assert_allclose(run(graph, noise(int(seed)))[0], expected, rtol=0, atol=1e-5)
    for name, expected in zip(golden["images"], golden["pictured"], strict=True):
        x = picture(lab / "imagenet_sample" / str(name))
        np.testing.assert_allclose(run(graph, x)[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_unfused_batch_norms_end_as_convolutions(lab, model):
    """28 convolutions with bias, 27 of them clamped, and nothing left of batch norm; in under 2 s."""
    start = time.perf_counter()
    graph = apply(load(lab / "models" / f"{model}.pb", ["input"], [MODELS[model]]))
    assert time.perf_counter() - start < 2
    convolutions = [n for n in graph.nodes if "Conv2D" in n.op]
    assert Counter(n.op for n in convolutions) == {"Conv2D": 15, "DepthwiseConv2D": 13}
    assert all(graph.const(n.inputs[2]).ndim == 1 for n in convolutions)
    assert Counter(n.attrs.get("activation") for n in convolutions) == {"relu6": 27, None: 1}
    others = {"AveragePool2D", "Reshape", "Softmax"} | (
        {"FullyConnected"} if model == "retrained_graph" else set()
    )
    assert {n.op for n in graph.nodes} == {"Conv2D", "DepthwiseConv2D"} | others
    if model == "retrained_graph":
        (layer,) = (n for n in graph.nodes if n.op == "FullyConnected")
        assert graph.const(layer.inputs[1]).shape == (6, 1001)
        assert graph.const(layer.inputs[2]).shape == (6,)

"""Networks in .onnx files: what we read computes what ONNX Runtime does; what we cannot read says why."""

from __future__ import annotations

import numpy as np
import pytest

from harness import passes
from harness.errors import FormatError, UsageError
from harness.importers import load
from harness.ops import run_reference
from harness.passes import turn_inputs
from harness.variants import VARIANTS
from tests.importers.test_onnx_ops import imported, session
from tests.support import runner
from tests.support.float_networks import NETWORKS as IR_NETWORKS
from tests.support.float_networks import feeds, with_int8_weights
from tests.support.learned import Learned

onnx = pytest.importorskip("onnx", reason="needs onnx")

from harness.exporters import onnx as exporter  # noqa: E402
from tests.support.onnx_networks import NETWORKS, OnnxBuilder, network  # noqa: E402

TURNS = {"shufflenet_v2": 4}  # the input, and each shuffle


def agree(got, wanted, tolerance=1e-5):
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * max(1.0, float(np.abs(wanted).max())))


def optimized(name, path, **options):
    """An imported network after the default passes, an input, and ONNX Runtime's answer."""
    content = network(name, **options)
    graph = passes.apply(imported(content, path / f"{name}.onnx"))
    x = np.random.default_rng(1).normal(size=graph.tensors["input"].shape).astype(np.float32)
    return graph, x, session(content).run(None, {"input": x})[0]


# --- networks ---


@pytest.mark.parametrize("opset", [11, 13, 17, 18, 21])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_compute_what_onnx_runtime_does(name, opset, tmp_path):
    graph, x, wanted = optimized(name, tmp_path, opset=opset)
    agree(run_reference(graph, {"input": x})[graph.outputs[0]], wanted)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_run_in_the_c_runtime(name, tmp_path):
    graph, x, wanted = optimized(name, tmp_path)
    (got,) = runner.predict(graph, [x], tmp_path)
    agree(got, wanted)


@pytest.mark.parametrize("arch", ["aarch64", "armv7"])
def test_networks_run_on_arm(arch, tmp_path):
    graph, x, wanted = optimized("mobilenet_v2", tmp_path)
    (got,) = runner.predict(graph, [x], tmp_path, arch=arch)
    agree(got, wanted)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_turned_once_and_may_take_its_images_channels_last(name, tmp_path):
    graph, x, wanted = optimized(name, tmp_path)
    assert graph.tensors["input"].shape == x.shape
    assert sum(node.op == "Transpose" for node in graph.nodes) == TURNS.get(name, 1)
    turned = turn_inputs.run(graph)
    assert turned.tensors["input"].shape == tuple(x.transpose(0, 2, 3, 1).shape)
    agree(run_reference(turned, {"input": x.transpose(0, 2, 3, 1)})[graph.outputs[0]], wanted)


@pytest.mark.parametrize("batch", ["N", -1])
def test_an_open_batch_becomes_one(batch, tmp_path):
    graph, x, wanted = optimized("shufflenet_v2", tmp_path, batch=batch)
    assert graph.tensors["input"].shape == (1, 3, 32, 32)
    agree(run_reference(graph, {"input": x})[graph.outputs[0]], wanted)


def test_names_of_layers_and_outputs_are_kept(tmp_path):
    b = OnnxBuilder()
    y = b.relu(b.conv(b.input((1, 3, 8, 8)), 4))
    graph = imported(b.bytes(y), tmp_path / "m.onnx")
    assert graph.outputs == [y]
    assert {node.op: node.outputs[0] for node in graph.nodes}["Relu"] != ""
    assert graph.tensors[y].shape == (1, 4, 8, 8)


def test_a_network_can_be_cut_out(tmp_path):
    b = OnnxBuilder()
    first = b.relu(b.conv(b.input((1, 3, 8, 8)), 4))
    content = b.bytes(b.relu(b.conv(first, 2)))
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    graph = load(path, outputs=[first])
    assert graph.outputs == [first]
    x = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    assert run_reference(graph, {"input": x})[first].shape == (1, 4, 8, 8)
    with pytest.raises(UsageError, match="unknown output of the graph 'nothing'"):
        load(path, outputs=["nothing"])
    with pytest.raises(FormatError, match="does not say the shape of"):
        load(path, inputs=[first])


def test_a_constant_and_an_input_as_outputs(tmp_path):
    b = OnnxBuilder()
    x = b.input((1, 3))
    same, fixed = b.node("Identity", x), b.node("Constant", value_floats=[1.0, 2.0])
    graph = imported(b.bytes(same, fixed), tmp_path / "m.onnx")
    values = run_reference(graph, {x: np.ones((1, 3), np.float32)})
    np.testing.assert_array_equal(values[same], np.ones((1, 3)))
    np.testing.assert_array_equal(values[fixed], [1, 2])


# --- what we write ourselves ---


@pytest.mark.parametrize("name", sorted(IR_NETWORKS.keys() - {"atrous"}))
def test_what_we_export_comes_back(name, tmp_path):
    graph = IR_NETWORKS[name]()
    back = imported(exporter.write(graph), tmp_path / "m.onnx")
    assert back.inputs == graph.inputs
    assert [back.tensors[n].shape for n in back.outputs] == [graph.tensors[n].shape for n in graph.outputs]
    inputs = feeds(graph)
    for got, wanted in zip(
        run_reference(back, inputs).values(), run_reference(graph, inputs).values(), strict=True
    ):
        agree(got, wanted)


def test_int8_weights_come_back_as_int8(tmp_path):
    graph = with_int8_weights(IR_NETWORKS["convolutions"](), True)
    back = imported(exporter.write(graph), tmp_path / "m.onnx")
    stored = [t for t in back.tensors.values() if t.is_const and t.dtype == np.int8]
    assert stored
    assert all(t.quant is not None for t in stored)
    inputs = feeds(graph)
    for got, wanted in zip(
        run_reference(back, inputs).values(), run_reference(graph, inputs).values(), strict=True
    ):
        agree(got, wanted)


@pytest.mark.parametrize("model", ["kws_ref_model", "pretrainedResnet_quant", "vww_96_int8", "ad01_int8"])
def test_an_int8_network_written_as_qdq_comes_back_to_the_byte(lab, model, tmp_path):
    graph = passes.apply(load(lab / "models" / f"{model}.tflite"))
    back = passes.apply(imported(exporter.write(graph), tmp_path / "m.onnx"))
    assert not any(t.dtype == np.float32 for t in back.tensors.values() if not t.is_const)
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)
    (wanted,), (got,) = (runner.predict(g, [x], tmp_path) for g in (graph, back))
    np.testing.assert_array_equal(got, wanted)


# --- files ---


def external(folder, location, offset=None, length=None, content=None):
    """A model whose weights are said to lie at `location`."""
    b = OnnxBuilder()
    model = b.model(b.conv(b.input((1, 3, 8, 8)), 4, bias=False))
    weights = model.graph.initializer[0]
    values = weights.raw_data
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    entries = {"location": location, "offset": offset, "length": length}
    for key, value in entries.items():
        if value is not None:
            weights.external_data.add(key=key, value=str(value))
    (folder / "weights.bin").write_bytes(values if content is None else content)
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_beside_the_file(tmp_path):
    path = external(tmp_path, "weights.bin")
    x = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    (wanted,) = session(str(path)).run(None, {"input": x})
    graph = load(path)
    agree(run_reference(graph, {"input": x})[graph.outputs[0]], wanted)


@pytest.mark.parametrize(
    "location", ["../weights.bin", "/etc/passwd", "a/../../weights.bin", "link", "out/x"]
)
def test_weights_outside_of_the_folder_are_not_read(location, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "x").write_bytes(bytes(4 * 4 * 3 * 9))
    (folder / "link").symlink_to(tmp_path / "x")
    (folder / "out").symlink_to(tmp_path)
    with pytest.raises(FormatError, match="outside of the model's folder"):
        load(external(folder, location))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"location": "nothing.bin"}, "not beside the model"),
        ({"location": ""}, "does not say in which file"),
        ({"location": "weights.bin", "offset": -4}, "claims bytes"),
        ({"location": "weights.bin", "offset": 4}, "claims bytes"),
        ({"location": "weights.bin", "length": 10**15}, "claims bytes"),
        ({"location": "weights.bin", "offset": "x"}, "no number"),
        ({"location": "weights.bin", "content": b"short"}, "which has 5"),
    ],
)
def test_weights_that_are_not_there(options, problem, tmp_path):
    with pytest.raises(FormatError, match=problem):
        load(external(tmp_path, **options))


def refusal(model, path):
    (path / "m.onnx").write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    with pytest.raises(FormatError) as caught:
        load(path / "m.onnx")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_open_sizes_are_refused_with_the_way_out(tmp_path):
    b = OnnxBuilder()
    told = refusal(b.bytes(b.conv(b.input((1, 3, "height", 8)), 4)), tmp_path)
    assert "dimension 2 is not fixed ('height')" in told
    assert "make_dynamic_shape_fixed" in told


@pytest.mark.parametrize("opset", [9, 10, 22, 99])
def test_other_opsets_are_refused(opset, tmp_path):
    b = OnnxBuilder(opset)
    assert f"is of opset {opset}; 11 to 21 are read" in refusal(b.bytes(b.relu(b.input((1, 3)))), tmp_path)


def test_unknown_ops_matter_only_where_they_are_needed(tmp_path):
    b = OnnxBuilder()
    x = b.input((1, 3))
    y, other = b.relu(x), b.node("NonMaxSuppression", x, x)
    assert f"node '{other[:-9]}' (NonMaxSuppression) is not supported" in refusal(b.bytes(y, other), tmp_path)
    (tmp_path / "m.onnx").write_bytes(b.bytes(y, other))
    assert load(tmp_path / "m.onnx", outputs=[y]).outputs == [y]


def test_other_refusals_name_the_thing(tmp_path):
    b = OnnxBuilder()
    x = b.input((1, 3), kind=onnx.TensorProto.INT64)
    assert "has input 'input' of int64" in refusal(b.bytes(b.relu(x)), tmp_path)
    b = OnnxBuilder()
    assert "node '/Relu_0' (Relu) reads 'lost'" in refusal(b.bytes(b.relu("lost")), tmp_path)
    b = OnnxBuilder()
    b.input((1, 3))
    b.relu("input")
    assert "has output 'lost', which nothing writes" in refusal(b.bytes("lost"), tmp_path)
    b = OnnxBuilder()
    y = b.node("Relu", b.input((1, 3)), domain="example")
    assert "op 'example.Relu'" in refusal(b.bytes(y), tmp_path)
    assert "no nodes or no opset" in refusal(b"", tmp_path)
    assert "is not a .onnx file" in refusal(b"nonsense", tmp_path)


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    (tmp_path / "m.onnx").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"pip install 'quantbench\[onnx\]'"):
        load(tmp_path / "m.onnx")


# --- variants ---


@pytest.mark.parametrize("variant", ["hybrid", "int8"])
@pytest.mark.parametrize("name", NETWORKS)
def test_variants_of_a_float_network_run(name, variant, tmp_path):
    graph, x, wanted = optimized(name, tmp_path)
    graph, x = turn_inputs.run(graph), x.transpose(0, 2, 3, 1)
    made = VARIANTS[variant].make(graph, Learned(x))
    source = made.tensors["input"].quant
    (got,) = runner.predict(made, [x if source is None else source.quantize(x, np.int8)], tmp_path)
    target = made.tensors[made.outputs[0]].quant
    real = got if target is None else target.dequantize(got)
    assert np.corrcoef(real.reshape(-1), wanted.reshape(-1))[0, 1] > 0.98

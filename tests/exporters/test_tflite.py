from collections import Counter

import numpy as np
import pytest

from harness import importers
from harness.errors import FormatError
from harness.exporters import tflite
from harness.ops import infer_shapes, run_reference
from harness.passes import fuse_convolutions
from harness.quantize import float16
from tests.support.graphs import Builder, small_network
from tests.support.pass_graphs import GRAPHS

litert = pytest.importorskip("tests.support.litert", reason="needs ai-edge-litert")


def test_exported_network_gives_the_same_answer_in_litert():
    graph = small_network()
    x = np.random.default_rng(0).normal(size=(1, 9, 9, 3)).astype(np.float32)
    (ours,) = run_reference(graph, {"x": x}).values()
    (theirs,) = litert.Reference(tflite.write(graph)).run(x)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((0, 0), (0, 0)), ((1, 2), (0, 3))])
def test_any_padding_of_a_convolution_survives(padding):
    rng = np.random.default_rng(0)
    b = Builder()
    w = b.const(rng.normal(size=(4, 3, 3, 2)), "w")
    graph = b.build(b.node("Conv2D", b.input((1, 7, 7, 2)), w, padding=padding, stride=(2, 2)))
    x = rng.normal(size=(1, 7, 7, 2)).astype(np.float32)
    (ours,) = run_reference(graph, {"x": x}).values()
    (theirs,) = litert.Reference(tflite.write(graph)).run(x)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("run", [lambda graph: graph, fuse_convolutions.run], ids=["plain", "fused"])
def test_resizes_and_mirrored_pads_are_written_one_by_one_and_read_back(run, tmp_path):
    graph = GRAPHS["resized"]()
    path = tmp_path / "out.tflite"
    path.write_bytes(tflite.write(infer_shapes(run(graph))))
    x = np.random.default_rng(0).normal(size=(1, 6, 5, 2)).astype(np.float32)
    theirs = litert.Reference(path.read_bytes()).run(x)
    again = infer_shapes(importers.load(path))
    for outputs in (run_reference(graph, {"x": x}), run_reference(again, {"x": x})):
        for got, expected in zip(outputs.values(), theirs, strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert Counter(node.op for node in again.nodes if node.op != "Relu") == Counter(
        node.op for node in graph.nodes if node.op != "Relu"
    )


def test_padding_that_a_pool_cannot_have_is_refused():
    b = Builder()
    x = b.node(
        "AveragePool2D", b.input((1, 7, 7, 2)), filter=(2, 2), padding=((0, 1), (0, 0)), name="culprit"
    )
    with pytest.raises(FormatError, match="'culprit'"):
        tflite.write(b.build(x))


def test_op_without_a_tflite_form_is_named():
    b = Builder()
    graph = b.build(b.node("Erf", b.input((2,)), name="culprit"))
    with pytest.raises(FormatError, match=r"'culprit' \(Erf\)"):
        tflite.write(graph)


def test_writing_does_not_change_the_graph():
    b = Builder()
    w = b.const(np.ones((1, 2, 2, 1)), "w")
    graph = b.build(b.node("Conv2D", b.input((1, 4, 4, 1)), w, padding=((1, 0), (0, 0))))
    tflite.write(graph)
    assert [n.op for n in graph.nodes] == ["Conv2D"]
    assert set(graph.tensors) == {"x", "w", graph.outputs[0]}


def test_fully_connected_layers_keep_their_dimensions(tmp_path):
    path = tmp_path / "out.tflite"
    b = Builder()
    x = b.node("FullyConnected", b.input((2, 3, 4)), b.const(np.ones((5, 4))), keep_dims=True)
    path.write_bytes(tflite.write(b.build(x)))
    graph = infer_shapes(importers.load(path))
    assert graph.tensors[graph.outputs[0]].shape == (2, 3, 5)


def test_what_was_uint8_is_not_written_as_int8():
    b = Builder()
    graph = b.build(b.node("AveragePool2D", b.input((1, 4, 4, 2)), filter=(2, 2), unsigned=True, name="pool"))
    with pytest.raises(FormatError, match="'pool'.*comes from a uint8 model"):
        tflite.write(graph)


def test_float16_weights_are_written_as_tflite_has_them(tmp_path):
    graph = infer_shapes(float16.convert(small_network()))
    path = tmp_path / "halves.tflite"
    path.write_bytes(tflite.write(graph))
    x = np.random.default_rng(0).normal(size=graph.tensors["x"].shape).astype(np.float32)
    (ours,) = run_reference(graph, {"x": x}).values()
    (theirs,) = litert.Reference(path.read_bytes()).run(x)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    again = infer_shapes(float16.convert(importers.load(path)))
    for before, after in zip(graph.nodes, again.nodes, strict=True):
        for name, read in zip(before.inputs[1:], after.inputs[1:], strict=False):
            assert np.array_equal(graph.const(name), again.const(read))

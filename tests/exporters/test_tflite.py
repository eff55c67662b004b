import numpy as np
import pytest

from harness.errors import FormatError
from harness.exporters import tflite
from harness.ops import run_reference
from tests.support.graphs import Builder, small_network

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


def test_padding_that_a_pool_cannot_have_is_refused():
    b = Builder()
    x = b.node(
        "AveragePool2D", b.input((1, 7, 7, 2)), filter=(2, 2), padding=((0, 1), (0, 0)), name="culprit"
    )
    with pytest.raises(FormatError, match="'culprit'"):
        tflite.write(b.build(x))


def test_op_without_a_tflite_form_is_named():
    b = Builder()
    graph = b.build(b.node("Rsqrt", b.input((2,)), name="culprit"))
    with pytest.raises(FormatError, match=r"'culprit' \(Rsqrt\)"):
        tflite.write(graph)


def test_writing_does_not_change_the_graph():
    b = Builder()
    w = b.const(np.ones((1, 2, 2, 1)), "w")
    graph = b.build(b.node("Conv2D", b.input((1, 4, 4, 1)), w, padding=((1, 0), (0, 0))))
    tflite.write(graph)
    assert [n.op for n in graph.nodes] == ["Conv2D"]
    assert set(graph.tensors) == {"x", "w", graph.outputs[0]}

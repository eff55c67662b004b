import numpy as np
import pytest

from harness.errors import FormatError
from harness.host import HostNetwork
from harness.ops import infer_shapes, run_reference
from harness.quantize import int8
from harness.quantize.calibrate import Range
from harness.verify import Difference, compare, share_input_shape
from tests.support.float_networks import feeds, with_int8_weights
from tests.support.graphs import Builder, small_network


def quiet(*_):
    pass


def network(graph, tmp_path):
    return HostNetwork(graph, tmp_path, quiet)


def samples(count=3):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(1, 9, 9, 3)).astype(np.float32) for _ in range(count)]


def compared(a, b, tmp_path, layers=False):
    return compare(network(a, tmp_path), network(b, tmp_path), samples(), layers)


def with_change(tensor, amount):
    graph = small_network()
    graph.tensors[tensor].data = graph.tensors[tensor].data + np.float32(amount)
    return graph


def quantized():
    """small_network in int8, calibrated on the samples."""
    graph = small_network()
    names = [name for node in graph.nodes for name in node.outputs] + graph.inputs
    runs = [run_reference(graph, {"x": x}, names) for x in samples()]
    ranges = {
        n: Range(min(float(r[n].min()) for r in runs), max(float(r[n].max()) for r in runs)) for n in names
    }
    return int8.quantize(graph, ranges)


def test_equal_networks_agree_to_all_decimals(tmp_path):
    found = compared(small_network(), small_network(), tmp_path, layers=True)
    assert (found.samples, found.same_top1, found.worst.largest, found.worst.decimals) == (3, 3, 0.0, 15)
    assert len(found.layers) == len(small_network().nodes) - 1
    assert found.first_diverging(5) is None


def test_the_first_layer_that_differs_is_found(tmp_path):
    found = compared(small_network(), with_change("w2", 0.1), tmp_path, layers=True)
    assert not found.worst.agrees(5)
    assert found.first_diverging(5).name_a == "depthwiseconv2d:0"


def test_the_output_is_a_layer_too(tmp_path):
    a = small_network()
    b = a.clone()
    b.nodes[-1].attrs["beta"] = 0.5
    assert compared(a, b, tmp_path, layers=True).first_diverging(5).name_a == a.outputs[0]


def test_a_difference_that_is_gone_again_is_none(tmp_path):
    def scaled(factor):
        b = Builder()
        y = b.node("Mul", b.input((1, 9, 9, 3)), b.const(np.float32(factor)), name="first")
        return b.build(b.node("Mul", y, b.const(np.float32(1 / factor)), name="second"))

    found = compared(scaled(2), scaled(4), tmp_path, layers=True)
    assert found.layers[0].largest > 1
    assert found.first_diverging(5) is None


def test_layers_of_other_names_are_paired_in_order(tmp_path):
    b = with_change("w3", 0.1)
    for node in b.nodes[:-1]:
        (old,) = node.outputs
        b.tensors[f"other/{old}"] = b.tensors.pop(old)
        b.tensors[f"other/{old}"].name = f"other/{old}"
        b.replace_uses(old, f"other/{old}")
        node.outputs = [f"other/{old}"]
    layer = compared(small_network(), b, tmp_path, layers=True).first_diverging(5)
    assert (layer.name_a, layer.name_b) == ("conv2d_1:0", "other/conv2d_1:0")


def test_quantized_networks_run_in_the_c_runtime(tmp_path):
    found = compared(small_network(), quantized(), tmp_path, layers=True)
    assert 0 < found.worst.largest < 0.05
    assert len(found.layers) >= 5
    assert all(0 < layer.largest < 1 for layer in found.layers)


def test_int8_weights_alone_are_expanded(tmp_path):
    graph = with_int8_weights(small_network(), per_channel=True)
    (y,) = network(graph, tmp_path).run(feeds(graph)["x"])
    (float_y,) = run_reference(small_network(), feeds(graph)).values()
    assert 0 < np.abs(y - float_y).max() < 0.05


@pytest.mark.parametrize(
    ("largest", "decimals"), [(0.0, 15), (1e-5, 5), (1.01e-5, 4), (0.5, 0), (3.0, 0), (float("inf"), 0)]
)
def test_decimals(largest, decimals):
    assert Difference("a", "a", largest).decimals == decimals


def test_what_is_not_a_number_never_agrees():
    difference = Difference("a", "a")
    difference.update(np.array([1.0, np.nan]), np.array([1.0, 2.0]))
    assert not difference.agrees(0)


def test_different_shapes_are_refused(tmp_path):
    b = Builder()
    with pytest.raises(FormatError, match="inputs differ in shape"):
        compared(small_network(), b.build(b.node("Relu", b.input((1, 3)))), tmp_path)
    b = Builder()
    with pytest.raises(FormatError, match="outputs differ in shape"):
        compared(small_network(), b.build(b.node("Relu", b.input((1, 9, 9, 3)))), tmp_path)


def test_an_input_without_a_shape_takes_the_others():
    a, b = small_network(), small_network()
    b.tensors["x"].shape = None
    share_input_shape(a, b)
    assert infer_shapes(b).tensors["x"].shape == (1, 9, 9, 3)

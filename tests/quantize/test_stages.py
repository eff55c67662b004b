"""The three stages: their structure, that each can follow another, and that all compute the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import FormatError
from harness.exporters import tflite
from harness.graph import Node, Tensor
from harness.ops import infer_shapes
from harness.pack import pack
from harness.quantize import int8
from harness.quantize.calibrate import Range
from tests.support import litert, runner
from tests.support.graphs import Builder, small_network

FLOAT = np.dtype(np.float32)


def ranges_for(graph, seed=0):
    rng = np.random.default_rng(seed)
    return {name: Range(-rng.uniform(0.1, 4), rng.uniform(0.1, 4)) for name in graph.tensors}


def staged(graph, seed=0):
    """The float graph after stages 1, 2 and 3."""
    return [int8.quantize(graph, ranges_for(graph, seed), stage) for stage in (1, 2, 3)]


def ops(graph):
    return Counter(node.op for node in graph.nodes)


def branches():
    """x is read twice, one value is an output and read too, one op reads the same value twice."""
    b = Builder("branches")
    x = b.input((1, 4, 4, 3))
    w = b.const(np.random.default_rng(0).normal(size=(3, 1, 1, 3)), "w")
    y = b.node("Conv2D", x, w)
    z = b.node("Add", b.node("Mul", y, b.const(np.float32([1, 2, 3]))), x)
    return b.build(z, b.node("Add", b.node("MaxPool2D", z, filter=(1, 1)), y), b.node("Mul", y, y))


@pytest.mark.parametrize("make", [small_network, branches])
def test_structure_of_each_stage(make):
    graph = make()
    one, two, three = staged(graph)
    read = {node.name: {n for n in node.inputs if not graph.tensors[n].is_const} for node in graph.nodes}
    assert ops(one)["Quantize"] == sum(map(len, read.values()))
    assert ops(one)["Dequantize"] == len(graph.nodes)
    assert ops(two)["Quantize"] == sum("x" in names for names in read.values())
    assert ops(two)["Dequantize"] == len(graph.outputs)
    assert ops(three) == ops(graph)
    for stage in (one, two, three):
        assert (stage.inputs, stage.outputs) == (graph.inputs, graph.outputs)
        assert (ops(stage) - ops(graph)).keys() <= {"Quantize", "Dequantize"}
    for name in (*graph.inputs, *graph.outputs):
        assert [stage.tensors[name].dtype for stage in (one, two, three)] == [FLOAT, FLOAT, np.int8]


def test_the_last_stage_keeps_every_name():
    graph = branches()
    three = staged(graph)[2]
    activations = {name for name, tensor in three.tensors.items() if not tensor.is_const}
    assert activations == {name for name, tensor in graph.tensors.items() if not tensor.is_const}


@pytest.mark.parametrize("make", [small_network, branches])
def test_a_stage_can_follow_an_earlier_one_and_itself(make):
    graph = make()
    stages = staged(graph)
    for i, earlier in enumerate(stages):
        for later in range(i, 3):
            again = int8.quantize(earlier, ranges_for(graph), later + 1)
            assert pack(again) == pack(stages[later]), (i + 1, later + 1)


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_all_stages_compute_the_same_int8_values(tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("stages")
    graph = small_network(seed % 7)
    one, two, three = staged(graph, seed)
    x = np.random.default_rng(seed).normal(size=(1, 9, 9, 3)).astype(np.float32)
    source, target = (three.tensors[name].quant for name in (three.inputs[0], three.outputs[0]))
    (whole,) = runner.predict(three, [source.quantize(x, np.int8)], folder)
    for graph in (one, two):
        (real,) = runner.predict(graph, [x], folder)
        np.testing.assert_array_equal(target.quantize(real, np.int8), whole)
        np.testing.assert_array_equal(real, target.dequantize(whole))


@pytest.mark.parametrize("make", [small_network, branches])
def test_litert_computes_the_same_at_every_stage(make, tmp_path):
    graph = make()
    for stage in staged(graph):
        x = stage.tensors["x"]
        sample = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
        sample = sample if x.quant is None else x.quant.quantize(sample, np.int8)
        theirs = litert.Reference(tflite.write(stage)).run(sample)
        for ours, expected in zip(runner.predict(stage, [sample], tmp_path), theirs, strict=True):
            np.testing.assert_array_equal(ours, expected)


def with_a_float_op():
    """Relu, an op that the runtime does not have in int8, Relu6."""
    b = Builder()
    y = b.node("Relu6", b.node("Sqrt", b.node("Relu", b.input((1, 4)))))
    return b.build(y)


def test_float_ops_stay_between_conversions_and_stop_the_last_stage():
    graph = with_a_float_op()
    for stage in (1, 2):
        quantized = int8.quantize(graph, ranges_for(graph), stage)
        names = ["Quantize", "Relu", "Dequantize", "Sqrt", "Quantize", "Relu6", "Dequantize"]
        assert [node.op for node in quantized.execution_order()] == names
    with pytest.raises(FormatError, match=r"node 'sqrt' \(Sqrt\) has no int8 form.*stage 2 leaves it"):
        int8.quantize(graph, ranges_for(graph), 3)


def test_a_pair_of_other_scales_stays():
    """int8 → float → int8 of another scale is a rescaling, not nothing."""
    b = Builder()
    graph = b.build(b.node("Relu", b.node("Relu", b.input((1, 4)))))
    one = int8.quantize(graph, ranges_for(graph), 1)
    middle = next(node for node in one.nodes if node.name.endswith("quantize") and node.inputs == ["relu:0"])
    tensor = one.tensors[middle.outputs[0]]
    tensor.quant = type(tensor.quant)(tensor.quant.scale * 2, tensor.quant.zero_point)
    two = int8.quantize(one, {}, 2)
    assert ops(two) == {"Quantize": 2, "Relu": 2, "Dequantize": 2}


def test_an_input_that_a_float_op_reads_too_stays_float():
    graph = with_a_float_op()
    graph.nodes.append(Node("Sqrt", "other", ["x"], ["other:0"]))
    graph.tensors["other:0"] = Tensor("other:0", None, FLOAT)
    graph.outputs.append("other:0")
    infer_shapes(graph)
    assert int8.quantize(graph, ranges_for(graph), 2).tensors["x"].dtype == FLOAT

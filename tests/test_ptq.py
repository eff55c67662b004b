"""Steps composed by a text; what comes out runs in the C runtime as TFLite's reference kernels compute it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import devices
from harness import ptq
from harness.errors import FormatError, UsageError
from harness.predict import predict
from harness.quantize.draft import Draft
from tests.support.graphs import Builder, small_network
from tests.support.learned import Learned

STEPS = (
    "one_scale",
    "observe(method=percentile, percent=99.9)",
    "equalize",
    "absorb_bias",
    "round",
    "correct_bias",
)
TEXTS = [*STEPS, *(" ".join(pair) for pair in combinations(STEPS, 2)), " ".join(STEPS)]


@pytest.fixture(scope="module")
def learned():
    return Learned(np.random.default_rng(0).normal(size=(6, 9, 9, 3)), np.arange(6) % 5)


def silent(*_shown):
    pass


def test_every_combination_of_steps_gives_the_bytes_of_the_reference_kernels(learned, tmp_path):
    litert = pytest.importorskip("tests.support.litert", reason="needs ai-edge-litert")
    from harness.exporters import tflite

    device = devices.open_device("local")
    for text in TEXTS:
        graph = ptq.quantize(small_network(), learned, text)
        stored = graph.tensors["x"].quant.quantize(learned.samples, np.int8)
        found = predict(device, graph, stored, tmp_path, silent)
        reference = litert.Reference(tflite.write(graph))
        expected = np.concatenate([reference.run(x[None])[0] for x in stored])
        np.testing.assert_array_equal(found, expected, err_msg=text)


def test_layers_kept_in_float_run_between_int8_ones(learned, tmp_path):
    graph = ptq.quantize(small_network(), learned, f"{ptq.DEFAULT} mixed(keep=2)")
    assert {"Quantize", "Dequantize"} <= {node.op for node in graph.nodes}
    exact = learned.values(small_network(), small_network().outputs, 6)
    found = learned.values(graph, graph.outputs, 6)
    for name, values in exact.items():
        np.testing.assert_allclose(found[name], values, atol=0.05)


def test_steps_make_the_same_file_every_time(learned):
    text = "equalize observe(method=entropy) round(method=adaround) correct_bias"
    first, second = (ptq.quantize(small_network(), learned, text) for _ in range(2))
    for name, tensor in first.tensors.items():
        if tensor.is_const:
            np.testing.assert_array_equal(tensor.data, second.tensors[name].data)


def test_the_float_graph_is_left_alone(learned):
    graph = small_network()
    before = {name: None if t.data is None else t.data.copy() for name, t in graph.tensors.items()}
    ptq.quantize(graph, learned, " ".join(STEPS))
    assert graph.tensors.keys() == before.keys()
    for name, tensor in graph.tensors.items():
        np.testing.assert_array_equal(tensor.data, before[name])


def test_one_scale_is_smaller_by_the_other_scales(learned):
    each, one = (ptq.quantize(small_network(), learned, text) for text in ("correct_bias", "one_scale"))
    scales = [
        [len(t.quant.scale) for t in graph.tensors.values() if t.is_const and t.data.dtype == np.int8]
        for graph in (each, one)
    ]
    assert scales == [[8, 8, 12, 5], [1, 1, 1, 1]]


def test_what_a_softmax_reads_keeps_its_whole_range():
    b = Builder()
    x = b.input((1, 4, 4, 1))
    y = b.node("Conv2D", x, b.const(np.ones((3, 1, 1, 1))), activation="relu")
    logits = b.node("FullyConnected", y, b.const(np.ones((2, 48))))
    graph = b.build(b.node("Softmax", logits))
    values = np.random.default_rng(0).normal(size=(100, 4, 4, 1))
    draft = ptq.draft(graph, Learned(values), ptq.parse("observe(method=percentile, percent=95)"))
    seen, chosen = draft.learned.activations(graph, bins=False), draft.ranges()
    assert chosen[logits] == seen[logits].range
    assert chosen[y].high < seen[y].range.high


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--ptq: names no transform"),
        ("observe(method=mse", "--ptq: line 1, column 19: expected"),
        ("equalise", "unknown quantization step 'equalise'.*equalize"),
        ("round(methods=descent)", "unknown parameter of round 'methods'.*method"),
        ("observe", "observe needs method"),
        ("mixed(keep=two)", "keep is a whole number, not 'two'"),
        ("equalize(draft=1)", "unknown parameter of equalize 'draft'"),
    ],
)
def test_what_is_not_understood_is_named(text, message):
    with pytest.raises(UsageError, match=message):
        ptq.parse(text)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_step_that_fails_says_which(learned):
    b = Builder()
    x = b.node("Conv2D", b.input((1, 9, 9, 3)), b.const(np.full((2, 1, 1, 3), np.inf)))
    with pytest.raises(FormatError, match="step correct_bias: calibration gave no finite range"):
        ptq.quantize(b.build(x), learned, "correct_bias")


def test_a_draft_without_steps_is_the_plain_int8_graph(learned):
    plain = Draft(small_network(), learned).quantized()
    same = ptq.quantize(small_network(), learned, "observe(method=min_max)")
    for name, tensor in plain.tensors.items():
        np.testing.assert_array_equal(tensor.data, same.tensors[name].data)

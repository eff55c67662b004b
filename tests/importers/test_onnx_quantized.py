"""Quantized .onnx files, as ONNX Runtime's own tool makes them, run in the C runtime's integers."""

from __future__ import annotations

import numpy as np
import pytest

from harness import passes
from harness.errors import FormatError
from harness.exporters import onnx as onnx_writer
from harness.graph import Quantization
from harness.passes import turn_inputs
from harness.quantize.int8 import CONVERSIONS
from tests.importers.test_onnx_ops import imported, session
from tests.support import runner

onnx = pytest.importorskip("onnx", reason="needs onnx")
quantization = pytest.importorskip("onnxruntime.quantization", reason="needs onnxruntime")

from tests.support.onnx_networks import NETWORKS, OnnxBuilder, network  # noqa: E402

TYPES = {"u8": quantization.QuantType.QUInt8, "s8": quantization.QuantType.QInt8}
SAMPLES = 4


class Calibration(quantization.CalibrationDataReader):
    """Random images."""

    def __init__(self, shape):
        rng = np.random.default_rng(5)
        self._left = iter([{"input": rng.normal(size=shape).astype(np.float32)} for _ in range(SAMPLES)])

    def get_next(self):
        return next(self._left, None)


def quantized(name, path, form="QDQ", activations="u8", weights="s8", per_channel=True, prepared=True):
    """The file of a network that ONNX Runtime's tool quantized."""
    source, target = path / "float.onnx", path / "quantized.onnx"
    source.write_bytes(network(name, 13))
    if prepared:  # batch norm goes into the weights
        quantization.quant_pre_process(source, source, skip_symbolic_shape=True)
    size = onnx.load(source).graph.input[0].type.tensor_type.shape.dim[2].dim_value
    quantization.quantize_static(
        source,
        target,
        Calibration((1, 3, size, size)),
        quant_format=quantization.QuantFormat[form],
        activation_type=TYPES[activations],
        weight_type=TYPES[weights],
        per_channel=per_channel,
    )
    return target.read_bytes()


def both(content, path, samples=6):
    """Outputs of the C runtime and of ONNX Runtime, in steps of the output's quantization."""
    graph = turn_inputs.run(passes.apply(imported(content, path / "m.onnx")))
    theirs = session(content)
    shape = theirs.get_inputs()[0].shape
    last = graph.producers()[graph.outputs[0]]
    step = graph.tensors[last.inputs[0]].quant.scale[0] if last.op == "Dequantize" else 1 / 256
    got, wanted = [], []
    for seed in range(samples):
        x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
        got += runner.predict(graph, [x.transpose(0, 2, 3, 1)], path)
        wanted += theirs.run(None, {"input": x})
    return graph, np.stack(got) / step, np.stack(wanted) / step


FORMS = [
    ("QDQ", "u8", "s8", True),
    ("QDQ", "s8", "s8", False),
    ("QOperator", "u8", "u8", False),
    ("QOperator", "u8", "s8", True),
]
# Depthwise convolutions and additions round twice, as TFLite's, where ONNX Runtime rounds once.
LEAST = {"efficientnet_b0": 0.985}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_networks_agree_with_onnx_runtime_within_a_step(name, form, tmp_path):
    graph, got, wanted = both(quantized(name, tmp_path, *form), tmp_path)
    assert real_ops(graph) <= {"Mean"}
    assert np.mean(np.abs(got - wanted) < 1.01) >= LEAST.get(name, 0.995)


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - {"mobilenet_v2", "resnet18"}))
def test_other_networks_agree_too(name, tmp_path):
    graph, got, wanted = both(quantized(name, tmp_path), tmp_path)
    assert real_ops(graph) <= {"Mean", "Logistic"}, "what int8 kernels round by other rules stays float"
    assert np.mean(np.abs(got - wanted) < 1.01) >= LEAST.get(name, 0.995)


def real_ops(graph):
    """The ops that compute in float."""
    real = {n.op for n in graph.nodes if graph.tensors[n.outputs[0]].dtype == np.float32}
    return real - {*CONVERSIONS, "Transpose"}


def test_our_own_files_keep_the_rounding_of_their_kernels(tmp_path):
    """What is written as QDQ and read again gives the same bytes."""
    graph = passes.apply(imported(quantized("mobilenet_v2", tmp_path), tmp_path / "theirs.onnx"))
    convolutions = [node for node in graph.nodes if node.op == "Conv2D"]
    assert all(node.attrs.get("rounds_once") for node in convolutions)
    for node in convolutions:
        del node.attrs["rounds_once"]
    again = passes.apply(imported(onnx_writer.write(graph), tmp_path / "ours.onnx"))
    assert not any(node.attrs.get("rounds_once") for node in again.nodes)
    x = np.random.default_rng(0).normal(size=graph.tensors[graph.inputs[0]].shape).astype(np.float32)
    np.testing.assert_array_equal(*(runner.predict(g, [x], tmp_path)[0] for g in (graph, again)))


def test_batch_norm_behind_quantized_convolutions_is_arithmetic(tmp_path):
    """Without ONNX Runtime's preparation it stays a node between Dequantize and Quantize."""
    graph, got, wanted = both(quantized("inception_v3", tmp_path, prepared=False), tmp_path)
    assert "BatchNorm" not in {node.op for node in graph.nodes}
    assert np.mean(np.abs(got - wanted) < 1.01) >= 0.995


# --- single operators ---


def qdq(b, x, scale, zero, dtype=np.uint8):
    parameters = [b.const(np.float32(scale)), b.const(dtype(zero))]
    return b.node("DequantizeLinear", b.node("QuantizeLinear", x, *parameters), *parameters)


def levels(path, build, shape=(1, 4, 6, 5), samples=3):
    """int8 levels of a float output that `build` quantizes with scale 0.05, by us and by ONNX Runtime."""
    b = OnnxBuilder(13)
    y = qdq(b, build(b, qdq(b, b.input(shape), 0.04, 120)), 0.05, 110)
    content = b.bytes(y)
    graph = passes.apply(imported(content, path / "m.onnx"))
    assert real_ops(graph) <= {"Mean"}
    x = np.random.default_rng(0).normal(0, 2, (samples, *shape)).astype(np.float32)
    wanted = np.stack([session(content).run(None, {"input": one})[0] for one in x]) / np.float32(0.05)
    got = np.stack([runner.predict(graph, [one], path)[0] for one in x]) / np.float32(0.05)
    return got, wanted


def weights(b, shape, axis):
    """int8 weights behind a DequantizeLinear, one scale a channel."""
    values = b.const(b.rng.integers(-127, 128, shape).astype(np.int8))
    scale = b.const(b.rng.uniform(0.002, 0.01, shape[axis]))
    zero = b.const(np.zeros(shape[axis], np.int8))
    return b.node("DequantizeLinear", values, scale, zero, axis=axis)


OPS = {
    "conv": lambda b, x: b.node("Conv", x, weights(b, (6, 4, 3, 3), 0), pads=[1] * 4),
    "float_bias": lambda b, x: b.node("Conv", x, weights(b, (6, 4, 3, 3), 0), b.const(b.rng.normal(size=6))),
    "depthwise": lambda b, x: b.node("Conv", x, weights(b, (4, 1, 3, 3), 0), group=4),
    "matmul": lambda b, x: b.node("MatMul", b.node("Flatten", x), weights(b, (120, 6), 1)),
    "gemm": lambda b, x: b.node("Gemm", b.node("Flatten", x), weights(b, (6, 120), 0), transB=1),
    "add": lambda b, x: b.node("Add", x, x),
    "mul": lambda b, x: b.node("Mul", x, qdq(b, x, 0.03, 130)),
    "concat": lambda b, x: b.node("Concat", x, qdq(b, x, 0.03, 130), axis=1),
    "max_pool": lambda b, x: b.max_pool(x, 3, 2),
    "average": lambda b, x: b.node("AveragePool", x, kernel_shape=[2, 2]),
    "global_average": lambda b, x: b.node("GlobalAveragePool", x),
    "relu_of_conv": lambda b, x: b.relu(b.node("Conv", x, weights(b, (6, 4, 3, 3), 0))),
}


@pytest.mark.parametrize("name", OPS)
def test_operators_between_dequantize_and_quantize(name, tmp_path):
    got, wanted = levels(tmp_path, OPS[name])
    assert np.mean(np.abs(got - wanted) < 1.01) >= 0.995


# --- values ---


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_a_stored_input_and_output_keep_their_type(dtype, tmp_path):
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    b = OnnxBuilder(13)
    zero = 100 if dtype == np.uint8 else -28
    parameters = [b.const(np.float32(0.05)), b.const(dtype(zero))]
    x = b.node("DequantizeLinear", b.input((1, 4, 6, 5), kind=kind), *parameters)
    y = b.node("QuantizeLinear", b.relu(b.node("Conv", x, weights(b, (6, 4, 3, 3), 0))), *parameters)
    content = b.bytes(y, kinds=(kind,))
    graph = passes.apply(imported(content, tmp_path / "m.onnx"))
    assert [graph.tensors[name].dtype for name in (*graph.inputs, *graph.outputs)] == [dtype, dtype]
    info = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(info.min, info.max + 1, (1, 4, 6, 5)).astype(dtype)
    (wanted,) = session(content).run(None, {"input": x})
    (got,) = runner.predict(graph, [x], tmp_path)
    assert got.dtype == dtype
    assert np.abs(got.astype(int) - wanted.astype(int)).max() <= 1


def test_uint8_is_kept_as_int8_less_128(tmp_path):
    b = OnnxBuilder(13)
    graph = imported(b.bytes(b.relu(qdq(b, b.input((1, 3)), 0.1, 130))), tmp_path / "m.onnx")
    (stored,) = [t for t in graph.tensors.values() if t.quant is not None]
    assert stored.dtype == np.int8
    assert (stored.quant.scale, stored.quant.zero_point) == (np.float32(0.1), 2)


def test_float_weights_that_are_quantized_in_the_file(tmp_path):
    b = OnnxBuilder(13)
    w = b.const(b.rng.normal(size=(6, 4, 3, 3)))
    scales = [b.const(np.full(6, 0.02, np.float32)), b.const(np.zeros(6, np.int8))]
    stored = b.node("QuantizeLinear", w, *scales, axis=0)
    y = b.node("Conv", b.input((1, 4, 6, 5)), b.node("DequantizeLinear", stored, *scales, axis=0))
    graph = imported(b.bytes(y), tmp_path / "m.onnx")
    (stored,) = [t for t in graph.tensors.values() if t.quant is not None]
    assert isinstance(stored.quant, Quantization)
    assert (stored.dtype, stored.shape, stored.quant.axis) == (np.int8, (6, 3, 3, 4), 0)


def test_what_is_not_supported_is_named(tmp_path):
    b = OnnxBuilder(13)
    x = b.input((1, 3))
    quantized = b.node("QuantizeLinear", x, b.const(np.float32(0.1)), b.const(np.uint8(3)))
    other = b.node("DequantizeLinear", quantized, b.const(np.float32(0.2)), b.const(np.uint8(3)))
    with pytest.raises(FormatError, match="by another scale or zero point"):
        imported(b.bytes(other), tmp_path / "m.onnx")
    b = OnnxBuilder(13)
    y = b.node("QuantizeLinear", b.input((1, 3)), b.const(np.full(3, 0.1, np.float32)), axis=1)
    with pytest.raises(FormatError, match="by several scales"):
        imported(b.bytes(y), tmp_path / "m.onnx")

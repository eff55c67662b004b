"""Each op of ONNX as we read it, judged by ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import FormatError
from harness.importers import load
from harness.ops import run_reference

pytest.importorskip("onnx", reason="needs onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from tests.support.onnx_networks import OnnxBuilder  # noqa: E402

IMAGE = (1, 4, 9, 7)
INT = np.int64


def conv(weights, **attrs):
    return lambda b, x: b.node("Conv", x, b.const(b.rng.normal(size=weights)), **attrs)


def transposed(weights, bias=None, **attrs):
    def build(b, x):
        more = [b.const(b.rng.normal(size=bias))] if bias else []
        return b.node("ConvTranspose", x, b.const(b.rng.normal(size=weights)), *more, **attrs)

    return build


def op(name, *constants, **attrs):
    """A node on x and constants: arrays, shapes of random ones as tuples, None for an input left out."""

    def build(b, x):
        extra = [
            "" if c is None else b.const(b.rng.normal(size=c) if isinstance(c, tuple) else c)
            for c in constants
        ]
        return b.node(name, x, *extra, **attrs)

    return build


def chain(*builds):
    def build(b, x):
        for one in builds:
            x = one(b, x)
        return x

    return build


def ints(*numbers):
    return np.array(numbers, INT)


def positive(build):
    """The op on absolute values above 0.1."""
    return chain(op("Abs"), op("Add", np.float32(0.1)), build)


def resized(mode, place, size, **attrs):
    return op(
        "Resize",
        None,
        None,
        ints(1, 4, *size),
        mode=mode,
        coordinate_transformation_mode=place,
        **attrs,
    )


def halves(b, x):
    first, second = b.node("Split", x, outputs=2, axis=1) if b.opset < 18 else split18(b, x)
    return b.node("Concat", second, first, axis=1)


def split18(b, x):
    return b.node("Split", x, outputs=2, axis=1, num_outputs=2)


def layer_norm(b, x):
    """As exporters wrote it before opset 17."""
    centred = b.node("Sub", x, b.node("ReduceMean", x, axes=[-1]))
    power = b.node("Pow", centred, b.const(np.float32(2)))
    root = b.node("Sqrt", b.node("Add", b.node("ReduceMean", power, axes=[-1]), b.const(np.float32(1e-5))))
    return b.node("Div", centred, root)


def shape_arithmetic(b, x):
    """x reshaped to (batch, -1) through Shape, Slice, Cast and Where."""
    batch = b.node("Slice", b.node("Shape", x), b.const(ints(0)), b.const(ints(1)))
    same = b.node("Equal", batch, b.const(ints(1)))
    picked = b.node("Where", same, batch, b.const(ints(7)))
    filled = b.node("ConstantOfShape", b.const(ints(1)))
    rest = b.node("Cast", b.node("Sub", filled, b.const(np.float32([1]))), to=7)
    return b.node("Reshape", x, b.node("Concat", picked, rest, axis=0))


CASES = {
    "conv": conv((6, 4, 3, 3), pads=[1, 1, 1, 1]),
    "conv_uneven": conv((6, 4, 3, 2), pads=[0, 1, 2, 0], strides=[2, 1]),
    "conv_dilated": conv((6, 4, 3, 3), dilations=[2, 3], pads=[2, 3, 2, 3]),
    "conv_same_upper": conv((6, 4, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv_same_lower": conv((6, 4, 4, 4), auto_pad="SAME_LOWER", strides=[2, 2]),
    "conv_valid": conv((6, 4, 3, 3), auto_pad="VALID"),
    "depthwise": conv((8, 1, 3, 3), group=4, pads=[1, 1, 1, 1]),
    "grouped": conv((6, 2, 3, 3), group=2),
    "transposed": transposed((4, 5, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    "transposed_bias": transposed((4, 5, 2, 2), bias=5, strides=[2, 2]),
    "transposed_same": transposed((4, 5, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
    "transposed_uneven": transposed((4, 3, 4, 3), strides=[3, 2], pads=[0, 1, 2, 0]),
    "batch_norm": lambda b, x: b.batch_norm(x),
    "instance_norm": op("InstanceNormalization", (4,), (4,)),
    "layer_norm_parts": layer_norm,
    "relu": op("Relu"),
    "clip_6": op("Clip", np.float32(0), np.float32(6)),
    "clip_1": op("Clip", np.float32(-1), np.float32(1)),
    "clip_any": op("Clip", np.float32(-0.3), np.float32(0.7)),
    "clip_low": op("Clip", np.float32(-0.3)),
    "clip_high": op("Clip", None, np.float32(0.5)),
    "leaky_relu": op("LeakyRelu", alpha=0.2),
    "prelu": op("PRelu", (4, 1, 1)),
    "sigmoid": op("Sigmoid"),
    "hard_sigmoid": op("HardSigmoid"),
    "hard_sigmoid_torch": op("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_swish": op("HardSwish"),
    "tanh": op("Tanh"),
    "elu": op("Elu"),
    "erf": op("Erf"),
    "softmax": op("Softmax", axis=1),
    "softmax_last": op("Softmax"),
    "log_softmax": op("LogSoftmax", axis=1),
    "exp": op("Exp"),
    "abs": op("Abs"),
    "neg": op("Neg"),
    "floor": op("Floor"),
    "ceil": op("Ceil"),
    "log": positive(op("Log")),
    "sqrt": positive(op("Sqrt")),
    "reciprocal": positive(op("Reciprocal")),
    "pow": positive(op("Pow", np.float32(1.7))),
    "square": op("Pow", np.float32(2)),
    "add": op("Add", (4, 1, 1)),
    "sub_row": op("Sub", (7,)),
    "mul": op("Mul", (1, 4, 9, 1)),
    "div": op("Div", np.float32(3)),
    "min": op("Min", (4, 1, 1), (1, 4, 9, 7)),
    "max": op("Max", np.float32(0.25)),
    "sum": lambda b, x: b.node("Sum", x, x, x),
    "max_pool": op("MaxPool", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]),
    "max_pool_ceil": op("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "max_pool_same": op("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    "average": op("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "average_counting": op("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "average_ceil": op("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "global_average": op("GlobalAveragePool"),
    "global_max": op("GlobalMaxPool"),
    "reduce_mean": op("ReduceMean", axes=[2, 3], keepdims=0),
    "reduce_mean_channels": op("ReduceMean", axes=[1], keepdims=1),
    "reduce_sum": op("ReduceSum", ints(1, 3), keepdims=0),
    "reduce_max": op("ReduceMax", axes=[-1]),
    "reduce_min": op("ReduceMin", axes=[1, 2, 3], keepdims=0),
    "concat": lambda b, x: b.node("Concat", x, b.const(b.rng.normal(size=(1, 2, 9, 7))), x, axis=1),
    "split": halves,
    "slice": op("Slice", ints(1, 0), ints(3, 100), ints(1, -2), ints(1, 2)),
    "slice_back": op("Slice", ints(-1), ints(-100), ints(2), ints(-2)),
    "gather": op("Gather", ints(2, 0, -1), axis=1),
    "gather_one": op("Gather", np.array(-2, INT), axis=1),
    "transpose": op("Transpose", perm=[2, 0, 3, 1]),
    "reshape": op("Reshape", ints(0, 2, -1)),
    "shuffle": chain(
        op("Reshape", ints(1, 2, 2, 9, 7)),
        op("Transpose", perm=[0, 2, 1, 3, 4]),
        op("Reshape", ints(1, 4, 9, 7)),
    ),
    "flatten": op("Flatten"),
    "flatten_2": op("Flatten", axis=2),
    "squeeze": chain(op("GlobalAveragePool"), op("Squeeze", ints(2, 3))),
    "unsqueeze": op("Unsqueeze", ints(0, -1)),
    "pad": op("Pad", ints(0, 0, 1, 2, 0, 1, 0, 3)),
    "pad_value": op("Pad", ints(0, 0, 1, 2, 0, 0, 0, 3), np.float32(1.5)),
    "pad_reflect": op("Pad", ints(0, 0, 1, 2, 0, 0, 2, 3), mode="reflect"),
    "expand": op("Expand", ints(2, 1, 1, 1, 7)),
    "depth_to_space": op("DepthToSpace", blocksize=2),
    "pixel_shuffle": op("DepthToSpace", blocksize=2, mode="CRD"),
    "space_to_depth": chain(op("Pad", ints(0, 0, 0, 0, 0, 0, 0, 1)), op("SpaceToDepth", blocksize=1)),
    "identity": chain(op("Identity"), op("Dropout")),
    "shape_arithmetic": shape_arithmetic,
    "arg_max": op("ArgMax", axis=1, keepdims=0),
    "nearest_double": op(
        "Resize",
        None,
        np.float32([1, 1, 2, 2]),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    "nearest_half_pixel": resized("nearest", "half_pixel", (18, 21), nearest_mode="round_prefer_floor"),
    "linear": resized("linear", "half_pixel", (15, 14)),
    "linear_torch": resized("linear", "pytorch_half_pixel", (15, 14)),
    "linear_corners": resized("linear", "align_corners", (15, 14)),
    "linear_asymmetric": resized("linear", "asymmetric", (15, 14)),
}
MATRICES = {
    "gemm": ((5, 6), op("Gemm", (6, 3), (3,))),
    "gemm_scaled": ((5, 6), op("Gemm", (3, 6), (1, 3), alpha=0.5, beta=2.0, transB=1)),
    "gemm_turned": ((6, 5), op("Gemm", (6, 3), transA=1)),
    "matmul": ((5, 6), op("MatMul", (6, 3))),
    "matmul_rows": ((2, 5, 6), op("MatMul", (6, 3))),
    "attention": ((2, 5, 6), lambda b, x: b.node("MatMul", x, b.node("Transpose", x, perm=[0, 2, 1]))),
}
NEWER = {  # opset, shape of x, op
    "gelu": (20, IMAGE, op("Gelu")),
    "gelu_tanh": (20, IMAGE, op("Gelu", approximate="tanh")),
    "layer_norm": (17, (2, 5, 6), op("LayerNormalization", (6,), (6,), axis=-1)),
    "reduce_mean_18": (18, IMAGE, op("ReduceMean", ints(2, 3), keepdims=1)),
    "split_18": (18, IMAGE, halves),
    "pad_axes_18": (18, IMAGE, op("Pad", ints(1, 2), None, ints(2))),
}
OLDER = {  # opset 11
    "softmax_11": op("Softmax", axis=1),
    "softmax_11_last": op("Softmax", axis=-1),
    "squeeze_11": chain(op("GlobalAveragePool"), op("Squeeze", axes=[2, 3])),
    "unsqueeze_11": op("Unsqueeze", axes=[0]),
    "reduce_sum_11": op("ReduceSum", axes=[1], keepdims=0),
    "clip_11": op("Clip", np.float32(0), np.float32(6)),
}
ALL = (
    {name: (17, IMAGE, build) for name, build in CASES.items()}
    | {name: (17, shape, build) for name, (shape, build) in MATRICES.items()}
    | {name: (11, IMAGE, build) for name, build in OLDER.items()}
    | NEWER
)


def session(content):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options)


def imported(content, path):
    path.write_bytes(content)
    return load(path)


@pytest.mark.parametrize("name", ALL)
def test_same_values_as_onnx_runtime(name, tmp_path):
    opset, shape, build = ALL[name]
    b = OnnxBuilder(opset)
    y = build(b, b.input(shape))
    kind = 7 if name.startswith("arg_") else 1
    content = b.bytes(y, kinds=(kind,))
    graph = imported(content, tmp_path / "m.onnx")
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    (wanted,) = session(content).run(None, {"input": x})
    (got,) = run_reference(graph, {"input": x}).values()
    assert got.dtype == wanted.dtype
    assert graph.tensors[graph.outputs[0]].shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (op("Conv", (6, 3, 3, 3)), "cannot apply 1 groups"),
        (op("Pad", ints(0, 0, 0, 0, 0, 0, 0, 1), mode="edge"), "has mode 'edge'"),
        (op("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]), "dilations"),
        (op("Elu", alpha=0.5), "alpha"),
        (resized("cubic", "half_pixel", (18, 14)), "by 'cubic'"),
        (resized("nearest", "half_pixel", (13, 11), nearest_mode="ceil"), "by 'nearest'"),
        (op("Reshape", ints(5, -1, -1)), "cannot reshape"),
        (op("Softmax", axis=4), "names axis 4 of 4"),
        (op("Transpose", perm=[0, 1, 1, 2]), "does not permute"),
        (lambda b, x: b.node("Reshape", x, b.node("Cast", x, to=7)), "Cast"),
        (op("Hardmax"), "is not supported"),
        (op("Slice", ints(5), ints(2), ints(1)), "leaves nothing"),
    ],
)
def test_what_cannot_be_read_is_named(build, problem, tmp_path):
    b = OnnxBuilder(17)
    content = b.bytes(build(b, b.input(IMAGE)))
    with pytest.raises(FormatError, match=r"'/\w+_\d+'") as caught:
        imported(content, tmp_path / "m.onnx")
    assert problem in str(caught.value)

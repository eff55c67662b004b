"""What each IR op is called in TFLite, and how its attributes become the fields of an options table.

The graph has the form that `tflite_inputs` gives it, so some names are TFLite's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tflite

from harness.exporters._padding import padding_name
from harness.graph import Graph, Node
from harness.ops.windows import window_attrs

_ACTIVATIONS = {
    None: tflite.ActivationFunctionType.NONE,
    "relu": tflite.ActivationFunctionType.RELU,
    "relu6": tflite.ActivationFunctionType.RELU6,
    "relu_n1_to_1": tflite.ActivationFunctionType.RELU_N1_TO_1,
    "tanh": tflite.ActivationFunctionType.TANH,  # of cells alone
}


def _windowed_options(graph: Graph, node: Node) -> dict[str, int]:
    stride, _, _ = window_attrs(node)
    return {
        "Padding": getattr(tflite.Padding, padding_name(graph, node)),
        "StrideH": stride[0],
        "StrideW": stride[1],
    } | _activation(graph, node)


def _convolution(graph: Graph, node: Node) -> dict[str, int]:
    _, dilation, _ = window_attrs(node)
    options = _windowed_options(graph, node)
    return options | {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}


def _transpose_conv(graph: Graph, node: Node) -> dict[str, int]:
    stride_h, stride_w = window_attrs(node)[0]
    padding = getattr(tflite.Padding, node.attrs["padding"])
    return {"Padding": padding, "StrideH": stride_h, "StrideW": stride_w} | _activation(graph, node)


def _depthwise(graph: Graph, node: Node) -> dict[str, int]:
    return _convolution(graph, node) | {"DepthMultiplier": node.attrs.get("multiplier", 1)}


def _pool(graph: Graph, node: Node) -> dict[str, int]:
    height, width = node.attrs["filter"]
    return _windowed_options(graph, node) | {"FilterHeight": height, "FilterWidth": width}


def _fully_connected(graph: Graph, node: Node) -> dict[str, int]:
    return _activation(graph, node) | {"KeepNumDims": node.attrs.get("keep_dims", False)}


def _activation(graph: Graph, node: Node) -> dict[str, int]:
    return {"FusedActivationFunction": _ACTIVATIONS[node.attrs.get("activation")]}


def _concatenation(graph: Graph, node: Node) -> dict[str, int]:
    return _activation(graph, node) | {"Axis": node.attrs["axis"]}


def _softmax(graph: Graph, node: Node) -> dict[str, float]:
    return {"Beta": node.attrs.get("beta", 1.0)}


def _leaky_relu(graph: Graph, node: Node) -> dict[str, float]:
    return {"Alpha": node.attrs.get("alpha", 0.01)}


def _reduction(graph: Graph, node: Node) -> dict[str, bool]:
    return {"KeepDims": node.attrs.get("keep_dims", False)}


def _arg_extreme(graph: Graph, node: Node) -> dict[str, int]:
    dtypes = {"int32": tflite.TensorType.INT32, "int64": tflite.TensorType.INT64}
    return {"OutputType": dtypes[node.attrs.get("dtype", "int64")]}


def _cumulative_sum(graph: Graph, node: Node) -> dict[str, bool]:
    flags = {"Exclusive": "exclusive", "Reverse": "reverse"}
    return {theirs: node.attrs.get(ours, False) for theirs, ours in flags.items()}


def _gelu(graph: Graph, node: Node) -> dict[str, bool]:
    return {"Approximate": node.attrs.get("approximate", False)}


def _resize(graph: Graph, node: Node) -> dict[str, bool]:
    flags = {"AlignCorners": "align_corners", "HalfPixelCenters": "half_pixel_centers"}
    return {theirs: node.attrs.get(ours, False) for theirs, ours in flags.items()}


def _mirror(graph: Graph, node: Node) -> dict[str, int]:
    return {"Mode": getattr(tflite.MirrorPadMode, node.attrs.get("mode", "REFLECT"))}


def _gather(graph: Graph, node: Node) -> dict[str, int]:
    return {"Axis": node.attrs.get("axis", 0), "BatchDims": node.attrs.get("batch_dims", 0)}


def _batch_matmul(graph: Graph, node: Node) -> dict[str, bool]:
    return {"AdjX": node.attrs.get("adj_x", False), "AdjY": node.attrs.get("adj_y", False)}


def _one_hot(graph: Graph, node: Node) -> dict[str, int]:
    return {"Axis": node.attrs.get("axis", -1)}


def _block(graph: Graph, node: Node) -> dict[str, int]:
    return {"BlockSize": node.attrs["block"]}


def _cell(graph: Graph, node: Node) -> dict:
    return {
        "FusedActivationFunction": _ACTIVATIONS[node.attrs.get("function")],
        "AsymmetricQuantizeInputs": node.attrs.get("asymmetric", False),
    }


def _svdf(graph: Graph, node: Node) -> dict:
    return _cell(graph, node) | {"Rank": node.attrs["rank"]}


def _sequence(graph: Graph, node: Node) -> dict:
    return _cell(graph, node) | {"TimeMajor": node.attrs.get("time_major", False)}


def _bidirectional(graph: Graph, node: Node) -> dict:
    return _sequence(graph, node) | {"MergeOutputs": node.attrs.get("merge", False)}


def _lstm(graph: Graph, node: Node) -> dict:
    clips = {"CellClip": "cell_clip", "ProjClip": "projection_clip"}
    return _sequence(graph, node) | {theirs: node.attrs.get(ours, 0.0) for theirs, ours in clips.items()}


def _none(graph: Graph, node: Node) -> dict:
    return {}


@dataclass(frozen=True)
class Form:
    """TFLite's builtin operator, the version that covers int8, its options table and how to fill it."""

    builtin: str
    version: int
    options: str = ""
    fill: Callable[[Graph, Node], dict] = _none


FORMS: dict[str, Form] = {
    "Conv2D": Form("CONV_2D", 3, "Conv2DOptions", _convolution),
    "TransposeConv2D": Form("TRANSPOSE_CONV", 4, "TransposeConvOptions", _transpose_conv),
    "DepthwiseConv2D": Form("DEPTHWISE_CONV_2D", 3, "DepthwiseConv2DOptions", _depthwise),
    "FullyConnected": Form("FULLY_CONNECTED", 4, "FullyConnectedOptions", _fully_connected),
    "AveragePool2D": Form("AVERAGE_POOL_2D", 2, "Pool2DOptions", _pool),
    "MaxPool2D": Form("MAX_POOL_2D", 2, "Pool2DOptions", _pool),
    "Add": Form("ADD", 2, "AddOptions", _activation),
    "Sub": Form("SUB", 2, "SubOptions", _activation),
    "Mul": Form("MUL", 2, "MulOptions", _activation),
    "Div": Form("DIV", 2, "DivOptions", _activation),
    "AddN": Form("ADD_N", 1, "AddNOptions"),
    "Cast": Form("CAST", 1),
    "Equal": Form("EQUAL", 2, "EqualOptions"),
    "FloorDiv": Form("FLOOR_DIV", 2, "FloorDivOptions"),
    "FloorMod": Form("FLOOR_MOD", 1, "FloorModOptions"),
    "Greater": Form("GREATER", 2, "GreaterOptions"),
    "GreaterEqual": Form("GREATER_EQUAL", 2, "GreaterEqualOptions"),
    "Less": Form("LESS", 2, "LessOptions"),
    "LessEqual": Form("LESS_EQUAL", 2, "LessEqualOptions"),
    "LogicalAnd": Form("LOGICAL_AND", 1, "LogicalAndOptions"),
    "LogicalNot": Form("LOGICAL_NOT", 1, "LogicalNotOptions"),
    "LogicalOr": Form("LOGICAL_OR", 1, "LogicalOrOptions"),
    "Maximum": Form("MAXIMUM", 2, "MaximumMinimumOptions"),
    "Minimum": Form("MINIMUM", 2, "MaximumMinimumOptions"),
    "NotEqual": Form("NOT_EQUAL", 2, "NotEqualOptions"),
    "Pow": Form("POW", 1, "PowOptions"),
    "Select": Form("SELECT_V2", 1, "SelectV2Options"),
    "SquaredDifference": Form("SQUARED_DIFFERENCE", 2, "SquaredDifferenceOptions"),
    "Abs": Form("ABS", 2),
    "Ceil": Form("CEIL", 1),
    "Cos": Form("COS", 1),
    "Exp": Form("EXP", 2, "ExpOptions"),
    "Floor": Form("FLOOR", 1),
    "Log": Form("LOG", 2),
    "Neg": Form("NEG", 1, "NegOptions"),
    "Round": Form("ROUND", 1),
    "Rsqrt": Form("RSQRT", 2),
    "Sin": Form("SIN", 1),
    "Sqrt": Form("SQRT", 1),
    "Square": Form("SQUARE", 1, "SquareOptions"),
    "Softmax": Form("SOFTMAX", 2, "SoftmaxOptions", _softmax),
    "Reshape": Form("RESHAPE", 1),
    "Relu": Form("RELU", 2),
    "Relu6": Form("RELU6", 2),
    "ReluN1To1": Form("RELU_N1_TO_1", 1),
    "Elu": Form("ELU", 1),
    "LeakyRelu": Form("LEAKY_RELU", 2, "LeakyReluOptions", _leaky_relu),
    "Prelu": Form("PRELU", 1),
    "L2Normalization": Form("L2_NORMALIZATION", 2, "L2NormOptions"),
    "LogSoftmax": Form("LOG_SOFTMAX", 2, "LogSoftmaxOptions"),
    "Logistic": Form("LOGISTIC", 1),
    "Tanh": Form("TANH", 1),
    "HardSwish": Form("HARD_SWISH", 1),
    "Gelu": Form("GELU", 1, "GeluOptions", _gelu),
    "Transpose": Form("TRANSPOSE", 4),
    "Slice": Form("SLICE", 2, "SliceOptions"),
    "StridedSlice": Form("STRIDED_SLICE", 2, "StridedSliceOptions"),
    "Tile": Form("TILE", 2, "TileOptions"),
    "Gather": Form("GATHER", 4, "GatherOptions", _gather),
    "GatherNd": Form("GATHER_ND", 3, "GatherNdOptions"),
    "ResizeNearestNeighbor": Form("RESIZE_NEAREST_NEIGHBOR", 3, "ResizeNearestNeighborOptions", _resize),
    "BatchMatMul": Form("BATCH_MATMUL", 3, "BatchMatMulOptions", _batch_matmul),
    "OneHot": Form("ONE_HOT", 1, "OneHotOptions", _one_hot),
    "TopK": Form("TOPK_V2", 2, "TopKV2Options"),
    "DepthToSpace": Form("DEPTH_TO_SPACE", 1, "DepthToSpaceOptions", _block),
    "SpaceToDepth": Form("SPACE_TO_DEPTH", 1, "SpaceToDepthOptions", _block),
    "SpaceToBatchND": Form("SPACE_TO_BATCH_ND", 2),
    "BatchToSpaceND": Form("BATCH_TO_SPACE_ND", 2),
    "Quantize": Form("QUANTIZE", 2),
    "Dequantize": Form("DEQUANTIZE", 3),
    "Pad": Form("PAD", 2, "PadOptions"),
    "PadV2": Form("PADV2", 2, "PadV2Options"),
    "MirrorPad": Form("MIRROR_PAD", 2, "MirrorPadOptions", _mirror),
    "ResizeBilinear": Form("RESIZE_BILINEAR", 3, "ResizeBilinearOptions", _resize),
    "Mean": Form("MEAN", 2, "ReducerOptions", _reduction),
    "Sum": Form("SUM", 2, "ReducerOptions", _reduction),
    "ReduceAll": Form("REDUCE_ALL", 1, "ReducerOptions", _reduction),
    "ReduceAny": Form("REDUCE_ANY", 1, "ReducerOptions", _reduction),
    "ReduceMax": Form("REDUCE_MAX", 2, "ReducerOptions", _reduction),
    "ReduceMin": Form("REDUCE_MIN", 2, "ReducerOptions", _reduction),
    "ReduceProd": Form("REDUCE_PROD", 2, "ReducerOptions", _reduction),
    "ArgMax": Form("ARG_MAX", 2, "ArgMaxOptions", _arg_extreme),
    "ArgMin": Form("ARG_MIN", 2, "ArgMinOptions", _arg_extreme),
    "CumSum": Form("CUMSUM", 1, "CumsumOptions", _cumulative_sum),
    "Concatenation": Form("CONCATENATION", 2, "ConcatenationOptions", _concatenation),
    "EmbeddingLookup": Form("EMBEDDING_LOOKUP", 3),
    "Svdf": Form("SVDF", 4, "SVDFOptions", _svdf),
    "Rnn": Form("RNN", 3, "RNNOptions", _cell),
    "UnidirectionalSequenceRnn": Form("UNIDIRECTIONAL_SEQUENCE_RNN", 3, "SequenceRNNOptions", _sequence),
    "BidirectionalSequenceRnn": Form(
        "BIDIRECTIONAL_SEQUENCE_RNN", 3, "BidirectionalSequenceRNNOptions", _bidirectional
    ),
    "UnidirectionalSequenceLstm": Form(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", 3, "UnidirectionalSequenceLSTMOptions", _lstm
    ),
}

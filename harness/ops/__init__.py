"""The op vocabulary: for each op a shape rule, a NumPy reference and a count of multiply-accumulates.

One file per op family; each registers its ops with `@op("Name", …)`. The reference is written for reading:
it is what passes and kernels are compared against, and what `fold_constants` evaluates.

    op                inputs                          attributes
    Conv2D            x NHWC, weights OHWI, [bias]    stride (h, w), padding, dilation (h, w), activation
    DepthwiseConv2D   x NHWC, weights 1HWC, [bias]    stride, padding, dilation, activation, multiplier
    FullyConnected    x (…, in), weights (out, in), [bias]   activation, keep_dims: else (batch, in)
    MatMul            a, b                            transpose_a, transpose_b
    BiasAdd           x, bias                         —
    BatchNorm         x, gamma, beta, mean, variance  epsilon
    AveragePool2D     x NHWC                          filter (h, w), stride, padding, activation
    MaxPool2D         x NHWC                          filter, stride, padding, activation
    Add Sub Mul Div   a, b (broadcast)                activation
    FloorDiv FloorMod Pow Maximum Minimum SquaredDifference   a, b (broadcast)
    Equal NotEqual Less LessEqual Greater GreaterEqual LogicalAnd LogicalOr   a, b (broadcast)
    Abs Neg Square Sqrt Rsqrt Exp Log Sin Cos Floor Ceil Round LogicalNot   x
    Select            condition, a, b (broadcast)
    AddN              x…
    Cast              x                               dtype
    Relu Relu6 ReluN1To1 Elu   x
    LeakyRelu         x                               alpha
    Prelu             x, alpha (broadcast)
    Logistic Tanh Erf x
    Swish HardSwish   x
    Gelu              x                               approximate: by tanh
    Softmax           x, over the last axis           beta
    LogSoftmax L2Normalization   x, over the last axis
    Reshape           x, [shape const]                shape: used when there is no second input
    Squeeze           x                               axes: () means all of length 1
    Transpose         x, perm const
    Pad               x, paddings const (rank, 2)     value: 0.0
    MirrorPad         x, paddings const (rank, 2)     mode: "REFLECT" or "SYMMETRIC"
    ResizeBilinear    x NHWC, (height, width) const   align_corners, half_pixel_centers
    ResizeNearestNeighbor   x NHWC, (height, width) const   align_corners, half_pixel_centers
    TransposeConv2D   x NHWC, weights OHWI, [bias]    size (h, w) of the output, stride, padding, activation
    BatchMatMul       a, b                            adj_x, adj_y
    Slice             x, begin const, size const, [strides const]   —
    Tile              x, multiples const
    Gather            x, indices                      axis, batch_dims
    GatherNd          x, indices
    OneHot            indices, depth const, on, off   axis
    TopK              x, k const                      two outputs: values, indices
    DepthToSpace SpaceToDepth   x NHWC                block
    FusedResizeAndPadConv2D   x NHWC, weights OHWI, [bias]   size: None or (h, w), align_corners, pads, mode,
                                                      stride, activation
    Mean Sum ReduceMax ReduceMin ReduceProd ReduceAny ReduceAll   x, axes const   keep_dims
    ArgMax ArgMin     x, axis const                   dtype: int64
    CumSum            x, axis const                   exclusive, reverse
    SpaceToBatchND    x, block const, paddings const  —
    BatchToSpaceND    x, block const, crops const     —
    Concatenation     x…                              axis, activation
    Quantize Dequantize   x
    EmbeddingLookup Svdf Rnn UnidirectionalSequenceRnn BidirectionalSequenceRnn UnidirectionalSequenceLstm
                      see recurrent.py              function, …
    Identity PlaceholderWithDefault CheckNumerics StopGradient   x, passed through

`padding` is "SAME" or "VALID" (TensorFlow's rule) or explicit ((top, bottom), (left, right)).
Padding never counts in an average. `activation` is None, "relu", "relu6" or "relu_n1_to_1". Attributes left
out take the defaults that the op's file gives.
"""

from __future__ import annotations

import difflib
import importlib
import math
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.errors import FormatError
from harness.graph import OPTIONAL, Graph, Node, Tensor

Shape = tuple[int, ...]
MAX_ELEMENTS = 2**31 - 1  # of one tensor: a few bytes of a hostile file could ask for any number


@dataclass(frozen=True)
class OpSpec:
    """What the project knows of an op, independent of any runtime.

    infer(node, inputs) → [(shape, dtype)] of the outputs; reference(node, arrays) → output arrays, float32
    arithmetic; macs(node, inputs, output shape) → multiply-accumulates. Inputs left out are None. defaults:
    the attributes that a node may leave out, with what they then are.
    """

    infer: Callable[[Node, Sequence[Tensor | None]], list[tuple[Shape, np.dtype]]]
    reference: Callable[[Node, Sequence[np.ndarray | None]], list[np.ndarray]]
    macs: Callable[[Node, Sequence[Tensor | None], Shape], int]
    defaults: Mapping[str, object] = field(default_factory=dict)


OPS: dict[str, OpSpec] = {}


def op(*names: str):
    """Class decorator: registers a class's infer, reference and, if any, macs and defaults by these names."""

    def register(cls):
        macs = getattr(cls, "macs", lambda node, inputs, out: 0)
        for name in names:
            OPS[name] = OpSpec(cls.infer, cls.reference, macs, getattr(cls, "defaults", {}))
        return cls

    return register


def spec(node: Node) -> OpSpec:
    """The node's OpSpec; FormatError naming op and node where it is not known."""
    if node.op not in OPS:
        raise unsupported(node, "is not supported", OPS)
    return OPS[node.op]


def unsupported(node: Node, problem: str, known: Iterable[str]) -> FormatError:
    """The refusal of a node's op, with the nearest op there is and the way out."""
    near = difflib.get_close_matches(node.op, sorted(known), n=1, cutoff=0.7)
    hint = f"the nearest is {near[0]}, " if near else ""
    return FormatError(
        f"op '{node.op}' (node '{node.name}') {problem}: {hint}bench ops lists all; where the network does "
        "not need it, --inputs and --outputs of bench optimize cut it off"
    )


def infer_shapes(graph: Graph, *, partial: bool = False) -> Graph:
    """Fills in shape and dtype of every activation, in execution order. Returns the same graph.

    partial: leaves alone what an op that is not known, or a shape that is not known, has an influence on.
    Raises FormatError naming the node where inputs do not fit the op.
    """
    for node in graph.execution_order():
        inputs = [graph.tensors[n] if n != OPTIONAL else None for n in node.inputs]
        if partial and (node.op not in OPS or any(t is not None and t.shape is None for t in inputs)):
            continue
        inferred = _infer_node(node, inputs)
        if len(node.outputs) != len(inferred):
            raise FormatError(
                f"node '{node.name}' ({node.op}) has {len(node.outputs)} outputs, expected {len(inferred)}"
            )
        for name, (shape, dtype) in zip(node.outputs, inferred, strict=True):
            tensor = graph.tensors[name]
            tensor.shape = tuple(int(d) for d in shape)
            if math.prod(tensor.shape) > MAX_ELEMENTS:
                raise FormatError(
                    f"node '{node.name}' ({node.op}): its output of shape {tensor.shape} has more values "
                    f"than a tensor may have, {MAX_ELEMENTS}"
                )
            if tensor.quant is None:  # a quantized tensor already says its dtype
                tensor.dtype = np.dtype(dtype)
    return graph


def _infer_node(node: Node, inputs: list[Tensor | None]) -> list[tuple[Shape, np.dtype]]:
    infer = spec(node).infer
    for tensor in inputs:
        if tensor is not None and tensor.shape is None:
            raise FormatError(f"node '{node.name}' ({node.op}): the shape of '{tensor.name}' is not known")
    try:
        return infer(node, inputs)
    except (ValueError, IndexError, TypeError, KeyError, AttributeError, ZeroDivisionError) as error:
        raise FormatError(f"node '{node.name}' ({node.op}): inputs do not fit: {error}") from error


def run_reference(
    graph: Graph,
    feeds: dict[str, np.ndarray],
    fetch: Sequence[str] | None = None,
    state: dict[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Runs a graph in float with the NumPy references; returns the arrays of `fetch` (default: the outputs).

    Quantized constants take part with the real values that they stand for; activations are not rounded.
    state: arrays of the graph's variables, from `initial_state`, which this run changes; else they are zero.
    """
    values = {name: _reals(t) for name, t in graph.tensors.items() if t.is_const} | feeds
    values |= initial_state(graph) if state is None else state
    for node in graph.execution_order():
        arrays = [values[n] if n != OPTIONAL else None for n in node.inputs]
        try:
            values.update(zip(node.outputs, spec(node).reference(node, arrays), strict=True))
        except MemoryError as error:
            raise FormatError(f"node '{node.name}' ({node.op}) takes too much memory: {error}") from error
    return {name: values[name] for name in fetch or graph.outputs}


def initial_state(graph: Graph) -> dict[str, np.ndarray]:
    """What the graph's variables hold before the first inference: real values of zero."""
    variables = (tensor for tensor in graph.tensors.values() if tensor.is_variable)
    return {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in variables}


def _reals(constant: Tensor) -> np.ndarray:
    if constant.quant is not None:
        return constant.quant.dequantize(constant.data)
    return constant.data.astype(np.float32) if constant.dtype == np.float16 else constant.data


def node_macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of one inference of this node; needs inferred shapes."""
    inputs = [graph.tensors[n] if n != OPTIONAL else None for n in node.inputs]
    return spec(node).macs(node, inputs, graph.tensors[node.outputs[0]].shape)


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

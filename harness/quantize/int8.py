"""Full-integer post-training quantization: per-channel symmetric weights, calibrated asymmetric activations.

    before   x f32  ── Conv2D(w f32,  b f32)   ── y f32
    after    x int8 ── Conv2D(w int8, b int32) ── y int8     inputs and outputs of the network are int8 too

Some ops do not rescale, so their inputs and outputs share one quantization (TFLite 8-bit specification,
"restriction: Input and outputs must all have same scale/zero_point"); others have an output that is fixed, as
softmax's at scale 1/256 and zero point −128.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.errors import FormatError
from harness.formats import runtime_ops
from harness.graph import OPTIONAL, Graph, Node, Quantization
from harness.quantize import stages
from harness.quantize.calibrate import Range, activation_quantization
from harness.quantize.weights import CHANNEL_AXIS, channel_scales, quantize_weights, safe_scales

MOVING = {
    "BatchToSpaceND",
    "Concatenation",
    "DepthToSpace",
    "Gather",
    "GatherNd",
    "MirrorPad",
    "Pad",
    "Reshape",
    "ResizeNearestNeighbor",
    "Slice",
    "SpaceToBatchND",
    "SpaceToDepth",
    "Tile",
    "Transpose",
}
"""Ops whose outputs are values of their inputs."""
SAME_SCALE = MOVING | {
    "AveragePool2D",
    "MaxPool2D",
    "Maximum",
    "Minimum",
    "ReduceMax",
    "ReduceMin",
    "ResizeBilinear",
}
OPERANDS = {"Add", "Sub", "Mul", "Div", "Maximum", "Minimum", "SquaredDifference", "BatchMatMul", "Prelu"}
CONVERSIONS = {"Quantize", "Dequantize"}
FIXED_OUTPUTS = {
    "Softmax": Quantization(np.float32(1 / 256), np.int32(-128)),
    "Logistic": Quantization(np.float32(1 / 256), np.int32(-128)),
    "Tanh": Quantization(np.float32(1 / 128), np.int32(0)),
    "L2Normalization": Quantization(np.float32(1 / 128), np.int32(0)),
    "LogSoftmax": Quantization(np.float32(16 / 256), np.int32(127)),
}


@dataclass(frozen=True)
class Choices:
    """What may be chosen besides the ranges, by names of nodes. By default all is int8, rounded to nearest.

    one_scale: a scale for each weight tensor instead of each output channel. rounded: int8 weights in place
    of the nearest ones. shifts: float32 (output channels,) to add to biases. kept: stay in float.
    """

    one_scale: bool = False
    rounded: Mapping[str, np.ndarray] = field(default_factory=dict)
    shifts: Mapping[str, np.ndarray] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()


def quantize(
    graph: Graph,
    ranges: Mapping[str, Range],
    stage: int = stages.INTEGER_EDGES,
    choices: Choices = Choices(),  # noqa: B008 frozen
) -> Graph:
    """The int8 form of an optimized float graph, or what it is after an earlier stage (`stages.py`).

    ranges: of the graph's inputs and every node output. Float ops without an int8 kernel stay as they are,
    which only the last stage refuses. Raises FormatError naming a tensor whose range is missing or infinite,
    or the node that cannot be quantized.
    """
    graph = graph.clone()
    nodes = [node for node in graph.nodes if node.name not in choices.kept and convertible(graph, node)]
    stages.around_each_op(graph, nodes, _activation_quants(graph, nodes, ranges))
    for node in nodes:
        if node.op in CHANNEL_AXIS:
            _quantize_weighted(graph, node, choices)
        elif node.op in OPERANDS:
            shared = graph.tensors[node.outputs[0]].quant if node.op in SAME_SCALE else None
            node.inputs = [_quantize_operand(graph, name, shared) for name in node.inputs]
    if stage >= stages.WITHOUT_PAIRS:
        stages.remove_pairs(graph)
    if stage >= stages.INTEGER_EDGES:
        stages.make_edges_integer(graph)
        _refuse_float(graph, choices.kept)
    graph.drop_unused_tensors()
    return graph.verify()


def convertible(graph: Graph, node: Node) -> bool:
    """Whether the runtime has the op in int8 and all that it reads and writes while running is float."""
    if (
        node.op in CONVERSIONS
        or node.op not in runtime_ops()
        or "int8" not in runtime_ops()[node.op].arithmetics
    ):
        return False
    tensors = [graph.tensors[name] for name in (*node.inputs, *node.outputs) if name != OPTIONAL]
    return all(t.dtype == np.float32 and t.quant is None for t in tensors if not t.is_const)


def _refuse_float(graph: Graph, kept: frozenset[str]) -> None:
    """FormatError where a node that is not kept still touches float values; names an op rather than a
    conversion beside it."""
    for node in sorted(graph.nodes, key=lambda node: node.op in CONVERSIONS):
        if node.name in kept or (kept and node.op in CONVERSIONS):
            continue
        touched = {graph.tensors[name].dtype for name in (*node.inputs, *node.outputs) if name != OPTIONAL}
        if np.dtype(np.float32) in touched:
            raise FormatError(
                f"node '{node.name}' ({node.op}) has no int8 form, so the graph cannot be int8 as a whole; "
                f"stage {stages.WITHOUT_PAIRS} leaves it in float"
            )


def _activation_quants(
    graph: Graph, nodes: list[Node], ranges: Mapping[str, Range]
) -> dict[str, Quantization]:
    """One quantization for every activation of these nodes, shared within each group that must agree."""
    group_of = groups(graph, nodes)
    merged = merged_ranges(group_of, ranges)
    quants = {group: activation_quantization(seen) for group, seen in merged.items()}
    for node in nodes:
        if node.op in FIXED_OUTPUTS:
            quants[group_of[node.outputs[0]]] = FIXED_OUTPUTS[node.op]
    return {name: quants[group] for name, group in group_of.items()}


def groups(graph: Graph, nodes: list[Node]) -> dict[str, str]:
    """Activation → the representative of the group that must share one quantization (union-find)."""
    touched = [name for node in nodes for name in (*node.inputs, *node.outputs) if name != OPTIONAL]
    parent = {name: name for name in touched if not graph.tensors[name].is_const}

    def find(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for node in nodes:
        if node.op in SAME_SCALE:
            for name in node.inputs:
                if name in parent:
                    parent[find(name)] = find(node.outputs[0])
    return {name: find(name) for name in parent}


def merged_ranges(group_of: Mapping[str, str], ranges: Mapping[str, Range]) -> dict[str, Range]:
    """What the activations of each group of `groups` did together. Raises FormatError for a missing range."""
    merged: dict[str, Range] = {}
    for name, group in group_of.items():
        seen = ranges.get(name)
        if seen is None or not np.isfinite([seen.low, seen.high]).all():
            raise FormatError(f"calibration gave no finite range for '{name}'")
        merged[group] = merged[group].union(seen) if group in merged else seen
    return merged


def _quantize_weighted(graph: Graph, node: Node, choices: Choices) -> None:
    """int8 weights; int32 bias at scale s_in · s_w."""
    weights, bias = (*node.inputs, OPTIONAL)[1:3]
    for name in (weights, bias):
        if name != OPTIONAL and not graph.tensors[name].is_const:
            raise FormatError(
                f"node '{node.name}' ({node.op}): '{name}' is not a constant; cannot quantize it"
            )
    input_scale = graph.tensors[node.inputs[0]].quant.scale[0]
    bias_values = shifted_bias(graph, node, choices.shifts.get(node.name))
    axis = None if choices.one_scale else CHANNEL_AXIS[node.op]
    scales = channel_scales(graph.const(weights), axis)
    scales = safe_scales(scales, bias_values, input_scale)
    node.inputs[1] = quantize_weights(graph, node, scales, choices.rounded.get(node.name))
    if bias_values is not None:
        quant = Quantization(
            input_scale * scales, np.zeros(len(scales), np.int32), None if axis is None else 0
        )
        stored = graph.add_const(f"{bias or node.name}/int32", quant.quantize(bias_values, np.int32), quant)
        node.inputs[2:3] = [stored]


def shifted_bias(graph: Graph, node: Node, shift: np.ndarray | None) -> np.ndarray | None:
    """float32 (output channels,): the node's bias with the shift; None where it has neither."""
    bias = graph.const((*node.inputs, OPTIONAL)[2])
    if shift is None or bias is None:
        return bias if shift is None else np.asarray(shift, np.float32)
    return (bias + shift).astype(np.float32)


def _quantize_operand(graph: Graph, name: str, quant: Quantization | None) -> str:
    """A constant operand as int8, by `quant` or over its own range; an activation as it is."""
    values = graph.const(name)
    if values is None or values.dtype != np.float32:
        return name
    quant = quant or activation_quantization(Range(float(values.min()), float(values.max())))
    return graph.add_const(f"{name}/int8", quant.quantize(values, np.int8), quant)

"""fuse_quantization: an op between Dequantize and Quantize computes in integers itself.

    Before                                                     After

    x int8 ── Dequantize ── Conv2D ── Quantize ── y int8       x int8 ── Conv2D ── y int8
    w int8 ── Dequantize ─────┘                                w int8 ─────┘

    x int8 ── Dequantize ── MaxPool2D ── Quantize ── y int8    x int8 ── MaxPool2D ── Quantize ── y int8

    x int8 ── Dequantize ── Slice ── y                         x int8 ── Slice ── Dequantize ── y

    c int8 ── Dequantize ── BatchNorm ── y                     c f32 ── BatchNorm ── y

This is how ONNX writes quantized networks (QDQ). The second form is that of ops which cannot change the scale
(`int8.SAME_SCALE`), where input and output have different ones; the third, of ops that only move values; the
last, of constants that an op without integer arithmetic reads.

Conditions: the runtime has the op in int8 (not for the last); every float value that it reads is dequantized
from int8, or a constant bias; its output has one reader, the Quantize, and is not a graph output; a Softmax
is quantized to scale 1/256 and zero point −128, as its kernel has it; a Mean's zero point is a whole number
in the output's scale too, since TFLite's kernel cuts off the rest. Outputs change by the rounding inside of
one op; a convolution before a Quantize that `rounds_once`, as ONNX Runtime's does, takes that over from it.

Formula (Jacob et al. 2018, §2.2):  the bias is int32 at scale s_x · s_w
"""

from __future__ import annotations

import numpy as np

from harness.formats import runtime_ops
from harness.graph import OPTIONAL, Graph, Node, Quantization
from harness.passes._edit import Editor
from harness.quantize.int8 import CONVERSIONS, FIXED_OUTPUTS, MOVING, SAME_SCALE
from harness.quantize.weights import CHANNEL_AXIS

INT8 = np.dtype(np.int8)
BIAS_LIMIT = 2.0**31 - 1
WHOLE = 1e-3  # of a step


def run(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in edit.nodes():
        if node.op in CONVERSIONS or len(node.outputs) != 1 or not edit.is_float(*node.outputs):
            continue
        if "int8" not in _arithmetics(node):
            if node.op not in CHANNEL_AXIS:
                _expand_constants(edit, node)
            continue
        follower = edit.only_reader(node)
        if follower is not None and follower.op == "Quantize":
            _fuse(edit, node, follower)
        elif node.op in MOVING - {"Concatenation"} and not node.attrs.get("value"):
            _move_stored(edit, node)
    return edit.finish()


def _arithmetics(node: Node) -> tuple[str, ...]:
    known = runtime_ops().get(node.op)
    return () if known is None else tuple(known.arithmetics)


def _fuse(edit: Editor, node: Node, follower: Node) -> None:
    tensors = edit.graph.tensors
    target = tensors[follower.outputs[0]].quant
    if node.op in FIXED_OUTPUTS and not _equal(target, FIXED_OUTPUTS[node.op]):
        return
    before = _dequantizers(edit, node)
    if before is None or (node.op == "Mean" and not _whole_zero_point(edit, node, before, target)):
        return
    bias = None
    if node.op in CHANNEL_AXIS and node.inputs[2:3] not in ([], [OPTIONAL]):
        bias = _bias(edit, node, before)
        if bias is None:
            return
    joined = len(before) > 1 and node.op in SAME_SCALE
    for producer in before.values():
        found = tensors[producer.inputs[0]].quant
        if joined and not _equal(found, target):
            _rescale(edit, node, producer, target)
        else:
            edit.skip(node, producer)
    if bias is not None:
        _set_bias(edit, node, *bias)
    first = tensors[node.inputs[0]].quant
    if node.op in SAME_SCALE and not joined and not _equal(first, target):
        tensors[node.outputs[0]].dtype, tensors[node.outputs[0]].quant = INT8, first
    else:
        edit.absorb(node, follower)
    if node.op == "Conv2D" and follower.attrs.get("rounds_once"):
        node.attrs["rounds_once"] = True


def _whole_zero_point(edit: Editor, node: Node, before: dict[str, Node], target: Quantization) -> bool:
    source = edit.graph.tensors[before[node.inputs[0]].inputs[0]].quant
    moved = float(source.zero_point[0]) * float(source.scale[0]) / float(target.scale[0])
    return abs(moved - round(moved)) < WHOLE


def _expand_constants(edit: Editor, node: Node) -> None:
    for index, name in enumerate(node.inputs):
        producer = edit.producer(name)
        if producer is None or producer.op != "Dequantize":
            continue
        stored = edit.graph.tensors[producer.inputs[0]]
        if stored.is_const and stored.quant is not None:
            values = edit.graph.add_const(name, stored.quant.dequantize(stored.data))
            edit.rewrite(
                node, node.op, [*node.inputs[:index], values, *node.inputs[index + 1 :]], **node.attrs
            )


def _move_stored(edit: Editor, node: Node) -> None:
    """The op moves the stored values, and they are dequantized after it."""
    producer, output = edit.producer(node.inputs[0]), node.outputs[0]
    if producer is None or producer.op != "Dequantize" or output in edit.graph.outputs:
        return
    stored = edit.graph.tensors[producer.inputs[0]]
    if stored.is_const or stored.dtype != INT8:
        return
    moved = edit.add(node.op, f"{output}/int8", [stored.name, *node.inputs[1:]], **node.attrs)
    edit.graph.tensors[moved].quant = stored.quant
    edit.rewrite(node, "Dequantize", [moved])


def _dequantizers(edit: Editor, node: Node) -> dict[str, Node] | None:
    """Float input → the Dequantize that writes it, bias left out; None where the op cannot be fused."""
    found: dict[str, Node] = {}
    for index, name in enumerate(node.inputs):
        if name == OPTIONAL or edit.graph.tensors[name].dtype != np.float32:
            continue  # a list of axes or sizes
        if node.op in CHANNEL_AXIS and index == 2:
            continue
        producer = edit.producer(name)
        if producer is None or producer.op != "Dequantize":
            return None
        stored = edit.graph.tensors[producer.inputs[0]]
        weights = node.op in CHANNEL_AXIS and index == 1
        if stored.dtype != np.int8 or (stored.quant.per_channel and not weights):
            return None
        if weights and not (stored.is_const and stored.quant.axis in (None, CHANNEL_AXIS[node.op])):
            return None
        found[name] = producer
    return found or None


def _bias(edit: Editor, node: Node, before: dict[str, Node]) -> tuple[np.ndarray, Quantization] | None:
    """The bias as int32 at the scale of the products; None where it is not a constant or does not fit."""
    producer, values = edit.producer(node.inputs[2]), edit.graph.const(node.inputs[2])
    if producer is not None and producer.op == "Dequantize":
        stored = edit.graph.tensors[producer.inputs[0]]
        values = stored.quant.dequantize(stored.data).astype(np.float64) if stored.is_const else None
    if values is None:
        return None
    scales = [edit.graph.tensors[before[name].inputs[0]].quant.scale for name in node.inputs[:2]]
    scale = np.broadcast_to(scales[0] * scales[1], values.shape).astype(np.float32)
    levels = np.rint(values / scale.astype(np.float64))
    if not np.all(np.abs(levels) <= BIAS_LIMIT):
        return None
    return levels.astype(np.int32), Quantization(scale, np.zeros(len(scale), np.int32), 0)


def _set_bias(edit: Editor, node: Node, levels: np.ndarray, quant: Quantization) -> None:
    old = node.inputs[2]
    producer = edit.producer(old)
    if producer is not None and edit.readers(old) == [node]:
        edit.remove(producer)
    edit.set_const(node, 2, levels, f"{old}/int32")
    edit.graph.tensors[node.inputs[2]].quant = quant


def _rescale(edit: Editor, node: Node, producer: Node, quant: Quantization) -> None:
    """`node` reads the int8 value behind `producer` at another scale."""
    old, base = producer.outputs[0], f"{producer.inputs[0]}/rescaled"
    rescaled = edit.add("Quantize", base, [producer.inputs[0]])
    edit.graph.tensors[rescaled].quant = quant
    edit.redirect([node], old, rescaled)
    if not edit.readers(old) and old not in edit.graph.outputs:
        edit.remove(producer)


def _equal(a: Quantization, b: Quantization) -> bool:
    return np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)

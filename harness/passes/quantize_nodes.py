"""quantize_nodes: float ops become 8-bit ops.

    Before   x f32 ─ A f32 ─ B f32 ─ y f32

    After    x f32 ─ A hybrid ─ B hybrid ─ y f32                                  no ranges are known
             x f32 ─ Quantize ─ A ─ Dequantize ─ Quantize ─ B ─ Dequantize ─ y    stage 1
             x f32 ─ Quantize ─ A ────────────────────────── B ─ Dequantize ─ y   stage 2
             x int8 ─────────── A ────────────────────────── B ────────── y int8  stage 3

Where nobody says which values the activations take, each op finds minimum and maximum while it runs
(`hybrid`: int8 weights, float inputs and outputs). Where ranges are known, `stage` says how far to go: around
each op, without the pairs in between, or the whole graph in 8 bits (`harness/quantize/stages.py`).

Conditions: the runtime has the op in int8 (or hybrid), and all that it reads and writes while running is
float. For the stages, the graph is first put into the ops of the runtime (`passes.LOWERING`). Weights that
`quantize_weights` made int8 stay as they are where a hybrid op can read them so; else they are expanded and
quantized again, per channel. Outputs change by the rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness import passes
from harness.errors import UsageError
from harness.graph import Graph
from harness.passes import dequantize_weights, strip_unused_nodes
from harness.passes._edit import Editor
from harness.quantize import hybrid, int8
from harness.quantize.calibrate import Range
from harness.quantize.stages import INTEGER_EDGES, STAGES

ONE_SCALE = {"Conv2D", "FullyConnected"}  # LiteRT's DepthwiseConv2D wants one for each channel

Calibrate = Callable[[Graph], Mapping[str, Range]]
"""Observes the ranges of a float graph's inputs and node outputs."""


def run(
    graph: Graph,
    stage: int | None = None,
    input_min: float | None = None,
    input_max: float | None = None,
    fallback_min: float | None = None,
    fallback_max: float | None = None,
    calibrate: Calibrate | None = None,
) -> Graph:
    """stage: the last one done, 3 where left out; it needs ranges.

    input_min … input_max: the range of the graph's inputs. fallback_min … fallback_max: of every activation
    that nothing else gives a range. calibrate: observes them all. Raises UsageError for a stage or range that
    cannot be, FormatError naming the node or tensor that cannot be quantized.
    """
    of_inputs = _range("input", input_min, input_max)
    fallback = _range("fallback", fallback_min, fallback_max)
    if stage is not None and stage not in STAGES:
        raise UsageError(f"quantize_nodes: stage={stage}, but the stages are {', '.join(map(str, STAGES))}")
    if calibrate is None and fallback is None:
        if stage is not None or of_inputs is not None:
            raise UsageError(
                "quantize_nodes: a stage needs the range of every activation: give samples to calibrate on, "
                "or fallback_min and fallback_max"
            )
        return hybrid.quantize(dequantize_weights.expand(_read_stored(graph)))
    graph = passes.apply(dequantize_weights.run(graph), passes.LOWERING)
    ranges = dict.fromkeys(graph.tensors, fallback) if fallback else {}
    ranges |= calibrate(graph) if calibrate else {}
    ranges |= dict.fromkeys(graph.inputs, of_inputs) if of_inputs else {}
    return int8.quantize(graph, ranges, stage or INTEGER_EDGES)


def _read_stored(graph: Graph) -> Graph:
    """Convolutions and fully connected layers read the int8 weights of `quantize_weights` themselves.

    Their hybrid kernels take one scale for all channels; a scale for each would not undo the first rounding.
    """
    edit = Editor(graph)
    for node in edit.nodes():
        weights = edit.producer(node.inputs[1]) if node.op in ONE_SCALE else None
        if weights is not None and weights.op == "Dequantize":
            stored = edit.graph.tensors[weights.inputs[0]]
            if stored.is_const and stored.quant is not None and not stored.quant.per_channel:
                edit.redirect([node], node.inputs[1], stored.name)
    return strip_unused_nodes.run(edit.finish())


def _range(name: str, low: float | None, high: float | None) -> Range | None:
    if low is None and high is None:
        return None
    if low is None or high is None or not low < high:
        raise UsageError(f"quantize_nodes: {name}_min={low} and {name}_max={high} are no range")
    return Range(low, high)

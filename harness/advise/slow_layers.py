"""Layers that hold a variant up, and why, from its stored profile and the float variant's.

A layer's rate is held against the fastest layer of the same profile: a roofline of what this network and
these kernels reach on this device. On a device the cost is time, on an emulator instructions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.runner_events import NodeTime

SHARE = 0.05  # of the whole, below which a layer holds nothing up
SLOW = 0.5  # of the best rate, below which a layer is slow
FEW_MACS_PER_BYTE = 2.0  # every byte moved serves no more multiplications than that
MOST = 3  # layers that are named


@dataclass(frozen=True)
class SlowLayer:
    """share: of the whole cost. against_float: its cost as a ratio to the float variant's, None if unknown.

    rate, best_rate: MACs per nanosecond or per instruction, of this layer and of the layer `best`.
    """

    name: str
    share: float
    against_float: float | None
    rate: float
    best: str
    best_rate: float
    why: str


def cost(node: NodeTime, emulated: bool) -> float:
    """Nanoseconds, or instructions (0 where none were counted)."""
    return float(node.instructions or 0) if emulated else node.median_ns


def slow_layers(
    layers: Sequence[NodeTime], float_layers: Sequence[NodeTime], emulated: bool
) -> list[SlowLayer]:
    """The slow layers of a profile by their share, at most MOST; none where costs are not known."""
    costs = {node.index: cost(node, emulated) for node in layers}
    whole = sum(costs.values())
    rates = {node.index: node.macs / costs[node.index] for node in layers if costs[node.index]}
    if not rates or not whole:
        return []
    best = max((node for node in layers if node.index in rates), key=lambda node: rates[node.index])
    before = {node.name: cost(node, emulated) for node in float_layers}
    found = [
        SlowLayer(
            node.name,
            costs[node.index] / whole,
            costs[node.index] / before[node.name] if before.get(node.name) else None,
            rates[node.index],
            best.name,
            rates[best.index],
            _why(node, layers),
        )
        for node in layers
        if costs[node.index] >= SHARE * whole and rates[node.index] < SLOW * rates[best.index]
    ]
    return sorted(found, key=lambda layer: -layer.share)[:MOST]


def _why(node: NodeTime, layers: Sequence[NodeTime]) -> str:
    if node.arithmetic == "f32" and any(other.macs and other.arithmetic != "f32" for other in layers):
        return "it computes in float, between conversions: it has no integer form here"
    if not node.macs:
        return "it multiplies nothing: it moves values or looks them up"
    if node.op == "DEPTHWISE_CONV_2D":
        return "depthwise: every value meets one filter only, so loading it costs more than using it"
    if node.macs < FEW_MACS_PER_BYTE * node.bytes:
        return f"it moves much for what it multiplies: {node.macs / node.bytes:.1f} MACs a byte"
    return "its shape (few channels) does not fill the kernel's tiles"

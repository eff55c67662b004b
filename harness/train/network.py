"""A float graph as a trainable module, its activations and weights quantized as the int8 runtime will do it.

    x ─ fq ─ Conv2D(fq(w), fq(b)) ─ fq ─ DepthwiseConv2D(…) ─ fq ─ … ─ Softmax ─ fq ─ y

Activations are rounded where the runtime requantizes, after each op that computes (harness/quantize/int8.py
says which share one scale, and which scales are fixed); ops that only move values leave them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from harness.errors import FormatError
from harness.graph import OPTIONAL, Graph, Node
from harness.ops import unsupported
from harness.quantize import int8
from harness.quantize.calibrate import Range, activation_quantization
from harness.quantize.int8 import FIXED_OUTPUTS, OPERANDS, Choices, convertible, groups, merged_ranges
from harness.quantize.weights import CHANNEL_AXIS
from harness.train.fake_quant import fake_quantize, on_grid
from harness.train.layers import Weighted
from harness.train.norms import BatchNorm
from harness.train.ops import OPS
from harness.train.ranges import Ranges

KEEP_GRID = {"Concatenation", "MaxPool2D", "Maximum", "Minimum", "Reshape", "Squeeze"}
"""Ops that share one scale and whose outputs are values of their inputs, unless an activation follows."""


@dataclass(frozen=True)
class Arithmetic:
    """int8. ranges: of every activation, to begin with. choices: of one scale, and of what is kept float."""

    ranges: Mapping[str, Range]
    choices: Choices = Choices()  # noqa: RUF009 frozen


class Network(nn.Module):
    """graph: optimized, one float input and one output, batch 1. norms: of `batch_norms`, to be trained too.
    arithmetic: None trains in float32.

    `forward` takes batches of any size. Raises FormatError naming a node that cannot be trained.
    """

    def __init__(self, graph: Graph, norms: Mapping[str, BatchNorm], arithmetic: Arithmetic | None) -> None:
        super().__init__()
        self.graph = graph
        self.arithmetic = arithmetic
        self.order = graph.execution_order()
        self.weighted = nn.ModuleDict()
        self._key: dict[str, str] = {}  # a module's name may hold no dot
        for node in self.order:
            self._add(node, norms.get(node.name))
        nodes = [] if arithmetic is None else [node for node in self.order if self._is_int8(node)]
        self._group = groups(graph, nodes)
        self._fixed = {
            self._group[node.outputs[0]]: FIXED_OUTPUTS[node.op] for node in nodes if node.op in FIXED_OUTPUTS
        }
        self.ranges = Ranges(merged_ranges(self._group, arithmetic.ranges if arithmetic else {}))
        self._per_channel = arithmetic is None or not arithmetic.choices.one_scale
        self.logits = _logits(graph)
        self._spent = _spent(graph, self.order)

    def _is_int8(self, node: Node) -> bool:
        return node.name not in self.arithmetic.choices.kept and convertible(self.graph, node)

    def _add(self, node: Node, norm: BatchNorm | None) -> None:
        if node.op in CHANNEL_AXIS and node.op != "TransposeConv2D":
            weights, bias = (self.graph.const(name) for name in (*node.inputs, OPTIONAL)[1:3])
            if weights is None or weights.dtype != np.float32:
                raise FormatError(
                    f"node '{node.name}' ({node.op}) has no constant float weights to be trained"
                )
            self._key[node.name] = str(len(self._key))
            self.weighted[self._key[node.name]] = Weighted(node, weights, bias, norm)
        elif node.op not in OPS:
            raise unsupported(node, "cannot be trained", [*OPS, *CHANNEL_AXIS])

    def layer(self, node: Node) -> Weighted | None:
        """The module of a node with weights."""
        return self.weighted[self._key[node.name]] if node.name in self._key else None

    # --- computing ---

    def forward(self, x: torch.Tensor, fetch: tuple[str, ...], exact: bool = False) -> list[torch.Tensor]:
        """Real values of the tensors `fetch` for x, float32 (batch, …).

        exact: in float64 and with the runtime's two roundings, without gradients: to predict what int8 gives.
        """
        source = self.graph.inputs[0]
        values = {source: self._quantized(source, x, exact)}
        if exact:
            values[source] = values[source].double()
        for node in self.order:
            values[node.outputs[0]] = self._run(node, values, exact)
            for name in self._spent[node.name].difference(fetch):
                del values[name]
        return [values[name] for name in fetch]

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """What softmax is taken of, or the output where there is none: (batch, classes)."""
        return self(x, (self.logits,))[0].flatten(1)

    def freeze_norms(self, frozen: bool) -> None:
        """Whether batch norms keep the statistics they have, or follow the batches."""
        for layer in self.weighted.values():
            if layer.norm is not None:
                layer.norm.frozen = frozen

    def _run(self, node: Node, values: dict[str, torch.Tensor], exact: bool) -> torch.Tensor:
        name, layer = node.outputs[0], self.layer(node)
        if layer is None:
            y = OPS[node.op](self.graph, node, self._operands(node, values))
            if node.op in KEEP_GRID and not node.attrs.get("activation"):
                return y
            return self._quantized(name, y, exact, on_codes=exact and node.op == "AveragePool2D")
        source = node.inputs[0]
        scale = self._quantization(source)[0] if source in self._group else None
        output_scale = self._quantization(name)[0] if exact and scale is not None else None
        y = layer(values[source], scale, self._per_channel, output_scale)
        return self._quantized(name, y, exact)

    def _operands(self, node: Node, values: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """The inputs that are computed with; constants that the int8 op reads as int8 are rounded so."""
        found = []
        for name in node.inputs:
            constant = self.graph.const(name)
            if constant is None:
                found.append(values[name])
            elif node.op in OPERANDS:
                if node.outputs[0] in self._group:
                    quant = activation_quantization(Range(float(constant.min()), float(constant.max())))
                    constant = quant.dequantize(quant.quantize(constant, np.int8))
                found.append(torch.from_numpy(constant))
        return found

    def _quantized(self, name: str, x: torch.Tensor, exact: bool, on_codes: bool = False) -> torch.Tensor:
        """x rounded to the grid of tensor `name`; as it is where that stays float.

        on_codes: ties are away from the int8 code 0, not from the value 0, as in an average of codes.
        """
        if name not in self._group:
            return x
        scale, zero_point = self._quantization(name)
        if on_codes:
            offset = zero_point.to(x.dtype) * scale.to(x.dtype)
            return on_grid(x + offset, scale, torch.zeros_like(zero_point)) - offset
        return on_grid(x, scale, zero_point) if exact else fake_quantize(x, scale, zero_point)

    def _quantization(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """float32 scale and zero point, each of shape ()."""
        group = self._group[name]
        if group in self._fixed:
            fixed = self._fixed[group]
            return torch.tensor(fixed.scale[0]), torch.tensor(float(fixed.zero_point[0]))
        return self.ranges.quantization(group)

    # --- what was learned ---

    def float_graph(self) -> Graph:
        """The graph with the weights as they are now, batch norms folded."""
        graph = self.graph.clone()
        for node in graph.nodes:
            layer = self.layer(node)
            if layer is None:
                continue
            for index, values in enumerate(layer.folded(), 1):
                if values is not None:
                    node.inputs[index] = graph.add_const(node.inputs[index], values.detach().numpy().copy())
        graph.drop_unused_tensors()
        return graph.verify()

    def int8_graph(self) -> Graph:
        """The graph that computes in the runtime what is simulated here."""
        ranges = {name: self.ranges.range(group) for name, group in self._group.items()}
        return int8.quantize(self.float_graph(), ranges, choices=self.arithmetic.choices)


def _spent(graph: Graph, order: list[Node]) -> dict[str, set[str]]:
    """Node → the activations that nobody reads after it."""
    last = {name: node.name for node in order for name in (*node.outputs, *node.inputs) if name}
    spent: dict[str, set[str]] = {node.name: set() for node in order}
    for name, node in last.items():
        if not graph.tensors[name].is_const:
            spent[node].add(name)
    return spent


def _logits(graph: Graph) -> str:
    """What the last softmax is taken of, its output reshaped or not; the output where there is none."""
    writers = graph.producers()
    node = writers.get(graph.outputs[0])
    while node is not None and node.op in ("Reshape", "Squeeze"):
        node = writers.get(node.inputs[0])
    return node.inputs[0] if node is not None and node.op == "Softmax" else graph.outputs[0]

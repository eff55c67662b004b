"""One operator of a .tflite file, as the translators of `tflite_ops` see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import tflite

from harness.errors import FormatError
from harness.graph import OPTIONAL, Graph, Node, Tensor
from harness.ops import Shape

Translation = tuple[str, list[str], dict]  # IR op, input names, attributes
Translator = Callable[["Operator"], Translation | None]  # None: what the operator says is all in its nodes

PADDINGS = {tflite.Padding.SAME: "SAME", tflite.Padding.VALID: "VALID"}
ACTIVATIONS = {
    tflite.ActivationFunctionType.NONE: None,
    tflite.ActivationFunctionType.RELU: "relu",
    tflite.ActivationFunctionType.RELU_N1_TO_1: "relu_n1_to_1",
    tflite.ActivationFunctionType.RELU6: "relu6",
}


@dataclass(frozen=True)
class Operator:
    """One operator: TFLite's op name, the IR name, tensors, the graph's tensors, the flatbuffer record.

    nodes: what runs before the node that the translation becomes.
    """

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    graph: Graph
    record: tflite.Operator
    nodes: list[Node] = field(default_factory=list)

    def error(self, problem: str) -> FormatError:
        return FormatError(f"node '{self.name}' ({self.op}) {problem}")

    def args(self, least: int, most: int | None = None) -> list[str]:
        """`least` to `most` inputs, the first `least` of them not left out; trailing gaps are dropped."""
        inputs = list(self.inputs)
        while inputs and inputs[-1] == OPTIONAL:
            inputs.pop()
        most = least if most is None else most
        if not least <= len(inputs) <= most or OPTIONAL in inputs[:least]:
            raise self.error(f"has inputs {inputs}, expected {least} to {most}")
        return inputs

    def shape(self, name: str) -> Shape:
        return self.graph.tensors[name].shape

    def constant(self, name: str, what: str) -> np.ndarray:
        """The values of an input that the graph must know before it runs."""
        values = self.graph.const(name)
        if values is None:
            raise self.error(f"has {what} '{name}', which only running it tells: that is not supported")
        return values

    def integers(self, name: str, what: str) -> list[int]:
        values = self.constant(name, what)
        if values.dtype.kind not in "iu":
            raise self.error(f"has {what} of {values.dtype}, expected integers")
        return values.reshape(-1).tolist()

    def axis(self, number: int, rank: int) -> int:
        """An axis counted from the front."""
        if not -rank <= number < rank:
            raise self.error(f"has axis {number} of {rank}")
        return number % rank

    def _free_name(self, base: str) -> str:
        name = f"{self.name}/{base}"
        while name in self.graph.tensors:
            name += "_"
        return name

    def add_const(self, base: str, values) -> str:
        """Adds an int32 constant, or the array given, and returns its name."""
        values = values if isinstance(values, np.ndarray) else np.array(values, np.int32)
        name = self._free_name(base)
        self.graph.tensors[name] = Tensor(name, values.shape, values.dtype, values)
        return name

    def insert(self, op: str, base: str, inputs: list[str], attrs: dict) -> str:
        """Adds a node whose output has the dtype and quantization of its first input; returns that output."""
        like, name = self.graph.tensors[inputs[0]], self._free_name(base)
        self.graph.tensors[name] = Tensor(name, None, like.dtype, None, like.quant)
        self.add(op, inputs, attrs, name)
        return name

    def add(self, op: str, inputs: list[str], attrs: dict, output: str) -> None:
        """Adds a node with one output that exists."""
        self.nodes.append(Node(op, output, inputs, [output], attrs))

    def settle(self, values: np.ndarray) -> None:
        """The operator's output is a constant."""
        out = self.graph.tensors[self.outputs[0]]
        out.data, out.shape = values.astype(out.dtype), values.shape

    def options(self, kind: str):
        """The options table of this kind, or None where the file has none: then the defaults hold."""
        table = self.record.BuiltinOptions()
        if table is None:
            return None
        if self.record.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, kind):
            raise self.error(f"has options of type {self.record.BuiltinOptionsType()}, expected {kind}")
        options = getattr(tflite, kind)()
        options.Init(table.Bytes, table.Pos)
        return options

    def required(self, kind: str):
        options = self.options(kind)
        if options is None:
            raise self.error(f"has no {kind}")
        return options

    def activation(self, options) -> str | None:
        number = options.FusedActivationFunction() if options is not None else 0
        if number not in ACTIVATIONS:
            raise self.error(f"has fused activation {number}, which is not supported")
        return ACTIVATIONS[number]

    def window(self, options) -> dict:
        """Stride, padding and activation of a convolution or pooling."""
        if options.Padding() not in PADDINGS:
            raise self.error(f"has padding {options.Padding()}, which is not known")
        return {
            "stride": (options.StrideH(), options.StrideW()),
            "padding": PADDINGS[options.Padding()],
            "activation": self.activation(options),
        }


def plain(op: str, count: int = 1) -> Translator:
    """An op with so many inputs and no options."""
    return lambda operator: (op, operator.args(count), {})

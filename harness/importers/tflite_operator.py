"""One operator of a .tflite file, as the translators of `tflite_ops` see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tflite

from harness.errors import FormatError
from harness.graph import OPTIONAL, Graph

Translation = tuple[str, list[str], dict]  # IR op, input names, attributes
Translator = Callable[["Operator"], Translation]

PADDINGS = {tflite.Padding.SAME: "SAME", tflite.Padding.VALID: "VALID"}
ACTIVATIONS = {
    tflite.ActivationFunctionType.NONE: None,
    tflite.ActivationFunctionType.RELU: "relu",
    tflite.ActivationFunctionType.RELU_N1_TO_1: "relu_n1_to_1",
    tflite.ActivationFunctionType.RELU6: "relu6",
}


@dataclass(frozen=True)
class Operator:
    """One operator: TFLite's op name, the IR name, tensors, the graph's tensors, the flatbuffer record."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    graph: Graph
    record: tflite.Operator

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

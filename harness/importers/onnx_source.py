"""What a translator sees of one ONNX node: its inputs as values, its attributes checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from harness.errors import FormatError
from harness.importers.onnx_tensors import array
from harness.importers.onnx_values import Form, Value, Values

Pads = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Source:
    """One node. inputs: None where one is left out. outputs: how many. opset: of ONNX's own operators."""

    op: str
    name: str
    inputs: list[Value | None]
    outputs: int
    attrs: dict[str, object]
    values: Values
    opset: int

    def error(self, problem: str) -> FormatError:
        return FormatError(f"node '{self.name}' ({self.op}) {problem}")

    # --- inputs ---

    def args(self, least: int, most: int | None = None) -> list[Value]:
        """`least` to `most` inputs, the first `least` of them not left out; gaps at the end are dropped."""
        inputs = list(self.inputs)
        while inputs and inputs[-1] is None:
            inputs.pop()
        most = least if most is None else most
        if not least <= len(inputs) <= most or None in inputs[:least]:
            raise self.error(f"has {len(inputs)} inputs, expected {least} to {most}")
        return inputs

    def given(self, index: int) -> Value | None:
        """Input `index`; None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def known(self, index: int, what: str) -> np.ndarray | None:
        """The values of input `index`, which have to be known now; None where it is left out."""
        value = self.given(index)
        if value is not None and value.data is None:
            raise self.error(f"has {what} that are computed from the network's input: not supported")
        return None if value is None else value.data

    def ints(self, index: int, attribute: str, default: Sequence[int] | None = None) -> list[int] | None:
        """Whole numbers that are an input in newer opsets and were an attribute before."""
        data = self.known(index, attribute)
        if data is not None:
            return [int(n) for n in np.reshape(data, -1)]
        found = self.attr(attribute, default)
        return None if found is None else [int(n) for n in found]

    def image(self, value: Value) -> Value:
        """The value, if it has height and width."""
        if value.rank != 4:
            raise self.error(f"has an input of shape {value.shape}; images have four axes")
        return value

    # --- attributes ---

    def attr(self, name: str, default=None):
        """An attribute's value; text as str."""
        found = self.attrs.get(name, default)
        return found.decode("utf-8", "replace") if isinstance(found, bytes) else found

    def flag(self, name: str, default: int = 0) -> bool:
        return bool(self.attr(name, default))

    def axis(self, number: int, rank: int) -> int:
        """An axis, not negative."""
        if not -rank <= number < rank:
            raise self.error(f"names axis {number} of {rank}")
        return int(number) % rank

    def pair(self, name: str, default: tuple[int, int] = (1, 1)) -> tuple[int, int]:
        """(height, width) of an attribute such as strides."""
        found = tuple(int(n) for n in self.attr(name, default))
        if len(found) != 2 or min(found) < 1:
            raise self.error(f"has {name} {list(found)}, expected height and width")
        return found

    def padding(self, size: Sequence[int], window: Sequence[int], stride, dilation) -> str | Pads:
        """ "SAME", "VALID" or ((top, bottom), (left, right)) of a convolution or pooling."""
        mode = self.attr("auto_pad", "NOTSET")
        if mode in ("VALID", "SAME_UPPER"):
            return {"VALID": "VALID", "SAME_UPPER": "SAME"}[mode]
        if mode == "SAME_LOWER":  # the odd pixel before
            pads = []
            for length, extent, step, spread in zip(size, window, stride, dilation, strict=True):
                total = max((-(-length // step) - 1) * step + (extent - 1) * spread + 1 - length, 0)
                pads.append((total - total // 2, total // 2))
            return tuple(pads)
        pads = [int(n) for n in self.attr("pads", (0, 0, 0, 0))]
        if mode != "NOTSET" or len(pads) != 4:
            raise self.error(f"has padding '{mode}' {pads}, which is not supported")
        return (pads[0], pads[2]), (pads[1], pads[3])

    # --- building ---

    def node(self, op: str, inputs: list[str], form: Form, **attrs: object) -> Value:
        return self.values.node(op, inputs, form, **attrs)

    def read(self, value: Value, form: Form | None = None) -> str:
        return self.values.read(value, form)

    def scalar(self, number: float) -> Value:
        return self.values.constant(np.float32(number).reshape(()))

    def unary(self, op: str, x: Value, **attrs: object) -> Value:
        """An op that works element by element, in whatever form x has."""
        return self.node(op, [self.read(x, x.form)], x.form, **attrs)

    def binary(self, op: str, a: Value, b: Value) -> Value:
        """Two operands in one form, broadcast as NumPy does."""
        rank = max(a.rank, b.rank)
        whole = [v for v in (a, b) if v.rank == rank and v.data is None]
        form = max((v.form for v in whole), default=tuple(range(rank)))
        if any(v.rank not in (rank, 0) and v.data is None for v in (a, b)):
            form = tuple(range(rank))
        return self.node(op, [self._operand(v, form) for v in (a, b)], form)

    def _operand(self, value: Value, form: Form) -> str:
        missing = len(form) - value.rank
        if missing and value.rank and value.data is not None:  # axes of length 1 in front, then in form
            data = value.data.reshape((1,) * missing + value.shape)
            return self.values.store(data.transpose(form), f"{self.name}/const")
        return self.read(value, None if missing else form)

    def perm(self, numbers: Sequence[int]) -> str:
        """A constant list of int32."""
        return self.values.store(np.array(numbers, np.int32), f"{self.name}/const")


def attributes(node, folder: Path) -> dict[str, object]:
    """The attributes of a NodeProto that are numbers, text, lists of numbers, or a tensor as its array."""
    kinds = onnx.AttributeProto
    fields = {kinds.FLOAT: "f", kinds.INT: "i", kinds.STRING: "s"}
    lists = {kinds.FLOATS: "floats", kinds.INTS: "ints"}
    found: dict[str, object] = {}
    for attribute in node.attribute:
        if attribute.type in fields:
            found[attribute.name] = getattr(attribute, fields[attribute.type])
        elif attribute.type in lists:
            found[attribute.name] = tuple(getattr(attribute, lists[attribute.type]))
        elif attribute.type == kinds.TENSOR:
            found[attribute.name] = array(attribute.t, f"a value of node '{node.name[:80]}'", folder)
    return found

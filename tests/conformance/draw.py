"""What a case draws with: one configuration's tensors and operator, and the values of its inputs."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.graph import Graph, Quantization
from harness.importers import load
from harness.ops import infer_shapes
from harness.quantize import float16
from tests.conformance.model_file import ModelFile

SAMPLES = 3  # inputs that each configuration is run on, one after the other
DTYPES = {
    "f32": np.float32,
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "bool": np.bool_,
}
ACTIVATIONS = (0, 1, 2, 3)  # none, relu, relu_n1_to_1, relu6, as the schema numbers them
OMITTED = -1  # the index of an optional input left out


@dataclass(frozen=True)
class Case:
    """One op in one arithmetic, and the function that draws its configurations."""

    op: str
    arithmetic: str
    function: Callable[[Draw], None]
    relative_to: str  # what 1e-6 of floats refers to: "value", "sums" or "largest"
    optimized: bool  # compared with the kernels that LiteRT has by default

    @property
    def name(self) -> str:
        return f"{self.op}-{self.arithmetic}"

    def graph(self, source: Path) -> Graph:
        """The case's file as the runtime is given it: an importer makes float16 weights float32."""
        graph = infer_shapes(load(source))
        return infer_shapes(float16.convert(graph)) if self.arithmetic == "f16" else graph


CASES: dict[tuple[str, str], Case] = {}


def case(op: str, *arithmetics: str, relative_to: str = "value", optimized: bool = False):
    """Decorator: this function draws configurations of a TFLite op in these arithmetics.

    optimized: where LiteRT has no reference kernel, or a wrong one, its default kernels are the truth.
    """

    def register(function: Callable[[Draw], None]) -> Callable[[Draw], None]:
        for arithmetic in arithmetics:
            CASES[op, arithmetic] = Case(op, arithmetic, function, relative_to, optimized)
        return function

    return register


@dataclass
class Model:
    """The file that configurations are added to, its inputs, and which outputs belong to which seed."""

    file: ModelFile = field(default_factory=ModelFile)
    inputs: list[int] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)  # per input: (SAMPLES, *shape)
    outputs: list[int] = field(default_factory=list)
    seed_of: list[int] = field(default_factory=list)  # per output
    versions: dict[str, int] = field(default_factory=dict)

    def content(self) -> bytes:
        return self.file.content(self.inputs, self.outputs, self.versions)


class Draw:
    """Draws one configuration; see the package's docstring.

    absolute: floats lose their signs and activations are left out, so that outputs are sums of magnitudes.
    """

    def __init__(self, model: Model, case: Case, seed: int, absolute: bool = False) -> None:
        self.model, self.arithmetic, self.seed = model, case.arithmetic, seed
        self.absolute = absolute
        self.rng = np.random.default_rng([zlib.crc32(case.name.encode()), seed])

    @property
    def dtype(self) -> np.dtype | None:
        """The arithmetic's dtype; None for an arithmetic whose case states dtypes itself."""
        if self.arithmetic == "f16":  # only its weights are float16
            return np.dtype(np.float32)
        return np.dtype(DTYPES[self.arithmetic]) if self.arithmetic in DTYPES else None

    @property
    def quantized(self) -> bool:
        return self.arithmetic in ("int8", "uint8", "int16")

    # --- chance ---

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float = 0.5) -> bool:
        return bool(self.rng.random() < probability)

    def choice(self, options):
        return options[self.rng.integers(len(options))]

    def shape(self, least: int = 1, most: int = 4, longest: int = 7) -> tuple[int, ...]:
        """A shape of rank least … most."""
        return tuple(self.integer(1, longest) for _ in range(self.integer(least, most)))

    def broadcast_shapes(self, most: int = 5) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Two shapes that broadcast: equal, or with dimensions of length 1 or none in either."""
        whole = self.shape(1, most, 5)
        if self.chance(0.3):
            return whole, whole
        a, b = ([1 if self.chance(0.3) else d for d in whole] for _ in range(2))
        short = b[self.integer(0, len(b)) :] if self.chance(0.5) else b
        return (tuple(a), tuple(short)) if self.chance() else (tuple(short), tuple(a))

    def activation(self) -> int:
        drawn = self.choice(ACTIVATIONS)
        return 0 if self.absolute else drawn

    def quant(self, smallest: float = 0.002, largest: float = 0.5) -> Quantization | None:
        """A random scale and zero point of the arithmetic; None where it is not quantized."""
        if not self.quantized:
            return None
        scale = np.float32(np.exp(self.rng.uniform(np.log(smallest), np.log(largest))))
        if self.arithmetic == "int16":  # symmetric, and of 256 times the resolution
            return Quantization(scale / np.float32(256), 0)
        limits = np.iinfo(self.dtype)
        return Quantization(scale, self.integer(limits.min, limits.max))

    # --- tensors ---

    def input(self, shape, dtype=None, quant: Quantization | None = None, low=None, high=None) -> int:
        """An input of the model; returns its index.

        Without dtype: of the arithmetic, with a random quantization unless one is given. Values: integers
        over their whole range (32 and 64 bits: −100 … 100), floats normal with σ = 0.3, 3 or 30; with low and
        high, uniform between these. The last sample has hard values: extreme integers, multiples of ½.
        """
        if dtype is None:
            dtype, quant = self.dtype, quant or self.quant()
        dtype = np.dtype(dtype)
        index = self._tensor("x", shape, dtype, None, quant)
        self.model.inputs.append(index)
        self.model.values.append(self._values((SAMPLES, *shape), dtype, low, high))
        return index

    def _values(self, shape, dtype: np.dtype, low, high) -> np.ndarray:
        if dtype.kind == "b":
            return self.rng.random(shape) < 0.5
        if dtype.kind == "f":
            spread = self.choice([0.3, 3, 3, 30])
            drawn = self.rng.normal(0, spread, shape) if low is None else self.rng.uniform(low, high, shape)
            values = drawn.astype(dtype)
            values[-1] = np.round(2 * values[-1]) / 2 if low is None else values[-1]
            return np.abs(values) if self.absolute else values
        if low is None:
            limits = np.iinfo(dtype)
            low, high = (limits.min, limits.max) if dtype.itemsize < 4 else (-100, 100)
        values = self.rng.integers(low, high, shape, dtype=dtype, endpoint=True)
        values[-1] = np.where(values[-1] < (low + high) / 2, low, high)
        return values

    def const(self, values, dtype=np.int32, quant: Quantization | None = None) -> int:
        """A constant; int32 unless stated."""
        values = np.asarray(values, dtype)
        if self.absolute and values.dtype.kind == "f":
            values = np.abs(values)
        return self._tensor("c", values.shape, values.dtype, values, quant)

    def weights(self, values) -> int:
        """A constant of a float arithmetic: float32, or float16 behind TFLite's Dequantize."""
        if self.arithmetic != "f16":
            return self.const(values, np.float32)
        stored, expanded = self.const(values, np.float16), self.between(np.shape(values), np.float32)
        self.operator("DEQUANTIZE", [stored], [expanded], version=3)
        return expanded

    def output(self, dtype=None, quant: Quantization | None = None, shape=()) -> int:
        """An output of the model, by default like `input`. LiteRT finds its shape by itself."""
        if dtype is None:
            dtype, quant = self.dtype, quant or self.quant()
        index = self._tensor("y", shape, np.dtype(dtype), None, quant)
        self.model.outputs.append(index)
        self.model.seed_of.append(self.seed)
        return index

    def variable(self, shape, dtype, quant: Quantization | None = None) -> int:
        """State that is kept between inferences."""
        return self._tensor("state", shape, np.dtype(dtype), None, quant, variable=True)

    def between(self, shape, dtype, quant: Quantization | None = None) -> int:
        """A tensor between two operators of one configuration."""
        return self._tensor("between", shape, np.dtype(dtype), None, quant)

    def _tensor(self, kind: str, shape, *rest, **how) -> int:
        name = f"{kind}{len(self.model.file.tensors)}"
        return self.model.file.tensor(name, tuple(int(d) for d in shape), *rest, **how)

    # --- operators ---

    def operator(
        self,
        op: str,
        inputs: list[int],
        outputs: list[int],
        kind: str | None = None,
        version: int = 1,
        intermediates: list[int] | None = None,
        **options: object,
    ) -> None:
        """The operator; `options` are the fields of the schema's options table `kind`."""
        self.model.versions[op] = max(version, self.model.versions.get(op, 1))
        self.model.file.operator(op, inputs, outputs, kind, options, intermediates)

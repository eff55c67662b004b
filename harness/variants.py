"""The forms in which a model can be shipped: the one list of variants, each with its arithmetic and maker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from harness import ptq
from harness.calibration import Calibration
from harness.errors import UsageError, unknown_name
from harness.graph import Graph
from harness.pack import arithmetic
from harness.passes import dequantize_weights, quantize_weights
from harness.quantize import float16, hybrid
from harness.quantize.stages import AROUND_EACH_OP, INTEGER_EDGES, WITHOUT_PAIRS
from harness.sources import Source


@dataclass(frozen=True)
class VariantKind:
    """How a variant is made. arithmetic: what its kernels compute in, as the table says it.

    make(graph, calibration) → Graph, from the graph of `of(source)`; the calibration set may be None unless
    the variant is `calibrated`. by_default: made where nobody asks for variants by name; in_all: where all
    are asked for. trained: made from the network that was trained with quantization, where there is one.
    steps: the text of post-training quantization (harness/ptq.py), which `make` takes as well; tunable: where
    another text may be asked for.
    """

    arithmetic: str
    calibrated: bool
    make: Callable[[Graph, Calibration | None], Graph]
    by_default: bool = True
    in_all: bool = True
    trained: bool = False
    steps: str | None = None
    tunable: bool = False

    def of(self, source: Source) -> Source | None:
        """The network that the variant is made from, None where there is none."""
        return source.qat if self.trained else source

    def made_by(self, steps: str) -> VariantKind:
        """The same variant by other steps."""
        return replace(self, make=partial(self.make, steps=steps), steps=steps)


def _f32(graph: Graph, _: Calibration | None) -> Graph:
    return dequantize_weights.run(graph)


def _f16(graph: Graph, _: Calibration | None) -> Graph:
    return float16.convert(dequantize_weights.run(graph))


def _int8_weights(graph: Graph, _: Calibration | None) -> Graph:
    return quantize_weights.run(dequantize_weights.run(graph))


def _hybrid(graph: Graph, _: Calibration | None) -> Graph:
    return hybrid.quantize(dequantize_weights.expand(graph))


def _int8(
    graph: Graph, calibration: Calibration, steps: str = ptq.DEFAULT, stage: int = INTEGER_EDGES
) -> Graph:
    return ptq.quantize(dequantize_weights.run(graph), calibration, steps, stage)


def _ptq(arithmetic: str, stage: int = INTEGER_EDGES, steps: str = ptq.DEFAULT, **shown: bool) -> VariantKind:
    make = partial(_int8, steps=steps, stage=stage)
    return VariantKind(arithmetic, True, make, steps=steps, tunable=steps == ptq.DEFAULT, **shown)


VARIANTS = {
    "f32": VariantKind("f32", False, _f32),
    "f16": VariantKind("f16", False, _f16, by_default=False),
    "int8-weights": VariantKind("f32-w8", False, _int8_weights, by_default=False),
    "hybrid": VariantKind("hybrid", False, _hybrid),
    "int8": _ptq("int8-ptq"),
    "qat": VariantKind("int8-qat", False, lambda graph, _: graph, trained=True),
    "int8-per-tensor": _ptq("int8-ptq per tensor", steps=ptq.BASELINE, by_default=False, in_all=False),
    "int8-stage1": _ptq("int8-ptq stage 1", AROUND_EACH_OP, by_default=False, in_all=False),
    "int8-stage2": _ptq("int8-ptq stage 2", WITHOUT_PAIRS, by_default=False, in_all=False),
}
ALL = "all"  # the name that stands for every variant `in_all` that can be made

AS_IT_IS = {name: VariantKind(name, False, lambda graph, _: graph) for name in ("int8", "int16")}
"""A file that came quantized runs as it is; whether by training or afterwards it does not say."""


def kinds_of(
    source: Source, names: list[str] | None, steps: str | None = None, *, samples: bool = True
) -> dict[str, VariantKind]:
    """The variants of a source by name, in the order asked for; the default ones where None are asked for.

    steps: of post-training quantization, in place of the default ones. samples: whether there are any to
    calibrate on, without which ALL is what needs none. Raises UsageError for an unknown name or step, or a
    variant that this source cannot become.
    """
    known = VARIANTS | AS_IT_IS if source.quantized else VARIANTS
    for name in names or []:
        if name not in known and name != ALL:
            raise unknown_name("variant", name, [*known, ALL])
    found = _as_it_is(source, names or []) if source.quantized else _made(source, names, samples)
    if steps is None:
        return found
    ptq.parse(steps)
    if not any(kind.tunable for kind in found.values()):
        raise UsageError("--ptq goes with a variant that is quantized after training, such as int8")
    return {name: kind.made_by(steps) if kind.tunable else kind for name, kind in found.items()}


def _made(source: Source, names: list[str] | None, samples: bool) -> dict[str, VariantKind]:
    """What a float source becomes."""
    possible = {name: kind for name, kind in VARIANTS.items() if kind.of(source) is not None}
    if not names:
        return {name: kind for name, kind in possible.items() if kind.by_default}
    found = {}
    for name in names:
        if name == ALL:
            found |= {
                each: kind
                for each, kind in possible.items()
                if kind.in_all and (samples or not kind.calibrated)
            }
        elif name in possible:
            found[name] = possible[name]
        else:
            raise UsageError(
                f"model '{source.name}': {name} is the network as it was trained with quantization: "
                f"give its file with --qat FILE, or leave {name} out"
            )
    return found


def _as_it_is(source: Source, names: list[str]) -> dict[str, VariantKind]:
    """The one form of a source that came quantized."""
    arithmetics = {arithmetic(source.graph, node) for node in source.graph.nodes}
    own = "int16" if "int16" in arithmetics else "int8"
    impossible = [name for name in names if name not in (own, ALL)]
    if impossible:
        raise UsageError(
            f"model '{source.name}' is quantized already: it runs as {own} and cannot become "
            f"{', '.join(impossible)}; give the float model for those"
        )
    return {own: AS_IT_IS[own]}

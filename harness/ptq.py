"""Post-training quantization, composed of steps by a text: `observe(method=mse) equalize correct_bias`.

The syntax is that of `harness/transforms.py`; the steps are the files of `harness/quantize/steps`. They run
in the order written, each once, and then the graph is made int8 by what they decided.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness import transforms
from harness.errors import BenchError
from harness.graph import Graph
from harness.quantize import steps
from harness.quantize.draft import Draft, Learned
from harness.quantize.stages import INTEGER_EDGES
from harness.transforms import Call

DEFAULT = "observe(method=mse) correct_bias"
"""What the variant int8 does: docs/quantization.md shows why."""
BASELINE = "one_scale"
"""What the variant int8-per-tensor does: no help at all."""


def parse(text: str) -> list[Call]:
    """The steps of a text, ready to run. Raises UsageError naming what is not understood."""
    return [transforms.bind(step, steps.function) for step in transforms.parse(text, "--ptq")]


def weighs_costs(text: str) -> bool:
    """Whether a step decides by what layers cost on a device: then the outcome depends on it."""
    return any("slower" in call.arguments for call in parse(text))


def draft(graph: Graph, learned: Learned, calls: Sequence[Call], stage: int = INTEGER_EDGES) -> Draft:
    """What the steps decide about a float graph. Raises BenchError with the step's name in front."""
    drafted = Draft(graph, learned, stage=stage)
    for call in calls:
        try:
            drafted = call.run(drafted, **call.arguments)
        except BenchError as error:
            if call.ignore_errors:
                continue
            named = str(error).startswith(f"{call.name}: ")
            raise error if named else type(error)(f"step {call.name}: {error}") from error
        drafted.graph.verify()
    return drafted


def quantize(graph: Graph, learned: Learned, text: str = DEFAULT, stage: int = INTEGER_EDGES) -> Graph:
    """The int8 form of a float graph. Raises BenchError."""
    return draft(graph, learned, parse(text), stage).quantized()

"""Where a model comes from: a recipe by its name, or a file; with its preprocessing and default dataset."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import models
from harness import artifacts, fetch, graph_file, importers, passes
from harness.download import Progress
from harness.errors import FormatError, UsageError, unknown_name
from harness.graph import Graph
from harness.passes import turn_inputs
from models import Preprocess, Recipe

SEEDED, FETCHED = "seeded", "fetched"  # weights that are no file of the user's
PREPROCESS_HELP = "crop=0.875,resize=128,mean=127.5,std=127.5,labels+1"


@dataclass(frozen=True)
class Source:
    """A model ready for quantization: its optimized graph and what else a trial has to know.

    preprocess is None where nobody has said how samples become inputs. dataset: the recipe's own, if any.
    qat: the same network as quantization-aware training left it, int8 already. seeded: its weights are
    random, so its answers mean nothing. metric: as in a recipe.
    """

    name: str
    graph: Graph
    preprocess: Preprocess | None = None
    dataset: str | None = None
    labels: tuple[str, ...] = ()
    qat: Source | None = None
    seeded: bool = False
    metric: str = "top1"

    @cached_property
    def trial_graph(self) -> Graph:
        """The graph as it runs on a data set, whose images are channels last."""
        return turn_inputs.run(self.graph)

    @cached_property
    def fingerprint(self) -> str:
        """Of all that a variant is made from."""
        return artifacts.fingerprint(self.trial_graph)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of a sample of a data set, as `trial_graph` takes it."""
        return self.trial_graph.tensors[self.trial_graph.inputs[0]].shape

    @property
    def classes(self) -> int:
        """Length of the flattened first output."""
        return math.prod(self.graph.tensors[self.graph.outputs[0]].shape)

    @property
    def quantized(self) -> bool:
        """Whether the file's activations came quantized already; weights alone can be expanded again."""
        return any(t.quant is not None for t in self.graph.tensors.values() if not t.is_const)


def open_source(
    model: str,
    weights: str | None = None,
    preprocess: str | None = None,
    qat: str | None = None,
    progress: Progress = lambda what, done, total: None,
    observe: passes.Observer | None = None,
) -> Source:
    """Imports and optimizes a recipe's or a file's network.

    weights: of a recipe: SEEDED, FETCHED, a file, or None for its own, which are fetched where they are not
    stored here. preprocess: the text form of `parse_preprocess`, over the recipe's own.
    qat: file of the same network, trained with quantization; a recipe may have published one.
    observe: sees the network being optimized.
    Raises UsageError for unknown names and missing files, FormatError for files that cannot be understood.
    """
    if model in models.names():
        source = _from_recipe(models.load(model), weights, progress, observe)
    elif weights is not None:
        raise UsageError(f"--weights goes with a recipe's name; '{model}' is not one: {_recipes()}")
    elif Path(model).suffix in importers.IMPORTERS or Path(model).exists():
        source = Source(Path(model).stem, passes.apply(importers.load(model), observe=observe))
    else:
        raise unknown_name("model", model, models.names())
    _check_ends(source.graph, f"model '{source.name}'")
    if qat is not None:
        source = replace(source, qat=_trained(qat, source))
    return replace(source, preprocess=parse_preprocess(preprocess, source.preprocess) or source.preprocess)


def _check_ends(graph: Graph, what: str) -> None:
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise FormatError(
            f"{what} has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; it needs one of each"
        )


def _trained(path: str, source: Source) -> Source:
    """The network of a --qat file. Raises UsageError where it cannot be that of the source."""
    trained = Source(source.name, passes.apply(importers.load(path)))
    _check_ends(trained.graph, path)
    if source.quantized:
        raise UsageError(f"--qat goes beside a float model; '{source.name}' is quantized itself")
    if not trained.quantized:
        raise UsageError(f"{path}: its activations are float, so it was not trained with quantization")
    for what, own, its in (
        ("input", source.input_shape, trained.input_shape),
        ("number of classes", source.classes, trained.classes),
    ):
        if own != its:
            raise UsageError(f"{path}: its {what} is {its}, but that of '{source.name}' is {own}")
    return trained


def _recipes() -> str:
    return f"recipes are {', '.join(models.names())}"


def recipe_graph(recipe: Recipe, weights: str | None, progress: Progress) -> Graph:
    """A recipe's float network as it comes, not optimized; weights as in `open_source`."""
    if weights == SEEDED:
        graph = recipe.seeded(None)
    elif weights is None and recipe.build is not None:
        graph = recipe.build()
    else:
        file = _fetched(recipe, progress) if weights in (None, FETCHED) else weights
        graph = importers.load(file, recipe.inputs, recipe.outputs)
    graph.name = recipe.name
    return graph


def _fetched(recipe: Recipe, progress: Progress) -> Path:
    """The published weights; also fetches those trained with quantization, when nothing is there yet."""
    if recipe.fetched is None:
        raise UsageError(f"model '{recipe.name}': its weights are published nowhere but here")
    wanted = [recipe.fetched]
    if fetch.cached(recipe.fetched) is None and recipe.qat is not None:
        wanted.append(recipe.qat)
    try:
        return [fetch.path(each, progress) for each in wanted][0]
    except UsageError as error:
        raise UsageError(
            f"{error}; or give --weights FILE: {recipe.weights_help}; or --weights {SEEDED} for latency "
            "and size alone"
        ) from error


def _kept_seeded(recipe: Recipe, progress: Progress) -> Graph:
    """The optimized network with seeded weights, made once: fitting them takes seconds."""

    def make(path: Path) -> dict[str, int]:
        graph_file.write(passes.apply(recipe_graph(recipe, SEEDED, progress)), path)
        return {}

    with tempfile.TemporaryDirectory() as folder:
        kept = artifacts.provide([SEEDED, recipe.name], Path(folder) / "graph", make)
        return graph_file.read(kept.path)


def _from_recipe(
    recipe: Recipe, weights: str | None, progress: Progress, observe: passes.Observer | None
) -> Source:
    if weights == SEEDED and observe is None:
        graph = _kept_seeded(recipe, progress)
    else:
        graph = passes.apply(recipe_graph(recipe, weights, progress), observe=observe)
    found = graph.tensors[graph.inputs[0]].shape
    if recipe.input_shape and found != recipe.input_shape:
        raise FormatError(
            f"{weights}: its input is {found}, but recipe '{recipe.name}' takes {recipe.input_shape}"
        )
    source = Source(
        recipe.name,
        graph,
        recipe.preprocess,
        None if weights == SEEDED else recipe.dataset,
        recipe.labels,
        seeded=weights == SEEDED,
        metric=recipe.metric,
    )
    published = weights in (None, FETCHED) and recipe.build is None
    trained = fetch.cached(recipe.qat) if published and recipe.qat is not None else None
    return replace(source, qat=_trained(str(trained), source)) if trained else source


def parse_preprocess(text: str | None, base: Preprocess | None = None) -> Preprocess | None:
    """`crop=0.875,resize=128,mean=127.5,std=127.5,labels+1` over `base`; None for no text.

    Also resize=HxW, mean=R:G:B, std=R:G:B, grey, dtype=int8|uint8|float32. Raises UsageError naming the part
    that is wrong.
    """
    if text is None:
        return None
    fields: dict[str, object] = {}
    for part in text.split(","):
        try:
            fields |= _preprocess_field(part.strip())
        except (ValueError, KeyError):
            raise UsageError(f"--preprocess: cannot read '{part}'; write it like {PREPROCESS_HELP}") from None
    return replace(base or Preprocess(), **fields)


def _preprocess_field(part: str) -> dict[str, object]:
    """One part of the text; ValueError or KeyError where it is not understood."""
    if part == "grey":
        return {"channels": 1}
    if part.startswith("labels") and part[6:7] in ("+", "-"):
        return {"label_offset": int(part[6:])}
    key, value = part.split("=", 1)
    if key == "resize":
        sizes = [int(n) for n in value.split("x")]
        if len(sizes) > 2:
            raise ValueError(value)
        return {"resize": (sizes[0], sizes[-1])}
    if key == "dtype" and value not in ("int8", "uint8", "float32"):
        raise ValueError(value)
    read = {
        "crop": float,
        "dtype": str,
        "mean": lambda v: tuple(float(n) for n in v.split(":")),
        "std": lambda v: tuple(float(n) for n in v.split(":")),
    }
    return {key: read[key](value)}

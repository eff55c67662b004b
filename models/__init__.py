"""Recipes: one file per model, found by its name.

A recipe module defines `RECIPE`, a `Recipe`. `load(name)` runs `models/<name>.py`; `names()` lists the
folder. What recipes share is in sub-folders: `architectures`, `data` (packaged data sets), `training` (how
stored weights were made); a module whose name begins with an underscore is no recipe.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import unknown_name

if TYPE_CHECKING:
    from harness.graph import Graph

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Preprocess:
    """How an image or a stored tensor becomes the model's real-valued input: real = (stored − mean) / std.

    Images: central `crop` fraction, bilinear `resize` to (height, width) (None: the model's input size),
    `channels` 3 (RGB) or 1 (grey); then (pixel − mean) / std per channel. Raw `.bin` tensors: `dtype`
    "int8", "uint8" or "float32" in the model's input shape; mean and std are then the quantization's zero
    point and 1/scale. label_offset is added to a dataset's label to get the model's class index (1 for a
    1001-class ImageNet model).
    """

    crop: float = 1.0
    resize: tuple[int, int] | None = None
    channels: int = 3
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    dtype: str = "uint8"
    label_offset: int = 0


@dataclass(frozen=True)
class Download:
    """A published file. member: the one that is used inside an archive, "" where the file itself is used.

    size (bytes) and sha256 are of the file at `url`; None where its publisher states none: they are recorded
    when it is first fetched.
    """

    url: str
    member: str = ""
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Pixel2:
    """Published figures of one big core of a Pixel 2; None where none is published.

    top1, ms: of the original, after post-training quantization, after quantization-aware training. mb: of the
    original and of either quantized file. Source: PIXEL2_SOURCE.
    """

    top1: tuple[float, float, float | None]
    ms: tuple[float, float, float | None]
    mb: tuple[float, float]


PIXEL2_SOURCE = "https://www.tensorflow.org/lite/performance/model_optimization"


@dataclass(frozen=True)
class Recipe:
    """Everything needed to benchmark one model.

    build: makes the float Graph from weights stored here. fetched: the official float weights; qat: those of
    its quantization-aware training. seeded(side): the same architecture with seeded, well-scaled weights, for
    inputs of side × side where a side is given. weights_help: what `--weights FILE` takes. inputs, outputs:
    names to use with a GraphDef weights file. input_shape: batch of 1 first. dataset: name of the default
    data set, a file in `models/data`, or None. labels: class names by index. metric: "top1", or "auc" for a
    model that repeats its input, where label 1 is an anomaly. published: figures from the literature with
    their source, such as {"top1": 0.709}.
    """

    name: str
    description: str
    preprocess: Preprocess
    build: Callable[[], Graph] | None = None
    fetched: Download | None = None
    qat: Download | None = None
    seeded: Callable[[int | None], Graph] | None = None
    weights_help: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    input_shape: tuple[int, ...] = ()
    dataset: str | None = None
    labels: tuple[str, ...] = ()
    metric: str = "top1"
    licence: str = ""
    published: dict[str, object] = field(default_factory=dict)
    pixel2: Pixel2 | None = None


def names() -> list[str]:
    """The recipes there are: the files of this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def load(name: str) -> Recipe:
    """The recipe of this name; UsageError with the nearest names where there is none."""
    if name not in names():
        raise unknown_name("model", name, names())
    # By path, because a model's name may hold dots; under the name that a normal import would use.
    module_name = f"{__name__}.{name}"
    if module_name not in sys.modules:
        found = importlib.util.spec_from_file_location(module_name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(found)
        sys.modules[module_name] = module
        found.loader.exec_module(module)
    return sys.modules[module_name].RECIPE

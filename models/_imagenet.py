"""What recipes of ImageNet classifiers share, and those of TensorFlow's hosted models among them.

https://www.tensorflow.org/lite/guide/hosted_models lists the archives. Class 0 of these models is
"background", so a data set's 0-based ImageNet label is moved up by one. The label file has each class's first
name in WordNet, with its second where two classes share the first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.graph import Graph
from models import Download, Preprocess, Recipe
from models.architectures.seeded import seeded

LABELS_1001 = tuple(
    Path(__file__).with_name("imagenet_1001_labels.txt").read_text(encoding="utf-8").splitlines()
)
LABELS_1000 = LABELS_1001[1:]
CROP = 0.875
DATA = "ImageNet validation set (ILSVRC-2012)"
HOST = "https://storage.googleapis.com/download.tensorflow.org/models"


def hosted(archive: str, member: str, size: int | None = None, sha256: str | None = None) -> Download:
    """A file of one of TensorFlow's archives."""
    return Download(f"{HOST}/{archive}", member, size, sha256)


def hosted_recipe(
    name: str, side: int, network: Callable[..., Graph], output: str, **fields: object
) -> Recipe:
    """network(weights, input_shape=…): makes the model's graph; output: name of the frozen graph's output."""
    shape = (1, side, side, 3)
    preprocess = Preprocess(CROP, (side, side), mean=(127.5,), std=(127.5,), label_offset=1)
    return Recipe(
        name=name,
        preprocess=preprocess,
        seeded=seeded(network, shape, preprocess),
        inputs=("input",),
        outputs=(output,),
        input_shape=shape,
        labels=LABELS_1001,
        licence="Apache-2.0 (TensorFlow)",
        **fields,
    )

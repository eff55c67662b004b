"""Embedded default: is a solar cell defective? MobileNet v1 0.25, 128×128 grey, trained here.

Classes: the data set gives each cell a probability of being defective (0, 1/3, 2/3 or 1); above 0.5 it is
"defective", else "functional". Evaluation uses the test split, calibration the training split
(models/data/solar_cells.py).

Licence: the images are CC BY-NC-SA 4.0, and so are the weights in models/solar_cells.npz, which derive from
them: not for commercial use. The weights are made by models/training/solar_cells.py.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from harness.graph import Graph
from models import Preprocess, Recipe
from models.architectures.builder import stored
from models.architectures.mobilenet_v1 import mobilenet_v1
from models.architectures.seeded import seeded
from models.data.solar_cells import CLASSES

WEIGHTS = Path(__file__).with_suffix(".npz")
WIDTH = 0.25
INPUT_SHAPE = (1, 128, 128, 1)
PREPROCESS = Preprocess(resize=INPUT_SHAPE[1:3], channels=1, mean=(127.5,), std=(127.5,))


NETWORK = partial(mobilenet_v1, name="solar_cells", width=WIDTH, classes=len(CLASSES))


def build() -> Graph:
    """The float graph with its trained weights."""
    with np.load(WEIGHTS, allow_pickle=False) as weights:
        return NETWORK(stored(weights, "solar_cells"), input_shape=INPUT_SHAPE)


RECIPE = Recipe(
    name="solar_cells",
    description="defective or functional solar cell, MobileNet v1 0.25, 128×128 grey",
    preprocess=PREPROCESS,
    build=build,
    seeded=seeded(NETWORK, INPUT_SHAPE, PREPROCESS),
    inputs=("input",),
    outputs=("probabilities",),
    input_shape=INPUT_SHAPE,
    dataset="solar_cells",
    labels=CLASSES,
    licence="CC BY-NC-SA 4.0 (images and weights)",
    published={
        "top1": 0.8842,
        "data": "the same images, another split; a CNN after VGG-19 at 300×300",
        "source": "https://arxiv.org/abs/1807.02894",
    },
)

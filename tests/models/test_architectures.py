"""The builders: their networks are the published ones, and what they are given is checked."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import models
from harness import passes
from harness.changes import size
from harness.errors import FormatError
from models.architectures.builder import Builder
from models.architectures.inception_v3 import inception_v3

MEASURED = Path(__file__).parents[2] / "results" / "networks-local.json"
SEEDED = [name for name in models.names() if models.load(name).seeded]

# Multiply-accumulates that no page states: counted by harness.changes in the file that TensorFlow 2.21's
# converter makes of tf.keras.applications.ResNet101V2 at 224×224, whose layers but the last are Slim's.
RESNET_V2_101_AT_224 = 7_194_476_544


@pytest.fixture(scope="module")
def optimized():
    """Each recipe's seeded network with its batch norms folded, as published counts and files have it."""
    made = {}

    def make(name, side=None):
        if (name, side) not in made:
            made[name, side] = size(passes.apply(models.load(name).seeded(side)))
        return made[name, side]

    return make


def within_a_percent(found, published):
    """Of what the published digits can stand for: 4.7e6 is anything from 4.65e6 to 4.75e6."""
    text = f"{published:.12e}".split("e")[0].rstrip("0").rstrip(".")
    unit = 10.0 ** (math.floor(math.log10(published)) - len(text.partition(".")[2]))
    return abs(found - published) <= 0.01 * published + unit / 2


@pytest.mark.parametrize("name", [name for name in SEEDED if models.load(name).published.get("parameters")])
def test_parameters_are_the_published_ones(name, optimized):
    published = models.load(name).published  # which names its source
    assert within_a_percent(optimized(name).constant_bytes / 4, published["parameters"])


@pytest.mark.parametrize("name", [name for name in SEEDED if models.load(name).published.get("macs")])
def test_multiply_accumulates_are_the_published_ones(name, optimized):
    assert within_a_percent(optimized(name).macs, models.load(name).published["macs"])


def test_resnet_has_the_operations_of_kerass(optimized):
    assert optimized("resnet_v2_101", 224).macs == pytest.approx(RESNET_V2_101_AT_224, rel=1e-3)


PUBLISHED = [name for name in SEEDED if models.load(name).pixel2]


def test_every_size_of_the_published_table_is_met(optimized):
    assert len(PUBLISHED) == 4
    for name in PUBLISHED:
        published = models.load(name).pixel2.mb[0]
        assert optimized(name).constant_bytes / 1e6 == pytest.approx(published, rel=0.02)


@pytest.mark.parametrize("name", PUBLISHED)
def test_measured_files_have_the_published_sizes(name):
    """Of the table in the README: float within 2 %, int8 at most 0.27 of it."""
    cells = json.loads(MEASURED.read_bytes())["cells"]
    sizes = {cell["variant"]: cell["size_bytes"] for cell in cells if cell["model"] == name}
    assert sizes["f32"] / 1e6 == pytest.approx(models.load(name).pixel2.mb[0], rel=0.02)
    assert sizes["int8"] <= 0.27 * sizes["f32"]


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        ("5d", (35, 35, 288)),
        ("6a", (17, 17, 768)),
        ("6e", (17, 17, 768)),
        ("7a", (8, 8, 1280)),
        ("7c", (8, 8, 2048)),
    ],
)
def test_inception_grid_sizes_are_those_of_table_1(block, shape):
    graph = inception_v3(lambda name, shape: np.zeros(shape, np.float32))
    assert graph.tensors[f"InceptionV3/Mixed_{block}/concat"].shape == (1, *shape)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(FormatError, match=r"Conv2d_1a_3x3/weights' has shape \(1,\), not \(32, 3, 3, 3\)"):
        inception_v3(lambda name, shape: np.zeros(1))


def test_layers_are_asked_for_by_the_names_of_slim():
    asked = {}

    def weights(name, shape):
        asked[name] = shape
        return np.zeros(shape)

    b = Builder("names", weights, (1, 8, 8, 3), biased=True)
    b.classifier(b.layer(b.depthwise_layer("input", "first"), "second", 4, (3, 3), 2), "logits", 5)
    norm = {"gamma", "beta", "moving_mean", "moving_variance"}
    assert asked == (
        {"first/depthwise_weights": (1, 3, 3, 3), "first/biases": (3,)}
        | {f"first/BatchNorm/{part}": (3,) for part in norm}
        | {"second/weights": (4, 3, 3, 3), "second/biases": (4,)}
        | {f"second/BatchNorm/{part}": (4,) for part in norm}
        | {"logits/weights": (5, 4), "logits/biases": (5,)}
    )

"""Seeded weights: the same every time, and fit for quantizing at any depth."""

import numpy as np
import pytest

import models
from harness.ops import run_reference
from models import Preprocess
from models.architectures.seeded import random_inputs

# What a network still works with: less than a fourth of its pixels, where it has a classifier at all.
SIDES = {"inception_v3": 139, "resnet_v2_101": 64, "efficientnet_lite0": 64, "mobilenet_v2": 64}
SIDES |= {"mobilenet_v1": 64, "mobilenet_v1_0.25_128": 64, "solar_cells": 64, "vww": 48}
DEEP = ["resnet_v2_101", "inception_v3", "mobilenet_v2"]


def test_the_same_weights_every_time():
    first, second = (models.load("vww").seeded(32) for _ in range(2))
    for name, tensor in first.tensors.items():
        if tensor.is_const:
            np.testing.assert_array_equal(tensor.data, second.tensors[name].data)


@pytest.mark.parametrize("name", DEEP)
def test_signals_neither_die_nor_grow(name):
    graph = models.load(name).seeded(SIDES[name])
    shape = graph.tensors["input"].shape
    activations = [node.outputs[0] for node in graph.nodes if node.op in ("Relu", "Relu6")]
    x = random_inputs(models.load(name).preprocess, shape, 1, seed=5)
    values = run_reference(graph, {"input": x}, activations)
    deviations = [float(values[name].std()) for name in activations]
    assert len(activations) >= 35
    assert min(deviations) > 0.1
    assert max(deviations) < 10


@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128", "kws", "resnet8"])
def test_the_answer_depends_on_the_input_and_is_neither_sure_nor_blind(name):
    recipe = models.load(name)
    graph = recipe.seeded(SIDES.get(name))
    inputs = random_inputs(recipe.preprocess, graph.tensors["input"].shape, 12, seed=5)
    scores = np.concatenate([run_reference(graph, {"input": x[None]})["probabilities"] for x in inputs])
    assert len(set(scores.argmax(1))) >= 4
    assert 0.05 < np.median(scores.max(1)) < 0.98


def test_random_inputs_are_in_the_range_of_real_ones():
    pixels = random_inputs(Preprocess(mean=(127.5,), std=(127.5,)), (1, 20, 30, 3), 4)
    assert pixels.shape == (4, 20, 30, 3)
    assert -1 <= pixels.min() < -0.8
    assert 0.8 < pixels.max() <= 1
    stored = random_inputs(Preprocess(dtype="int8", mean=(83,), std=(2.0,)), (1, 49, 10, 1), 4)
    assert (-128 - 83) / 2 <= stored.min() < stored.max() <= (127 - 83) / 2
    assert random_inputs(Preprocess(dtype="float32"), (1, 640), 3).shape == (3, 640)

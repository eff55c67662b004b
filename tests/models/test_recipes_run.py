"""Every recipe with seeded weights through quantizing, packing and the C runtime, at reduced resolution."""

import numpy as np
import pytest

import devices
import models
from harness import passes
from harness.ops import run_reference
from harness.predict import predict
from harness.prepare import variant_graph
from harness.sources import Source
from models.architectures.seeded import random_inputs
from tests.models.test_seeded import SIDES

SAMPLES = 4
LARGE = ("inception_v3", "resnet_v2_101")
# Of the probabilities of float and int8: all that matters passes through 100 layers of rounding.
LEAST_CORRELATION = 0.7


def quiet(*_):
    pass


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in LARGE else []) for n in models.names()]
)
def test_float_is_the_reference_and_int8_follows_it(name, tmp_path):
    recipe = models.load(name)
    graph = passes.apply(recipe.seeded(SIDES.get(name)))
    source = Source(name, graph, recipe.preprocess, seeded=True, metric=recipe.metric)
    inputs = random_inputs(recipe.preprocess, source.input_shape, SAMPLES, seed=9)
    runs = {}
    for variant in ("f32", "int8"):
        made = variant_graph(source, variant, None, tmp_path, quiet)
        tensors = [made.tensors[name] for name in (*made.inputs, *made.outputs)]
        stored = inputs if tensors[0].quant is None else tensors[0].quant.quantize(inputs, tensors[0].dtype)
        found = predict(devices.open_device("local"), made, stored, tmp_path, quiet)
        runs[variant] = found if tensors[1].quant is None else tensors[1].quant.dequantize(found)
    expected = [run_reference(graph, {graph.inputs[0]: x[None]})[graph.outputs[0]][0] for x in inputs]
    assert runs["f32"] == pytest.approx(np.array(expected), abs=2e-3)
    assert np.ptp(runs["int8"], axis=1).min() > 0
    if name != "inception_v3":  # at this resolution its last grid is 3×3, and little is left to average
        assert np.corrcoef(runs["f32"].ravel(), runs["int8"].ravel())[0, 1] >= LEAST_CORRELATION

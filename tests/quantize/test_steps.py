"""The steps of post-training quantization, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.ops import run_reference
from harness.quantize import sensitivity
from harness.quantize.cost import Costs
from harness.quantize.draft import Draft
from harness.quantize.pairs import pairs, scale_reader, scale_writer, written
from harness.quantize.steps import absorb_bias, correct_bias, equalize, function, mixed, observe, one_scale
from tests.support.graphs import Builder, small_network
from tests.support.learned import Learned


def chain(seed: int, activation: str | None, spread: float = 1.0, channels: int = 6, shift: float = 0.0):
    """conv → depthwise → pool → pointwise → flatten → fully connected; channels scaled by up to e^spread."""
    rng = np.random.default_rng(seed)
    b = Builder("chain")
    x = b.input((1, 8, 8, 3))

    def weights(*shape):
        return b.const(rng.normal(0, 0.4, shape), "w")

    def bias(count):
        return b.const(rng.normal(shift, 0.5, count), "b")

    scale = np.exp(rng.uniform(-spread, spread, channels))
    first = rng.normal(0, 0.4, (channels, 3, 3, 3)) * scale[:, None, None, None]
    x = b.node("Conv2D", x, b.const(first, "w"), bias(channels), padding="SAME", activation=activation)
    x = b.node(
        "DepthwiseConv2D",
        x,
        weights(1, 3, 3, 2 * channels),
        bias(2 * channels),
        multiplier=2,
        padding="SAME",
        activation=activation,
    )
    x = b.node("MaxPool2D", x, filter=(2, 2), stride=(2, 2))
    x = b.node("Conv2D", x, weights(5, 1, 1, 2 * channels), bias(5), activation=activation)
    x = b.node("Reshape", x, shape=(1, 80))
    return b.build(b.node("FullyConnected", x, weights(4, 80), bias(4)))


def learned(seed: int = 0, count: int = 6) -> Learned:
    return Learned(np.random.default_rng(seed).normal(size=(count, 8, 8, 3)))


def outputs(graph, samples) -> np.ndarray:
    return np.concatenate([run_reference(graph, {"x": x[None]})[graph.outputs[0]] for x in samples])


@pytest.mark.parametrize("one", [False, True])
@settings(max_examples=12)
@given(
    seed=st.integers(0, 10**6),
    activation=st.sampled_from([None, "relu", "relu6"]),
    spread=st.floats(0, 4),
)
def test_equalizing_keeps_the_float_function(one, seed, activation, spread):
    samples = learned(seed)
    draft = Draft(chain(seed, activation, spread), samples)
    changed = equalize.run(one_scale.run(draft) if one else draft)
    before, after = outputs(draft.graph, samples.samples), outputs(changed.graph, samples.samples)
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4 * np.abs(before).max())
    if activation != "relu6":  # not for the samples alone
        other = learned(seed + 1).samples * 10
        before, after = outputs(draft.graph, other), outputs(changed.graph, other)
        np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4 * np.abs(before).max())


def test_equalizing_brings_channels_to_like_ranges():
    draft = Draft(chain(1, "relu", spread=4), learned())
    changed = equalize.run(draft)
    name = draft.graph.nodes[0].outputs[0]
    before, after = (d.learned.channels(d.graph, [name])[name].largest for d in (draft, changed))
    assert before.max() / before.min() > 50
    assert after.max() / after.min() < 1.01
    assert after.max() == pytest.approx(before.max(), rel=1e-4)


def unequal(first: int = 0) -> Draft:
    """Of a chain whose channels differ in size by up to 64², from its first pair of layers on."""
    graph, rng = chain(8, "relu", spread=0), np.random.default_rng(8)
    for pair in pairs(graph)[first:]:
        factors = 64.0 ** rng.uniform(-1, 1, len(written(graph, pair.writer)))
        scale_writer(graph, pair.writer, factors)
        for reader in pair.readers:
            scale_reader(graph, reader, 1 / factors)
    return Draft(graph, learned(count=12))


@pytest.mark.parametrize("one", [False, True])
def test_what_unequal_channels_cost_is_won_back(one):
    draft = unequal()
    draft = one_scale.run(draft) if one else draft
    plain, equalized = (sensitivity.whole(d, 12)[1].output_db for d in (draft, equalize.run(draft)))
    assert plain < 20  # dB
    assert equalized > 28


def test_channels_that_a_relu6_cuts_off_stay_as_they_are():
    draft = Draft(chain(2, "relu6", spread=3), learned())
    changed = equalize.run(draft)
    name = draft.graph.nodes[0].outputs[0]
    cut_off = draft.learned.channels(draft.graph, [name])[name].largest >= 6
    assert cut_off.any()
    before, after = (g.const(g.nodes[0].inputs[1]) for g in (draft.graph, changed.graph))
    np.testing.assert_array_equal(before[cut_off], after[cut_off])


def test_pairs_go_through_what_keeps_channels_apart_and_no_further():
    found = pairs(chain(0, "relu"))
    assert [(pair.writer.op, [r.op for r in pair.readers], pair.padded) for pair in found] == [
        ("Conv2D", ["DepthwiseConv2D"], True),
        ("DepthwiseConv2D", ["Conv2D"], False),
        ("Conv2D", ["FullyConnected"], False),
    ]
    assert pairs(chain(0, "relu_n1_to_1")) == []


def test_a_branch_that_ends_in_an_addition_is_in_no_pair():
    b = Builder()
    w = b.const(np.ones((3, 1, 1, 3)), "w")
    x = b.node("Conv2D", b.input((1, 4, 4, 3)), w, activation="relu")
    graph = b.build(b.node("Add", b.node("Conv2D", x, w), x))
    assert pairs(graph) == []


@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), activation=st.sampled_from(["relu", "relu6"]))
def test_absorbing_keeps_the_float_function_on_the_samples(seed, activation):
    samples = learned(seed)
    draft = Draft(chain(seed, activation, shift=2.0), samples)
    changed = absorb_bias.run(draft)
    before, after = outputs(draft.graph, samples.samples), outputs(changed.graph, samples.samples)
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4 * np.abs(before).max())


def test_absorbing_takes_away_what_channels_never_go_below():
    draft = Draft(chain(3, "relu", shift=4.0), learned())
    changed = absorb_bias.run(draft)
    name = draft.graph.nodes[1].outputs[0]
    least = draft.learned.channels(draft.graph, [name])[name].least
    assert least.max() > 0.1
    np.testing.assert_allclose(changed.learned.channels(changed.graph, [name])[name].least, 0, atol=1e-4)


@pytest.mark.parametrize("step", [equalize, absorb_bias])
def test_rewriting_steps_refuse_to_undo_what_was_decided(step):
    corrected = correct_bias.run(Draft(chain(0, "relu"), learned()))
    with pytest.raises(UsageError, match="goes before round and correct_bias"):
        step.run(corrected)


def test_bias_correction_takes_the_weights_error_out_of_the_mean():
    samples = learned(count=12)
    draft = one_scale.run(Draft(chain(5, "relu", spread=2.5), samples))
    shifts = correct_bias.run(draft).choices.shifts
    weights = correct_bias.int8_weights(draft)
    for node in draft.weighted():
        if node.op == "FullyConnected":
            continue
        x = samples.values(draft.graph, [node.inputs[0]], 12)[node.inputs[0]]
        exact, found = (
            run_layer(node, x, values)
            for values in (draft.graph.const(node.inputs[1]), _reals(weights[node.name]))
        )
        left = np.abs((found + shifts[node.name] - exact).mean((0, 1, 2))).max()
        assert left < 0.2 * np.abs((found - exact).mean((0, 1, 2))).max() + 1e-6


def _reals(tensor):
    return tensor.quant.dequantize(tensor.data)


def run_layer(node, x, weights):
    from harness.graph import Node
    from harness.ops import spec

    linear = Node(node.op, node.name, [], [], node.attrs | {"activation": None})
    return spec(node).reference(linear, [x, weights, None])[0].astype(np.float64)


def test_empirical_correction_brings_the_int8_networks_means_to_the_float_ones():
    samples = learned(count=12)
    draft = one_scale.run(Draft(chain(6, "relu", spread=2.5), samples))
    name = draft.graph.outputs[0]
    exact = samples.values(draft.graph, [name], 12)[name].mean(0)

    def mean_error(d):
        return np.abs(samples.values(d.quantized(), [name], 12)[name].mean(0) - exact).max()

    corrected = correct_bias.run(draft, "empirical")
    assert mean_error(corrected) < 0.5 * mean_error(draft)


def test_the_worst_layers_stay_float_within_the_budget():
    draft = Draft(chain(7, "relu", spread=3), learned())
    ranked = sorted(sensitivity.measure(draft, 4), key=lambda layer: layer.output_db)
    kept = mixed.run(draft, keep=2, samples=4)
    assert kept.choices.kept == {layer.node for layer in ranked[:2]}
    quantized = kept.quantized()
    for node in quantized.nodes:
        is_float = quantized.tensors[node.outputs[0]].dtype == np.float32 and node.op != "Dequantize"
        assert is_float == (node.name in kept.choices.kept)
    macs = sum(layer.macs for layer in ranked)
    part = mixed.run(draft, share=0.3, samples=4).choices.kept
    assert 0 < sum(layer.macs for layer in ranked if layer.node in part) <= 0.3 * macs


def test_a_latency_budget_buys_what_removes_most_error_for_its_cost():
    draft = one_scale.run(unequal(first=2))
    some, all_of_it = (mixed.run(draft, slower=slower, samples=4) for slower in (0.3, 1.5))
    assert 0 < Costs(draft).measured(some.choices.kept) <= 0.3
    assert some.choices.kept == {"conv2d_1", "reshape", "fullyconnected"}  # between them nothing is converted
    plain, better, exact = (sensitivity.whole(d, 4)[1].output_db for d in (draft, some, all_of_it))
    assert better > plain + 10
    assert exact > 100


def test_a_budget_that_the_whole_does_not_keep_is_given_back():
    """The parts promise too much: what was chosen last stays int8 after all."""

    class Dearer(Learned):
        def costs(self, graph):
            mixture = {"Quantize", "Dequantize"} & {n.op for n in graph.nodes} and len(graph.nodes) < 12
            return {name: cost * (1.5 if mixture else 1) for name, cost in super().costs(graph).items()}

    samples = learned().samples
    cheap = mixed.run(Draft(chain(7, "relu"), Learned(samples)), slower=0.4, samples=4)
    dear = mixed.run(Draft(chain(7, "relu"), Dearer(samples)), slower=0.4, samples=4)
    assert cheap.choices.kept
    assert not dear.choices.kept


def test_what_stays_float_may_have_float16_weights():
    draft = Draft(chain(7, "relu", spread=3), learned())
    single, half = (mixed.run(draft, keep=2, precision=p, samples=4).quantized() for p in ("f32", "f16"))
    types = [{t.dtype for t in graph.tensors.values() if t.is_const} for graph in (single, half)]
    assert types[0] - types[1] == {np.dtype(np.float32)}
    assert types[1] - types[0] == {np.dtype(np.float16)}


def test_sensitivity_of_a_layer_that_is_exact_in_int8():
    b = Builder()
    x = b.node("FullyConnected", b.input((1, 2)), b.const(np.diag([127.0, 127.0])))
    graph = b.build(x)
    samples = Learned(np.array([[127.0, -128.0], [1.0, 2.0]]) / 255)
    (layer,) = sensitivity.measure(Draft(graph, samples), 2)
    assert layer.output_db > 40
    assert layer.outcome.loss is None  # all labels are the same


def test_sqnr_and_loss_of_known_values():
    assert sensitivity.sqnr(np.array([3.0, 4.0]), np.array([3.0, 4.5])) == pytest.approx(20.0)
    assert sensitivity.sqnr(np.ones(2), np.ones(2)) == np.inf
    found = sensitivity.loss(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1]))
    assert found.top1 == 1.0
    assert found.cross_entropy == pytest.approx(-(np.log(0.5) + np.log(0.75)) / 2)


@pytest.mark.parametrize(
    ("step", "arguments", "message"),
    [
        (observe, {"method": "mse", "percent": 99.0}, "observe: method mse has no percent"),
        (observe, {"method": "means"}, "unknown observer 'means'"),
        (correct_bias, {"method": "guess"}, "'guess' is neither analytic nor empirical"),
        (mixed, {}, "give one budget"),
        (mixed, {"keep": 1, "share": 0.1}, "give one budget"),
        (mixed, {"share": 2.0}, "share=2.0 is no budget"),
        (mixed, {"slower": 0.0}, "slower=0.0 is no budget"),
        (mixed, {"keep": 1, "precision": "f8"}, "precision 'f8' is none of f32, f16"),
    ],
)
def test_parameters_that_cannot_be_are_refused(step, arguments, message):
    with pytest.raises(UsageError, match=message):
        step.run(Draft(small_network(), Learned(np.zeros((2, 9, 9, 3)))), **arguments)


def test_round_refuses_an_unknown_method():
    with pytest.raises(UsageError, match="'up' is neither adaround nor descent"):
        function("round")(Draft(small_network(), Learned(np.zeros((2, 9, 9, 3)))), method="up")

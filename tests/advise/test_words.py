"""What is said about a choice, and that it is said of the right thing."""

from harness.advise import Constraints, recommend
from harness.advise.slow_layers import slow_layers
from tests.support.candidates import node, trial

FLOAT = trial("f32", mb=4.0, layers=[node(0, "f32", ns=4000), node(1, "f32", ns=1000)])


def made(name, wrong=100, ms=4.0, **changes):
    return trial(name, wrong=wrong, ms=(ms,) * 3, float_trial=FLOAT, **changes)


def said(about, *trials, **constraints):
    found = recommend([FLOAT, *trials], Constraints(**constraints))
    return " ".join(reason.text for reason in found.reasons if reason.about == about)


def test_the_drop_comes_with_its_pairs_and_p():
    text = said("accuracy", made("int8", wrong=104))
    assert (
        "top-1 0.896 against f32's 0.900, 0.40 points lower: 4 of 1000 samples are right in f32 only" in text
    )
    assert "no difference that these samples can show (McNemar p = 0.12)" in text
    assert "a real difference" in said("accuracy", made("int8", wrong=110))


def test_costs_are_times_with_an_interval_or_instructions():
    assert said("cost", made("int8")) == "4.00 ms, 0.40 [0.40, 0.40] × f32's (95 % interval, paired by round)"
    counted = trial("int8", instructions=4_000_000, float_trial=trial("f32", instructions=8_000_000))
    (text,) = [r.text for r in recommend([counted], Constraints()).reasons if r.about == "cost"]
    assert text.startswith("4.00 M instructions, 0.50 × f32's; the device is emulated")
    assert " ms" not in text


def test_what_missing_a_constraint_means_is_said_in_its_unit():
    assert said("budget_ms", made("int8"), budget_ms=3) == "int8 takes 4.00 ms, 1.00 over the limit of 3"
    assert "pruning" in said("help", made("int8"), budget_ms=3)
    assert said("max_mb", made("int8"), max_mb=0.75) == "int8 has 1.00 MB, 0.250 over the limit of 0.75"
    assert said("rival", made("hybrid"), made("int8"), fixed_point=True).count("of its layers in float") == 2


def test_what_was_as_cheap_and_not_taken_is_named():
    noisy = trial("f16", ms=(4.1, 3.6, 5.0), mb=0.5, float_trial=FLOAT)
    text = said("rival", made("int8"), noisy)
    assert text.startswith("int8 would do too, 0.40 [0.40, 0.40] × f32's")
    assert text.endswith("these runs cannot tell which is faster (--processes 9 may), and its file is larger")
    base = trial("f32", instructions=1000, wrong=900)
    counted = [trial("int8", mb=2, instructions=500, float_trial=base),
               trial("hybrid", instructions=504, float_trial=base)]  # fmt: skip
    (text,) = [r.text for r in recommend(counted, Constraints()).reasons if r.about == "rival"]
    assert text == "int8 would do too: it takes as many instructions within 1%, and its file is larger"


def test_whether_training_pays():
    assert "would not pay" in said("training", made("int8"))
    assert "may pay" in said("training", made("int8", wrong=150))
    assert "misses a target that qat meets" in said("training", made("int8", wrong=150), made("qat"))
    assert "does not help" in said("training", made("int8", wrong=150), made("qat", wrong=150))
    assert "would not help" in said("training", made("int8"), budget_ms=1)
    assert "no float to fall back on" in said("training", made("int8"), made("qat"), fixed_point=True)
    assert said("training", made("hybrid")) == "", "nobody knows without post-training int8"


def test_the_instructions_that_a_processor_lacks():
    assert "no dot-product instructions" in said("processor", made("int8"))
    assert said("processor") == "", "float does not miss them"


def test_slow_layers_are_held_against_the_fastest_and_the_float_ones():
    layers = [
        node(0, ns=3000),  # as much work as the others, and 3 times as long
        node(1, ns=1000),
        node(2, op="DEPTHWISE_CONV_2D", ns=2500),
        node(3, "f32", ns=2500),
        node(4, macs=0, ns=700),
        node(5, macs=1_500, ns=600),
        node(6, macs=0, ns=1),
    ]
    found = slow_layers(layers, FLOAT.layers, emulated=False)
    assert [layer.name for layer in found] == ["layer0", "layer2", "layer3"]
    shape, depthwise, in_float = found
    assert (shape.against_float, shape.best, shape.best_rate / shape.rate) == (0.75, "layer1", 3.0)
    assert "shape" in shape.why
    assert "depthwise" in depthwise.why
    assert "float" in in_float.why
    rest = slow_layers([layers[1], *layers[4:]], (), emulated=False)
    assert ["multiplies nothing" in rest[0].why, "1.5 MACs a byte" in rest[1].why] == [True, True]


def test_under_emulation_a_layers_cost_is_its_instructions():
    layers = [node(0, ns=1, instructions=900), node(1, ns=10**9, instructions=100)]
    (found,) = slow_layers(layers, (), emulated=True)
    assert (found.name, found.share) == ("layer0", 0.9)
    assert slow_layers([node(0), node(1)], (), emulated=True) == []


def test_nothing_valid_is_said():
    found = recommend([trial("f32", verdict="failed")], Constraints())
    assert (found.chosen, found.nearest) == (None, None)
    assert found.reasons[0].text.startswith("no variant was measured validly")

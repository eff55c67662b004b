"""The Pareto front, constraints, and the order in which variants are preferred."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.advise.choice import Constraints, checks, choose, front, meets, nearest, pareto
from harness.advise.evidence import Candidate
from tests.support.candidates import node, trial

FLOAT = trial("f32", mb=4.0)


def candidates(*trials):
    return [Candidate(FLOAT), *map(Candidate, trials)]


def chosen(*trials, **constraints):
    found = choose(candidates(*trials), Constraints(**constraints))
    return found and found.name


def made(name, wrong=100, ms=4.0, mb=1.0, **changes):
    return trial(name, wrong=wrong, ms=(ms,) * 3, mb=mb, float_trial=FLOAT, **changes)


POINTS = st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12)


@given(POINTS)
def test_nothing_on_the_front_is_dominated_and_everything_else_is(points):
    def dominated(point):
        return any(np.all(np.less_equal(o, point)) and o != point for o in points)

    on_front = front(points)
    assert any(on_front)
    assert on_front == [not dominated(point) for point in points]


def test_a_figure_that_one_lacks_is_no_coordinate():
    slower = made("hybrid", ms=5.0, energy_mj=1.0)
    assert pareto(candidates(made("int8"), slower)) == ["int8"]
    measured = [Candidate(dataclasses.replace(t, cell=dataclasses.replace(t.cell, energy_mj=e)))
                for t, e in ((made("int8"), 2.0), (slower, 1.0))]  # fmt: skip
    assert pareto(measured) == ["int8", "hybrid"]


VARIANTS = st.fixed_dictionaries(
    {
        name: st.tuples(st.integers(80, 140), st.sampled_from([2.0, 4.0, 8.0, 12.0]), st.integers(1, 4))
        for name in ("f16", "hybrid", "int8", "qat")
    }
)
LIMITS = st.builds(
    Constraints,
    st.sampled_from([None, 0.0, 1.0, 3.0]),
    st.sampled_from([None, 3.0, 5.0, 9.0]),
    st.sampled_from([None, 1.5, 3.5]),
    st.booleans(),
)


@given(VARIANTS, LIMITS)
def test_what_is_chosen_meets_every_constraint_and_nothing_chosen_means_nothing_does(figures, limits):
    made_up = candidates(*(made(name, *f) for name, f in figures.items()))
    found = choose(made_up, limits)
    possible = [c for c in made_up if meets(c, limits)]
    assert (found is None) == (not possible)
    if found is not None:
        assert found in possible
        rivals = [c for c in possible if c.trained == found.trained]
        better = [c for c in rivals if c.name in pareto([c, found]) and found.name not in pareto([c, found])]
        assert not better, "one that is no better anywhere was preferred"


@given(VARIANTS, LIMITS)
def test_leaving_out_what_fails_changes_nothing(figures, limits):
    made_up = candidates(*(made(name, *f) for name, f in figures.items()))
    possible = [c for c in made_up if meets(c, limits)]
    assert choose(possible, limits) is choose(made_up, limits)


def test_the_cheapest_wins_and_equal_ones_go_by_size():
    assert chosen(made("int8"), made("hybrid", ms=5.0)) == "int8"
    noisy = trial("hybrid", ms=(3.0, 5.0, 6.0), mb=0.5, float_trial=FLOAT)
    assert chosen(made("int8", ms=4.0), noisy) == "hybrid", "its interval holds int8's"
    assert chosen(made("f16", ms=10.0, mb=2.0)) == "f16", "as fast as f32, and half as large"


@pytest.mark.parametrize(("run", "name"), [(1, "int8"), (2, "hybrid")])
def test_times_of_one_run_are_compared_directly(run, name):
    """hybrid takes a tenth longer in every round, while both drift against the float variant."""

    def drifting(name, ms, mb, run):
        base = dataclasses.replace(FLOAT, run_id=run)
        return Candidate(dataclasses.replace(trial(name, ms=ms, mb=mb, float_trial=base), run_id=run))

    pair = [drifting("int8", (2.0, 4.0, 2.0), 1.0, 1), drifting("hybrid", (2.2, 4.4, 2.2), 0.5, run)]
    assert choose(pair, Constraints()).name == name


def test_a_hundredth_of_the_size_is_no_reason():
    assert chosen(made("int8", mb=1.005), trial("hybrid", ms=(3.0, 5.0, 6.0), float_trial=FLOAT)) == "int8"


def test_a_drop_counts_in_points_of_the_float_variant():
    assert chosen(made("int8", wrong=110)) == "int8"
    assert chosen(made("int8", wrong=111)) == "f32"
    assert chosen(made("int8", wrong=100), max_drop=0.0) == "int8"
    assert chosen(made("int8", wrong=101), max_drop=0.0) == "f32"
    assert chosen(made("int8", wrong=999), max_drop=None) == "int8"


def test_training_stands_in_line_only_where_post_training_int8_fails():
    faster = made("qat", ms=3.0)
    assert chosen(made("int8"), faster) == "int8"
    assert chosen(made("int8", wrong=120), faster) == "qat"
    assert chosen(made("int8"), faster, budget_ms=3.5) == "qat"


def test_fixed_point_hardware_prefers_training_unless_it_is_less_accurate():
    limits = {"fixed_point": True, "max_drop": 5.0}
    assert chosen(made("int8"), made("qat"), made("hybrid", ms=1.0), **limits) == "qat"
    assert chosen(made("int8", wrong=102), made("qat"), **limits) == "qat"
    assert chosen(made("int8"), made("qat", wrong=102), **limits) == "int8"
    assert chosen(made("int8", layers=[node(0), node(1, "f32")]), **limits) is None


def test_what_is_not_valid_is_no_choice():
    assert chosen(made("int8", verdict="invalid")) == "f32"
    assert pareto(candidates(made("int8", verdict="failed"))) == ["f32"]


def test_what_was_not_measured_meets_nothing():
    unknown = Candidate(made("int8", wrong=None))
    (drop,) = checks(unknown, Constraints())
    assert (drop.met, drop.excess) == (False, None)
    assert chosen(made("int8", wrong=None)) == "f32"


def test_milliseconds_of_an_emulator_meet_no_budget_and_rank_nothing():
    slow = trial("int8", ms=(90.0,) * 3, instructions=40, float_trial=trial("f32", instructions=100))
    quick = trial("hybrid", ms=(1.0,) * 3, instructions=80, float_trial=trial("f32", instructions=100))
    emulated = [Candidate(slow), Candidate(quick)]
    assert choose(emulated, Constraints()).name == "int8"
    assert choose(emulated, Constraints(budget_ms=1000)) is None


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"max_drop": 0.0, "budget_ms": 3.5}, "f16"),  # int8 fails both, f32 by more
        ({"max_mb": 0.5, "max_drop": 1.0}, "f16"),  # twice the size, but one constraint only
        ({"max_mb": 0.5, "max_drop": 1.0, "fixed_point": True}, "int8"),  # what can run at all
    ],
)
def test_the_nearest_fails_fewest_constraints_by_the_least(limits, name):
    made_up = candidates(made("int8", wrong=120), made("f16", ms=9.0))
    assert nearest(made_up, Constraints(**limits)).name == name

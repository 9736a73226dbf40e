"""Prices: durations per op and stage, hops, bytes; and the refusals of bad ones."""

import pytest

import minipar
from minipar import B, Cost, F, I, Overlap, W, predict


def test_a_hop_delays_the_reader_and_costs_nobody_time():
    t = predict(minipar.naive(2), Cost(F=1, B=2, hop=0.5))
    assert t.makespan == 1 + 0.5 + 1 + 2 + 0.5 + 2
    assert [t.busy(rank) for rank in (0, 1)] == [3, 3]


def test_costs_per_stage():
    t = predict(minipar.naive(2), Cost(F=(1, 3), B=(2, 6)))
    assert t.makespan == 1 + 3 + 6 + 2


def test_i_and_w_default_to_half_a_backward():
    cost = Cost(F=1, B=3)
    assert [cost.duration(op(0, 0)) for op in (F, B, I, W)] == [1, 3, 1.5, 1.5]
    assert Cost(F=1, B=(2, 4)).duration(W(1, 0)) == 2


def test_a_cost_can_be_made_slower():
    assert Cost(F=1, B=(2, 4), hop=0.5, activation_bytes=7).times(2) == Cost(
        F=2, B=(4, 8), I=(2, 4), W=(2, 4), hop=1, activation_bytes=7
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"F": -1}, "F must be a duration, 0 or more, not -1"),
        ({"B": (1, float("nan"))}, "B must be a duration, 0 or more, not nan"),
        ({"hop": -0.5}, "hop must be a duration, 0 or more, not -0.5"),
    ],
)
def test_prices_that_are_none(given, sentence):
    with pytest.raises(ValueError) as refused:
        Cost(**given)
    assert str(refused.value) == sentence


def test_a_price_list_that_is_too_short_names_the_stage():
    with pytest.raises(ValueError, match="F is given for 2 stages, but the schedule has a stage 2"):
        predict(minipar.naive(3), Cost(F=(1, 1)))


def test_activation_bytes_make_a_ledger():
    t = predict(minipar.one_f_one_b(ranks=4, microbatches=8), Cost(F=1, B=2, activation_bytes=10))
    assert [t.peak_memory(rank) for rank in range(4)] == [40, 30, 20, 10]
    assert t.memory(3)[-1][1] == {"activation": 0}


def test_prices_that_follow_from_others():
    assert (Cost(F=1, I=1, W=2).B, Cost(B=3, I=1).W, Cost(B=3, W=1).I) == (3, 2, 2)
    assert Cost(B=(2, 4), I=(1, 1)).W == (1, 3) and Cost(I=(1, 2), W=1).B == (2, 3)
    pair = Overlap(F(0, 1), B(0, 0))
    assert (Cost(F=1, B=2).duration(pair), Cost(F=1, B=2, overlap=2.5).duration(pair)) == (3, 2.5)
    assert Cost(F=1, B=2, overlap=2.5).times(2).overlap == 5


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"I": 1}, "W has no price: give it beside I, or give B, the whole backward"),
        ({"W": 1}, "I has no price: give it beside W, or give B, the whole backward"),
        ({"B": 1, "I": 2}, "W must be a duration, 0 or more, not -1"),
        ({"overlap": -1}, "overlap must be a duration, 0 or more, not -1"),
    ],
)
def test_prices_that_are_refused(given, sentence):
    with pytest.raises(ValueError) as error:
        Cost(**given)
    assert str(error.value) == sentence

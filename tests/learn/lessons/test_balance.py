"""Are the numbers that lesson 11b says the ones that come out? What the run counts stands in the notebook's facts."""

import pytest

from minipar.learn.lesson import Results, lesson
from minipar.learn.lessons import balance, four_ways
from minipar.plan.balance import leaning, max_over_mean, places, taught
from minipar.plan.placement import bound, linear, moves, packed, place_experts, round_robin
from minipar.plan.routing import route
from minipar.view.explore_placement import fewest_between

SCORES = leaning(128, 8)
FIRST = route(SCORES, 8, 2, ranks=4)


def test_the_seeded_tokens_are_those_of_lesson_11():
    assert FIRST.load == (91, 65, 17, 16, 15, 13, 20, 19) and FIRST.rank_loads == (156, 33, 28, 39)
    assert round(91 / 32, 2) == 2.84  # "nearly three times its share"


def test_the_prediction():
    full = route(SCORES, 8, 2, 1.0, ranks=4)
    assert full.capacity == (32,) and full.drops[:2] == (59, 33) and full.dropped == 92 == 59 + 33
    assert full.rank_loads[0] == 64 and round(92 / 256, 2) == 0.36
    assert route(leaning(128, 8, ()), 8, 2, 1.0, ranks=4).dropped == 24
    assert lesson("11b").questions[0].options[2].text == "92"


@pytest.mark.parametrize(
    ("factor", "most", "dropped", "kept"), [(1.0, 32, 92, 64), (1.25, 40, 76, 80), (2.0, 64, 28, 128)]
)
def test_capacities(factor, most, dropped, kept):
    one = route(SCORES, 8, 2, factor, ranks=4)
    assert (one.capacity, one.dropped, one.rank_loads[0]) == ((most,), dropped, kept)
    assert places(128, 2, 8, factor) == most


def test_whole_tokens_that_are_lost():
    assert [route(SCORES, 8, 2, 1.0, drop=drop).lost for drop in ("probability", "position")] == [12, 26]


def test_placed_and_copied():
    placed, copied = place_experts(FIRST.load, 4), packed(FIRST.load, 4, slots=12)
    assert placed.rank_loads(FIRST.load) == (104, 80, 36, 36) and 91 + 13 == 104
    assert bound(FIRST.load, 4) == 91 and len(moves(linear(8, 4), placed)) == 6 and 6 * 65_536 == 393_216
    assert copied.copies == (3, 3, 1, 1, 1, 1, 1, 1) and copied.added * four_ways.EXPERT_BYTES == 262_144
    assert [round(rows, 1) for rows in copied.rank_loads(FIRST.load)] == [65.0, 65.3, 65.3, 60.3]
    assert route(SCORES, 8, 2, placement=copied).rank_loads == (66, 65, 65, 60)
    assert copied.slots[3].count(1) == 2  # "two copies of expert 1 on rank 3"


def test_the_board():
    two = route(SCORES, 8, 2, ranks=4, nodes=2)
    assert fewest_between(two, 104) == 117 and 117 * 64 * 4 == 29_952
    assert route(SCORES, 8, 2, placement=packed(FIRST.load, 4, nodes=2)).carried().between_nodes == 134


def test_the_exercise():
    loads = [40, 24, 20, 16, 12, 8, 6, 2]
    ways = (place_experts(loads, 4), linear(8, 4), round_robin(8, 4))
    assert [max(way.rank_loads(loads)) for way in ways] == [42, 64, 52]
    steps = [max_over_mean(step.load) for step in taught(60, 0.02)]
    assert [round(steps[at], 2) for at in (0, 10, 20, 40)] == [2.84, 2.16, 1.38, 1.16]
    assert round(sum(steps[40:]) / 20, 2) == 1.30 and round(max_over_mean(taught(41, 0.2)[40].load), 2) == 1.78
    assert taught(21, -0.02)[20].load == (128, 128, 0, 0, 0, 0, 0, 0)


def test_the_transfer_divides():
    with pytest.raises(ValueError, match="288 slots cannot lie on 64 ranks"):
        packed([1] * 256, 64, slots=256 + 32)
    assert 256 + 64 == 320 == 5 * 64


def test_prices():
    full, copied = route(SCORES, 8, 2, 1.0, ranks=4), packed(FIRST.load, 4, slots=12)
    assert balance.price(FIRST) == "none" and balance.price(full) == "92 of 256 choices lost"
    assert balance.price(route(SCORES, 8, 2, placement=copied)) == "4 experts more: 262,144 B"
    assert balance.alike(Results({"scores": SCORES}))

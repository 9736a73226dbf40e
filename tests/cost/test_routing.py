"""Is the time of an expert layer that of its busiest rank and busiest link?"""

import pytest

from minipar.cost.machine import Link
from minipar.cost.routing import Links, carry, moving, step
from minipar.plan.balance import leaning
from minipar.plan.placement import Placement, linear, moves, packed
from minipar.plan.routing import route
from minipar.plan.wire import Wire

FREE = Links(Link(0, 0), Link(0, 0))
SEEDED = route(leaning(128, 8), 8, 2, ranks=4, nodes=2)


def test_the_lessons_four_ways_at_5_ms_a_row():
    def seconds(routing):
        return round(step(routing, 0.005, 256, FREE).total, 2)

    scores = leaning(128, 8)
    placed = packed(SEEDED.load, 4)
    assert seconds(SEEDED) == 0.78
    assert seconds(route(scores, 8, 2, 1.0, ranks=4)) == 0.32
    assert seconds(route(scores, 8, 2, placement=placed)) == 0.52
    assert seconds(route(scores, 8, 2, placement=packed(SEEDED.load, 4, 12))) == 0.33


def test_three_ranks_wait_for_rank_0():
    found = step(SEEDED, 1.0, 1, FREE)
    assert found.work == (156, 33, 28, 39) and [found.waits(rank) for rank in range(4)] == [0, 123, 128, 117]


def test_the_busiest_way_sets_the_time_of_a_link():
    wire = Wire(((0, 2, 4, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 6, 0)), (0, 0, 1, 1))
    assert carry(wire, Links(Link(0, 1), Link(0, 1))) == 6  # into rank 2, from rank 3; its other way brings 4
    assert carry(wire, Links(Link(0, 1), Link(0, 2))) == 8
    assert carry(wire, Links(Link(1, 1), Link(3, 1))) == 7
    assert carry(wire, Links(Link(0, 1), Link(0, 1)), in_turn=True) == 10
    assert carry(wire.back, Links(Link(0, 1), Link(0, 2))) == 8
    assert carry(Wire(((0,),), (0,)), FREE) == 0


def test_a_slow_link_between_nodes_is_spared_by_sending_once_to_each():
    links = Links(Link(0, 0.01), Link(0, 1))
    often, once = (step(SEEDED, 1.0, 1, links, way).total for way in ("choice", "node"))
    assert once < often


def test_moving_experts_is_charged_to_the_busiest_link():
    before, after = linear(8, 4, 2), Placement.parse("0 5 | 1 4 || 6 3 | 7 2")
    links = Links(Link(0, 0.25), Link(0, 1))
    assert moving(moves(before, after), after, 256, links) == 512  # two experts cross from rank 2, and two from rank 1
    assert moving((), after, 256, links) == 0
    with pytest.raises(ValueError):
        step(SEEDED, 1.0, 1, links, "twice")

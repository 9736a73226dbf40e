"""Which pieces are lit, what is obvious, and does a hint lead somewhere?"""

import pytest

from minipar.plan.actions import Action
from minipar.plan.pieces import advice, finish, legal, obvious, pieces
from minipar.plan.puzzle import Rules, parse, place, start
from minipar.plan.schedules import gpipe, interleaved_1f1b, one_f_one_b, zb_h1, zb_v
from minipar.plan.simulate import Cost

ONE = Cost(F=1, B=1)
THIRDS = Cost(F=1, B=2, I=1, W=1)
WALL = Rules((0, 1, 2, 3), 6, (4, 3, 2, 1), ONE)


def names(actions):
    return " ".join(map(str, actions))


def test_a_piece_knows_its_start_or_its_reason():
    position = parse(WALL, "0F0 0F1\n1F0")
    found = {str(piece.action): piece for piece in pieces(position, 1)}
    assert (found["1F1"].why, found["1F1"].start) == ("", 2)
    assert [str(position.spans[at].what) for at in found["1F1"].needs] == ["0F1"]
    assert found["1B0"].start is None
    assert found["1B0"].why == "1B0 needs 2B0's gradient: rank 2 has not made it."


def test_of_a_long_row_only_the_first_pieces_lie_ready():
    many = Rules((0, 1), 100, cost=ONE)
    assert names(piece.action for piece in pieces(start(many), 0, 3)) == "0F0 0F1 0F2 0B0 0B1 0B2"
    assert len(legal(start(many))) == 100


def test_a_full_drawer_puts_out_the_light():
    position = parse(WALL, "0F0 0F1 0F2 0F3")
    assert names(legal(position)) == "1F0 1F1 1F2 1F3"


@pytest.mark.parametrize("rules, text, placed", [
    (WALL, "", "0F0 1F0 2F0 3F0 3B0"),  # the last drawer has room for one: its B follows
    (WALL, "0F0 0F1\n1F0 1F1\n2F0 2F1", "3F0 3B0 2B0 3F1 3B1"),  # rank 2 is full then: only its B can come
    (Rules((0, 1), 1, cost=ONE), "", "0F0 1F0 1B0 0B0"),
    (Rules((0, 1), 2, cost=ONE), "0F0 0F1\n1F0 1F1", "1B0 0B0 1B1 0B1"),  # microbatches in their order
    (Rules((0, 1), 2, cost=ONE), "0F0\n1F0", ""),  # 0F1 or 0B0, 1F1 or 1B0: choices
    (Rules((0, 1, 0, 1), 2, (4, 4), ONE), "", "0F0 1F0"),
])  # fmt: skip
def test_the_obvious_leaves_no_choice(rules, text, placed):
    before = parse(rules, text)
    after, found = obvious(before)
    assert names(found) == placed
    assert len(after.spans) == len(before.spans) + len(found)


LEVELS = [
    (Rules((0, 1, 2), 4, cost=ONE), gpipe(3, 4), 12),
    (WALL, one_f_one_b(4, 6), 18),
    (Rules((0, 1, 0, 1), 4, (5, 3), ONE), interleaved_1f1b(2, 4, chunks=2), 18),
    (Rules((0, 1, 2), 4, (3, 3, 3), THIRDS, split=True), zb_h1(3, 4), 14),
    (Rules((0, 1, 1, 0), 4, (4, 4), THIRDS, split=True), zb_v(2, 4), 25),
]


@pytest.mark.parametrize("rules, reference, par", LEVELS, ids=lambda given: getattr(given, "name", None))
def test_advice_alone_reaches_par(rules, reference, par):
    position, steps = start(rules), 0
    while (said := advice(position, lambda end: end.makespan <= par, reference)) is not None:
        assert not said.back
        position, steps = place(position, said.action), steps + 1
    assert position.complete and position.makespan == par and steps == rules.actions


def test_advice_takes_a_wrong_action_back():
    rules = Rules((0, 1, 2), 4, cost=ONE)
    one_by_one = parse(rules, "0F0 0B0 0F1\n1F0 1B0 1F1\n2F0 2B0 2F1")
    said = advice(one_by_one, lambda end: end.makespan <= 12, gpipe(3, 4))
    assert said.back and said.action == Action.parse("2B0")
    assert said.words == "Take back 2B0 on rank 2: 2F1 there comes to a good end."


def test_another_way_that_is_good_is_gone_on_with():
    rules = Rules((0, 1, 2), 4, cost=ONE)
    other = parse(rules, "0F0 0F1\n1F0\n2F0 2B0")  # no part of GPipe, but of 1F1B, which takes 12 too
    said = advice(other, lambda end: end.makespan <= 12, gpipe(3, 4))
    assert not said.back


def test_a_rule_that_gets_stuck_gives_nothing():
    vee = Rules((0, 1, 1, 0), 4, (4, 4), THIRDS, split=True)
    stuck = parse(vee, "0F0 0F1 0F2 0F3\n1F0 2F0")
    assert finish(stuck, True, True, 0.0) is None

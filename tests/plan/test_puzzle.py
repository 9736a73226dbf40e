"""Which moves does the board take, and what does it answer to the others, word for word?"""

import random

import pytest

from minipar.plan.actions import Action
from minipar.plan.check import problems
from minipar.plan.pieces import legal
from minipar.plan.puzzle import Refused, Rules, arranged, move, parse, place, refusal, remove, start
from minipar.plan.schedule import Schedule
from minipar.plan.schedules import one_f_one_b
from minipar.plan.simulate import Cost, predict

ONE = Cost(F=1, B=1)
PLAIN = Rules((0, 1, 2), 4, cost=ONE)
CAPPED = Rules((0, 1, 2), 5, (3, 3, 3), ONE)
SPLIT = Rules((0, 1, 2), 4, (3, 3, 3), Cost(F=1, B=2, I=1, W=1), split=True)
CARDS = Rules((0, 1, 0, 1), 2, (4, 4), ONE)
VEE = Rules((0, 1, 1, 0), 2, (4, 4), Cost(F=1, B=2, I=1, W=1), split=True)


def laid(rules, words=""):
    """The position after these actions, each at the end of its row."""
    position = start(rules)
    for word in words.split():
        position = place(position, Action.parse(word))
    return position


def test_the_empty_board_wants_every_action():
    empty = start(PLAIN)
    assert (PLAIN.ranks, PLAIN.last_stage, PLAIN.actions) == (3, 2, 24)
    assert not empty.complete and empty.makespan == 0 and str(empty) == "-\n-\n-"
    assert [str(action) for action in legal(empty)] == ["0F0", "0F1", "0F2", "0F3"]


def test_an_action_starts_when_its_rank_and_its_values_allow():
    position = laid(PLAIN, "0F0 1F0 0F1 2F0 2B0")
    assert [(str(span.what), span.start, span.end) for span in position.spans] == [
        ("0F0", 0, 1), ("1F0", 1, 2), ("0F1", 1, 2), ("2F0", 2, 3), ("2B0", 3, 4),
    ]  # fmt: skip
    assert position.held == (2, 1, 0) and position.free == (2, 2, 4)


REFUSED = [
    (PLAIN, "0F0 0F1 1F0", "2F1", None, "2F1 needs 1F1's activation: rank 1 has not made it."),
    (PLAIN, "0F0 1F0 2F0", "1B0", None, "1B0 needs 2B0's gradient: rank 2 has not made it."),
    (PLAIN, "", "2B0", None, "2B0 needs 2F0 first."),
    (PLAIN, "0F0", "0F0", None, "0F0 stands on rank 0 already: each action runs once."),
    (PLAIN, "0F0", "1F0", 2, "1F0 belongs to rank 1 here: rank 2 runs stage 2."),
    (PLAIN, "", "0I0", None, "0I0 is no action of this board: backwards are B here."),
    (PLAIN, "", "0F9", None, "0F9 is no action of this board: stages go from 0 to 2, microbatches from 0 to 3."),
    (CAPPED, "0F0 0F1 0F2", "0F3", None, "The drawer of rank 0 is full (3 of 3). Send one home first."),
    (SPLIT, "0F0", "0W0", None, "0W0 needs 0I0 first."),
    (SPLIT, "0F0 0F1 0F2", "0W2", None, "0W2 needs 0I2 first."),
    (SPLIT, "", "0B0", None, "0B0 is no action of this board: backwards are I and W here."),
    (CARDS, "0F0 1F0", "2F0", 1, "2F0 belongs to rank 0 here: the stages are dealt like cards."),
    (VEE, "0F0 1F0", "3F0", 1, "3F0 belongs to rank 0 here: the way turns."),
    (VEE, "0F0 1F0", "3F0", None, "3F0 needs 2F0's activation: rank 1 has not made it."),
    (VEE, "0F0", "2F0", None, "2F0 needs 1F0 first."),
]  # fmt: skip


@pytest.mark.parametrize("rules, before, word, rank, reason", REFUSED, ids=lambda given: given if given else None)
def test_a_refusal_says_why(rules, before, word, rank, reason):
    assert refusal(laid(rules, before), Action.parse(word), rank) == reason


def test_an_action_can_be_put_in_between():
    position = place(laid(PLAIN, "0F0 0F2"), Action.parse("0F1"), at=1)
    assert str(position).splitlines()[0] == "0F0 0F1 0F2"
    capped = laid(CAPPED, "0F0 0F1 0F2 1F0 2F0 2B0 1B0 0B0")
    full = "The drawer of rank 0 is full (3 of 3). Send one home first."
    assert refusal(capped, Action.parse("0F3"), at=1) == full
    assert refusal(capped, Action.parse("0F3")) == ""


def test_a_move_keeps_what_others_need():
    position = laid(PLAIN, "0F0 0F1 1F0 1F1 2F0 2B0")
    assert str(move(position, Action.parse("0F1"), 0)).splitlines()[0] == "0F1 0F0"
    assert str(move(position, Action.parse("0F0"), 99)).splitlines()[0] == "0F1 0F0"
    with pytest.raises(Refused, match="^2B0 needs 2F0 first.$"):
        move(position, Action.parse("2B0"), 0)
    with pytest.raises(Refused, match="^1F3 is not on the board yet.$"):
        move(position, Action.parse("1F3"), 0)


def test_rows_that_wait_for_each_other_are_named():
    position = laid(PLAIN, "0F0 1F0 2F0 2B0 1B0 0B0 0F1 1F1")
    with pytest.raises(Refused) as refused:
        parse(PLAIN, "0F0 0B0 0F1\n1F1 1F0 1B0\n2F0 2B0")
    assert str(refused.value) == (
        "Stuck: rank 0 waits at 0B0 for 1B0; rank 1 waits at 1F1 for 0F1; 0F1 stands behind 0B0."
    )
    assert position.makespan == 8


def test_what_needs_an_action_goes_with_it():
    position = laid(PLAIN, "0F0 0F1 1F0 1F1 2F0 2B0 1B0")
    left, gone = remove(position, Action.parse("1F0"))
    assert [str(one) for one in gone] == ["2F0", "2B0", "1B0"]
    assert str(left) == "0F0 0F1\n1F1\n-"
    with pytest.raises(Refused, match="^0F3 is not on the board.$"):
        remove(position, Action.parse("0F3"))


def test_taking_one_back_must_not_overfill_a_drawer():
    position = laid(CAPPED, "0F0 0F1 0F2 1F0 2F0 2B0 1B0 0B0 0F3")
    with pytest.raises(Refused) as refused:
        remove(position, Action.parse("0B0"))
    assert str(refused.value) == "0B0 cannot go alone: The drawer of rank 0 is full (3 of 3). Send one home first."


@pytest.mark.parametrize("text, reason", [
    ("0F0 0F1x", "Rank 0: '0F1x' is no action: write stage, letter, microbatch, as in 2F0 (letters F, B, I or W)."),
    ("-\n-\n-\n0F0", "The text has 4 lines, and there are 3 ranks: one line a rank."),
    ("0F0\n0F1", "0F1 belongs to rank 0 here: rank 1 runs stage 1."),
    ("0F0 0F0", "0F0 stands on rank 0 already: each action runs once."),
    ("-\n1F0", "1F0 needs 0F0's activation: rank 0 has not made it."),
])  # fmt: skip
def test_a_text_that_is_no_position_is_refused(text, reason):
    with pytest.raises(Refused) as refused:
        parse(PLAIN, text)
    assert str(refused.value) == reason


def test_text_and_position_are_one():
    position = laid(PLAIN, "0F0 0F1 1F0")
    assert str(position) == "0F0 0F1\n1F0\n-"
    assert parse(PLAIN, str(position)).programs == position.programs
    assert parse(PLAIN, "").programs == start(PLAIN).programs
    assert parse(PLAIN, "- 0F0\n").programs == (((Action.parse("0F0")),), (), ())


@pytest.mark.parametrize("rules", [PLAIN, CAPPED, SPLIT, CARDS], ids=["plain", "capped", "split", "cards"])
def test_whatever_is_laid_legally_is_sound_and_timed_as_predicted(rules):
    dice = random.Random(7)
    for _ in range(10):
        position = start(rules)
        while options := legal(position):
            position = place(position, dice.choice(options))
        if rules.caps:
            assert all(peak <= 4 for peak in position.trace.peak_in_flight)
        again = arranged(rules, position.programs)
        assert {span.what: span for span in again.spans} == {span.what: span for span in position.spans}
        assert (again.held, again.free, again.made) == (position.held, position.free, position.made)
        if position.complete:
            assert problems(position.schedule) == []
            assert position.makespan == predict(position.schedule, rules.cost).makespan


def test_a_whole_schedule_is_a_position():
    made = one_f_one_b(3, 4)
    position = arranged(PLAIN, made.programs)
    assert position.complete and position.schedule == Schedule("by hand", made.programs)
    assert position.trace.peak_in_flight == (3, 2, 1)

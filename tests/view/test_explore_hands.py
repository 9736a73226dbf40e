"""A list with letter boxes and from hand to hand: both walked at every key press; the task; what is wrong is told."""

import pytest

from minipar.plan.schedules import one_f_one_b
from minipar.view import explore
from minipar.view.explore_hands import walked

GPIPE_ORDER = "0F0 0F1 0B0 0B1\n1F0 1F1 1B0 1B1"


@pytest.fixture
def ex():
    made = explore.hands(one_f_one_b(2, 2), task=explore.both_ways_pass())
    made.strict = True
    return made


def test_1f1b_is_stuck_from_hand_to_hand_only(ex):
    assert ex.summary() == (
        "Hands(letter box: ends, hand to hand: stuck, circle 0 → 1 → 0)\n"
        "to do: Swap two actions so that both switches pass."
    )
    assert "Rank 0 sends 0F1's activation to rank 1" in ex.readout.sentence
    assert "Rank 1 sends 1B0's gradient to rank 0" in ex.readout.sentence
    assert ex.view.title == "From hand to hand: 0 → 1 → 0 for ever"


def test_the_switch_changes_the_picture(ex):
    ex.set(by_hand=False)
    assert ex.view.title == "With letter boxes: every rank reaches its end" and not ex.readout.sentence
    assert ex.met == [False]


def test_swapping_two_actions_solves_the_task(ex):
    ex.set(text=GPIPE_ORDER)
    assert ex.met == [True] and repr(ex) == "Hands(letter box: ends, hand to hand: ends)"


def test_a_list_without_the_second_microbatch_is_no_solution(ex):
    ex.set(text="0F0 0B0\n1F0 1B0")
    assert ex.result.ends(True) and ex.met == [False]


def test_a_list_that_is_stuck_either_way_says_so(ex):
    ex.set(text="0F0 0B0 0F1 0B1\n1F1 1F0 1B0 1B1", by_hand=False)
    assert repr(ex) == "Hands(letter box: stuck, circle 0 → 1 → 0, hand to hand: stuck, circle 0 → 1 → 0)"
    assert ex.readout.sentence == "Rank 0 waits at 0B0 for 1B0 of rank 1. Rank 1 waits at 1F1 for 0F1 of rank 0."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0F0 0F1 0B0 0B1\n1F0 1F1 1B0", "1B1 is missing: rank 1 never runs microbatch 1 backward."),
        ("0F0 zzz", "Rank 0, word 2: 'zzz' is no action"),
        ("", "The text is empty"),
    ],
)
def test_what_is_wrong_with_a_text_is_told(ex, text, words):
    ex.set(text=text)
    assert words in ex.readout.problem and "minipar-stale" in ex.view._dom_classes
    assert not ex.result.ends(True) and ex.readout.facts == [["letter box", "–"], ["hand to hand", "–"]]
    ex.set(text=GPIPE_ORDER)
    assert "minipar-stale" not in ex.view._dom_classes and not ex.readout.problem


def test_an_action_before_what_its_own_rank_makes_is_stuck_either_way():
    found = walked("0B0 0F0")
    assert not found.ends(False) and not found.ends(True)


def test_equal_states_are_equal_figures(ex):
    assert ex.figure() == explore.hands(one_f_one_b(2, 2)).figure()

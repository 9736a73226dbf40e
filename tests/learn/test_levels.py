"""The ten levels: each par by its reference list, each "one less" by the bound, each figure of a goal and a hint."""

import pytest

import minipar
from minipar.learn import levels, state
from minipar.learn.levels import LEVELS, ONE, THIRDS, WHOLE
from minipar.plan.actions import Action, B, F, I, W
from minipar.plan.check import problems
from minipar.plan.pieces import finish
from minipar.plan.puzzle import Refused, arranged, place, refusal, start
from minipar.plan.schedule import Schedule
from minipar.plan.schedules import gpipe, looped_bfs, one_f_one_b, weave, zb_h1
from minipar.plan.score import bound, own_gaps, score
from minipar.plan.simulate import Cost, predict

NUMBERED = list(enumerate(LEVELS, 1))
PARS = [6, 12, 14, 18, 18, 20, 21, 14, 17, 25]
NAMED = [
    "The baton: one works, two watch (03).",
    "All F, then all B: this is GPipe.",
    "This is 1F1B, and the wall is far away. With a credit: 3 2 1 in the drawers, par is 3 3 3.",
    "This is 1F1B: GPipe's time, 4 instead of 6.",
    "This is interleaved 1F1B.",
    "This is interleaved 1F1B, one round of 4.",
    "This is 1F1B with a real backward: 9 idle on each rank.",
    "This is ZB-H1.",
    "This is ZB-H2: no gap, 5 in flight for 3.",
    "This is ZB-V: no gap, and no drawer above 1F1B's largest.",
]


@pytest.mark.parametrize("number, level", NUMBERED, ids=lambda given: getattr(given, "title", given))
def test_par_is_met_by_its_reference_and_beaten_by_nobody(number, level):
    position = arranged(level.rules, level.reference.programs)
    assert position.complete and problems(level.reference) == []
    assert position.makespan == level.par == PARS[number - 1]
    assert bound(level.rules) == level.par
    found = score(level, position)
    assert found.solved
    assert found.words == f"Solved in {level.par} slots, par is {level.par}. {NAMED[number - 1]}"
    if level.spans:
        assert not any(own_gaps(position))


@pytest.mark.parametrize("number, level", NUMBERED, ids=lambda given: getattr(given, "title", given))
def test_a_level_is_told_in_a_line_and_fills_in_from_four_on(number, level):
    assert len(level.goal) <= 90 and len(level.idea) <= 110 and level.hint
    assert level.auto == (number >= 4)
    assert level.peaks == () or not level.rules.caps or level.peaks == level.rules.caps


def rounds(ranks, sizes):
    """GPipe in several rounds, one after the other on every rank."""
    programs = []
    for rank in range(ranks):
        row, first = [], 0
        for size in sizes:
            row += [op(rank, m) for op in (F, B) for m in range(first, first + size)]
            first += size
        programs.append(row)
    return Schedule("rounds", programs)


def cut(action):
    stage, op, microbatch = action
    return (I(stage, microbatch), W(stage, microbatch)) if op is B else (action,)


def test_the_figures_of_goals_and_hints():
    assert predict(rounds(3, [1, 1, 1, 1]), ONE).makespan == 24  # level 2: one by one
    assert predict(gpipe(3, 5), ONE).peak_in_flight == (5, 5, 5)  # level 3: GPipe wants 5
    assert predict(rounds(3, [3, 2]), ONE).makespan == 18  # level 3: filling 3, emptying 3, then 2
    everywhere = [weave([F(r, m) for m in range(6)], [B(r, m) for m in range(6)], 3) for r in range(4)]
    assert predict(Schedule("3 warm-ups", everywhere), ONE).makespan == 30  # level 4
    assert predict(gpipe(4, 6), ONE).peak_in_flight == (6, 6, 6, 6)  # level 4: "4 instead of 6"
    assert predict(one_f_one_b(2, 4), Cost(F=2, B=2)).makespan == 20  # level 5: one chunk, same work
    assert predict(looped_bfs(2, 4), ONE).peak_in_flight == (8, 8)  # level 5: all F first breaks the caps
    assert predict(one_f_one_b(3, 4), Cost(F=2, B=2)).makespan == 24  # level 6
    real = predict(one_f_one_b(4, 4), WHOLE)
    assert {real.makespan - real.busy(rank) for rank in range(4)} == {9}  # level 7
    whole = one_f_one_b(3, 4)
    halves = [[half for action in row for half in cut(action)] for row in whole.programs]
    assert predict(whole, THIRDS).makespan == 18 and predict(Schedule("cut", halves), THIRDS).makespan == 16  # level 8
    assert predict(zb_h1(2, 4), Cost(F=2, B=4, I=2, W=2)).makespan == 26  # level 10


def test_level_nine_is_not_solved_by_h1():
    level = LEVELS[8]
    found = score(level, arranged(level.rules, zb_h1(3, 5).programs))
    assert not found.solved and "2 1 0" in found.words


def test_level_three_has_other_solutions():
    level = LEVELS[2]
    own = finish(start(level.rules), forward_first=False, deep=True, patience=0)
    credit = "With a credit: 3 3 1 in the drawers, par is 3 3 3."
    assert score(level, own).words == f"Solved in 14 slots, par is 14. Under the wall. {credit}"


@pytest.mark.parametrize("number, before, word, rank, said", [
    (2, "0F0 0F1 1F0", "2F1", None, "2F1 needs 1F1's activation: rank 1 has not made it."),
    (3, "0F0 0F1 0F2", "0F3", None, "The drawer of rank 0 is full (3 of 3). Send one home first."),
    (8, "0F0 0F1 0F2", "0W2", None, "0W2 needs 0I2 first."),
    (10, "0F0 1F0 2F0", "3F0", 1, "3F0 belongs to rank 0 here: the way turns."),
])  # fmt: skip
def test_refusals_word_for_word(number, before, word, rank, said):
    position = start(LEVELS[number - 1].rules)
    for one in before.split():
        position = place(position, Action.parse(one))
    assert refusal(position, Action.parse(word), rank) == said


def test_one_by_one_is_legal_and_told_what_it_wastes():
    level = LEVELS[1]
    found = score(level, arranged(level.rules, rounds(3, [1, 1, 1, 1]).programs))
    assert found.words == "Legal: 24 slots, par is 12: 0F1 could start at 1 and starts at 6."


@pytest.mark.parametrize("number, other", [(3, gpipe(3, 5)), (4, gpipe(4, 6)), (5, looped_bfs(2, 4))])
def test_the_order_before_breaks_the_new_drawer(number, other):
    with pytest.raises(Refused, match="^The drawer of rank 0 is full"):
        arranged(LEVELS[number - 1].rules, other.programs)


def test_the_puzzle_opens_where_it_is_asked_to():
    puzzle = minipar.puzzle(3)
    assert puzzle.number == 3 and puzzle.solved == set()
    with pytest.raises(ValueError, match="no level 11"):
        minipar.puzzle(11)


def test_a_learner_finds_solved_levels_again(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIPAR_STATE", str(tmp_path))
    monkeypatch.setattr(levels, "somebody_there", lambda: True)
    minipar.puzzle(1).set(text=str(LEVELS[0].reference))
    assert state.entry("board")["solved"]["1"].startswith("Solved in 6 slots")
    assert minipar.puzzle(2).solved == {1}


@pytest.mark.parametrize("number", range(1, 11))
def test_a_laid_schedule_really_runs(number):
    level = LEVELS[number - 1]
    measured = levels.really(level.reference, level.rules.cost)
    assert [measured.order(rank) for rank in range(level.rules.ranks)] == list(level.reference.programs)
    assert measured.peak_in_flight == arranged(level.rules, level.reference.programs).trace.peak_in_flight

"""What the board does when a person acts, without a browser: messages in, words and picture out."""

from array import array
from dataclasses import replace

import pytest

from minipar.learn.levels import LEVELS
from minipar.plan.puzzle import Refused, Rules
from minipar.plan.schedules import gpipe, one_f_one_b
from minipar.plan.score import Level
from minipar.plan.simulate import Cost, predict
from minipar.view.board import numbers
from minipar.view.puzzle import Puzzle


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    monkeypatch.setattr(Puzzle, "strict", True)


@pytest.fixture
def puzzle():
    return Puzzle(LEVELS)


def do(puzzle, what, **more):
    puzzle._told(None, {"do": what, **more}, None)
    return puzzle.view.head["said"]


def lit(puzzle):
    return " ".join(one["name"] for row in puzzle.view.head["pieces"] for one in row if not one["why"])


def drawn(puzzle):
    return array("f", puzzle.view.numbers)


def test_the_first_thing_seen(puzzle):
    head = puzzle.view.head
    assert head["title"] == "1 · The baton" and head["said"].startswith("Place a bright piece")
    assert lit(puzzle) == "0F0" and head["par"] == 6 and len(head["levels"]) == 10
    assert repr(puzzle) == "Puzzle(level 1, The baton: 0 of 6 placed)"


def test_placing_lights_what_comes_next(puzzle):
    do(puzzle, "place", name="0F0")
    assert lit(puzzle) == "1F0" and drawn(puzzle) == numbers(puzzle.position.spans)
    assert puzzle.view.head["said"] == "1 of 6 placed."
    puzzle.place("1F0", "2F0", "2B0", "1B0")
    assert do(puzzle, "place", name="0B0") == "Solved in 6 slots, par is 6. The baton: one works, two watch (03)."
    assert puzzle.solved == {1} and puzzle.view.head["can"]["next"] and puzzle.view.head["tone"] == "good"


def test_a_refusal_is_told_and_nothing_changes(puzzle):
    before = puzzle.state
    assert do(puzzle, "place", name="1F0") == "1F0 needs 0F0's activation: rank 0 has not made it."
    assert puzzle.view.head["tone"] == "bad" and puzzle.state == before
    assert do(puzzle, "place", name="0F0", rank=2, at=0) == "0F0 belongs to rank 0 here: rank 2 runs stage 2."


def test_move_shift_remove_undo_again(puzzle):
    puzzle.set(level=2).place("0F0", "0F1", "1F0")
    assert do(puzzle, "move", name="0F1", rank=0, at=0) == "0F1 moved."
    assert str(puzzle.position).splitlines()[0] == "0F1 0F0"
    do(puzzle, "shift", name="0F1", by=1)
    assert str(puzzle.position).splitlines()[0] == "0F0 0F1"
    assert do(puzzle, "remove", name="0F0") == "0F0 is taken back, and with it what needed it: 1F0."
    assert do(puzzle, "undo") == "One step back."
    assert str(puzzle.position) == "0F0 0F1\n1F0\n-" and drawn(puzzle) == numbers(puzzle.position.spans)
    do(puzzle, "again")
    assert not puzzle.position.spans
    do(puzzle, "undo")
    assert len(puzzle.position.spans) == 3


def test_text_goes_both_ways(puzzle):
    puzzle.set(level=2)
    assert do(puzzle, "text", text="0F0 0F1\n1F0") == "Read from the text."
    assert puzzle.view.head["text"] == "0F0 0F1\n1F0\n-"
    assert do(puzzle, "text", text="0F0 0F1\n1F0 1x").startswith("Rank 1: '1x' is no action")
    assert len(puzzle.position.spans) == 3
    do(puzzle, "text", text="0F0 0F1\n1F0\n-")
    assert puzzle.view.head["tone"] == ""


def test_a_hint_is_a_sentence_then_a_move(puzzle):
    puzzle.set(level=3)
    assert do(puzzle, "hint") == f"Hint: {LEVELS[2].hint}"
    assert do(puzzle, "hint") == "Place 0F0 on rank 0 next." and puzzle.view.head["hint"] == "0F0"
    puzzle.set(text=str(LEVELS[2].reference))
    assert do(puzzle, "hint").startswith("The board is solved")


def test_the_obvious_is_filled_in_and_undone_in_one_step(puzzle):
    puzzle.set(level=4)
    assert do(puzzle, "fill") == "Filled in what left no choice: 0F0 1F0 2F0 3F0 3B0."
    assert do(puzzle, "fill").startswith("Nothing is obvious here")
    do(puzzle, "undo")
    assert not puzzle.position.spans


def test_a_dead_end_is_named(puzzle):
    puzzle.set(level=10).place("0F0", "0F1", "0F2", "0F3", "1F0", "1F1", "1F2", "1F3")
    assert puzzle.view.head["said"] == (
        "A dead end: no piece may go next. The drawer of rank 1 is full (4 of 4). Take something back."
    )


def test_each_level_keeps_its_board(puzzle):
    puzzle.place("0F0").set(level=2).place("0F0", "0F1")
    do(puzzle, "level", number=1)
    assert str(puzzle.position) == "0F0\n-\n-"
    assert puzzle.state.level == 1 and puzzle.state.boards[1] == "0F0 0F1\n-\n-"
    with pytest.raises(ValueError, match="levels 1 to 10, and no level 11"):
        puzzle.set(level=11)


def test_why_and_about_are_answered(puzzle):
    sent = []
    puzzle.view.send = sent.append
    puzzle.set(level=2).place("0F0", "1F0", "0F1")
    do(puzzle, "about", bar=1, key="k")
    do(puzzle, "about", bar=99, key="old")
    do(puzzle, "why", rank=1, time=0.5, key="g")
    do(puzzle, "why", rank=2, time=5.0, key="h")
    assert [one["key"] for one in sent] == ["k", "g", "h"]
    assert sent[0]["words"].startswith("1F0: forward of microbatch 0 through stage 1")
    assert sent[1]["words"].startswith("Rank 1 waits for 0F0")
    assert sent[2]["words"] == "Rank 2 waits for its next piece."


def test_what_breaks_is_told(puzzle, monkeypatch):
    monkeypatch.setattr(Puzzle, "strict", False)
    assert do(puzzle, "place", name="nonsense").startswith("'nonsense' is no action")


def test_solutions_are_remembered_once():
    told = []
    puzzle = Puzzle(LEVELS, 1, remember=lambda *what: told.append(what), solved=[2])
    puzzle.set(text=str(LEVELS[0].reference)).set(text="0F0").set(text=str(LEVELS[0].reference))
    puzzle.set(level=2, text=str(LEVELS[1].reference))
    assert [level for level, _ in told] == [1] and puzzle.solved == {1, 2}


def test_a_full_board_runs_and_is_overlaid(puzzle):
    def run(schedule, cost):
        return replace(predict(schedule, cost), source="measured, paced")

    puzzle = Puzzle(LEVELS, 1, run=run)
    do(puzzle, "run")
    assert not puzzle.busy and not puzzle.under.children  # not full yet: nothing runs
    puzzle.set(text=str(LEVELS[0].reference))
    assert puzzle.view.head["can"]["run"]
    do(puzzle, "run")
    puzzle._thread.join(30)
    assert puzzle.view.head["said"].startswith("Run on 3 processes, in the order you laid.")
    assert len(puzzle.under.children) == 1
    do(puzzle, "undo")
    do(puzzle, "again")
    assert not puzzle.under.children  # another position: the overlay is of the old one


def test_a_run_that_fails_says_so():
    def run(schedule, cost):
        raise RuntimeError("no workers here")

    puzzle = Puzzle(LEVELS, 1, run=run).set(text=str(LEVELS[0].reference))
    do(puzzle, "run")
    puzzle._thread.join(30)
    assert puzzle.view.head["said"] == "The run ended: no workers here" and puzzle.view.head["can"]["run"]


def test_a_run_of_another_position_is_laid_over_nothing():
    def run(schedule, cost):
        puzzle.set(level=2)
        return predict(schedule, cost)

    puzzle = Puzzle(LEVELS, 1, run=run).set(text=str(LEVELS[0].reference))
    do(puzzle, "run")
    puzzle._thread.join(30)
    assert "changed since" in puzzle.view.head["said"] and not puzzle.under.children


def test_nobody_there_sees_text_and_a_plain_figure(puzzle):
    bundle = puzzle.set(level=3).place("0F0", "1F0")._repr_mimebundle_()
    assert bundle["text/plain"] == "Puzzle(level 3, The memory wall: 2 of 30 placed)"
    assert set(bundle) == {"text/plain", "application/vnd.plotly.v1+json"}
    assert puzzle.set(text="")._repr_mimebundle_()["application/vnd.plotly.v1+json"]["layout"]["height"]


def test_code_is_refused_as_hands_are(puzzle):
    with pytest.raises(Refused, match="^1F0 needs 0F0's activation"):
        puzzle.place("1F0")


def test_a_large_board_adds_only_what_is_new():
    rules = Rules((0, 1), 1500, cost=Cost(F=1, B=1))
    large = Puzzle([Level("large", rules, 3002, "", "", "", gpipe(2, 1500))])
    assert large.view.head["text"] == "" and not large.view.head["writes"]
    most = one_f_one_b(2, 1500)
    large.set(text="\n".join(" ".join(map(str, row[:-1])) for row in most.programs).replace("0B1498", ""))
    before = large._floats
    large.place("1B1499")
    assert large._floats is before and drawn(large) == numbers(large.position.spans)
    assert len(large.view.head["pieces"][0]) <= 16

"""Lesson 07b: its facts from three real calls, who waits for whom by the walk and in the run, its numbers by hand."""

import nbformat
import pytest

import minipar
from minipar.learn.lesson import Results
from minipar.learn.lessons import hand_to_hand, hangs
from minipar.plan.waits import circle, waits
from minipar.run.pool import WorkerPool
from tests.lessons.splice import NOTEBOOKS

CELLS = {cell.id: cell.source for cell in nbformat.read(NOTEBOOKS / "07b_hangs.ipynb", 4).cells}


@pytest.fixture(scope="module")
def results():
    """What the notebook's own experiment returns, in a module of its own, as a notebook is one."""
    names = {"__name__": "__main__"}
    try:
        exec(CELLS["setup"], names)
        exec(compile(CELLS["run-2"], "by hand", "exec"), names)
        exec(compile(CELLS["run"].split("run = learn")[0], "third call", "exec"), names)
        yield Results(names["experiment"]())
    finally:
        if "pool" in names:
            names["pool"].close()


def test_the_facts_are_those_of_the_storyboard(results):
    assert [f"{label}: {value}" for label, value in hangs.facts(results)] == [
        "GPipe: finished, gradients equal: True",
        "1F1B: stopped",
        "rank 0: sends the activation of 0F3 to rank 1",
        "rank 1: sends the activation of 1F2 to rank 2",
        "rank 2: sends the activation of 2F1 to rank 3",
        "rank 3: sends the gradient of 3B0 to rank 2",
        "waits: 1 2 3 2",
        "circle, as the pool names it: 2 → 3 → 2",
        "mixed: refused",
        *(f'rank {rank} calls: all_reduce, File "third call", line 4' for rank in range(3)),
        'rank 3 calls: broadcast, File "third call", line 3',
        "pool ready after each: True",
    ]


def test_where_each_rank_stood_is_what_the_walk_says(results):
    stood = hangs.stands(results)
    assert [one[:4] for one in stood] == [one[:4] for one in waits(hangs.schedule(), unbuffered=True)]
    assert [one.maker for one in stood] == [one.maker for one in waits(hangs.schedule(), unbuffered=True)]


def test_the_picture_is_the_circle_and_the_odd_one(results):
    who, what, report = hangs.see(results)
    assert "deadlock: rank 2 waits for rank 3, 3 for 2" in report and report.count("waits until rank") == 4
    assert repr(who) == "Waits(1F1B: rank 0 waits for 1, 1 for 2, 2 for 3, 3 for 2; circle 2 → 3 → 2)"
    assert repr(what).endswith("rank 3 broadcast at mixed, line 3)")


def test_the_formula_is_the_walk_of_the_notebooks_own_cell(results):
    names = {"minipar": minipar, "run": type("Run", (), {"formula": lambda self, **said: said})()}
    exec(CELLS["formula"], names)
    said = names["run"].formula(
        gpipe=names["waits"](minipar.gpipe(4, 4)), one_f_one_b=names["waits"](minipar.one_f_one_b(4, 4))
    )
    assert hangs.formula(results, **said) == [
        ("GPipe, circle", "none", "none"),
        ("1F1B, waits", "1 2 3 2", "1 2 3 2"),
        ("1F1B, circle", "[2, 3]", "[2, 3]"),
    ]
    assert hangs.formula(results) == []


def test_what_was_measured(results):
    assert hangs.QUESTIONS[0].found(results) == "GPipe finished, 1F1B stopped in the circle 2 → 3 → 2."


def test_a_run_in_which_nothing_hangs_is_told_too(results):
    went = Results({**results, "1F1B": results["GPipe"]})
    assert hangs.measured(went) == "GPipe finished, 1F1B finished."
    assert ("1F1B", "finished") in hangs.facts(went) and "all reach their end" in repr(hangs.see(went)[0])


def test_the_made_report_has_one_circle_and_fourteen_behind(capsys):
    names = {}
    exec(CELLS["transfer"], names)
    assert circle(names["report"]) == (10, 11) and len(names["report"]) == 16
    assert all(peer in names["report"] for peer in names["report"].values())
    assert capsys.readouterr().out.count("waits for") == 16


def test_places_of_a_report_in_two_parts():
    assert hand_to_hand.place("Cell In[4], line 4, in mixed: return w.axis().all_reduce(x)") == (
        "Cell In[4]", "4", "mixed", "return w.axis().all_reduce(x)",
    )  # fmt: skip
    assert hand_to_hand.place('File "a.py", line 3, in <lambda>') == ('File "a.py"', "3", "<lambda>", "")
    assert hand_to_hand.place("a place outside the program").file == "a place outside the program"


def test_the_three_cures_of_the_text():
    """One global order, letter boxes; the swap in one operation is `w.exchange`, tested with the transport."""
    schedule = minipar.one_f_one_b(4, 4)
    assert list(minipar.walk(minipar.lower(schedule, ordered=True).programs, unbuffered=True))
    assert list(minipar.walk(minipar.lower(schedule).programs))


def test_a_sum_that_disagrees_is_refused_before_it_is_wrong():
    def four_and_six(w):
        import torch

        return w.axis().all_reduce(torch.ones(6 if w.rank == 3 else 4))

    with WorkerPool(4, backend="gloo-ordered") as pool:
        end = hand_to_hand.ended(pool, four_and_six)
    assert (end.finished, end.ready, end.error.kind) == (False, True, "disagree")

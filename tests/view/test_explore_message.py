"""The curve of a message: its numbers by hand, its tasks, its picture, and a machine's own points on it."""

import subprocess
import sys

import pytest

from minipar.cost.machine import TYPICAL, Link, Machine, Point
from minipar.view import explore
from minipar.view.explore_message import SIZES, around, message, twice_its_wait
from minipar.view.explorer import Explorer

HERE = Machine(
    "here", Link(50e-6, 0.25e-9), True, "today", "4 processes",
    (Point("send", 2, 4, 50e-6, 60e-6, 900e-6, 100), Point("send", 2, 16_000_000, 4e-3, 5e-3, 9e-3, 20),
     Point("all_reduce", 4, 1024, 1e-3, 1e-3, 1e-3, 9)),
)  # fmt: skip


def test_a_message_costs_its_wait_and_its_bytes():
    ex = message().set(size=4)
    assert (ex.result.wait, ex.result.bytes) == (70e-6, pytest.approx(4 / 2.8e9))
    assert "the curve is flat" in ex.readout.sentence
    assert "the curve climbs" in ex.set(size=SIZES[-1]).readout.sentence


def test_all_reduces_are_those_of_the_storyboard():
    at = {size: message(ranks=4).set(size=size).result for size in (SIZES[0], SIZES[-1])}
    assert at[4].ring == pytest.approx(6 * (70e-6 + 1 / 2.8e9))
    assert at[4].tree == pytest.approx(4 * (70e-6 + 4 / 2.8e9))
    assert at[SIZES[-1]].ring < at[SIZES[-1]].tree and at[4].tree < at[4].ring


@pytest.mark.parametrize(("ranks", "bytes"), [(4, 156_800), (16, 704_000)])
def test_a_tree_wins_below_what_the_text_says(ranks, bytes):
    from minipar.cost.comm import seconds

    def gain(size):
        ring, tree = (seconds("all_reduce", way, ranks, size, TYPICAL.link) for way in ("ring", "tree"))
        return ring - tree

    assert gain(bytes) == pytest.approx(0, abs=1e-9) and gain(bytes - 6400) > 0 > gain(bytes + 6400)


def test_the_tasks_are_met_where_the_bytes_cost_the_wait_and_at_half_of_each_constant(monkeypatch):
    monkeypatch.setattr(Explorer, "strict", True)
    ex = message(task=twice_its_wait())
    assert ex.met == [False, False, False]
    near = min(SIZES, key=lambda size: abs(size - 196_000))
    assert ex.set(size=near).met == [True, False, False]
    assert "alpha / beta = 196,000 B" in ex.readout.sentence
    alpha, beta = ex.initial.alpha, ex.initial.beta
    ex.set(alpha=alpha / 2)
    assert ex.met == [True, True, False]
    assert ex.readout.sentence == "alpha is 0.5 of what it was: the left end moved, the right end stayed."
    ex.set(alpha=alpha, beta=beta / 2)
    assert ex.met == [True, True, True]
    assert ex.readout.sentence == "beta is 0.5 of what it was: the right end moved, the left end stayed."


@pytest.mark.parametrize("link", [Link(20e-6, 1e-9), Link(3e-6, 1 / 50e9), Link(400e-6, 0.4e-9)])
def test_some_size_of_the_slider_meets_the_first_task_on_any_machine(link):
    ex = message(Machine("m", link), task=twice_its_wait())
    assert any(ex.set(size=size).met[0] for size in SIZES)


def test_halving_moves_the_end_that_the_sentence_says():
    ex = message()
    before = ex.lines()[0]["xy"]
    after = ex.set(alpha=ex.initial.alpha / 2).lines()[0]["xy"]
    assert after[0][1] == pytest.approx(before[0][1] / 2, rel=1e-3) and after[-1][1] > 0.97 * before[-1][1]


def test_two_steps_of_a_slider_halve_exactly():
    values = around(70e-6)
    assert 70e-6 in values and 35e-6 in values and 140e-6 in values and len(values) == 33


def test_the_learners_points_and_constants_are_taken_from_the_machine():
    ex = message(HERE)
    assert [(point["x"], point["y"], point["top"]) for point in ex.view.points] == [
        (4, 50e-6, 900e-6), (16_000_000, 4e-3, 9e-3),
    ]  # fmt: skip
    assert ex.view.points[0]["text"] == "4 B: 50 µs at best, half of 100 under 60 µs, all under 900 µs"
    assert (ex.state.alpha, ex.state.beta) == HERE.link and "2 points" in repr(ex)
    figure = ex.figure()
    assert [trace.name for trace in figure.data][:3] == ["one message", "ring, P = 4", "tree, P = 4"]
    assert list(figure.data[3].y) == [50e-6, 4e-3]


def test_without_a_machine_it_says_so_and_a_wait_of_nothing_is_drawn():
    assert repr(message()) == "Message(1.0 kB, P=4, bytes cost 0.0052 times the wait, no points yet)"
    assert message(Machine("m", Link(0.0, 0.0))).error is None


def test_it_is_one_of_the_explorers_and_keeps_torch_out():
    assert explore.message is message
    code = "import sys, minipar.view.explore_message, minipar.view.ring; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"

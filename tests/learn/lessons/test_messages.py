"""Lesson 02: its facts from a real run of four processes, its numbers by hand, and the check on real processes."""

import time

import nbformat
import pytest
import torch

import minipar
from minipar.cost import comm
from minipar.cost.machine import TYPICAL, Link
from minipar.learn.lesson import Results
from minipar.learn.lessons import messages, ring_sum
from minipar.run.collectives import everyone_to_everyone, ring_all_reduce, through_zero
from tests.learn.lessons.test_ring_sum import program
from tests.lessons.splice import NOTEBOOKS, blocks_of


@pytest.fixture(scope="module")
def results(pool):
    """What the notebook's own experiment returns; the machine is not measured here."""
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOKS / "02_messages.ipynb", 4).cells}
    names = {
        "torch": torch, "pool": pool, "minipar": type("", (), {"calibrate": staticmethod(lambda *_, **__: TYPICAL)}),
        "learn": minipar.learn, "through_zero": through_zero, "everyone_to_everyone": everyone_to_everyone,
        "ring_all_reduce": ring_all_reduce,
    }  # fmt: skip
    exec(cells["run-2"], names)
    exec(cells["run"].split("run = learn")[0], names)
    return Results(names["experiment"]())


def test_the_facts_are_those_of_the_storyboard(results):
    assert [f"{label}: {value}" for label, value in messages.facts(results)][:9] == [
        "1,000 messages of 1 KB: 1,000 messages, 1,024,000 B",
        "one message of 1,000 KB: 1 message, 1,024,000 B",
        "through rank 0: 6 messages, rank 0 sends 12,000,000 B, others 4,000,000 B",
        "everyone to everyone: 12 messages, 12,000,000 B each",
        "ring: 24 messages, 6 a rank of 1,000,000 B, 6,000,000 B each",
        "in all: 24, 48, 24 MB",
        "lap one (reduce-scatter) alone: 3 messages, 3,000,000 B a rank",
        "lap two (all-gather) alone: 3 messages, 3,000,000 B a rank",
        "all three sums equal torch's: True",
    ]


def test_what_was_measured_is_said_without_comparing_times(results):
    assert "(this machine, now)" in messages.QUESTIONS[0].found(results)
    assert messages.QUESTIONS[1].found(results) == (
        "in all 24,000,000 B through rank 0 and 24,000,000 B in the ring; "
        "the busiest rank sends 12,000,000 B and 6,000,000 B"
    )


def test_the_picture_is_three_matrices_and_the_ring(results):
    figure, _, ring = messages.see(results)
    assert "rank 0's row: 12 MB" in [note.text for note in figure.layout.annotations]
    assert [list(map(list, trace.z)) for trace in figure.data][2][0] == [0, 6_000_000, 0, 0]
    assert repr(ring) == "Ring(ranks=4, step 1 of 6, 0 finished pieces)"


def test_the_formulas_numbers_are_those_of_the_text(results):
    rows = messages.formula(results, ring=lambda P, n: 2 * (P - 1) / P * n, through_zero=lambda P, n: (P - 1) * n)
    assert [row[1] for row in rows[0::2]] == ["4,000,000 B", "6,000,000 B", "7,000,000 B", "7,875,000 B"]
    assert [row[1] for row in rows[1::2]] == ["4,000,000 B", "12,000,000 B", "28,000,000 B", "252,000,000 B"]
    assert [row[2] for row in rows[2:4]] == ["6,000,000 B", "12,000,000 B"]


def test_numbers_of_the_prose():
    link = TYPICAL.link
    assert link == Link(70e-6, 1 / 2.8e9)
    assert int(1000 * link.seconds(1024) / link.seconds(1_024_000)) == 161
    assert link.twice == pytest.approx(196_000)
    assert 2 * link.alpha / (2.5 * link.beta) == pytest.approx(156_800)
    cards = Link(10e-6, 1 / 50e9)
    assert comm.seconds("all_reduce", "ring", 64, 64_000, cards) == pytest.approx(1.26e-3, rel=3e-3)
    assert comm.steps("all_reduce", "ring", 64) == 126
    assert 126 * 1000 * cards.beta == pytest.approx(2.5e-6, rel=0.01)
    assert comm.sent("all_reduce", "ring", 4, 10 * 4, 4) == (60, 64, 60, 56)


# -- the exercise on real processes ------------------------------------------------------------------------------


def test_the_solution_runs_on_two_three_and_four_processes(pool, monkeypatch):
    monkeypatch.setattr(ring_sum, "workers", lambda count: pool)
    verdict = ring_sum.check_ring_sum(program(blocks_of("02_messages")[0]["stub"]))
    assert verdict.good and verdict.sentence == (
        "Two, three and four processes hold the sum. On four, each sent 6 messages, only to the next rank, 48 B in all."
    )
    assert "96 B" in str(verdict.picture().layout.annotations)


def test_who_hangs_only_on_real_processes_is_told_after_five_seconds_and_the_pool_lives(pool, monkeypatch):
    monkeypatch.setattr(ring_sum, "workers", lambda count: pool)
    solution = program(blocks_of("02_messages")[0]["stub"])

    def hangs(w, x):
        if hasattr(w, "recorder"):  # a rehearsal's handle has none
            w.recv(source=(w.rank - 1) % w.ranks)
        return solution(w, x)

    started = time.monotonic()
    with pytest.raises(ring_sum.Trouble, match="Right in the rehearsal, but not on 4 real processes"):
        ring_sum.check_ring_sum(hangs)
    assert time.monotonic() - started < 60  # five seconds, on a machine that does other things too
    assert pool.current is None and pool.run(lambda w: w.rank) == [0, 1, 2, 3]

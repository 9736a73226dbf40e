"""Lesson 11 on real processes: the storyboard's numbers, and every number that its prose says."""

import pytest
import torch

import minipar
from minipar.learn.lesson import Results, lesson
from minipar.learn.lessons import experts, post_office
from minipar.nn.experts import combine, dispatch, expert_mlp
from minipar.plan.balance import leaning
from minipar.view import explore


def layer(w, tokens, up, down, pace):
    """The notebook's program."""
    axis = w.everyone.ring
    mine = (whole.chunk(w.ranks)[w.rank].to(w.device) for whole in (*tokens, up, down))
    x, choice, weight, up, down = mine
    rows, way = dispatch(axis, x, choice, experts=8)
    with w.span("experts"), post_office.lasting(pace * len(rows)):
        answers = expert_mlp(rows, up, down, way.sizes)
    y = combine(axis, answers, weight, way)
    return y.cpu(), way.out, way.sizes


@pytest.fixture(scope="module")
def r(pool):
    """The experiment of the notebook, hurried."""
    up, down = torch.randn(8, 128, 64) / 8, torch.randn(8, 64, 128) / 8
    runs = {}
    for name in ("seeded", "even", "skewed", "seeded"):
        pace = 0 if name == "seeded" else 0.002
        runs[name] = pool.run(layer, post_office.tokens(name), up, down, pace)
    return Results({**runs, "weights": (up, down)})


def test_the_facts_are_the_storyboards(r):
    assert experts.facts(r) == [
        ("top-1, rows a rank, even", "28 28 28 28, busiest / mean 1.00"),
        ("top-1, rows a rank, skewed", "64 16 16 16, busiest / mean 2.29"),
        ("top-2, rows an expert", "91 65 17 16 15 13 20 19"),
        ("top-2, rows a rank", "156 33 28 39 of 256, busiest / mean 2.44"),
        ("rows rank → rank", "36 13 6 9 / 42 7 5 10 / 39 7 6 12 / 39 6 11 8"),
        ("rows that leave their rank", "199: 50,944 B out, 50,944 B back"),
        ("what came goes home", True),
        ("tokens out = tokens home", True),
        ("equal to the dense loop", True),
    ]


def test_real_split_lists_are_the_routings_matrix(r):
    for name in ("even", "skewed", "seeded"):
        assert post_office.rows(r[name]) == post_office.routing(name).rows
    assert post_office.moved(r.seeded, "dispatch") == post_office.routing("seeded").dispatch(64).table


def test_a_wrong_answer_is_seen(r):
    up, down = r.weights
    assert not post_office.is_dense(r.seeded, post_office.tokens("seeded"), up.flip(0), down)


def test_formula_and_questions(r):
    assert experts.formula(r, sent=199 * 64 * 4, step=64 * 0.010) == [
        ("sent out, top-2", "50,944 B", "50,944 B"),
        ("experts, skewed, paced", "0.64 s", "0.64 s"),
    ]
    first, second = lesson("11").questions
    assert first.found(r) == "28 tokens on the busiest rank, then 64: 2.3 times."
    assert second.found(r).startswith("2 2 2 2 experts on the four ranks, 8 together: 131,072 weights.")
    assert f"{64 / 28:.2f}" == "2.29" and 112 / 28 == 4


def test_the_pictures(r):
    way, waits, tables, line = experts.see(r)
    assert way.title == "Three ranks wait for rank 0: it has 2.44 times the mean" and way.lit == -1
    said = [part.words for part in waits.parts if hasattr(part, "words")]
    assert said.count("waits for rank 0") == 3 and {"even", "skewed"} <= set(said)
    assert waits.title.endswith("three ranks wait for rank 0")
    assert "measured, paced; predicted for the experts 0.64 s" in said or "0.13 s" in " ".join(said)
    heads = [note.text for note in tables.layout.annotations]
    assert "<b>Rank 0's column is full: 120 of its 156 rows come over the wire</b>" in heads
    assert line.startswith("Unpaced, on this machine, now: ")


def test_the_measured_parts_of_the_skewed_step(r):
    time = post_office.step_time(r.skewed)
    assert len(time.work) == 4 and time.experts >= max(time.work) and min(time.work) > 0
    assert min(time.dispatch, time.combine) > 0


def test_numbers_of_the_prose():
    even = minipar.route(leaning(128, 8, (0, 0)), 8, 2, ranks=4)
    assert even.rank_loads == (64, 63, 59, 70) and even.dispatch(64).total == 49_408 and even.carried().total == 193
    seeded = post_office.routing("seeded")
    assert seeded.carried("rank").total == 158 and seeded.dispatch(64, once="rank").total == 40_448
    assert 64 * 128 * 2 == 16_384 and 2 * 64 * 128 * 2 == 32_768  # weights of an expert; operations of a row
    one = explore.experts(ranks=1)
    assert one.result.carried == 0 and "8" in one.facts(one.result)[-1][1]


def test_both_tasks_can_be_done():
    first, second = explore.no_bytes_then_twice()
    assert first.met(explore.experts(ranks=1))
    found = [lean / 10 for lean in range(16) if second.met(explore.experts(lean=lean / 10))]
    assert found and 0.6 not in found


@pytest.mark.parametrize(("ranks", "uneven", "rows"), [(8, "1.32", "16.12"), (64, "3.25", "0.25")])
def test_numbers_of_the_transfer(ranks, uneven, rows):
    few = minipar.route(leaning(128, 64, (0.3, 0.15)), 64, 8, ranks=ranks)
    assert f"{few.max_over_mean:.2f}" == uneven
    assert f"{few.carried().total / ranks / (ranks - 1):.2f}" == rows

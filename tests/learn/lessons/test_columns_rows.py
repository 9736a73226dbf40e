"""Lesson 08 on real processes: the storyboard's numbers, and what is said of them."""

import math

import pytest
import torch

import minipar
from minipar.learn.lesson import Results, lesson
from minipar.learn.lessons import columns_rows, four_orders
from minipar.view.slices import By, chain


@pytest.fixture(scope="module")
def r(pool):
    """The experiment of the notebook."""
    torch.manual_seed(0)
    x, up, down = torch.randn(64, 256), torch.randn(1024, 256) / 256**0.5, torch.randn(256, 1024) / 1024**0.5
    mesh, one, needed = minipar.Mesh(tensor=2), {}, {}
    for order in four_orders.ORDERS:
        one[order] = pool.run(four_orders.one_collective, order, x, up, down, mesh=mesh)
        needed[order] = pool.run(four_orders.all_it_needs, order, x, up, down, mesh=mesh)
    alone = pool.run(four_orders.one_token, x, up, down, mesh=minipar.Mesh(tensor=1))
    two = pool.run(four_orders.one_token, x, up, down, mesh=mesh)
    return Results({"one": one, "needed": needed, "alone": max(alone), "two": max(two), "mlp": (x, up, down)})


def test_the_facts_are_the_storyboards(r):
    assert columns_rows.facts(r) == [
        ("one collective, column→row", "equal"),
        ("one collective, column→column", "refused: the second matrix wants 1,024 inputs, gets 512"),
        ("one collective, row→column", "wrong by 0.70 of the output's size"),
        ("one collective, row→row", "wrong by 0.71 of the output's size"),
        ("all it needs, column→row", "1 + 1, 131,072 B"),
        ("all it needs, column→column", "2 + 2, 360,448 B"),
        ("all it needs, row→column", "2 + 2, 589,824 B"),
        ("all it needs, row→row", "2 + 2, 360,448 B"),
        ("all gradients equal one process's", True),
    ]
    assert 360_448 / 131_072 == 2.75  # said at the end of the lesson


def test_the_question_says_what_was_measured(r):
    of = lesson("08")
    assert of.questions[0].found(r) == (
        "with one collective at the end, column→row is equal, column→column is refused, row→column is wrong by 70 %, "
        "row→row is wrong by 71 %."
    )


def test_the_formula_equals_the_run(r):
    rows = columns_rows.formula(r, sent=2 * (2 - 1) / 2 * 64 * 256 * 4, saved=2 * 256)
    assert rows == [("sent forward, column→row", "65,536 B", "65,536 B"), ("operations saved a byte", "512", "512")]


@pytest.mark.parametrize("order", four_orders.ORDERS)
def test_what_was_counted_is_what_the_picture_expects(r, order):
    drawn = columns_rows.row(r, order, four_orders.reference(*r.mlp)[0])
    expected = chain(tuple(By(side) for side in order.split("→")), (256, 1024, 256), tokens=64)
    assert (drawn.forward, drawn.backward) == (expected.forward, expected.backward)


def test_both_ranks_send_the_same(r):
    for order in four_orders.ORDERS:
        assert four_orders.counted(r.needed[order].trace, 0) == four_orders.counted(r.needed[order].trace, 1)


def test_the_picture_and_the_line_under_it(r):
    picture, line = columns_rows.see(r)
    assert picture.title == "Only column→row needs nothing in the middle"
    assert sum(bool(shape["hatch"]) for shape in picture.shapes) == 3
    assert {"wrong by 70 %", "wrong by 71 %", "refused", "equal"} <= {word["words"] for word in picture.words}
    assert line.startswith("One token, on this machine, now: one process ") and r.two > 0


def test_a_wrong_gradient_is_seen(r):
    true = four_orders.reference(*r.mlp)
    ranks = list(r.needed["column→row"])
    y, (x, up, down) = ranks[1]
    spoilt = [ranks[0], (y, (x / 2, up, down))]
    assert four_orders.gradients_equal("column→row", ranks, true)
    assert not four_orders.gradients_equal("column→row", spoilt, true)


def test_numbers_of_the_answers():
    from torch.nn.functional import gelu

    assert gelu(torch.zeros(())) == 0
    assert f"{(gelu(torch.tensor(3.0)) + gelu(torch.tensor(-3.0))).item():.2f}" == "2.99"


def test_numbers_of_the_transfer():
    assert [math.ceil(989e12 / speed / 4) for speed in (450e9, 50e9)] == [550, 4945]


def test_the_setup_has_the_weights_it_says(r):
    _, up, down = r.mlp
    assert up.numel() + down.numel() == 524_288 and up.numel() == 262_144

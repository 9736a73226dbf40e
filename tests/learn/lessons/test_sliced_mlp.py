"""Each way to slice the MLP wrongly, on real processes: the sentence that answers it, word for word."""

import itertools
import linecache

import pytest
import torch
from torch.nn.functional import gelu

from minipar.learn.door import Door
from minipar.learn.lessons import sliced_mlp
from minipar.learn.verdict import judge_one
from tests.lessons.splice import Mistake, blocks_of

NUMBERS = itertools.count()
SOLUTIONS, MISTAKES = blocks_of("08_columns_rows")


@pytest.fixture(autouse=True)
def one_pool(pool, monkeypatch):
    monkeypatch.setattr(sliced_mlp, "workers", lambda count: pool)


def written(*blocks):
    """The learner's `mlp`, from blocks of code in one namespace, as cells of a notebook make it."""
    names = {"torch": torch, "gelu": gelu, "Door": Door, "__name__": "__main__"}
    for block in blocks:
        cell = f"<cell {next(NUMBERS)}>"
        linecache.cache[cell] = (len(block), None, block.splitlines(keepends=True), cell)
        exec(compile(block, cell, "exec"), names)
    return names["mlp"]


def said(*blocks):
    return judge_one(sliced_mlp.check_mlp, written(*blocks))


def test_the_solution_is_right_on_one_two_and_four_ranks():
    verdict = said(*SOLUTIONS.values())
    assert verdict.good, verdict.lines()
    assert verdict.sentence.startswith("Output and all five gradients equal one process's on 1, 2 and 4 ranks.")
    assert "all" in repr(verdict.picture()) or "equal" in repr(verdict.picture())


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_each_listed_mistake_meets_its_sentence(mistake):
    verdict = said(*{**SOLUTIONS, mistake.cell: mistake.code}.values())
    assert not verdict.good and mistake.said_in(verdict.sentence), verdict.lines()


DOORS = SOLUTIONS["stub"]
HEAD = "def mlp(tensor, x, up, up_bias, down, down_bias):\n"


def body(line):
    return f"{HEAD}    {line}\n"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("return None", "On rank 0 mlp returned nothing; y has the shape of x, [1, 2]."),
        ("return up", "On rank 0 mlp returned a tensor [2, 2]; y has the shape of x, [1, 2]."),
        (
            "return Reduce(tensor, gelu(Reduce(tensor, Copy(tensor, x)) @ up.T + up_bias) @ down.T) + down_bias",
            "{number}, expected 21.98: x was summed on its way in. Every rank has all of x already.",
        ),
        (
            "return Reduce(tensor, Copy(tensor, gelu(Copy(tensor, x) @ up.T + up_bias)) @ down.T) + down_bias",
            "The output is right, the gradient of x is not: 16.19, expected 8.10. It was summed more than once.",
        ),
        (
            "return Reduce(tensor, gelu(Copy(tensor, x) @ up.T) @ down.T) + down_bias",
            "The output is right, and `up_bias` got no gradient.",
        ),
        (
            "return Reduce(tensor, gelu(Copy(tensor, x) @ up.T + up_bias) @ down.T + down_bias / tensor.size)",
            "The output is right, the gradient of `down_bias` is not: 0.50, expected 1.00. "
            "Add the bias once, after the sum.",
        ),
        (
            "return Reduce(tensor, gelu(Copy(tensor, x).detach() @ up.T + up_bias) @ down.T) + down_bias",
            "The output is right, and x got no gradient: let x walk through Copy.",
        ),
    ],
)
def test_other_mistakes(line, sentence):
    verdict = said(DOORS, body(line))
    assert not verdict.good and Mistake("", "", "", sentence).said_in(verdict.sentence), verdict.lines()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "return Reduce(tensor, x) if tensor.rank == 0 else x",
            "Deadlock: rank 0 waits for rank 1, which has finished. "
            "Every rank has to walk through the same doors, in the same order.",
        ),
        (
            "return Reduce(tensor, gelu(Copy(tensor, x) @ up.T + up_bias) @ down) + down_bias",
            "Rank 0 raised RuntimeError: mat1 and mat2 shapes cannot be multiplied (3x16 and 4x16), at "
            "`return Reduce(tensor, gelu(Copy(tensor, x) @ up.T + up_bias) @ down) + down_bias`.",
        ),
        (
            "return Reduce(tensor, gelu(Copy(tensor, x) @ up + up_bias) @ down.T) + down_bias",
            "The output is right, the gradient of `up` is not: 2.02, expected 4.05. "
            "torch's weight is turned: x @ up.T.",
        ),
        (
            "return Copy(x)",
            "Rank 0 raised TypeError: Door.__new__() missing 1 required positional argument: 'x', at `return Copy(x)`.",
        ),
    ],
)
def test_what_stops_the_ranks_is_one_sentence(line, sentence):
    verdict = said(DOORS, body(line))
    assert not verdict.good and verdict.sentence == sentence


def test_the_bias_on_four_ranks_is_told_with_its_numbers(pool):
    example = sliced_mlp.cases()[0]._replace(ranks=4)
    mlp = written(DOORS, body("return Reduce(tensor, gelu(Copy(tensor, x) @ up.T + up_bias) @ down.T + down_bias)"))
    verdict = sliced_mlp.check_case(example, sliced_mlp.attempt(mlp, example))
    assert verdict.sentence == (
        "51.98, expected 21.98: the bias 10 was added on each of 4 ranks. Add it after the sum."
    )


def test_a_door_that_is_not_written_yet_is_named():
    stub = DOORS.replace("return tensor.all_reduce(gradient)", "return ...")
    assert said(stub, SOLUTIONS["stub-2"]).sentence == (
        "Copy.backward is not written yet: its `...` still stands there."
    )


def test_the_hidden_size_that_failed_is_named():
    product = "gelu(Copy(tensor, x) @ up.T + up_bias) @ down.T"
    verdict = said(DOORS, body(f"return Reduce(tensor, {product} + down_bias * (tensor.size == 1)) + down_bias"))
    assert verdict.tried == "1 rank, x [3 × 4]"


def test_the_example_is_the_storyboards():
    y, gradients = sliced_mlp.expected(sliced_mlp.cases()[0])
    assert [round(number, 2) for number in y[0].tolist()] == [21.98, 21.98]
    assert [round(number, 2) for number in gradients["x"][0].tolist()] == [8.10, 8.10]

"""Each way to send tokens wrongly, on real processes: the sentence that answers it, word for word."""

import itertools
import linecache

import pytest
import torch

from minipar.learn.lessons import routed_moe
from minipar.learn.lessons.token_post import swap_counts, swap_rows
from minipar.learn.verdict import judge_one
from tests.lessons.splice import Mistake, blocks_of

NUMBERS = itertools.count()
SOLUTIONS, MISTAKES = blocks_of("11_experts")


@pytest.fixture(autouse=True)
def one_pool(pool, monkeypatch):
    monkeypatch.setattr(routed_moe, "workers", lambda count: pool)


def written(block):
    """The learner's `moe`, as a cell of a notebook makes it."""
    names = {"torch": torch, "swap_counts": swap_counts, "swap_rows": swap_rows, "__name__": "__main__"}
    cell = f"<cell {next(NUMBERS)}>"
    linecache.cache[cell] = (len(block), None, block.splitlines(keepends=True), cell)
    exec(compile(block, cell, "exec"), names)
    return names["moe"]


def said(block):
    return judge_one(routed_moe.check_moe, written(block))


def changed(*pairs):
    """The solution with some of its words replaced."""
    block = SOLUTIONS["stub"]
    for old, new in pairs:
        assert old in block, old
        block = block.replace(old, new)
    return block


def test_the_solution_is_right_on_one_two_and_four_ranks():
    verdict = said(SOLUTIONS["stub"])
    assert verdict.good, verdict.lines()
    assert "199 rows out, 199 home" in verdict.sentence
    tables = [trace.z for trace in verdict.picture().data if trace.type == "heatmap"]
    assert [row[0] for row in tables[0]] == [None, 42 * 256, 39 * 256, 39 * 256]
    assert list(tables[1][0])[1:] == [42 * 256, 39 * 256, 39 * 256]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_each_listed_mistake_meets_its_sentence(mistake):
    verdict = said(mistake.code)
    assert not verdict.good and mistake.said_in(verdict.sentence), verdict.lines()


RESULT, BACK = "torch.zeros_like(x)", "home = swap_rows(w, answers, comes, sends)"
SENDS = "sends, comes = counts.sum(1).tolist(), coming.sum(1).tolist()"
WHOLE = "return torch.zeros_like(x).index_add(0, token, weight.flatten()[pairs, None] * home)"
UNSORTED = ("All answers came home, in the order of the experts: row 0 holds another token's. "
            "Undo the sort you sent with.")  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (f"return {RESULT}", f"return 0 * {RESULT}[:0]", "On rank 0 moe returned a tensor [{number}, 1]; what the "
         "block adds has the shape of x, [2, 1]."),
        ("    wanted = choice", "    return None\n    wanted = choice",
         "On rank 0 moe returned nothing; what the block adds has the shape of x, [2, 1]."),
        (WHOLE, "return home", UNSORTED),
        (RESULT, "x.clone()", "Return what the block adds to x, without x: the residual adds it."),
        ("weight.flatten()[pairs, None]", "weight.flatten()[: len(pairs), None]",
         "The answers are home in their order, their weights are not: row 0 is weighed as another. "
         "Sort the weights as you sorted the pairs."),
        ("[wanted[pairs] >= 0]", "",
         "Rank {number} raised RuntimeError: bincount only supports 1-d non-negative integral inputs, at "
         "`counts = torch.bincount(wanted[pairs], minlength=w.ranks * len(mine)).view(w.ranks, -1)`."),
        (BACK, f"{BACK}; swap_counts(w, counts)",
         "Right values, 2 all-to-alls of counts, 1 suffices: home go as many as came."),
        (BACK, f"{BACK}; rest = swap_rows(w, x[token], sends, comes)",
         "Right values, 3 all-to-alls of rows, 2 suffice: out, and home."),
        (BACK, f"{BACK}; w.everyone.ring.all_gather(counts)",
         "Right values, and besides the swaps there was all_gather: nothing else is needed."),
        (BACK, BACK.replace("answers,", "answers.detach(),"),
         "The output is right, and x got no gradient: rows travel with their gradients in swap_rows alone."),
        ("weight.flatten()[pairs", "weight.detach().flatten()[pairs",
         "The output is right, and the weights got no gradient: multiply by them as they are."),
        ("expert(part) for", "expert(part) if len(part) else part for",
         "Nobody wanted expert 5, and it got no gradient at all: its gradient is zero, not missing. "
         "Let it work on no rows."),
        ("expert(part) for", "expert(part.detach()) + part - part.detach() for",
         "The output is right, the gradient of x on rank 0 is not."),
        (SENDS, SENDS.replace("coming", "counts"),
         "Rank {number} sent rank {number} {number} rows, which rank {number} says are {number}."),
        ("x[token], sends", "x[token][1:], sends", "Rank {number} gave rows [1, 1], and its sends 1 1 are 2."),
        ("    rows = swap_rows", "    if w.rank == 0: return x\n    rows = swap_rows",
         "Deadlock: rank 1 waits for rank 0, which has finished. "
         "Every rank makes the same swaps in the same order, also where it has no rows."),
    ],
)  # fmt: skip
def test_other_mistakes(old, new, sentence):
    verdict = said(changed((old, new)))
    assert not verdict.good and Mistake("", "", "", sentence).said_in(verdict.sentence), verdict.lines()


def test_a_wrong_number_is_shown_where_no_cause_is_known():
    verdict = said(changed((RESULT, "torch.ones_like(x)")))
    assert verdict.sentence == "" and verdict.expected == "rank 0, row 0: [4]" and verdict.got == "[5]"

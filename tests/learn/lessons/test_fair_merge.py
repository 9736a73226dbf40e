"""What lesson 10 answers to softmaxes that are none and to deals that are unfair, word for word."""

import pytest
import torch

from minipar.learn.lessons import fair_merge
from minipar.learn.verdict import judge_one
from minipar.nn import context
from tests.lessons.splice import blocks_of

CODE, MISTAKES = blocks_of("10_along_the_sequence")


def functions(source):
    made = {"torch": torch, "__name__": "__main__"}
    exec(source, made)
    return made


@pytest.mark.parametrize("merge", [functions(CODE["stub"])["merge"], context.merge])
def test_right_merges(merge):
    assert judge_one(fair_merge.check_merge, merge).good


def test_right_deals():
    assert judge_one(fair_merge.check_zigzag, functions(CODE["stub"])["zigzag"]).sentence.endswith("This is zig-zag.")
    striped = judge_one(fair_merge.check_zigzag, lambda rank, ranks, length: range(rank, length, ranks))
    assert striped.good and striped.sentence.endswith("This is striped: 1.05 at 64 positions on 4.")


def test_a_deal_of_ones_own():
    def snake(rank, ranks, length):
        """Dealt like striped, every second round the other way."""
        rounds = range(length // ranks)
        return [turn * ranks + (ranks - 1 - rank if turn % 2 else rank) for turn in rounds]

    assert judge_one(fair_merge.check_zigzag, snake).sentence.endswith(
        "It is not in the catalogue: this deal is yours (1.00 at 64 positions on 4)."
    )


@pytest.mark.parametrize("mistake", [one for one in MISTAKES if one.cell == "stub"], ids=lambda one: one.name)
def test_listed_mistakes(mistake):
    made = functions(mistake.code)
    first = judge_one(fair_merge.check_merge, made["merge"])
    verdict = first if not first.good else judge_one(fair_merge.check_zigzag, made["zigzag"])
    assert verdict.sentence == mistake.sentence


@pytest.mark.parametrize(
    ("merge", "sentence"),
    [
        (lambda a, b: 3, "merge returned a int; return three tensors: (max, sum, weighted)."),
        (lambda a, b: (a[0], a[1], a[2].sum()), "weighted has shape [], expected [1, 1], as it came in."),
        (lambda a, b: (context.merge(a, b)[0] * 0, *context.merge(a, b)[1:]),
         "28.02 is right, but the maximum and the sum do not fit each other: the next merge would go wrong."),
        (lambda a, b: (b[0], a[1] * (a[0] - b[0]).exp() + b[1], a[2] * (a[0] - b[0]).exp() + b[2]),
         "nan: a block without a visible key has maximum −inf, and −inf − (−inf) is no number. It weighs 0."),
        (lambda a, b: (torch.zeros_like(a[0]), a[1] * a[0].exp() + b[1] * b[0].exp(),
                       a[2] * a[0].exp() + b[2] * b[0].exp()),
         "nan: exp of a score near 1,000 is too large for a number. Take the new maximum off first."),
    ],
)  # fmt: skip
def test_other_merges(merge, sentence):
    assert judge_one(fair_merge.check_merge, merge).sentence == sentence


@pytest.mark.parametrize(
    ("zigzag", "sentence"),
    [
        (lambda rank, ranks, length: 3, "zigzag(0, 4, 16) returned 3; return a list of positions, as [2, 3, 12, 13]."),
        (lambda rank, ranks, length: [0, 1], "Position 0 is on rank 0 and on rank 1."),
        (lambda rank, ranks, length: [rank, rank], "Position 0 is on rank 0 twice."),
        (lambda rank, ranks, length: [rank], "Position 4 is on no rank."),
        (lambda rank, ranks, length: [rank, length], "Position 16 does not exist: 16 positions are numbered 0 to 15."),
        (lambda rank, ranks, length: range(length) if rank == 0 else [],
         "Rank 0 has 16 positions, the last rank 0: blocks must be of equal size."),
        (lambda rank, ranks, length: range(rank * length // ranks, (rank + 1) * length // ranks),
         "Every position once, but 10, 26, 42, 58 pairs at 16 positions: slowest/mean 1.71, allowed 1.1. "
         "Deal late positions together with early ones."),
    ],
)  # fmt: skip
def test_other_deals(zigzag, sentence):
    assert judge_one(fair_merge.check_zigzag, zigzag).sentence == sentence

"""What lessons 04 and 05 answer to wrong orders, word for word; no processes are needed for any of them."""

import pytest

import minipar
from minipar import B, F
from minipar.learn.lessons import gpipe, one_f_one_b
from minipar.learn.lessons.orders import from_builder
from minipar.learn.safely import Trouble
from minipar.learn.verdict import judge_one


def sentence(check, work):
    verdict = judge_one(check, work)
    assert not verdict.good
    return verdict.sentence


def rows(*programs):
    return "\n".join(programs)


ALTERNATING = rows(*(" ".join(f"{r}F{m} {r}B{m}" for m in range(4)) for r in range(3)))
FROM_ONE = rows(*(" ".join(f"{r}{o}{m}" for o in "FB" for m in range(1, 5)) for r in range(3)))
STAGE_ZERO = rows(*(" ".join(f"0{o}{m}" for o in "FB" for m in range(4)) for r in range(3)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            ALTERNATING,
            "Legal, but one microbatch at a time: 36 slots, par is 18. Rank 0 could start 0F1 at 1 and starts it at 9.",
        ),
        (FROM_ONE, "0F4 does not exist: four microbatches are numbered 0 to 3. Missing: 0F0."),
        (STAGE_ZERO, "Row 1 says 0F0, but stage 0 stands on rank 0. Rank 1 runs stage 1: 1F0."),
        (gpipe.START, "Not started yet."),
        ("0F0 0B0\n1F0 1B0", "2 lines are 2 ranks; 3 were asked for."),
        (
            "0F0 0FO",
            "Rank 0, word 2: '0FO' is no action: write stage, letter, microbatch, as in 2F0 (letters F, B, I or W).",
        ),
        (
            str(minipar.gpipe(ranks=3, microbatches=3)),
            "0F3 is missing: 4 microbatches are numbered 0 to 3.",
        ),
        (rows(*(f"{r}F0 {r}B0" for r in range(4))), "4 lines are 4 ranks; 3 were asked for."),
    ],
)
def test_gpipe_by_hand(text, said):
    assert sentence(gpipe.check_by_hand, text) == said


@pytest.mark.parametrize("build", [minipar.gpipe, minipar.one_f_one_b])
def test_any_order_within_par_is_right_and_named(build):
    verdict = gpipe.check_by_hand(str(build(ranks=3, microbatches=4)))
    assert verdict.good
    name = {"GPipe": "This is GPipe.", "1F1B": "This is 1F1B: two lessons in one."}[build.title]
    assert verdict.sentence == f"18 slots: par. {name}"


def test_an_order_of_ones_own_gets_its_credit():
    text = "0F1 0F0 0F2 0F3 0B1 0B0 0B2 0B3\n1F1 1F0 1F2 1F3 1B1 1B0 1B2 1B3\n2F1 2B1 2F0 2B0 2F2 2B2 2F3 2B3"
    verdict = gpipe.check_by_hand(text)
    assert verdict.good and verdict.sentence == "18 slots: par. It is not in the catalogue: this order is yours."


def reversed_on_the_last(rank, ranks, microbatches):
    for m in range(microbatches):
        yield F(rank, m)
    for m in reversed(range(microbatches)) if rank == ranks - 1 else range(microbatches):
        yield B(rank, m)


def test_ranks_that_disagree():
    assert sentence(gpipe.check_mine, reversed_on_the_last) == (
        "The ranks disagree: rank 3 returns 7 first, rank 2 waits for 0. 47 slots, par is 33. "
        "Either order works if all keep it."
    )


def test_constants_do_not_pass_the_hidden_sizes():
    @minipar.schedule
    def eight(rank, ranks, microbatches):
        for m in range(8):
            yield F(rank, m)
        for m in range(8):
            yield B(rank, m)

    verdict = gpipe.check_mine(eight)
    assert (verdict.tried, verdict.sentence) == (
        "3 ranks, 4 microbatches",
        "0F4 does not exist: four microbatches are numbered 0 to 3.",
    )


def warmups(count):
    def mine(rank, ranks, microbatches):
        first = min(microbatches, max(0, count(rank, ranks)))
        for m in range(first):
            yield F(rank, m)
        for m in range(microbatches - first):
            yield F(rank, first + m)
            yield B(rank, m)
        for m in range(microbatches - first, microbatches):
            yield B(rank, m)

    return mine


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (
            lambda r, p: 0,
            "Legal, 1 in flight everywhere, and 96 slots: each microbatch walks down and back alone. Par is 33.",
        ),
        (
            lambda r, p: p - 1,
            "69 slots, peaks 4 4 4 4: rank 3 can go back at once. Warm-up falls by one a rank.",
        ),
        (lambda r, p: p - r, "33 slots, the right time, but peaks 5 4 3 2: one too many on each rank."),
        (lambda r, p: p - 2 - r, "54 slots: rank 0 waits at 0B0 with nothing left to do. One more forward first."),
        (
            lambda r, p: r,
            "Stuck: rank 0 waits at 0B0 for 1B0; rank 1 waits at 1F1 for 0F1; 0F1 stands behind 0B0.",
        ),
    ],
)
def test_warmups_that_are_off(count, said):
    verdict = judge_one(one_f_one_b.check_mine, warmups(count))
    assert (verdict.tried, verdict.sentence) == ("4 ranks, 8 microbatches", said)


def test_gpipe_has_the_right_time_and_holds_too_much():
    assert sentence(one_f_one_b.check_mine, minipar.gpipe) == (
        "33 slots, the right time, but peaks 8 8 8 8: 4 3 2 1 are enough."
    )


def test_1f1b_by_hand():
    assert sentence(one_f_one_b.check_by_hand, one_f_one_b.START) == "Not started yet."
    verdict = one_f_one_b.check_by_hand(str(minipar.one_f_one_b(ranks=4, microbatches=4)))
    assert verdict.good and verdict.sentence == "21 slots and peaks 4 3 2 1."


def test_what_is_no_generator_of_actions():
    with pytest.raises(Trouble, match="check wants the function itself"):
        from_builder(minipar.naive(3), 3, 4)
    with pytest.raises(Trouble, match="Your function gave no schedule"):
        from_builder(lambda ranks, microbatches: "0F0", 3, 4)


def test_the_task_of_lesson_04_has_the_answer_the_text_gives():
    """Less than 10 % idle on 4 ranks: 28 microbatches are the first; a hop of 0.5 asks for more."""

    def smallest(hop):
        cost = minipar.Cost(F=1, B=2, hop=hop)
        return next(
            m for m in range(1, 200) if minipar.predict(minipar.gpipe(ranks=4, microbatches=m), cost).bubble < 0.1
        )

    assert smallest(0) == 28
    assert smallest(0.5) > 28

"""Are all positions dealt, once, and is the work counted right? Against pictures, closed forms and plain counting."""

import pytest

from minipar.plan import deal

LENGTH = 240  # divisible by twice every number of ranks tried


def test_pictures():
    assert deal.owners(deal.hands("contiguous", 4, 16)) == (0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3)
    assert deal.owners(deal.hands("zigzag", 4, 16)) == (0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 2, 2, 1, 1, 0, 0)
    assert deal.owners(deal.hands("striped", 4, 16)) == (0, 1, 2, 3) * 4
    assert deal.zigzag(1, 4, 16) == (2, 3, 12, 13)


@pytest.mark.parametrize("name", deal.DEALS)
@pytest.mark.parametrize("ranks", range(1, 7))
def test_every_position_is_in_one_hand_and_every_pair_is_computed_once(name, ranks):
    hands = deal.hands(name, ranks, LENGTH)
    assert sorted(position for hand in hands for position in hand) == list(range(LENGTH))
    assert {len(hand) for hand in hands} == {LENGTH // ranks}
    assert sum(deal.work(hands).pairs) == LENGTH * (LENGTH + 1) // 2
    assert deal.work(hands, causal=False).pairs == (LENGTH * LENGTH // ranks,) * ranks
    assert deal.work(hands, causal=False).uneven == 1


def test_pairs_against_counting_them_all():
    queries, keys = deal.zigzag(1, 3, 24), deal.striped(2, 3, 24)
    assert deal.pairs(queries, keys) == sum(key <= query for query in queries for key in keys)
    assert deal.pairs((), keys) == deal.pairs(queries, ()) == 0


def test_the_work_at_16_positions():
    assert deal.work(deal.hands("contiguous", 4, 16)).pairs == (10, 26, 42, 58)
    assert deal.work(deal.hands("zigzag", 4, 16)).pairs == (34, 34, 34, 34)
    assert deal.work(deal.hands("striped", 4, 16)).pairs == (28, 32, 36, 40)
    slowest = [deal.work(deal.hands(name, 4, 16)).slowest for name in deal.DEALS]
    assert slowest == [58, 34, 40]
    assert deal.work(deal.hands("contiguous", 4, 16)).steps == (
        (10, 10, 10, 10), (0, 16, 16, 16), (0, 0, 16, 16), (0, 0, 0, 16),
    )  # fmt: skip
    assert deal.work(deal.hands("contiguous", 4, 16)).waiting(0) == 48


def test_the_work_at_1024_positions():
    row = deal.work(deal.hands("contiguous", 4, 1024))
    assert row.pairs == (32_896, 98_432, 163_968, 229_504) and row.slowest == 229_504
    dealt = deal.work(deal.hands("zigzag", 4, 1024))
    assert dealt.pairs == (131_200,) * 4 and dealt.slowest == 131_200 and dealt.uneven == 1
    assert deal.work(deal.hands("contiguous", 8, 1024)).uneven == pytest.approx(1.874, abs=5e-4)
    assert deal.work(deal.hands("striped", 4, 64)).uneven == pytest.approx(1.046, abs=5e-4)


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_contiguous_tends_to_two_less_one_over_the_ranks(ranks):
    assert deal.work(deal.hands("contiguous", ranks, 2048)).uneven == pytest.approx((2 * ranks - 1) / ranks, rel=2e-3)


def test_the_ring_brings_every_block_past_every_rank():
    for ranks in range(1, 6):
        for rank in range(ranks):
            assert {deal.source(rank, step, ranks) for step in range(ranks)} == set(range(ranks))
        assert deal.source(0, 0, ranks) == 0
    assert [deal.source(0, step, 4) for step in range(4)] == [0, 3, 2, 1]


def test_one_rank_takes_any_length():
    assert deal.zigzag(0, 1, 7) == deal.contiguous(0, 1, 7) == deal.striped(0, 1, 7) == tuple(range(7))


@pytest.mark.parametrize(
    ("name", "ranks", "length", "sentence"),
    [
        ("contiguous", 4, 10, "10 positions cannot be dealt contiguous in 4 equal parts: 10 is no multiple of 4"),
        ("striped", 3, 16, "16 positions cannot be dealt striped in 3 equal parts: 16 is no multiple of 3"),
        ("zigzag", 4, 12, "12 positions cannot be dealt zigzag in 8 equal chunks, two for each of 4 ranks: "
                          "12 is no multiple of 8"),
        ("zig-zag", 2, 8, "there is no deal 'zig-zag': there are contiguous, zigzag, striped"),
    ],
)  # fmt: skip
def test_what_cannot_be_dealt_is_refused(name, ranks, length, sentence):
    with pytest.raises(ValueError) as refusal:
        deal.hands(name, ranks, length)
    assert str(refusal.value) == sentence


def test_a_rank_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="there are ranks 0 to 3, and not 4"):
        deal.deal("zigzag", 4, 4, 16)

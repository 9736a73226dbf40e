"""The explorer of deals: its numbers, its tasks, what it refuses."""

import pytest

from minipar.view import explore


def test_it_moves_by_code_and_says_so_in_one_line():
    ex = explore.deal(ranks=4)
    assert repr(ex) == (
        "Deal(contiguous, ranks=4, positions=1,024, causal: slowest/mean 1.75, 393,216 B passed on by each rank)"
    )
    ex.set(deal="zigzag")
    assert repr(ex).startswith("Deal(zigzag, ranks=4, positions=1,024, causal: slowest/mean 1.00, ")
    assert ex.readout.facts == [
        ["slowest of each step, against the mean", "1.00"],
        ["pairs, first and last rank", "131,200 and 131,200"],
        ["keys and values passed on by each rank", "393 kB"],
        ["largest score matrix", "262 kB"],
    ]


def test_the_two_tasks():
    ex = explore.deal(task=explore.slowest_of(8))
    assert ex.met == [False, False]
    ex.set(ranks=8)
    assert ex.met == [True, False] and ex.readout.facts[0][1] == "1.87"
    ex.set(causal=False)
    assert ex.met == [True, True]
    for name in ("contiguous", "zigzag", "striped"):
        assert ex.set(deal=name).readout.facts[0][1] == "1.00"
    assert ex.readout.sentence.startswith("Without a mask every position looks at all")


def test_its_sentence_names_who_waits():
    ex = explore.deal(ranks=8)
    assert ex.readout.sentence == "Rank 0 waits 93% of the time: most of the keys that come by lie in its future."
    assert ex.set(deal="zigzag").readout.sentence == "Whoever holds early positions holds late ones too."
    assert ex.set(ranks=1).readout.sentence == "One rank: nobody to wait for, nothing passed on."


@pytest.mark.parametrize("deal", ["contiguous", "zigzag", "striped"])
def test_it_draws_at_every_size(deal):
    for ranks in (1, 2, 16):
        for positions in (64, 4096):
            ex = explore.deal(ranks=ranks, positions=positions, deal=deal)
            assert ex.error is None and ex.view.parts and ex.figure().layout.annotations


def test_refusals():
    with pytest.raises(ValueError, match="deal is one of contiguous, zigzag, striped, not 'zig-zag'."):
        explore.deal(deal="zig-zag")
    with pytest.raises(ValueError, match="ranks is one of 1, 2, 4, 8, 16, not 3."):
        explore.deal(ranks=3)

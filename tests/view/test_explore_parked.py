"""The explorer of split backwards under a cap: its numbers, its tasks, its two ends ZB-H1 and ZB-H2."""

import pytest

from minipar.plan.schedules import zb_h1, zb_h2
from minipar.plan.simulate import predict
from minipar.view import explore
from minipar.view.explore_parked import under_cap


@pytest.mark.parametrize("ranks", range(1, 7))
def test_the_family_goes_from_h1_to_h2(ranks):
    for microbatches in range(1, 13):
        assert under_cap(ranks, microbatches, cap=ranks).programs == zb_h1(ranks, microbatches).programs
        for cap in (2 * ranks - 1, 2 * ranks + 3):
            assert under_cap(ranks, microbatches, cap=cap).programs == zb_h2(ranks, microbatches).programs
        for cap in range(1, 2 * ranks + 2):
            assert max(predict(under_cap(ranks, microbatches, cap=cap)).peak_in_flight) <= cap


def test_it_moves_by_code_and_says_so_in_one_line():
    ex = explore.parked()
    assert repr(ex) == (
        "Parked(cap=4, ranks=4, microbatches=8, W:I=1: 1F1B 33 slots, ZB-H1 27 slots, under the cap 27 slots, "
        "own-span idle 3 2 1 0)"
    )
    gaps = [ex.set(cap=cap).readout.facts[3][1] for cap in (5, 6, 7)]
    assert gaps == ["2 1 0 0", "1 0 0 0", "0 0 0 0"]
    assert ex.readout.sentence == "No rank has a gap between its first action and its last."
    assert ex.readout.facts[2] == ["under a cap of 7", "27 slots"]
    assert "which is ZB-H2" in ex.view.panels[1].title
    assert ex.set(cap=3).readout.sentence == (
        "Rank 0 still waits 18 slots between its first action and its last. The cap is below 1F1B's own."
    )


def test_the_two_tasks():
    ex = explore.parked(task=explore.no_gap_inside())
    assert ex.set(cap=8).met == [False, False]
    assert ex.set(cap=7).met == [True, False]
    assert ex.set(hop=0.5).met == [True, True]
    assert [fact[1] for fact in ex.readout.facts[:3]] == ["41 slots", "33 slots", "28.5 slots"]


def test_it_draws_at_every_size():
    for ranks in (1, 2, 8):
        for microbatches in (1, 32):
            ex = explore.parked(ranks=ranks, microbatches=microbatches, cap=16, ratio=2)
            assert ex.error is None and ex.figure().data

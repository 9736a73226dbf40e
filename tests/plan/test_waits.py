"""Who waits for whom in a schedule that gets stuck, and who stands in the circle?"""

import pytest

from minipar.plan.schedule import Schedule
from minipar.plan.schedules import gpipe, one_f_one_b
from minipar.plan.waits import circle, waits


def test_from_hand_to_hand_1f1b_sticks_and_gpipe_does_not():
    found = waits(one_f_one_b(4, 4), unbuffered=True)
    assert [wait.words for wait in found] == [
        "rank 0 sends 0F3's activation to rank 1, which is not there for it",
        "rank 1 sends 1F2's activation to rank 2, which is not there for it",
        "rank 2 sends 2F1's activation to rank 3, which is not there for it",
        "rank 3 sends 3B0's gradient to rank 2, which is not there for it",
    ]
    assert [wait.peer for wait in found] == [1, 2, 3, 2] and [wait.done for wait in found] == [4, 3, 2, 2]
    assert circle({wait.rank: wait.peer for wait in found}) == (2, 3)
    assert waits(one_f_one_b(4, 4)) == () and waits(gpipe(4, 4), unbuffered=True) == ()


def test_two_ranks_that_need_each_other_first():
    found = waits(Schedule.parse("0F0 0B0 0F1 0B1\n1F1 1F0 1B0 1B1"))
    assert [wait.words for wait in found] == [
        "rank 0 waits at 0B0 for 1B0 of rank 1", "rank 1 waits at 1F1 for 0F1 of rank 0",
    ]  # fmt: skip
    assert circle({wait.rank: wait.peer for wait in found}) == (0, 1)


def test_a_rank_that_stands_in_its_own_way_and_a_value_that_nobody_makes():
    assert waits(Schedule.parse("0F0 0B0\n1B0 1F0"))[1].peer == 1
    lost = waits(Schedule.parse("0F0\n1F1"))
    assert [(wait.rank, wait.peer) for wait in lost] == [(1, None)]
    assert lost[0].words == "rank 1 waits at 1F1 for the activation of stage 0, microbatch 1, which nobody makes"


@pytest.mark.parametrize("peers, ring", [
    ([1, 2, 3, 2], (2, 3)), ([1, None], ()), ([0], (0,)), ([], ()), ([3, 2, 1, 0], (0, 3)), ([1, 2, 0], (0, 1, 2)),
    ([4, 3, 1, 2, None], (1, 3, 2)), (list(range(1, 64)) + [60], (60, 61, 62, 63)), ({5: 7, 7: 5}, (5, 7)),
    ({1: 2}, ()),
])  # fmt: skip
def test_the_circle_is_written_from_its_smallest(peers, ring):
    assert circle(peers) == ring

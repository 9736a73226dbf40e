"""A block laid down, pulled and filled: nothing lost, no slot used twice, no cap broken, and nothing gets later."""

from itertools import product

import pytest

import minipar
from minipar.plan.actions import F, I, W, makes, reads
from minipar.plan.blocks import fill, grow, lay_down, pull

SHORT = [(0, 3, 4, 7), (1, 2, 5, 6)]  # two ranks, each microbatch without a stop
SLOW = [(0, 5, 10, 15), (1, 4, 11, 14)]


def sound(slots, cap):
    """Slots in which every action finds what it reads, one at a time on a rank, never more held than the cap."""
    there = {value: at + 1 for row in slots for action, at in row.items() for value in makes(action)}
    for row in slots:
        assert len(set(row.values())) == len(row)
        assert all(there[value] <= at for action, at in row.items() for value in reads(action, 2 * len(slots) - 1))
        for now in row.values():
            held = [a for a, at in row.items() if a.op is F and at <= now <= row[W(a.stage, a.microbatch)]]
            assert len(held) <= cap


def test_laid_down_every_six_slots():
    down = lay_down(SHORT, 2)
    assert down[0] == {F(0, 0): 0, F(0, 1): 6, F(3, 0): 3, F(3, 1): 9, I(3, 0): 4, I(3, 1): 10, I(0, 0): 7, I(0, 1): 13}
    assert all(len(set(row.values())) == len(row) for row in down)


@pytest.mark.parametrize(("block", "microbatches"), list(product((SHORT, SLOW), (1, 2, 5, 9))))
def test_every_move_is_sound_and_to_the_left(block, microbatches):
    cap = 4 if block is SHORT else 6
    filled = fill(lay_down(block, microbatches), cap)
    sound(filled, cap)
    assert all(len(row) == 6 * microbatches for row in filled)
    pulled = pull(filled, cap)
    sound(pulled, cap)
    assert all(pulled[rank][action] <= at for rank, row in enumerate(filled) for action, at in row.items())


def test_what_it_grows_into():
    programs = grow(SHORT, 8, cap=4)
    trace = minipar.predict(minipar.Schedule("grown", programs), minipar.Cost(F=1, B=2))
    assert (max(trace.peak_in_flight), trace.makespan) == (4, 49)
    assert programs == minipar.v_min(2, 8).programs
    roomy = minipar.predict(minipar.Schedule("grown", grow(SLOW, 8, cap=6)), minipar.Cost(F=1, B=2))
    assert roomy.makespan <= trace.makespan and max(roomy.peak_in_flight) <= 6

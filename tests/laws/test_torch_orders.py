"""Where torch has a schedule too, ours is the same order, action for action, as its runtime executes it."""

from itertools import product

import pytest
from torch.distributed.pipelining import schedules as peer

import minipar

PAIRS = {
    "looped_bfs": peer.ScheduleLoopedBFS,
    "interleaved_1f1b": peer.ScheduleInterleaved1F1B,
    "interleaved_zero_bubble": peer.ScheduleInterleavedZeroBubble,
    "zb_v": peer.ScheduleZBVZeroBubble,
}


def theirs(kind, ranks: int, microbatches: int, chunks: int) -> str:
    """torch's list for each rank, its empty slots left out; made without the stages and groups its constructor asks."""
    rounds = max(1, microbatches // ranks)
    made = object.__new__(kind)
    made.pp_group_size, made.n_local_stages, made._stages = ranks, chunks, [None] * chunks
    made.num_stages, made._n_microbatches = ranks * chunks, microbatches
    made.microbatches_per_round = microbatches // rounds
    rows = [made._calculate_single_rank_operations(rank) for rank in range(ranks)]
    return "\n".join(" ".join(str(action) for action in row if action is not None) for row in rows)


@pytest.mark.parametrize("name", PAIRS)
def test_the_same_order_as_torch(name):
    compared = 0
    for p, m, chunks in product(range(1, 7), range(1, 14), (2,) if name == "zb_v" else (1, 2, 3)):
        if "interleaved" in name and m % max(1, m // p):
            continue  # torch refuses a number of microbatches that its rounds do not divide; ours has uneven rounds
        options = {} if name == "zb_v" else {"chunks": chunks}
        assert str(getattr(minipar, name)(p, m, **options)) == theirs(PAIRS[name], p, m, chunks)
        compared += 1
    assert compared >= 60


def test_pairs_at_once_stand_where_torch_has_them():
    for p in range(1, 7):
        for m in range(2 * p, 2 * p + 8):
            made = object.__new__(peer.ScheduleDualPipeV)
            made.pp_group_size, made._n_microbatches = p, m
            rows = [made._calculate_single_rank_operations(rank) for rank in range(p)]
            text = "\n".join(" ".join(str(action) for action in row if action is not None) for row in rows)
            assert str(minipar.dualpipe_v(p, m)) == text

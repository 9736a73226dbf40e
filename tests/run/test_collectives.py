"""Do our own collectives give what the backend gives, and send what their docstrings say?

Bytes are compared with literals worked by hand and with the formula of cost/comm.py; nothing of it counts here.
"""

import pytest
import torch

from minipar.cost import comm
from minipar.run import collectives as our
from minipar.run.pool import RemoteError, WorkerPool

FLOATS = 8  # 32 bytes on each rank


def each(w, elements=FLOATS, dtype=torch.float32):
    axis = w.everyone
    x = torch.arange(elements, dtype=dtype) + 10 * axis.rank
    kept, last = x.clone(), axis.size - 1
    out = {
        "ring": our.ring_all_reduce(axis, x), "zero": our.through_zero(axis, x),
        "all": our.everyone_to_everyone(axis, x),
        "naive": our.broadcast_naive(axis, x, last), "tree": our.broadcast_tree(axis, x, last),
        "round": our.broadcast_ring(axis, x, last), "to naive": our.reduce_naive(axis, x, last),
        "to tree": our.reduce_tree(axis, x, last), "piece": our.ring_reduce_scatter(axis, x),
        "joined": our.ring_all_gather(axis, x), "swapped": our.all_to_all(axis, x.tensor_split(axis.size)),
    }  # fmt: skip
    assert torch.equal(x, kept)
    return out


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize(("elements", "dtype"), [(8, torch.float32), (10, torch.int64), (1, torch.float64)])
def test_values(pool, ranks, elements, dtype):
    held = [torch.arange(elements, dtype=dtype) + 10 * rank for rank in range(ranks)]
    total = sum(held)
    for rank, out in enumerate(pool.run(each, elements, dtype, ranks=ranks)):
        for name in ("ring", "zero", "all"):
            assert torch.equal(out[name], total), name
        for name in ("naive", "tree", "round"):
            assert torch.equal(out[name], held[-1]), name
        for name in ("to naive", "to tree"):
            assert torch.equal(out[name], total) if rank == ranks - 1 else out[name] is None
        assert torch.equal(out["piece"], total.tensor_split(ranks)[rank])
        assert torch.equal(out["joined"], torch.cat(held))
        assert torch.equal(torch.cat(out["swapped"]), torch.cat([own.tensor_split(ranks)[rank] for own in held]))


def one(w, name, elements, options):
    axis = w.everyone
    x = torch.zeros(elements)
    function = getattr(our, name)
    function(axis, x.tensor_split(axis.size) if name == "all_to_all" else x, **options)


# what, on 4 ranks with 8 floats (32 bytes) each -> bytes each rank sends, messages each rank sends
BY_HAND = [
    ("ring_all_reduce", {}, (48, 48, 48, 48), (6, 6, 6, 6)),
    ("through_zero", {}, (96, 32, 32, 32), (3, 1, 1, 1)),
    ("everyone_to_everyone", {}, (96, 96, 96, 96), (3, 3, 3, 3)),
    ("ring_reduce_scatter", {}, (24, 24, 24, 24), (3, 3, 3, 3)),
    ("ring_all_gather", {}, (96, 96, 96, 96), (3, 3, 3, 3)),
    ("all_to_all", {}, (24, 24, 24, 24), (3, 3, 3, 3)),
    ("broadcast_naive", {"source": 1}, (0, 96, 0, 0), (0, 3, 0, 0)),
    ("broadcast_tree", {}, (64, 32, 0, 0), (2, 1, 0, 0)),
    ("broadcast_ring", {"source": 2}, (32, 0, 32, 32), (4, 0, 4, 4)),
    ("reduce_naive", {"to": 3}, (32, 32, 32, 0), (1, 1, 1, 0)),
    ("reduce_tree", {}, (0, 32, 32, 32), (0, 1, 1, 1)),
]
WHAT = {"ring_all_reduce": ("all_reduce", "ring"), "through_zero": ("all_reduce", "through_zero"),
        "everyone_to_everyone": ("all_reduce", "everyone"), "ring_reduce_scatter": ("reduce_scatter", "ring"),
        "ring_all_gather": ("all_gather", "ring"), "all_to_all": ("all_to_all", "pairs"),
        "broadcast_naive": ("broadcast", "naive"), "broadcast_tree": ("broadcast", "tree"),
        "broadcast_ring": ("broadcast", "ring"), "reduce_naive": ("reduce", "naive"),
        "reduce_tree": ("reduce", "tree")}  # fmt: skip


@pytest.mark.parametrize(("name", "options", "sent", "messages"), BY_HAND, ids=[row[0] for row in BY_HAND])
def test_the_ledger_the_hand_and_the_formula_agree(pool, name, options, sent, messages):
    trace = pool.run(one, name, FLOATS, options).trace
    billed = {message.collective for message in trace.messages}
    assert len(billed) == 1
    assert tuple(trace.sent(rank, *billed) for rank in range(4)) == sent
    assert tuple(trace.message_count(rank) for rank in range(4)) == messages
    what, algorithm = WHAT[name]
    root = next(iter(options.values()), 0)
    whole = 32 * 4 if what == "all_gather" else 32
    assert comm.sent(what, algorithm, 4, whole, root=root) == sent
    assert comm.messages(what, algorithm, 4, root=root) == messages
    assert [(each.what, each.own, each.ranks) for each in trace.collectives] == [(*billed, True, (0, 1, 2, 3))] * 4
    assert trace.payload(0) == (0 if what == "broadcast" and root else 32)
    assert trace.calls(0) == 1


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("elements", [12, 10, 1])
@pytest.mark.parametrize("name", WHAT)
def test_uneven_pieces_are_counted_exactly(pool, name, ranks, elements):
    what, algorithm = WHAT[name]
    trace = pool.run(one, name, elements, {}, ranks=ranks).trace
    whole = 4 * elements * (ranks if what == "all_gather" else 1)
    assert tuple(trace.sent(rank) for rank in range(ranks)) == comm.sent(what, algorithm, ranks, whole, item=4)
    assert tuple(trace.message_count(rank) for rank in range(ranks)) == comm.messages(what, algorithm, ranks)
    assert sum(map(sum, trace.traffic())) == sum(trace.received(rank) for rank in range(ranks))


def test_ten_elements_in_a_ring_of_four_by_hand(pool):
    trace = pool.run(one, "ring_all_reduce", 10, {}).trace
    assert [trace.sent(rank) for rank in range(4)] == [60, 64, 60, 56]  # pieces of 3 3 2 2
    assert trace.traffic("all_reduce") == ((0, 60, 0, 0), (0, 0, 64, 0), (0, 0, 0, 60), (56, 0, 0, 0))


def test_ops(pool):
    def several(w):
        axis, x = w.everyone, torch.tensor([1.0, float(w.rank), 2.0])
        ways = our.ring_all_reduce, our.through_zero, our.everyone_to_everyone
        return {op: [way(axis, x, op=op).tolist() for way in ways] for op in our.COMBINE}

    expected = {"sum": [3, 3, 6], "mean": [1, 1, 2], "max": [1, 2, 2], "min": [1, 0, 2], "product": [1, 0, 8]}
    assert list(pool.run(several, ranks=3)) == [{op: [value] * 3 for op, value in expected.items()}] * 3


def test_shapes_that_differ_are_refused_before_anything_is_sent(pool):
    def odd(w):
        w.everyone.ring.all_reduce(torch.ones(4 if w.rank != 2 else 6))

    one = r"calls all_reduce sum of \[[46]\] float32"
    with pytest.raises(RemoteError, match=f"{one}.* {one}"):
        pool.run(odd)


def test_without_a_ledger_an_axis_needs_seven_words():
    class Alone:
        rank, size, next, previous = 0, 1, 0, 0

        def exchange(self, tensor, to, source):
            return tensor.clone()

    assert our.ring_all_reduce(Alone(), torch.ones(3)).tolist() == [1, 1, 1]
    assert our.all_to_all(Alone(), [torch.ones(2)])[0].tolist() == [1, 1]


def test_nothing_leans_on_a_door(pool):
    """Where a send waits until it is received, as on GPUs, the same values come out."""
    with WorkerPool(3, backend="gloo-ordered") as three:
        for ours, theirs in zip(three.run(each), pool.run(each, ranks=3), strict=True):
            for name, tensor in ours.items():
                if isinstance(tensor, list):
                    assert all(torch.equal(*pair) for pair in zip(tensor, theirs[name], strict=True))
                else:
                    assert tensor is theirs[name] is None or torch.equal(tensor, theirs[name]), name

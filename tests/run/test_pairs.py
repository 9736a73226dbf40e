"""Do two ranks that swap get what the backend would give, and is it recorded and compared in the same way?"""

import pytest
import torch

from minipar.plan.mesh import Mesh
from minipar.run import pairs
from minipar.run.pool import RemoteError, WorkerPool


def everything(w, swap):
    largest = pairs.LARGEST
    if not swap:
        pairs.LARGEST = -1
    axis, x = w.axis("tensor"), (torch.arange(12.0) + 100 * w.rank).reshape(2, 6)
    kept = x.clone()
    later = axis.all_reduce(x, async_op=True)
    out = {op: axis.all_reduce(x, op) for op in ("sum", "mean", "max", "min", "product")}
    out |= {"later": later.wait(), "again": later.wait(), "turned": axis.all_reduce(x.T)}
    out |= {"empty": axis.all_reduce(x[:0])}
    out |= {f"scatter {op}": axis.reduce_scatter(x, dim, op) for op, dim in (("sum", 0), ("mean", 1), ("max", -1))}
    out |= {f"gather {dim}": axis.all_gather(x, dim) for dim in (0, 1, -1)}
    out |= {"scalar": axis.all_gather(x[0, 0]), "whole": axis.all_reduce(torch.arange(4) + w.rank, "mean")}
    pairs.LARGEST = largest
    assert torch.equal(x, kept)
    return out


def test_the_same_values_and_the_same_record(pool):
    swapped, through = (pool.run(everything, swap, mesh=Mesh(data=2, tensor=2)) for swap in (True, False))
    for mine, theirs in zip(swapped, through, strict=True):
        assert mine.keys() == theirs.keys()
        for name, tensor in mine.items():
            assert tensor.dtype == theirs[name].dtype and tensor.shape == theirs[name].shape, name
            assert torch.equal(tensor, theirs[name]), name
    for rank in range(4):
        mine, theirs = ([each[:6] + each[8:] for each in sorted(out.trace.collectives, key=lambda each: each.end)
                         if each.rank == rank] for out in (swapped, through))  # fmt: skip
        assert mine == theirs
    assert swapped.trace.messages == ()


def test_parts_of_any_shape_are_traded(pool):
    def program(w, ordered):
        axis = w.everyone
        parts = [torch.full((w.rank, to, 2) if (w.rank + to) % 2 else (), 10.0 * w.rank + to) for to in range(w.ranks)]
        if ordered:
            w.links.rendezvous = True
        try:
            return axis.all_to_all(parts)
        finally:
            w.links.rendezvous = False

    for ranks in (2, 3, 4):
        ours, theirs = (pool.run(program, ordered, ranks=ranks) for ordered in (False, True))
        for rank in range(ranks):
            for source in range(ranks):
                mine = ours[rank][source]
                assert torch.equal(mine, theirs[rank][source])
                assert tuple(mine.shape) == ((source, rank, 2) if (source + rank) % 2 else ())
                assert (mine == 10 * source + rank).all()
        assert ours.trace.payload(1) == theirs.trace.payload(1)
        assert ours.trace.calls(1) == theirs.trace.calls(1) == 1


def other_size(w):
    w.everyone.all_reduce(torch.ones(4 if w.rank else 400_000))


def other_shape(w):
    w.everyone.all_gather(torch.ones(2, 3) if w.rank else torch.ones(3, 2))


def missing(w):
    if w.rank == 0:
        w.everyone.all_reduce(torch.ones(4))


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (other_size, "calls all_reduce sum of [4] float32"),
        (other_shape, "calls all_gather of [3, 2] float32"),
        (missing, "rank 0 waits for rank 1, which has finished"),
    ],
)
def test_who_disagrees_is_told(pool, program, words):
    with pytest.raises(RemoteError) as caught:
        pool.run(program, ranks=2)
    assert words in str(caught.value)


def test_not_where_a_send_waits_for_its_receive():
    def program(w):
        return pairs.quick(w.everyone, torch.ones(2), 8), w.everyone.all_reduce(torch.ones(2)).tolist()

    with WorkerPool(2, backend="gloo-ordered") as two:
        assert two.run(program) == [(False, [2.0, 2.0])] * 2

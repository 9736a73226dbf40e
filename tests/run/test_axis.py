"""What the ranks of one axis do together."""

import re

import pytest
import torch
import torch.distributed as dist

from minipar.plan.mesh import Mesh
from minipar.run.pool import RemoteError


def together(w):
    axis, mine = w.axis("ring"), torch.tensor([[float(w.rank)], [10.0]])
    return {
        "sum": axis.all_reduce(mine), "mean": axis.all_reduce(mine, op="mean"), "max": axis.all_reduce(mine, op="max"),
        "rows": axis.all_gather(mine), "columns": axis.all_gather(mine, dim=1),
        "from 2": axis.broadcast(mine, source=2),
        "piece": axis.reduce_scatter(mine.repeat(4, 1)), "column": axis.reduce_scatter(mine.repeat(1, 4), dim=1),
        "largest": axis.reduce_scatter(mine.repeat(2, 1), op="max"), "on 1": axis.reduce(mine, to=1, op="mean"),
        "swapped": axis.all_to_all([torch.full((w.rank + to - 1 if w.rank + to > 1 else 0, 2), w.rank * 10 + to)
                                    for to in range(4)]),
        "later": axis.all_reduce(mine, async_op=True).wait(), "scalar": axis.all_gather(mine[0, 0]),
        "from the left": axis.exchange(mine, to=axis.next, source=axis.previous), "mine": mine,
    }  # fmt: skip


def by_ring(w):
    axis, w.axis = w.axis("ring").ring, lambda _: axis
    return together(w)


@pytest.mark.parametrize("program", [together, by_ring])
def test_collectives_return_new_tensors(pool, program):
    for rank, out in enumerate(pool.run(program, mesh=Mesh(ring=4))):
        assert out["mine"].tolist() == [[rank], [10]]
        assert out["sum"].tolist() == [[6], [40]]
        assert out["mean"].tolist() == [[1.5], [10]]
        assert out["max"].tolist() == [[3], [10]]
        assert out["rows"].shape == (8, 1)
        assert out["columns"].tolist() == [[0, 1, 2, 3], [10, 10, 10, 10]]
        assert out["from 2"].tolist() == [[2], [10]]
        assert out["piece"].tolist() == [[6], [40]]
        assert out["column"].tolist() == [[6], [40]]
        assert out["largest"].tolist() == [[3 if rank % 2 == 0 else 10]]
        assert out["on 1"].tolist() == [[1.5], [10]] if rank == 1 else out["on 1"] is None
        assert [each.shape[0] for each in out["swapped"]] == [max(0, rank + source - 1) for source in range(4)]
        assert all((each == 10 * source + rank).all() for source, each in enumerate(out["swapped"]))
        assert torch.equal(out["later"], out["sum"])
        assert out["scalar"].tolist() == [0, 1, 2, 3]
        assert out["from the left"].tolist() == [[(rank - 1) % 4], [10]]


def test_an_axis_of_one(pool):
    def alone(w):
        axis = w.axis("ring")
        axis.barrier()
        x = torch.ones(2)
        return [each for way in (axis, axis.ring, axis.subset([0])) for each in (
            way.all_reduce(x), way.all_gather(x), way.broadcast(x), way.exchange(x, to=0, source=0), way.reduce(x),
            way.reduce_scatter(x), *way.all_to_all([x]), way.all_reduce(x, async_op=True).wait())]  # fmt: skip

    out = pool.run(alone, mesh=Mesh(ring=1))
    assert [each.tolist() for each in out[0]] == [[1, 1]] * 24
    assert (out.trace.messages, out.trace.collectives, out.trace.spans) == ((), (), ())


def test_what_is_recorded_of_the_backends_collectives(pool):
    def program(w):
        x, axis = torch.ones(8), w.axis("tensor")
        with w.recorder.layer("layers.1"):
            sum_ = axis.all_reduce(x, async_op=True)
            axis.reduce_scatter(x)
        sum_.wait()
        axis.all_gather(x)
        axis.all_to_all([x, x[:2]])
        axis.broadcast(x, source=1)
        axis.reduce(x)
        w.everyone.barrier()
        dist.all_reduce(x)
        dist.all_to_all_single(torch.empty(8), x)

    trace = pool.run(program, mesh=Mesh(data=2, tensor=2)).trace
    mine = sorted((each for each in trace.collectives if each.rank == 2), key=lambda each: each.start)
    assert [(each.what, each.axis, each.ranks, each.layer, each.bytes) for each in mine] == [
        ("all_reduce", "tensor", (2, 3), "layers.1", 32), ("reduce_scatter", "tensor", (2, 3), "layers.1", 32),
        ("all_gather", "tensor", (2, 3), "", 32), ("all_to_all", "tensor", (2, 3), "", 40),
        ("broadcast", "tensor", (2, 3), "", 0), ("reduce", "tensor", (2, 3), "", 32),
        ("barrier", "everyone", (0, 1, 2, 3), "", 0), ("all_reduce", "", (0, 1, 2, 3), "", 32),
        ("all_to_all", "", (0, 1, 2, 3), "", 32)]  # fmt: skip
    assert not any(each.own for each in mine) and trace.messages == ()
    assert trace.payload(3, "broadcast") == 32
    assert trace.payload(2, layer="layers") == 64 and trace.calls(2, "all_reduce") == 2
    assert [span.what for span in trace.spans if span.rank == 2] == [each.what for each in mine]
    assert {span.note for span in trace.spans if span.what == "reduce_scatter"} == {"layers.1"}


def test_a_subset_is_called_by_its_ranks_alone(pool):
    def program(w):
        axis, x = w.axis("ring"), torch.full((2,), float(w.rank))
        if w.rank == 0:
            return axis.rank
        few = axis.subset([3, 1]) if w.rank % 2 else axis.subset([2])
        few.barrier()
        with w.recorder.layer("layers.0.attention"):
            return few.rank, few.ranks, few.all_reduce(x).tolist(), few.all_gather(x).tolist()

    out = pool.run(program, mesh=Mesh(ring=4))
    both = (3, 1), [4, 4], [3, 3, 1, 1]
    assert list(out) == [0, (1, *both), (0, (2,), [2, 2], [2, 2]), (0, *both)]
    assert out.trace.sent(1, "all_reduce", "layers.0") == 8 == out.trace.received(3, "all_reduce", "layers.0.attention")
    assert out.trace.traffic("barrier") == ((0,) * 4,) * 4


def test_a_later_call_takes_over_a_handle(pool):
    def first(w):
        w.state["axis"] = w, w.axis("ring").ring

    def second(w):
        old, axis = w.state.pop("axis")
        old.go_on_as(w)
        axis.all_reduce(torch.ones(4))

    pool.run(first, mesh=Mesh(ring=4))
    assert pool.run(second, mesh=Mesh(ring=4)).trace.calls(1, "all_reduce") == 1


def odd_shape(w):
    w.everyone.all_reduce(torch.ones(2, 3) if w.rank != 1 else torch.ones(3, 2))


def odd_dtype(w):
    w.everyone.all_to_all([torch.ones(2, dtype=torch.float64 if w.rank == 1 else torch.float32)] * 4)


def odd_piece(w):
    w.everyone.reduce_scatter(torch.ones(8, 2) if w.rank != 1 else torch.ones(4, 2))


def odd_order(w):
    w.everyone.ring.reduce_scatter(torch.ones(4, 4), dim=0 if w.rank else 1)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (odd_shape, [r"all_reduce sum of \[2, 3\] float32", r"all_reduce sum of \[3, 2\] float32"]),
        (odd_dtype, ["all_to_all float32", "all_to_all float64"]),
        (odd_piece, [r"of \[8, 2\] along 0 float32", r"of \[4, 2\] along 0 float32"]),
        (odd_order, [r"reduce_scatter 0 sum of \[4, 4\] float32", r"reduce_scatter 1 sum of \[4, 4\] float32"]),
    ],
)
def test_ranks_that_disagree_are_told_both_sides(pool, program, words):
    with pytest.raises(RemoteError, match="the ranks disagree") as caught:
        pool.run(program)
    for each in words:
        assert re.search(each, str(caught.value)), str(caught.value)


def test_refusals(pool):
    for way in (lambda w: w.everyone, lambda w: w.everyone.ring):
        with pytest.raises(RemoteError, match=r"dimension 1 of \[4, 10\] in 4 equal pieces: 10 = 4 × 2 \+ 2"):
            pool.run(lambda w, way=way: way(w).reduce_scatter(torch.ones(4, 10), dim=1))
        with pytest.raises(RemoteError, match="for each of the 4 ranks of axis 'everyone', and rank . gave it 3"):
            pool.run(lambda w, way=way: way(w).all_to_all([torch.ones(1)] * 3))
        with pytest.raises(RemoteError, match="all_to_all takes tensors of one dtype, and rank . gave it"):
            pool.run(lambda w, way=way: way(w).all_to_all([torch.ones(1)] * 3 + [torch.ones(1).int()]))
    with pytest.raises(RemoteError, match="reduce_scatter can do sum, mean, max, min, product, not 'add'"):
        pool.run(lambda w: w.everyone.reduce_scatter(torch.ones(4), op="add"))
    with pytest.raises(RemoteError, match=r"at position 0 of axis 'everyone', and the subset \[1, 2\] must have it"):
        pool.run(lambda w: w.everyone.subset([1, 2]) if w.rank == 0 else None)
    with pytest.raises(RemoteError, match="this mesh has no axis 'pip': it has pipe"):
        pool.run(lambda w: w.axis("pip"), mesh=Mesh(pipe=4))
    with pytest.raises(RemoteError, match="all_reduce can do sum, mean, max, min, product, not 'add'"):
        pool.run(lambda w: w.axis().all_reduce(torch.ones(1), op="add"))
    with pytest.raises(RemoteError, match="axis 'pipe' has ranks 0 to 3, and not 4"):
        pool.run(lambda w: w.axis("pipe").send(torch.ones(1), to=4), mesh=Mesh(pipe=4))
    with pytest.raises(ValueError, match=r"Mesh\(pipe=3\) arranges 3 ranks, and the call has 2"):
        pool.run(together, mesh=Mesh(pipe=3), ranks=2)

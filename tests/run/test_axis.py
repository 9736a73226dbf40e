"""What the ranks of one axis do together."""

import pytest
import torch

from minipar.plan.mesh import Mesh
from minipar.run.pool import RemoteError


def together(w):
    axis, mine = w.axis("ring"), torch.tensor([[float(w.rank)], [10.0]])
    return {
        "sum": axis.all_reduce(mine), "mean": axis.all_reduce(mine, op="mean"), "max": axis.all_reduce(mine, op="max"),
        "rows": axis.all_gather(mine), "columns": axis.all_gather(mine, dim=1),
        "from 2": axis.broadcast(mine, source=2),
        "from the left": axis.exchange(mine, to=axis.next, source=axis.previous), "mine": mine,
    }  # fmt: skip


def test_collectives_return_new_tensors(pool):
    for rank, out in enumerate(pool.run(together, mesh=Mesh(ring=4))):
        assert out["mine"].tolist() == [[rank], [10]]
        assert out["sum"].tolist() == [[6], [40]]
        assert out["mean"].tolist() == [[1.5], [10]]
        assert out["max"].tolist() == [[3], [10]]
        assert out["rows"].shape == (8, 1)
        assert out["columns"].tolist() == [[0, 1, 2, 3], [10, 10, 10, 10]]
        assert out["from 2"].tolist() == [[2], [10]]
        assert out["from the left"].tolist() == [[(rank - 1) % 4], [10]]


def test_an_axis_of_one(pool):
    def alone(w):
        axis = w.axis("ring")
        axis.barrier()
        x = torch.ones(2)
        return [axis.all_reduce(x), axis.all_gather(x), axis.broadcast(x), axis.exchange(x, to=0, source=0)]

    assert [each.tolist() for each in pool.run(alone, mesh=Mesh(ring=1))[0]] == [[1, 1]] * 4


def test_refusals(pool):
    with pytest.raises(RemoteError, match="this mesh has no axis 'pip': it has pipe"):
        pool.run(lambda w: w.axis("pip"), mesh=Mesh(pipe=4))
    with pytest.raises(RemoteError, match="all_reduce can do sum, mean, max, min, product, not 'add'"):
        pool.run(lambda w: w.axis().all_reduce(torch.ones(1), op="add"))
    with pytest.raises(RemoteError, match="axis 'pipe' has ranks 0 to 3, and not 4"):
        pool.run(lambda w: w.axis("pipe").send(torch.ones(1), to=4), mesh=Mesh(pipe=4))
    with pytest.raises(ValueError, match=r"Mesh\(pipe=3\) arranges 3 ranks, and the call has 2"):
        pool.run(together, mesh=Mesh(pipe=3), ranks=2)

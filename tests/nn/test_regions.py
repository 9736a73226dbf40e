"""Does each door do one thing forward and its mirror image backward, and nothing on an axis of one?"""

import pytest
import torch

from minipar.nn import regions
from minipar.plan.mesh import Mesh


def through(w, door, *dim):
    """On a rank: (what came out, x's gradient) when rank r's x is r everywhere and its gradient of y counts up."""
    axis, x = w.axis("tensor"), torch.full((4, 2), float(w.rank), requires_grad=True)
    with w.recorder.layer("the layer"):
        y = getattr(regions, door)(axis, x, *dim)
    (y * torch.arange(1.0, 1 + y.numel()).view_as(y) * (w.rank + 1)).sum().backward()
    return y.detach(), x.grad


UP = torch.arange(1.0, 9.0).view(4, 2)  # 1 to 8
WIDE = torch.arange(1.0, 17.0).view(8, 2)


@pytest.mark.parametrize(
    ("door", "dim", "out", "back"),
    [
        ("copy", (), lambda r: torch.full((4, 2), float(r)), lambda r: 3 * UP),
        ("reduce", (), lambda r: torch.ones(4, 2), lambda r: (r + 1) * UP),
        ("scatter", (0,), lambda r: torch.full((2, 2), float(r)),
         lambda r: torch.cat([UP[:2], 2 * UP[:2]])),
        ("gather", (0,), lambda r: torch.cat([torch.zeros(4, 2), torch.ones(4, 2)]),
         lambda r: (r + 1) * WIDE[4 * r : 4 * r + 4]),
        ("all_gather", (0,), lambda r: torch.cat([torch.zeros(4, 2), torch.ones(4, 2)]),
         lambda r: 3 * WIDE[4 * r : 4 * r + 4]),
        ("reduce_scatter", (0,), lambda r: torch.ones(2, 2), lambda r: torch.cat([UP[:2], 2 * UP[:2]])),
        ("scatter", (-1,), lambda r: torch.full((4, 1), float(r)),
         lambda r: torch.stack([UP.flatten()[:4], 2 * UP.flatten()[:4]], dim=1)),
    ],
)  # fmt: skip
def test_forward_and_backward(pool, door, dim, out, back):
    for rank, (y, gradient) in enumerate(pool.run(through, door, *dim, mesh=Mesh(tensor=2))):
        assert torch.equal(y, out(rank))
        assert torch.equal(gradient, back(rank))


@pytest.mark.parametrize(
    ("door", "dim", "calls"),
    [
        ("copy", (), ["all_reduce"]),
        ("reduce", (), ["all_reduce"]),
        ("scatter", (0,), ["all_gather"]),
        ("gather", (0,), ["all_gather"]),
        ("all_gather", (0,), ["all_gather", "reduce_scatter"]),
        ("reduce_scatter", (0,), ["reduce_scatter", "all_gather"]),
    ],
)
def test_what_is_called_and_who_is_billed_backward_too(pool, door, dim, calls):
    trace = pool.run(through, door, *dim, mesh=Mesh(tensor=2)).trace
    mine = [each for each in trace.collectives if each.rank == 0]
    assert [each.what for each in mine] == calls
    assert {each.layer for each in mine} == {"the layer"}


DOORS = [("copy",), ("reduce",), ("scatter", 0), ("gather", 0), ("all_gather", 0), ("reduce_scatter", 0)]


@pytest.mark.parametrize("door", DOORS)
def test_an_axis_of_one_is_an_open_door(pool, door):
    name, *dim = door
    x = torch.ones(3, 2)
    assert getattr(regions, name)(None, x, *dim) is x
    result = pool.run(through, name, *dim, mesh=Mesh(tensor=1))
    assert torch.equal(result[0][1], UP) and not result.trace.collectives


def test_what_does_not_divide_is_refused(pool):
    def uneven(w):
        return regions.scatter(w.axis("tensor"), torch.ones(5, 2), 0)

    with pytest.raises(RuntimeError, match=r"dimension 0 of \[5, 2\]=5 cannot be cut in 2 equal parts: 4 or 6 can"):
        pool.run(uneven, mesh=Mesh(tensor=2))


@pytest.mark.slow
def test_gradients_are_those_that_torch_finds_by_trying(two):
    def tried(w):
        """A chain of all doors, on both ranks at once: d(sum of all ranks' outputs) / dx by small steps."""
        axis = w.axis("tensor")

        def chain(x):
            x = regions.copy(axis, x) * (w.rank + 2)
            x = regions.reduce_scatter(axis, x.sin(), 0)
            x = regions.all_gather(axis, x.square(), 0) * (w.rank + 1)
            return regions.reduce(axis, x.cos())

        torch.manual_seed(0)
        return torch.autograd.gradcheck(chain, torch.randn(4, 2, dtype=torch.float64, requires_grad=True))

    assert all(two.run(tried, mesh=Mesh(tensor=2)))

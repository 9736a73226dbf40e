"""Are the plain layers torch's own, given the same numbers, and the sliced ones torch's own slices?"""

import pytest
import torch

from minipar.nn.attention import Attention, ParallelAttention
from minipar.nn.axes import Axes
from minipar.nn.linear import ColumnParallelLinear, Linear, RowParallelLinear, Table
from minipar.nn.mlp import MLP, ParallelMLP
from minipar.plan.mesh import Mesh


def test_linear_equals_torchs():
    torch.manual_seed(0)
    theirs, mine = torch.nn.Linear(3, 5), Linear(3, 5)
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 4, 3)
    assert torch.equal(mine(x), theirs(x))
    assert Linear(3, 5, bias=False).bias is None


def test_table_equals_torchs_embedding():
    theirs, mine = torch.nn.Embedding(7, 3), Table(7, 3)
    mine.load_state_dict(theirs.state_dict())
    numbers = torch.tensor([[0, 6], [3, 3]])
    assert torch.equal(mine(numbers), theirs(numbers))


# ---- slices (that they equal their whole twins is the table's business: oracle.py)


class Place:
    """An axis as a layer sees it before anything is sent: a size and a rank."""

    size, rank = 4, 1


def test_a_slice_is_all_that_is_held():
    column, row = ColumnParallelLinear(6, 8, Place()), RowParallelLinear(8, 6, Place())
    assert (column.weight.shape, column.bias.shape) == ((2, 6), (2,))
    assert (row.weight.shape, row.bias.shape) == ((6, 2), (6,))


def test_without_an_axis_it_is_the_whole_layer():
    torch.manual_seed(0)
    whole, x = Linear(6, 8), torch.randn(3, 6)
    for parameter in whole.parameters():
        torch.nn.init.normal_(parameter)
    assert torch.equal(ColumnParallelLinear.from_whole(whole, None)(x), whole(x))
    assert torch.allclose(RowParallelLinear.from_whole(whole, None)(x), whole(x), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ColumnParallelLinear(4, 10, Place()), "outputs=10 cannot be cut in 4 equal parts: 8 or 12 can."),
        (lambda: RowParallelLinear(10, 4, Place()), "inputs=10 cannot be cut in 4 equal parts: 8 or 12 can."),
        (lambda: ParallelMLP(5, Axes(Place()), 2), "the MLP's width=10 cannot be cut in 4 equal parts: 8 or 12 can."),
        (lambda: ParallelAttention(12, 6, Axes(Place())), "heads=6 cannot be cut in 4 equal parts: 4 or 8 can."),
    ],
)
def test_what_does_not_divide_is_refused(make, sentence):
    with pytest.raises(ValueError) as refusal:
        make()
    assert str(refusal.value) == sentence


def watched(w, overlap):
    layer = ColumnParallelLinear(64, 128, w.axis("tensor"), overlap=overlap)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    with w.recorder.layer("layers.1.mlp"):
        layer(torch.randn(256, 64, requires_grad=True)).sum().backward()


def test_overlap_is_seen_in_the_timeline(pool):
    trace = pool.run(watched, True, mesh=Mesh(tensor=2)).trace
    for rank in range(2):
        spans = {span.what: span for span in trace.spans if span.rank == rank}
        total, product = spans["all_reduce"], spans["weight gradient"]
        assert total.start <= product.start <= product.end <= total.end  # the sum is under way all the while
        assert total.note == product.note == "layers.1.mlp"
    plain = pool.run(watched, False, mesh=Mesh(tensor=2)).trace
    assert "weight gradient" not in {span.what for span in plain.spans}


# ---- torch's own slices: DTensor, parallelize_module


def beside_torchs(w, kind):
    """On a rank: largest differences from torch's ColwiseParallel and RowwiseParallel, by what is compared."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    torch.manual_seed(5)
    whole = (MLP(16) if kind == "MLP" else Attention(16, 4)).double()
    for parameter in whole.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    sliced = (ParallelMLP if kind == "MLP" else ParallelAttention).from_whole(whole, Axes(w.axis("tensor")))
    theirs = (MLP(16) if kind == "MLP" else Attention(16, 4)).double()
    columns = ["up"] if kind == "MLP" else ["query", "key", "value"]
    rows = "down" if kind == "MLP" else "output"
    for name in (*columns, rows):  # torch cuts its own Linear only
        mine, other = whole.get_submodule(name), torch.nn.Linear(*reversed(whole.get_submodule(name).weight.shape))
        other.double().load_state_dict(mine.state_dict())
        setattr(theirs, name, other)
    plan = {**dict.fromkeys(columns, ColwiseParallel()), rows: RowwiseParallel()}
    theirs = parallelize_module(theirs, init_device_mesh("cpu", (w.ranks,)), plan)
    if kind == "attention":
        theirs.heads //= w.ranks
    x = torch.randn(2, 6, 16).double()
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, z = sliced(a), theirs(b)
    y.square().sum().backward(), z.square().sum().backward()
    found = {"output": y - z, "x": a.grad - b.grad}
    for (name, parameter), other in zip(sliced.named_parameters(), theirs.parameters(), strict=True):
        found[name] = parameter.grad - other.grad.to_local()
    return {name: difference.abs().max().item() for name, difference in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["MLP", "attention"])
def test_torchs_own_slices_agree(two, kind):
    for differences in two.run(beside_torchs, kind, mesh=Mesh(tensor=2)):
        assert len(differences) == (6 if kind == "MLP" else 10)
        assert max(differences.values()) < 1e-10

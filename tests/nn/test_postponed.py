"""Are postponed gradients the ones that autograd makes, and is nothing of a weight's gradient made before W?"""

import copy

import pytest
import torch
from torch import nn

from minipar.nn import postponed
from minipar.nn.gpt import GPT
from minipar.nn.linear import Linear, Table
from minipar.nn.stack import Stack
from minipar.nn.text import text_batch
from minipar.run.later import Later
from minipar.run.stage import Stage, go_back


class Counted(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts matrix products."""

    def __init__(self):
        super().__init__()
        self.products = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.products += function in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default,
                                      torch.ops.aten.addmm_.default)  # fmt: skip
        return function(*arguments, **(options or {}))


def filled(layer):
    torch.manual_seed(0)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer.double()


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("make", [Linear, nn.Linear])
def test_a_linear_layer_in_halves(make, bias, shape):
    whole = filled(make(3, 4, bias=bias))
    halves, later = postponed.adopt(copy.deepcopy(whole)), Later()
    halves.later = later
    for microbatch in range(2):  # the second adds to the first
        x = torch.randn(shape, dtype=torch.float64)
        mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        later.open = True
        y, expected = halves(mine), whole(theirs)
        assert torch.equal(y, expected)
        g = torch.randn_like(y)
        expected.backward(g)
        before = None if not microbatch else halves.weight.grad.clone()
        later.begin(microbatch)
        go_back(y, g)
        later.end()
        assert torch.allclose(mine.grad, theirs.grad, atol=1e-13)
        assert (halves.weight.grad is None) if before is None else torch.equal(halves.weight.grad, before)
        later.run(microbatch)
        for mine, theirs in zip(halves.parameters(), whole.parameters(), strict=True):
            assert torch.allclose(mine.grad, theirs.grad, atol=1e-13)


def test_one_product_in_i_and_one_in_w():
    layer, later = filled(Linear(3, 4)), Later()
    layer.later, later.open = later, True
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    later.begin(0)
    with Counted() as count:
        go_back(y, torch.ones_like(y))
        assert count.products == 1
        later.run(0)
        assert count.products == 2


@pytest.mark.parametrize("make", [Table, nn.Embedding])
def test_a_table_in_halves(make):
    whole = filled(make(7, 3))
    halves, later, numbers = postponed.adopt(copy.deepcopy(whole)), Later(), torch.tensor([[0, 6], [3, 3]])
    halves.later, later.open = later, True
    y = halves(numbers)
    g = torch.randn_like(y)
    whole(numbers).backward(g)
    later.begin(0)
    go_back(y, g)
    assert halves.weight.grad is None
    later.run(0)
    assert torch.allclose(halves.weight.grad, whole.weight.grad, atol=1e-14)


def test_without_a_list_or_a_gradient_nothing_is_postponed():
    layer, later = filled(Linear(3, 4)), Later()
    layer.later = later
    x = torch.randn(2, 3, dtype=torch.float64)
    layer(x).sum().backward()  # the list is closed: a whole backward
    assert layer.weight.grad is not None
    later.open = True
    with torch.no_grad():
        assert not layer(x).requires_grad
    layer.weight.requires_grad_(False)
    assert layer(x).requires_grad  # the bias alone, by autograd
    assert not later.waiting


def test_only_plain_layers_of_torch_are_adopted():
    plain, frozen = nn.Linear(2, 2), nn.Embedding(3, 2, padding_idx=0)
    attention = nn.MultiheadAttention(4, 2)
    inner = type(attention.out_proj)
    names = [name for name, _ in nn.Sequential(plain).named_parameters()]
    adopted = postponed.adopt(nn.Sequential(plain, frozen, attention))
    assert type(plain) is postponed.TorchLinear and isinstance(plain, nn.Linear)
    assert type(frozen) is nn.Embedding and type(attention.out_proj) is inner
    assert [name for name, _ in adopted[:1].named_parameters()] == names
    assert type(Stack([nn.Linear(2, 2)], nn.functional.mse_loss).whole().layers["0"]) is postponed.TorchLinear


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_no_matrix_or_table_of_a_gpt_has_a_gradient_after_i(tied, recompute):
    """Each use of a tied table leaves work of its own: the sum comes out right, and once."""
    model = GPT(layers=2, hidden=8, heads=2, context=4, tied=tied, recompute=recompute, dtype="float64", dropout=0.1)
    batch = text_batch(4, 4)
    whole, halves = (Stage(model.whole(), model.loss) for _ in range(2))
    halves.halve(range(2))
    for stage in (whole, halves):
        stage.feed(batch.inputs.tensor_split(2), batch.targets.tensor_split(2), moments=[(0, 0), (0, 2)])
    for m in range(2):
        assert torch.equal(whole.forward(m), halves.forward(m))
    done = None
    for m in range(2):  # per microbatch, then per step
        whole.backward(m)
        assert halves.backward_input(m) is None
        for name, parameter in halves.module.named_parameters():
            if "norm" not in name:
                assert parameter.grad is None if done is None else torch.equal(parameter.grad, done[name]), name
        halves.backward_weight(m)
        for (name, mine), theirs in zip(halves.module.named_parameters(), whole.module.parameters(), strict=True):
            assert (mine.grad - theirs.grad).abs().max() < 1e-13, name
        done = {name: parameter.grad.clone() for name, parameter in halves.module.named_parameters()}

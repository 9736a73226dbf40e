"""Are the products of many experts those of each alone, whichever way they are made?"""

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import gelu, silu

from minipar.nn.products import expert_mlp

SIZES = (3, 0, 5, 1)


def numbers(dtype=torch.float64, hidden=8, inner=12):
    torch.manual_seed(2)
    shapes = (sum(SIZES), hidden), (4, inner, hidden), (4, hidden, inner), (4, inner, hidden)
    return [torch.randn(shape, dtype=dtype).requires_grad_() for shape in shapes]


def one_by_one(x, up, down, sizes, gate=None):
    found = []
    for expert, rows in enumerate(x.split(sizes)):
        middle = rows @ up[expert].t()
        middle = gelu(middle) if gate is None else silu(rows @ gate[expert].t()) * middle
        found.append(middle @ down[expert].t())
    return torch.cat(found)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
def test_products_and_gradients_are_those_of_each_expert(gated, grouped):
    dtype, allowed = (torch.float32, 1e-4) if grouped else (torch.float64, 1e-12)
    x, up, down, gate = numbers(dtype)
    given = [x, up, down, *([gate] if gated else [])]
    y = expert_mlp(x, up, down, SIZES, gate if gated else None, grouped=grouped)
    expected = one_by_one(x, up, down, SIZES, gate if gated else None)
    pull = torch.randn_like(y)
    assert torch.allclose(y, expected, atol=allowed)
    gradients, likes = torch.autograd.grad(y, given, pull), torch.autograd.grad(expected, given, pull)
    for found, like in zip(gradients, likes, strict=True):
        assert torch.allclose(found, like, atol=allowed)
    assert not any(gradient[1].any() for gradient in gradients[1:])  # nobody came: zeros


def test_the_derivatives_are_those_of_small_differences():
    x, up, down, gate = numbers(hidden=2, inner=3)
    assert gradcheck(lambda x, up, down, gate: expert_mlp(x, up, down, SIZES, gate), (x, up, down, gate))


def test_no_rows_at_all():
    _, up, down, _ = numbers()
    y = expert_mlp(torch.zeros(0, 8, dtype=torch.float64, requires_grad=True), up, down, (0, 0, 0, 0))
    y.sum().backward()
    assert y.shape == (0, 8) and not up.grad.any() and not down.grad.any()


def test_rows_that_belong_to_nobody_are_refused():
    x, up, down, _ = numbers()
    with pytest.raises(ValueError, match="9 rows for 4 experts, and the sizes are 3 0 5"):
        expert_mlp(x, up, down, SIZES[:3])

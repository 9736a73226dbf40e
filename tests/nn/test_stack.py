"""Can a list of torch modules stand where a GPT does?"""

import pytest
import torch
from torch.nn.functional import mse_loss

from minipar.nn.axes import Axes
from minipar.nn.stack import Stack


def test_builds_copies_under_their_global_names():
    layers = [torch.nn.Linear(3, 3) for _ in range(4)]
    stack = Stack(layers, loss=mse_loss)
    part = stack.build([2, 3])
    assert [name for name, _ in part.named_parameters()][0] == "layers.2.weight"
    assert part.get_parameter("layers.2.weight") is not layers[2].weight
    x = torch.randn(2, 3)
    assert torch.equal(stack.build([2, 3])(stack.build([0, 1])(x)), stack.whole()(x))
    assert stack.costs() == (1.0,) * 4


def test_costs_must_match():
    with pytest.raises(ValueError) as refusal:
        Stack([torch.nn.Linear(3, 3)], loss=mse_loss, costs=[1, 2])
    assert str(refusal.value) == "1 layers and 2 costs: give one cost for each layer."


def test_axes_that_would_cut_its_layers_are_refused():
    class Two:
        size, rank = 2, 0

    stack = Stack([torch.nn.Linear(3, 3)], loss=mse_loss)
    assert stack.build([0], axes=Axes()).layers
    with pytest.raises(ValueError) as refusal:
        stack.build([0], axes=Axes(tensor=Two()))
    expected = "A Stack's layers are whole: only a pipe and a data axis can share it. A GPT has slices."
    assert str(refusal.value) == expected

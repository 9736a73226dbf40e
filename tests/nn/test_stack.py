"""Can a list of torch modules stand where a GPT does?"""

import pytest
import torch
from torch.nn.functional import mse_loss

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

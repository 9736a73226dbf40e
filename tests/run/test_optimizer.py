"""Are the optimizers torch's own, to the last bit?"""

import pytest
import torch

from minipar.run.optimizer import make

THEIRS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.1),
}


@pytest.mark.parametrize("name", THEIRS)
def test_ten_steps_equal_torchs(name):
    torch.manual_seed(0)
    mine = [torch.nn.Parameter(torch.randn(3, 2)), torch.nn.Parameter(torch.randn(4))]
    theirs = [torch.nn.Parameter(parameter.detach().clone()) for parameter in mine]
    one, other = make(name, mine, 0.1), THEIRS[name](theirs)
    for _ in range(10):
        for parameter, twin in zip(mine, theirs, strict=True):
            parameter.grad = torch.randn_like(parameter)
            twin.grad = parameter.grad.clone()
        one.step()
        other.step()
    for parameter, twin in zip(mine, theirs, strict=True):
        assert torch.equal(parameter, twin)


@pytest.mark.parametrize(("name", "averages"), [("SGD", 0), ("momentum", 1), ("AdamW", 2)])
def test_what_each_remembers(name, averages):
    parameter = torch.nn.Parameter(torch.randn(3, 2))
    parameter.grad = torch.randn(3, 2)
    optimizer = make(name, [parameter], 0.1)
    assert optimizer.tensors() == []
    optimizer.step()
    assert sum(tensor.nbytes for tensor in optimizer.tensors()) == averages * parameter.nbytes

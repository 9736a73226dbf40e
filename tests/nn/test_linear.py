"""Are the plain layers torch's own, given the same numbers?"""

import torch

from minipar.nn.linear import Linear, Table


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

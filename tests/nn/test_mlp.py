"""Does the MLP treat each position on its own?"""

import torch

from minipar.nn.mlp import MLP


def test_positions_do_not_mix_and_the_middle_is_four_times_wider():
    torch.manual_seed(0)
    mlp = MLP(6)
    for parameter in mlp.parameters():
        torch.nn.init.normal_(parameter)
    assert mlp.up.weight.shape == (24, 6)
    x = torch.randn(1, 3, 6)
    for position in range(3):
        alone = x[:, position : position + 1]
        assert torch.allclose(mlp(x)[:, position : position + 1], mlp(alone), atol=1e-5)

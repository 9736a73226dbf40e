"""Is the loss the mean surprise a token?"""

import math

import torch

from minipar.nn.loss import next_token_loss


def test_one_who_knows_nothing_scores_the_logarithm_of_the_choices():
    logits, targets = torch.zeros(2, 3, 256), torch.randint(256, (2, 3))
    assert math.isclose(next_token_loss(logits, targets).item(), math.log(256), rel_tol=1e-6)


def test_mean_over_tokens():
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 3, 5, dtype=torch.float64), torch.randint(5, (2, 3))
    chance = torch.softmax(logits, dim=-1).gather(-1, targets[..., None])
    assert torch.allclose(next_token_loss(logits, targets), -chance.log().mean(), atol=1e-12)

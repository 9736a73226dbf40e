"""How wrong were the guesses?

The mean over all tokens of minus the logarithm of the probability given to the token that came. In nats: a model
that knows nothing of 256 byte values scores ln 256 = 5.55.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy


def next_token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """logits [batch, seq, vocabulary], targets [batch, seq] -> scalar: mean cross-entropy in nats per token."""
    return cross_entropy(logits.flatten(0, 1), targets.flatten())

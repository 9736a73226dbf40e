"""What does a token do with what it has read?

    [hidden] ── up ──► [4 hidden] ── GELU ──► [4 hidden] ── down ──► [hidden]

Each position on its own.
"""

from torch import Tensor, nn
from torch.nn.functional import gelu

from minipar.nn.linear import Linear


class MLP(nn.Module):
    """Two linear layers with a GELU between them; the middle is `expansion` times wider than the ends."""

    def __init__(self, hidden: int, expansion: int = 4):
        super().__init__()
        self.up = Linear(hidden, expansion * hidden)
        self.down = Linear(expansion * hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, seq, hidden] -> [batch, seq, hidden]."""
        return self.down(gelu(self.up(x)))

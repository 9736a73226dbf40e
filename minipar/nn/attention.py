"""How does a token look back at the tokens before it?

    x ─┬─ query ─┐
       ├─ key ───┴─ scores = query · key / sqrt(d) ── mask ── softmax ─┐
       └─ value ───────────────────────────────────────────────────────┴─ mix ── output

Each head does this on its own slice of the hidden dimension. The scores are written out here, without a fused
kernel, so that the [context, context] table each head keeps for its backward can be seen on the memory ledger.
"""

import math

import torch
from torch import Tensor, nn

from minipar.nn.linear import Linear


class Attention(nn.Module):
    """Causal self-attention with several heads.

    hidden: width of the residual stream; heads: must divide hidden.
    """

    def __init__(self, hidden: int, heads: int):
        super().__init__()
        if hidden % heads:
            raise ValueError(f"{heads} heads cannot share {hidden} hidden units evenly: heads must divide hidden.")
        self.heads = heads
        self.query = Linear(hidden, hidden)
        self.key = Linear(hidden, hidden)
        self.value = Linear(hidden, hidden)
        self.output = Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, seq, hidden] -> [batch, seq, hidden]; position i reads positions 0 to i only."""
        batch, seq, hidden = x.shape
        query, key, value = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        scores = query @ key.transpose(-1, -2) / math.sqrt(hidden // self.heads)  # [batch, heads, seq, seq]
        weights = torch.softmax(scores + future_mask(seq, x), dim=-1)
        mixed = weights @ value  # [batch, heads, seq, hidden / heads]
        return self.output(mixed.transpose(1, 2).reshape(batch, seq, hidden))

    def split(self, x: Tensor) -> Tensor:
        """[batch, seq, hidden] -> [batch, heads, seq, hidden / heads]."""
        batch, seq, hidden = x.shape
        return x.view(batch, seq, self.heads, hidden // self.heads).transpose(1, 2)


def future_mask(seq: int, like: Tensor) -> Tensor:
    """[seq, seq], 0 where a position may look and minus infinity where it would look into the future."""
    return torch.full((seq, seq), -math.inf, dtype=like.dtype, device=like.device).triu(diagonal=1)

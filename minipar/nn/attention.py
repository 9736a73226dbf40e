"""How does a token look back at the tokens before it, and how do ranks share the looking?

    x ─┬─ query ─┐
       ├─ key ───┴─ scores = query · key / sqrt(d) ── mask ── softmax ─┐
       └─ value ───────────────────────────────────────────────────────┴─ mix ── output

Each head does this on its own slice of the hidden dimension. The scores are written out here, without a fused
kernel, so that the [context, context] table each head keeps for its backward can be seen on the memory ledger. With
fewer key/value heads than heads, several heads read the same keys (grouped-query attention, arXiv:2305.13245).

Heads are slices already: a rank computes some of them alone, from its columns of query, key and value, and its rows
of output add up their share of the sum. One door before, one after:

    x ──copy──┬─ my queries, keys, values ── my heads ── my rows of output ──reduce──► y + bias

Where there are more ranks than key/value heads, several hold the same one; each has a part of its gradient.
"""

import math

import torch
from torch import Tensor, nn

from minipar.nn.axes import ALONE, Axes, place, size
from minipar.nn.context import ring_attention, spread
from minipar.nn.dropout import Dropout
from minipar.nn.linear import ColumnParallelLinear, Linear, RowParallelLinear, columns
from minipar.nn.state import take
from minipar.plan import slices


class Attention(nn.Module):
    """Causal self-attention with several heads.

    hidden: width of the residual stream; heads: must divide hidden; kv_heads: key/value heads, must divide heads (all
    of them if not given); dropout: of the weights.
    """

    def __init__(self, hidden: int, heads: int, kv_heads: int | None = None, dropout: Dropout | None = None):
        super().__init__()
        if hidden % heads:
            raise ValueError(f"{heads} heads cannot share {hidden} hidden units evenly: heads must divide hidden.")
        slices.require_groups(heads, kv_heads or heads)
        self.heads, self.kv_heads, self.width = heads, kv_heads or heads, hidden // heads
        self.query = Linear(hidden, hidden)
        self.key = Linear(hidden, self.kv_heads * self.width)
        self.value = Linear(hidden, self.kv_heads * self.width)
        self.output = Linear(hidden, hidden)
        self.dropout = dropout or Dropout()

    def forward(self, x: Tensor) -> Tensor:
        """[batch, seq, hidden] -> [batch, seq, hidden]; position i reads positions 0 to i only."""
        query, key, value = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        return self.output(self.join(attend(query, key, value, self.dropout, range(self.heads))))

    def split(self, x: Tensor) -> Tensor:
        """[batch, seq, heads · width] -> [batch, heads, seq, width]."""
        batch, seq, _ = x.shape
        return x.view(batch, seq, -1, self.width).transpose(1, 2)

    def join(self, x: Tensor) -> Tensor:
        """[batch, heads, seq, width] -> [batch, seq, heads · width]."""
        return x.transpose(1, 2).flatten(2)


class ParallelAttention(Attention):
    """The same, with this rank's heads alone. hidden, heads, kv_heads are the whole layer's; see `plan.slices.heads`.

    With a context axis its keys and values go round that axis's ring (context.py). ValueError when heads do not divide.
    """

    def __init__(self, hidden: int, heads: int, axes: Axes = ALONE, kv_heads: int | None = None,
                 dropout: Dropout | None = None):  # fmt: skip
        nn.Module.__init__(self)
        self.axes, self.billed_as = axes, "attention"
        self.hidden, self.heads, self.kv_heads, self.width = hidden, heads, kv_heads or heads, hidden // heads
        axis, sequence_parallel, cuts = axes.tensor, axes.sequence_parallel, self.cuts(size(axes.tensor))
        self.mine = slices.heads(heads, self.kv_heads, size(axis)).query[place(axis)]
        kv = self.kv_heads * self.width
        self.query = ColumnParallelLinear(hidden, hidden, axis, parts=cuts["query.weight"].parts)
        self.key = ColumnParallelLinear(hidden, kv, axis, parts=cuts["key.weight"].parts)
        self.value = ColumnParallelLinear(hidden, kv, axis, parts=cuts["value.weight"].parts)
        self.output = RowParallelLinear(hidden, hidden, axis, sequence_parallel=sequence_parallel)
        self.dropout = dropout or Dropout()

    @classmethod
    def from_whole(cls, whole: Attention, axes: Axes) -> "ParallelAttention":
        """This rank's heads of a whole layer, with its weights."""
        sliced = cls(whole.query.weight.shape[1], whole.heads, axes, whole.kv_heads, whole.dropout)
        return take(sliced, whole, axes.tensor, axes.sequence_parallel)

    def cuts(self, ranks: int) -> dict[str, slices.Cut]:
        """Which part of each parameter each of `ranks` ranks holds."""
        return slices.attention_cuts(self.hidden, self.heads, self.kv_heads, ranks)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, seq, hidden] -> the same; with sequence parallel, of this rank's slice of the sequence."""
        axes, layers = self.axes, (self.query, self.key, self.value)
        with axes.billed(self.billed_as):
            made = columns(axes.tensor, x, layers, axes.overlap, axes.sequence_parallel)
            query, key, value = (self.split(part) for part in made)
            if size(axes.context) > 1:
                mixed = ring_attention(axes.context, query, key, value, axes.deal)
            else:
                mixed = attend(query, key, value, self.dropout, self.mine)
            return self.output(self.join(mixed))


def attend(query: Tensor, key: Tensor, value: Tensor, dropout: Dropout, heads: range) -> Tensor:
    """query [batch, heads, seq, width], key and value [batch, kv heads, seq, width] -> like query.

    heads: the numbers that these heads have in the whole layer.
    """
    key, value = spread(key, len(heads)), spread(value, len(heads))
    seq = query.shape[-2]
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])  # [batch, heads, seq, seq]
    weights = torch.softmax(scores + future_mask(seq, query), dim=-1)
    return dropout(weights, heads, range(seq), range(seq)) @ value


def future_mask(seq: int, like: Tensor) -> Tensor:
    """[seq, seq], 0 where a position may look and minus infinity where it would look into the future."""
    return torch.full((seq, seq), -math.inf, dtype=like.dtype, device=like.device).triu(diagonal=1)

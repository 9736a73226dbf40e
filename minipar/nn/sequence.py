"""What may lie between the two halves of an all-reduce, and what does attention along a sequence see?

    whole     partial sums ──(all-reduce)──────► 512 tokens on each rank ──► norm, dropout: the same work four times
    slices    partial sums ──(reduce-scatter)──► 128 tokens on each rank ──► norm, dropout ──(all-gather)──► 512 tokens

The same bytes are sent either way, and with slices each rank keeps a quarter of the norm's input for its backward. The
price: the norm's own gradient is then a part of the whole one, and must be summed over the ranks once.

These are programs for `pool.run`: each rank calls them with its handle `w`. The cut is that of Korthikanti et al.,
"Reducing Activation Recomputation in Large Transformer Models" (arXiv:2205.05198), "sequence parallelism".
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from minipar.nn.context import Seen, full_attention, ring_attention
from minipar.plan import deal


class Normed(NamedTuple):
    """What one rank has at the end: output, bytes of the norm's input, its bias gradient before and after summing."""

    out: Tensor
    input_bytes: int
    own_gradient: Tensor
    gradient: Tensor


def norm_whole(w, partials: Tensor, norm: nn.LayerNorm, keep: Tensor) -> Normed:
    """All-reduce, then norm and dropout on every token. partials [ranks, tokens, hidden]; keep [tokens, hidden].

    The gradient is that of the plain sum of the norm's outputs. keep: what dropout multiplies by, 0 or 1/(1 - p).
    """
    x = w.axis().ring.all_reduce(partials[w.rank])
    y = norm(x)
    y.sum().backward()
    return Normed(y.detach() * keep, x.nbytes, norm.bias.grad, norm.bias.grad)


def norm_slices(w, partials: Tensor, norm: nn.LayerNorm, keep: Tensor) -> Normed:
    """Reduce-scatter, norm and dropout on this rank's slice of the tokens, all-gather. Arguments as `norm_whole`."""
    x = w.axis().ring.reduce_scatter(partials[w.rank])
    y = norm(x)
    y.sum().backward()
    mine = keep.chunk(w.ranks)[w.rank]
    out = w.axis().ring.all_gather(y.detach() * mine)
    return Normed(out, x.nbytes, norm.bias.grad, w.axis().all_reduce(norm.bias.grad))


class Attended(NamedTuple):
    """One rank's rows of the output and of the gradients of q, k and v, its positions, and the blocks it met."""

    tensors: tuple[Tensor, Tensor, Tensor, Tensor]
    positions: tuple[int, ...]
    seen: tuple[Seen, ...]


def attend_in_ring(w, tensors: Tensor, name: str) -> Attended:
    """Ring attention of this rank's positions under the deal `name`, forward and backward.

    tensors [4, batch, heads, positions, width]: q, k, v and the gradient of the output, whole; each rank takes its own.
    """
    hand = deal.deal(name, w.rank, w.ranks, tensors.shape[-2])
    q, k, v, pull = tensors[..., list(hand), :]
    seen, leaves = [], [x.clone().requires_grad_() for x in (q, k, v)]
    out = ring_attention(w.axis(), *leaves, name, True, seen)
    (out * pull).sum().backward()
    return Attended((out.detach(), *(leaf.grad for leaf in leaves)), hand, tuple(seen))


def attend_whole(tensors: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Full attention on one process: (output, gradients of q, k and v). Arguments as `attend_in_ring`."""
    leaves = [x.clone().requires_grad_() for x in tensors[:3]]
    out = full_attention(*leaves)
    (out * tensors[3]).sum().backward()
    return out.detach(), *(leaf.grad for leaf in leaves)


def joined(parts) -> tuple[Tensor, ...]:
    """The ranks' rows of `attend_in_ring`, back in the order of the text."""
    order = torch.tensor([position for part in parts for position in part.positions]).argsort()
    rows = zip(*(part.tensors for part in parts), strict=True)
    return tuple(torch.cat(pieces, dim=-2)[..., order, :] for pieces in rows)

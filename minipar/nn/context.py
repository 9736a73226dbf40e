"""How does a token look back at tokens that lie on other ranks?

    ring_attention: queries stay, keys and values go round            4 ranks, step by step, causal, dealt in a row

    rank 0   q0 · kv0   q0 · kv3 ░  q0 · kv2 ░  q0 · kv1 ░            ░ all of it lies in the future: rank 0 waits
    rank 1   q1 · kv1   q1 · kv0    q1 · kv3 ░  q1 · kv2 ░
    rank 2   q2 · kv2   q2 · kv1    q2 · kv0    q2 · kv3 ░
    rank 3   q3 · kv3   q3 · kv2    q3 · kv1    q3 · kv0              three of them wait for this one: see plan/deal.py

    swap_heads: two exchanges of everybody with everybody             all positions of some heads, instead of all heads
                                                                      of some positions

A block of keys gives three numbers for each query: the maximum of its scores, the sum of exp(score - maximum), and the
values weighted by the same exponentials. `merge` joins two such triples exactly, in any order, so a softmax over all
keys can be had one block at a time ("online softmax", Milakov and Gimelshein, 2018).

Ring: Liu et al., "Ring Attention with Blockwise Transformers" (2023). Head swapping: Jacobs et al., "DeepSpeed Ulysses"
(2023). Both were run here over gloo on processors only; on GPUs the letters of an axis go through the host.
"""

import contextlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from minipar.plan import deal

Triple = tuple[Tensor, Tensor, Tensor]  # maximum [..., rows, 1], sum [..., rows, 1], weighted values [..., rows, width]


class Alone(NamedTuple):
    """The axis of a rank that shares its sequence with nobody."""

    rank: int = 0
    size: int = 1


class Seen(NamedTuple):
    """One meeting of queries and keys, as it was computed: step, whose keys, pairs, bytes of the score matrix."""

    step: int
    source: int
    pairs: int
    score_bytes: int


def block(q: Tensor, k: Tensor, v: Tensor, rows: Sequence[int], columns: Sequence[int], causal: bool = True) -> Triple:
    """Queries at positions `rows` against keys at positions `columns`: (maximum, sum, weighted).

    q [..., rows, width], k and v [..., columns, width]. A query that may see none of these keys has maximum -inf,
    sum 0 and weighted 0.
    """
    scores = hide(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), rows, columns, causal)
    largest = scores.amax(dim=-1, keepdim=True)
    powers = torch.exp(scores - finite(largest))
    return largest, powers.sum(dim=-1, keepdim=True), powers @ v


def merge(a: Triple, b: Triple) -> Triple:
    """The triple of both blocks' keys together. Exact, and in any order: each side is scaled to the common maximum."""
    largest = torch.maximum(a[0], b[0])
    first, second = (torch.exp(side[0] - finite(largest)) for side in (a, b))
    return largest, a[1] * first + b[1] * second, a[2] * first + b[2] * second


def full_attention(q: Tensor, k: Tensor, v: Tensor, positions: Sequence[int] | None = None, causal: bool = True):
    """The whole twin: all keys at once. q [batch, heads, seq, width], k and v [batch, kv heads, seq, width].

    positions: where each row really stands in the text; without it, in the order of the rows.
    """
    k, v = (spread(x, q.shape[-3]) for x in (k, v))
    positions = range(q.shape[-2]) if positions is None else positions
    scores = hide(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), positions, positions, causal)
    return torch.softmax(scores, dim=-1) @ v


def ring_attention(axis, q: Tensor, k: Tensor, v: Tensor, positions, causal: bool = True, seen: list | None = None):
    """Attention over the positions of all ranks of `axis`: keys and values go round, in P - 1 passes to the next rank.

    q [batch, heads, my positions, width], k and v [batch, kv heads, my positions, width], kv heads a divisor of heads;
    the result is like q. positions: the name of a deal ("zigzag"), or the hands of all ranks (`plan.deal.hands`).
    The backward passes the ring again: keys and values P - 1 times, their gradients P times, the last time home.
    The ledger bills them to "ring_attention" and "ring_attention backward". What is wholly masked is not computed.
    seen: a list that collects a `Seen` for each block of the forward.
    axis None or of one rank: nothing on the wire. ValueError where the hand and the rows differ in number.
    """
    axis = axis or Alone()
    dealt = hands(positions, axis, q)
    return _Ring.apply(axis, q, k, v, dealt, causal, seen)


class _Ring(torch.autograd.Function):
    """Forward: online softmax round the ring. Backward: exponentials anew, block by block, from the log of the sum."""

    @staticmethod
    def forward(ctx, axis, q, k, v, dealt, causal, seen):
        exact = torch.promote_types(q.dtype, torch.float32)
        none = q.new_zeros(*q.shape[:-1], 1, dtype=exact)
        done = none - math.inf, none, torch.zeros_like(q, dtype=exact)
        rows, stacked = dealt[axis.rank], torch.stack((k, v))
        with billed(axis, "ring_attention", stacked, layer(axis)):
            for step, source, held in around(axis, stacked):
                mine, theirs = (), ()
                if meeting := meet(rows, dealt[source], causal, q):
                    some, those = meeting
                    keys, values = (spread(x[..., those, :], q.shape[1]) for x in held)
                    mine, theirs = at(rows, some), at(dealt[source], those)
                    part = block(q[..., some, :], keys, values, mine, theirs, causal)
                    joint = merge(tuple(x[..., some, :] for x in done), part)
                    for x, new in zip(done, joint, strict=True):
                        x[..., some, :] = new
                note(seen, step, source, mine, theirs, causal, q)
        out = (done[2] / done[1]).to(q.dtype)
        ctx.save_for_backward(q, k, v, out, done[0] + done[1].log())
        ctx.axis, ctx.dealt, ctx.causal, ctx.layer = axis, dealt, causal, layer(axis)
        return out

    @staticmethod
    def backward(ctx, gradient):
        q, k, v, out, logs = ctx.saved_tensors
        axis, rows, causal = ctx.axis, ctx.dealt[ctx.axis.rank], ctx.causal
        pull = (gradient * out).sum(dim=-1, keepdim=True)  # what the softmax takes off every score's gradient
        stacked, of_q = torch.stack((k, v)), torch.zeros_like(q)
        of_held = torch.zeros_like(stacked)
        with billed(axis, "ring_attention backward", stacked, ctx.layer):
            for _, source, held in around(axis, stacked):
                if meeting := meet(rows, ctx.dealt[source], causal, q):
                    some, those = meeting
                    mine, theirs = at(rows, some), at(ctx.dealt[source], those)
                    known = [x[..., some, :] for x in (q, gradient, logs, pull)]
                    of_mine, of_theirs = back(*known, held[..., those, :], mine, theirs, causal)
                    of_q[..., some, :] += of_mine
                    of_held[..., those, :] += of_theirs
                if axis.size > 1:  # the gradients travel with their keys, and once more: home
                    of_held = axis.exchange(of_held, to=axis.next, source=axis.previous)
        return None, of_q, of_held[0], of_held[1], None, None, None


def back(q, gradient, logs, pull, held, rows, columns, causal):
    """Gradients of one block: (of q, of keys and values stacked). Algorithm 2 of FlashAttention-2 (Dao, 2023)."""
    keys, values = (spread(x, q.shape[1]) for x in held)
    scale = 1 / math.sqrt(q.shape[-1])
    scores = hide(q @ keys.transpose(-1, -2) * scale, rows, columns, causal)
    weights = torch.exp(scores - logs).to(q.dtype)
    of_scores = weights * (gradient @ values.transpose(-1, -2) - pull) * scale
    of_keys, of_values = of_scores.transpose(-1, -2) @ q, weights.transpose(-1, -2) @ gradient
    return of_scores @ keys, torch.stack([fold(x, held.shape[2]) for x in (of_keys, of_values)])


@contextlib.contextmanager
def billed(axis, what: str, stacked: Tensor, name: str):
    """Every message inside stands under `what` in the ledger, and under the layer of this name."""
    if axis.size == 1:
        yield
        return
    with axis.recorder.layer(name), axis.account(what, stacked, ()):
        yield


def layer(axis) -> str:
    """The layer that is billed now; its backward, later, is billed to it too."""
    return "" if axis.size == 1 else axis.recorder.here


def swap_heads(axis, q: Tensor, k: Tensor, v: Tensor, positions, causal: bool = True) -> Tensor:
    """The same attention by swapping: all positions of heads/P heads on each rank, then back (Ulysses).

    Shapes as for `ring_attention`. Four exchanges of everybody with everybody forward (q, k, v, result), four backward;
    each sends (P - 1)/P of its tensor. ValueError where heads or kv heads do not divide by the ranks.
    """
    axis = axis or Alone()
    dealt = hands(positions, axis, q)
    for heads, what in ((q.shape[1], "heads"), (k.shape[1], "key/value heads")):
        if heads % axis.size:
            raise ValueError(f"{heads} {what} cannot be swapped over {axis.size} ranks: each must get as many. "
                             "The ring has no such limit.")  # fmt: skip
    q, k, v = (_Swap.apply(axis, x, 1, 2) for x in (q, k, v))
    everywhere = [position for hand in dealt for position in hand]
    return _Swap.apply(axis, full_attention(q, k, v, everywhere, causal), 2, 1)


class _Swap(torch.autograd.Function):
    """Forward: cut along one dimension, a piece to everybody, joined along the other. Backward: the other way."""

    @staticmethod
    def forward(ctx, axis, x, cut, join):
        ctx.axis, ctx.cut, ctx.join, ctx.layer = axis, cut, join, layer(axis)
        return exchange_all(axis, x, cut, join)

    @staticmethod
    def backward(ctx, gradient):
        with ctx.axis.recorder.layer(ctx.layer) if ctx.axis.size > 1 else contextlib.nullcontext():
            return None, exchange_all(ctx.axis, gradient, ctx.join, ctx.cut), None, None


def exchange_all(axis, x: Tensor, cut: int, join: int) -> Tensor:
    """Piece r of `x` (along `cut`) to rank r; what came from everybody, joined along `join`."""
    if axis.size == 1:
        return x.clone()
    pieces = [piece.contiguous() for piece in x.chunk(axis.size, dim=cut)]
    return torch.cat(axis.all_to_all(pieces), dim=join)


def around(axis, held: Tensor):
    """(step, whose, block) for each block of the ring: one's own first, then what the previous rank passes on."""
    for step in range(axis.size):
        if step:
            held = axis.exchange(held, to=axis.next, source=axis.previous)
        yield step, deal.source(axis.rank, step, axis.size), held


def hands(positions, axis, q: Tensor) -> tuple[deal.Positions, ...]:
    """The positions of every rank; a deal's name is worked out from this rank's number of rows."""
    mine = q.shape[-2]
    dealt = deal.hands(positions, axis.size, mine * axis.size) if isinstance(positions, str) else tuple(positions)
    if len(dealt) != axis.size or len(dealt[axis.rank]) != mine:
        held = len(dealt[axis.rank]) if axis.rank < len(dealt) else 0
        raise ValueError(f"rank {axis.rank} of {axis.size} has {mine} rows, and {held} positions in {len(dealt)} "
                         "hands: a position for each row, a hand for each rank")  # fmt: skip
    return dealt


def meet(rows, columns, causal: bool, like: Tensor):
    """(rows that see some key, columns that some query sees), as indices; None where all is masked."""
    if not causal:
        return slice(None), slice(None)
    first, last = min(columns), max(rows)
    some = [at for at, row in enumerate(rows) if row >= first]
    those = [at for at, column in enumerate(columns) if column <= last]
    return (run(some, len(rows), like), run(those, len(columns), like)) if some and those else None


def run(chosen: list[int], many: int, like: Tensor):
    """Indices as a slice where they stand in a row, so that nothing is copied."""
    if chosen[-1] - chosen[0] + 1 == len(chosen):
        return slice(None) if len(chosen) == many else slice(chosen[0], chosen[-1] + 1)
    return torch.tensor(chosen, device=like.device)


def at(positions, chosen):
    """The positions at these places."""
    return positions[chosen] if isinstance(chosen, slice) else [positions[one] for one in chosen.tolist()]


def hide(scores: Tensor, rows, columns, causal: bool) -> Tensor:
    """Minus infinity wherever a query would look at a position after its own."""
    if not causal or min(rows) >= max(columns):
        return scores
    here, there = (torch.tensor(list(places), device=scores.device) for places in (rows, columns))
    return scores.masked_fill(there > here.unsqueeze(-1), -math.inf)


def finite(largest: Tensor) -> Tensor:
    """0 in place of -inf: what saw no key weighs exp(-inf - 0) = 0, where -inf - (-inf) would be no number."""
    return largest.masked_fill(largest == -math.inf, 0)


def spread(x: Tensor, heads: int) -> Tensor:
    """Each key/value head once for every query head that reads it: [batch, kv heads, ...] -> [batch, heads, ...]."""
    return x if x.shape[-3] == heads else x.repeat_interleave(heads // x.shape[-3], dim=-3)


def fold(x: Tensor, heads: int) -> Tensor:
    """The gradient of `spread`: summed over the query heads that read the same key/value head."""
    return x if x.shape[1] == heads else x.unflatten(1, (heads, x.shape[1] // heads)).sum(dim=2)


def note(seen: list | None, step: int, source: int, rows, columns, causal: bool, q: Tensor) -> None:
    """Writes one meeting down, where somebody asked for it."""
    if seen is not None:
        scores = math.prod(q.shape[:-2]) * len(rows) * len(columns) * q.element_size()
        seen.append(Seen(step, source, deal.pairs(rows, columns, causal), scores))

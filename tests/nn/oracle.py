"""Is every sliced layer equal to its whole twin, on any number of ranks?

The table: one line a layer, (whole, how it is sliced, what it reads). On each rank `compare` builds both from the same
numbers, runs both on the same x forward and backward, and returns the largest differences: of the output, of x's
gradient, and of each parameter's gradient (its own slice of the whole's, once partial ones have been summed).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import linear

from minipar.nn.attention import Attention, ParallelAttention
from minipar.nn.axes import Axes
from minipar.nn.embedding import Embedding, Head, ParallelHead, VocabParallelEmbedding
from minipar.nn.gpt import GPT, ParallelBlock
from minipar.nn.linear import ColumnParallelLinear, Linear, RowParallelLinear
from minipar.nn.loss import gather_logits
from minipar.nn.mlp import MLP, ParallelMLP
from minipar.nn.regions import copy, reduce, scatter
from minipar.nn.state import slice_state

BATCH, SEQ, HIDDEN, HEADS, WORDS = 2, 12, 24, 12, 30  # 12 heads on 1 to 4 ranks; 30 words on 4 ranks: 8 8 8 6


class Pair(NamedTuple):
    """One line of the table. reads: "x" [batch, seq, hidden] or "tokens". gives: a rank's part of the output."""

    whole: Callable
    sliced: Callable  # (whole, axes) -> sliced
    reads: str = "x"
    gives: str = "all"  # "all", "columns" (of even slices), "words" (of padded slices), "sequence"
    ranks: tuple[int, ...] = (1, 2, 3, 4)
    sequence: bool = False  # with sequence parallel too


def _block():
    return GPT(1, HIDDEN, HEADS, WORDS, SEQ, kv_heads=2)._empty(1)


PAIRS = {
    "column": Pair(lambda: Linear(HIDDEN, 36), lambda m, a: ColumnParallelLinear.from_whole(m, a.tensor),
                   gives="columns"),
    "column gathered": Pair(lambda: Linear(HIDDEN, 36, bias=False),
                            lambda m, a: ColumnParallelLinear.from_whole(m, a.tensor, gather_output=True)),
    "column overlapped": Pair(lambda: Linear(HIDDEN, 36),
                              lambda m, a: ColumnParallelLinear.from_whole(m, a.tensor, overlap=True), gives="columns"),
    "row of whole": Pair(lambda: Linear(HIDDEN, 7),
                         lambda m, a: RowParallelLinear.from_whole(m, a.tensor, input_is_parallel=False)),
    "MLP": Pair(lambda: MLP(HIDDEN), ParallelMLP.from_whole, sequence=True),
    "attention": Pair(lambda: Attention(HIDDEN, HEADS), ParallelAttention.from_whole, sequence=True),
    "attention, 6 kv heads": Pair(lambda: Attention(HIDDEN, HEADS, 6), ParallelAttention.from_whole, ranks=(1, 2, 3)),
    "attention, 2 kv heads": Pair(lambda: Attention(HIDDEN, HEADS, 2), ParallelAttention.from_whole, ranks=(1, 2, 4),
                                  sequence=True),
    "attention, 1 kv head": Pair(lambda: Attention(HIDDEN, HEADS, 1), ParallelAttention.from_whole),
    "block, 2 kv heads": Pair(_block, ParallelBlock.from_whole, ranks=(1, 2, 4), sequence=True),
    "embedding": Pair(lambda: Embedding(WORDS, SEQ, HIDDEN), VocabParallelEmbedding.from_whole, reads="tokens",
                      sequence=True),
    "embedding, fewer words than ranks": Pair(lambda: Embedding(3, SEQ, HIDDEN), VocabParallelEmbedding.from_whole,
                                              reads="tokens"),
    "head": Pair(lambda: Head(WORDS, HIDDEN), ParallelHead.from_whole, gives="words", sequence=True),
}  # fmt: skip


# ---- typical mistakes, which the oracle must see


class BiasOnEveryRank(RowParallelLinear):
    def forward(self, x):
        return reduce(self.axis, linear(scatter(self.axis, x), self.weight, self.bias))


class NoSumBackward(ColumnParallelLinear):
    def forward(self, x):
        return linear(x, self.weight, self.bias)


class SummedAgainBackward(RowParallelLinear):
    def forward(self, x):
        return copy(self.axis, reduce(self.axis, linear(scatter(self.axis, x), self.weight))) + self.bias


def _norms_forgotten(whole, axes):
    sliced = ParallelBlock.from_whole(whole, axes)
    sliced.attention_norm.bias.sum_over = ()
    return sliced


BROKEN = {
    "bias on every rank": Pair(lambda: Linear(HIDDEN, 7), lambda m, a: BiasOnEveryRank.from_whole(m, a.tensor)),
    "no sum backward": Pair(lambda: Linear(HIDDEN, 36), lambda m, a: NoSumBackward.from_whole(m, a.tensor),
                            gives="columns"),
    "summed again backward": Pair(lambda: Linear(HIDDEN, 7), lambda m, a: SummedAgainBackward.from_whole(m, a.tensor)),
    "norms forgotten": Pair(_block, _norms_forgotten, sequence=True),
}  # fmt: skip


def compare(w, name: str, overlap: bool = False, sequence_parallel: bool = False) -> dict[str, float]:
    """On a rank: {what: largest difference from the whole layer}."""
    pair, axis = (PAIRS | BROKEN)[name], w.axis("tensor")
    axes = Axes(tensor=axis, overlap=overlap, sequence_parallel=sequence_parallel)
    torch.manual_seed(7)
    whole = pair.whole().double()
    for parameter in whole.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    sliced = pair.sliced(whole, axes)
    x = torch.randint(3, (BATCH, SEQ)) if pair.reads == "tokens" else torch.randn(BATCH, SEQ, HIDDEN).double()
    mine = x.clone()
    if sequence_parallel and pair.reads == "x":
        mine = mine.chunk(axis.size, dim=1)[axis.rank].clone()
    for each in (x, mine):
        each.requires_grad_(each.is_floating_point())
    y, part = whole(x), sliced(mine)
    upstream = torch.randn_like(y)
    gives = "sequence" if sequence_parallel and pair.gives == "all" else pair.gives
    (y * upstream).sum().backward()
    (part * _part(upstream, gives, axis)).sum().backward()
    found = {"output": _apart(part, _part(y, gives, axis))}
    if pair.reads == "x":
        of_x = x.grad.chunk(axis.size, dim=1)[axis.rank] if sequence_parallel else x.grad
        found["x"] = _apart(mine.grad, of_x)
    expected = slice_state({n: p.grad for n, p in whole.named_parameters()}, sliced.cuts(axis.size), axis.rank)
    for number, parameter in sliced.named_parameters():
        gradient = parameter.grad
        for group in parameter.sum_over:
            gradient = group.all_reduce(gradient)
        found[number] = _apart(gradient, expected[number])
    counted = {n: float(p.counted) * expected[n].square().sum() for n, p in sliced.named_parameters()}
    squares = axis.all_reduce(torch.stack(list(counted.values())).sum())
    found["norm"] = abs(squares.item() / sum(p.grad.square().sum().item() for p in whole.parameters()) - 1)
    return found


def _part(whole, gives, axis):
    if gives == "columns":
        return whole.chunk(axis.size, dim=-1)[axis.rank]
    if gives == "words":
        width = -(-whole.shape[-1] // axis.size)
        return whole[..., axis.rank * width : (axis.rank + 1) * width]
    return whole.chunk(axis.size, dim=1)[axis.rank] if gives == "sequence" else whole


def _apart(found, expected) -> float:
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return (found - expected).abs().max().item() if found.numel() else 0.0


def logits_come_back(w, words: int):
    """On a rank: whole logits from slices that need not divide."""
    axis, whole = w.axis("tensor"), torch.arange(2.0 * words).view(2, words)
    return torch.equal(gather_logits(axis, _part(whole, "words", axis), words), whole)


def gpt(w, model, batch, overlap: bool = False, sequence_parallel: bool = False):
    """On a rank: loss, gradients (partial ones summed), what is counted of their squares, bytes of weights."""
    axes = Axes(w.axis("tensor"), overlap=overlap, sequence_parallel=sequence_parallel)
    sliced = model.build(range(model.layers + 2), w.device, axes)
    loss = model.loss(sliced(batch.inputs), batch.targets, axes)
    loss.backward()
    gradients, squares = {}, 0.0
    for name, parameter in sliced.named_parameters():
        gradients[name] = parameter.grad
        for group in parameter.sum_over:
            gradients[name] = group.all_reduce(gradients[name])
        squares += parameter.counted * gradients[name].square().sum().item()
    return loss.item(), gradients, squares, sum(p.nbytes for p in sliced.parameters())


def wire(w, name: str, sequence_parallel: bool = False):
    """On a rank: forward and backward of the sliced layer alone, over our own collectives, byte by byte."""
    pair, axis = PAIRS[name], w.axis("tensor").ring
    sliced = pair.sliced(pair.whole().double(), Axes(tensor=axis, sequence_parallel=sequence_parallel))
    x = torch.randint(3, (BATCH, SEQ))
    if pair.reads == "x":
        seq = SEQ // axis.size if sequence_parallel else SEQ
        x = torch.zeros(BATCH, seq, HIDDEN, dtype=torch.float64, requires_grad=True)
    with w.recorder.layer("forward"):
        y = sliced(x)
    with w.recorder.layer("backward"):
        y.sum().backward()


def gpt_wire(w, model, batch, sequence_parallel: bool = False):
    """On a rank: forward, loss and backward of the whole model, sliced, over our own collectives."""
    axes = Axes(w.axis("tensor").ring, sequence_parallel=sequence_parallel)
    sliced = model.build(range(model.layers + 2), w.device, axes)
    model.loss(sliced(batch.inputs), batch.targets, axes).backward()


def gpt_in_context(w, model, batch, deal: str, sequence_parallel: bool = False):
    """On a rank of tensor x context: my positions of the texts; gradients summed over context, as in a plan's step."""
    context = w.axis("context")
    axes = Axes(w.axis("tensor"), context, sequence_parallel=sequence_parallel, deal=deal)
    mine = torch.tensor(list(axes.positions(SEQ // context.size)))
    sliced = model.build(range(model.layers + 2), w.device, axes)
    loss = model.loss(sliced(batch.inputs[:, mine]), batch.targets[:, mine], axes) / context.size
    loss.backward()
    gradients = {}
    for name, parameter in sliced.named_parameters():
        gradients[name] = parameter.grad
        for group in (*parameter.sum_over, context):
            gradients[name] = group.all_reduce(gradients[name])
    return context.all_reduce(loss.detach()).item(), gradients

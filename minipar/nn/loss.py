"""How wrong were the guesses, and can ranks that each scored some of the words say it without showing the scores?

The mean over all tokens of minus the logarithm of the probability given to the token that came. In nats: a model
that knows nothing of 256 byte values scores ln 256 = 5.55.

    loss = log Σ exp(score − max) + max − target's score

    rank 0's words   1 2 3 ─┐ max 3 ─┐       Σ exp(score − 6)    0.07 ─┐            ─┐
    rank 1's words   4 5 6 ─┘ max 6 ─┴─► 6   target's, or 0      −4   ─┴─► 2 sums   ─┴─► loss on each, the same

Three numbers a token travel, in two all-reduces: the maximum, then the sum and the target's score together. The
gradient, softmax minus 1 at the target, follows on each rank from what it then holds: nothing travels backwards.
(Megatron-LM, arXiv:1909.08053, section 3, and its vocab_parallel_cross_entropy.)
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from minipar.nn.axes import place, size
from minipar.nn.regions import gather
from minipar.plan.slices import padded


def next_token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """logits [batch, seq, vocabulary], targets [batch, seq] -> scalar: mean cross-entropy in nats per token."""
    return cross_entropy(logits.flatten(0, 1), targets.flatten())


def vocab_parallel_cross_entropy(axis, logits: Tensor, targets: Tensor, first: int, words: int | None = None) -> Tensor:
    """The same mean, on each rank, from logits [..., my words] and targets [...] that all ranks know.

    first: the number of this rank's first word. words: of the vocabulary; columns past it are padding and count for
    nothing. Also right when a rank has no word at all. The gradient of `logits` is theirs alone.
    """
    if words is not None:
        logits = logits[..., : max(0, words - first)]
    return _VocabLoss.apply(logits, targets, axis, first)


class _VocabLoss(torch.autograd.Function):
    @staticmethod
    def forward(context, logits, targets, axis, first):
        context.width, context.first = logits.shape[-1], first
        if not context.width:
            logits = logits.new_full((*logits.shape[:-1], 1), -torch.inf)
        largest = _together(axis, logits.amax(dim=-1), "max")
        weights = (logits - largest.unsqueeze(-1)).exp_()
        mine, column = _mine(targets, first, context.width)
        target = (logits.gather(-1, column).squeeze(-1) - largest).masked_fill(~mine, 0)
        total, target = _together(axis, torch.stack([weights.sum(dim=-1), target]), "sum")
        context.save_for_backward(weights, total.clone(), targets)  # total alone, without the row beside it
        return (total.log() - target).mean()

    @staticmethod
    def backward(context, gradient):
        weights, total, targets = context.saved_tensors
        share = gradient / targets.numel()
        of_logits = weights * (share / total).unsqueeze(-1)
        mine, column = _mine(targets, context.first, context.width)
        of_logits.scatter_add_(-1, column, torch.where(mine, -share, 0).unsqueeze(-1).to(of_logits.dtype))
        return of_logits[..., : context.width], None, None, None


def _mine(targets: Tensor, first: int, width: int) -> tuple[Tensor, Tensor]:
    """(whether each target is a word of mine, its column here [..., 1], 0 where it is not)."""
    mine = (targets >= first) & (targets < first + width)
    return mine, (targets - first).masked_fill(~mine, 0).unsqueeze(-1)


def _together(axis, x: Tensor, op: str) -> Tensor:
    return x if size(axis) == 1 else axis.all_reduce(x, op)


def gather_logits(axis, logits: Tensor, words: int) -> Tensor:
    """[..., my words] on each rank -> [..., words] on each: to draw a word from, not to compute a loss with.

    Short pieces are padded for the way; since only the last ones are short, the padding lies at the end.
    """
    if size(axis) == 1:
        return logits
    widest, own = len(padded(words, axis.size)[0]), len(padded(words, axis.size)[place(axis)])
    return gather(axis, pad(logits, (0, widest - own)))[..., :words]

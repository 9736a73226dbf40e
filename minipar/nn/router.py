"""Which experts does a token choose, who is dropped, and what keeps the choice even?

    x [tokens, hidden] ── weight ──► logits ── softmax or sigmoid ──► scores [tokens, experts]

        choice    the `top` experts with the highest score + bias, best first       bias: chooses, and does not weigh
        weight    their scores, divided by their sum if `normalise`
        drop      an expert takes ⌈factor · tokens · top / experts⌉; who is too many has choice -1

    over whom?    a stated group: one microbatch on all ranks that share it. Rows stand in line by (score or position,
                  global index), so the same are dropped on 1, 2 and 4 ranks. per rank: each counts its own (Megatron)

    balance loss  experts · Σ f_e P_e     f_e: share of the choices, P_e: mean score     1 where both are even
    z-loss        mean of (log Σ exp logits)²                                            keeps logits small
    bias          + rate where the load is under the mean, − rate above it               no loss, no gradient

Token choice: Shazeer et al. 2017 (arXiv:1701.06538). Balance loss: Fedus et al. 2021, Switch (arXiv:2101.03961),
equations 4-6; Lepikhin et al. 2020, GShard (arXiv:2006.16668). z-loss: Zoph et al. 2022, ST-MoE (arXiv:2202.08906),
equation 5. Bias: Wang et al. 2024 (arXiv:2408.15664); sigmoid scores: DeepSeek-V3 (arXiv:2412.19437), section 2.1.2.

A group is an axis of ranks that hold different tokens. Losses over a group come as shares: those of its ranks add up to
the loss, so gradients are plain sums. Only counts travel. Never run on a GPU.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from minipar.nn.axes import size
from minipar.plan.balance import places
from minipar.plan.routing import DROPPED, Drop, word

SCORES = ("softmax", "sigmoid")


class Routes(NamedTuple):
    """What a router found for its tokens.

    choice: [tokens, top] experts, best first, -1 where dropped; weight: [tokens, top]; scores, logits: [tokens,
    experts]; wanted: [experts] choices by expert before anyone was dropped.
    """

    choice: Tensor
    weight: Tensor
    scores: Tensor
    logits: Tensor
    wanted: Tensor


class TopKRouter(nn.Module):
    """Scores every expert for every token and takes the `top` best. Not filled.

    scores: "softmax" over the experts, or "sigmoid" of each alone. normalise: the chosen weights add up to 1. bias:
    one number an expert, added to the scores for the choice alone, changed by `update_bias` and by no gradient.
    ValueError for a `top` that is not 1 to `experts`.
    """

    def __init__(self, hidden: int, experts: int, top: int, scores: str = "softmax", normalise: bool = True,
                 bias: bool = False):  # fmt: skip
        super().__init__()
        require_top(experts, top)
        if scores not in SCORES:
            raise ValueError(f"scores={scores!r}: choose {' or '.join(map(repr, SCORES))}.")
        self.weight = nn.Parameter(torch.empty(experts, hidden))
        self.register_buffer("bias", torch.zeros(experts) if bias else None)
        self.experts, self.top, self.softmax, self.normalise = experts, top, scores == "softmax", normalise

    def forward(self, x: Tensor) -> Routes:
        """x [tokens, hidden]. Nobody is dropped yet. ValueError where a score is not a number."""
        logits = linear(x, self.weight)
        scores = logits.softmax(-1) if self.softmax else logits.sigmoid()
        choice = chosen(scores.detach(), self.top, self.bias)
        weight = scores.gather(-1, choice)
        if self.normalise:
            weight = weight / weight.sum(-1, keepdim=True)
        return Routes(choice, weight, scores, logits, counted(choice, self.experts))


def chosen(scores: Tensor, top: int, bias: Tensor | None = None) -> Tensor:
    """The `top` experts of each token, best first; equal scores go to the smaller number. ValueError for NaN."""
    if scores.isnan().any():
        token, expert = scores.isnan().nonzero()[0].tolist()
        raise ValueError(f"token {token} has no score for expert {expert}: it is not a number (NaN)")
    chances = scores if bias is None else scores + bias
    return chances.sort(dim=-1, descending=True, stable=True).indices[:, :top]


def counted(choice: Tensor, experts: int) -> Tensor:
    """[experts]: how many choices each got; -1 counts for nobody."""
    flat = choice.flatten()
    return torch.bincount(flat[flat >= 0], minlength=experts)


def require_top(experts: int, top: int) -> None:
    """ValueError unless a token can take so many different experts."""
    if experts < 1:
        raise ValueError(f"tokens need 1 or more experts, not {experts}")
    if not 1 <= top <= experts:
        raise ValueError(f"top={top} of {experts} experts: a token takes 1 to {experts} different ones")


# ---- capacity


def limit(routes: Routes, factor: float, drop: str | Drop = Drop.PROBABILITY, group=None,
          index: Tensor | None = None) -> Routes:  # fmt: skip
    """The same routes, with -1 where an expert was full.

    factor: of the even share, rounded up (`plan.balance.places`). drop: "probability": the highest scores stay;
    "position": who comes first. group: ranks whose tokens are counted together, or None for these alone. index:
    [tokens] the number of each token in the group; without it they count rank by rank.
    """
    drop, (tokens, top), experts = word(Drop, drop, "choices are dropped by"), routes.choice.shape, len(routes.wanted)
    score = routes.scores.detach().gather(-1, routes.choice) if drop is Drop.PROBABILITY else None
    if size(group) == 1:
        kept = within(routes.choice, places(tokens, top, experts, factor), score, index)
    else:
        choice, score, index, mine = _everybodys(group, routes.choice, score, index)
        kept = within(choice, places(len(choice), top, experts, factor), score, index)[mine]
    return routes._replace(choice=torch.where(kept, routes.choice, DROPPED))


def within(choice: Tensor, most: int, score: Tensor | None = None, index: Tensor | None = None) -> Tensor:
    """[tokens, top], True where a choice stays: its expert's first `most` by (score, index), or by index alone."""
    flat = choice.flatten()
    line = torch.arange(len(flat), device=flat.device)
    if index is not None:
        line = index.repeat_interleave(choice.shape[1]).argsort(stable=True)
    if score is not None:
        line = line[score.flatten()[line].argsort(descending=True, stable=True)]
    line = line[flat[line].argsort(stable=True)]
    in_line = flat[line]
    place = torch.arange(len(flat), device=flat.device) - torch.searchsorted(in_line, in_line)
    kept = torch.empty_like(flat, dtype=torch.bool)
    kept[line] = (place < most) & (in_line >= 0)
    return kept.view_as(choice)


def _everybodys(group, choice: Tensor, score: Tensor | None, index: Tensor | None):
    """(choice, score, index) of all ranks of the group in rank order, and which tokens of them are mine."""
    top, alone = choice.shape[1], index is None
    index = torch.zeros(len(choice), device=choice.device) if alone else index
    said = [part.double() for part in (index.unsqueeze(-1), choice, score) if part is not None]  # all exact in float64
    came = group.all_to_all([torch.cat(said, -1)] * group.size)
    first = sum(len(part) for part in came[: group.rank])
    whole = torch.cat(came)
    mine = slice(first, first + len(choice))
    score = whole[:, 1 + top :] if score is not None else None
    return whole[:, 1 : 1 + top].long(), score, None if alone else whole[:, 0].long(), mine


# ---- losses


class Together(NamedTuple):
    """Sums over a group: choices by expert before any drop [experts], and tokens."""

    wanted: Tensor
    tokens: Tensor


def together(routes: Routes, group=None) -> Together:
    """What the losses need of the whole group: one small all-reduce."""
    counts = torch.cat([routes.wanted, routes.wanted.new_tensor([len(routes.choice)])])
    if size(group) > 1:
        counts = group.all_reduce(counts)
    return Together(counts[:-1], counts[-1])


def load_balancing_loss(routes: Routes, whole: Together | None = None) -> Tensor:
    """experts · Σ_e f_e P_e, a scalar: 1 where load and scores are even, `experts` where one expert has all.

    f_e: the share of all choices that wanted e, a count without gradient; P_e: the mean over tokens of e's score,
    scores taken as shares (a sigmoid's are divided by their sum). Switch, equations 4-6, for `top` choices a token.
    whole: sums over the group; then this is the share of these tokens in its loss.
    """
    whole = whole or together(routes)
    experts, tokens = routes.scores.shape[-1], whole.tokens.clamp(min=1)
    shares = routes.scores / routes.scores.sum(-1, keepdim=True)
    frequency = whole.wanted.to(shares.dtype) / whole.wanted.sum().clamp(min=1)
    return experts * (shares.sum(0) * frequency).sum() / tokens


def router_z_loss(routes: Routes, whole: Together | None = None) -> Tensor:
    """The mean over tokens of (log Σ_e exp logit_e)², a scalar. ST-MoE, equation 5. whole: as above."""
    tokens = (whole or together(routes)).tokens.clamp(min=1)
    return routes.logits.logsumexp(-1).square().sum() / tokens


@torch.no_grad()
def update_bias(bias: Tensor, loads: Tensor, rate: float) -> None:
    """Change the bias in place, [experts]: `rate` more where the load is under the mean, `rate` less above it.

    loads: choices by expert, summed over everybody's tokens of the whole step. Wang et al. 2024, algorithm 1.
    """
    loads = loads.to(bias.dtype)
    bias.add_((loads.mean() - loads).sign(), alpha=rate)


class WithLoss(torch.autograd.Function):
    """y, unchanged, with a loss that is not in it: what comes back to y finds the loss's gradient started too."""

    @staticmethod
    def forward(context, y, loss):
        """y: any shape; loss: a scalar, already weighted."""
        return y.view_as(y)

    @staticmethod
    def backward(context, gradient):
        """The loss's own gradient is 1."""
        return gradient, gradient.new_ones(())


class Tally:
    """What one layer of experts has seen since it was last asked: choices by expert, drops, its weighted losses."""

    def __init__(self, experts: int):
        self.experts = experts
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.wanted, self.dropped, self.loss = torch.zeros(self.experts, dtype=torch.int64), 0, 0.0

    def add(self, routes: Routes, loss: Tensor | None) -> None:
        """Count one forward."""
        self.wanted += routes.wanted.cpu()
        self.dropped += int((routes.choice < 0).sum())
        self.loss += float(loss.detach()) if loss is not None else 0.0

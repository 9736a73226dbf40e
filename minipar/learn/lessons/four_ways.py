"""How are the same tokens served four ways, and what does each way cost?

    as they are   every choice travels to its expert                                   the busiest rank sets the time
    full          an expert takes so many rows and no more, the others are dropped     paid in choices
    placed        the same experts on other ranks                                      paid once, in moved weights
    copied        twelve places instead of eight                                       paid for good, in memory

`serve` is the program that each rank runs. A row in an expert is paced: the rank computes it, then waits until its
declared time is over. All rows go by the ring's own all-to-all, so that every byte stands in the ledger.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from torch import Tensor

from minipar.nn.dispatch import combine, dispatch
from minipar.nn.products import expert_mlp
from minipar.plan.routing import DROPPED, Routing

HIDDEN, INNER = 64, 128
EXPERT_BYTES = 2 * HIDDEN * INNER * 4  # two matrices of float32
LINE = "rows"  # what the rows' bytes are billed to


class Layer(NamedTuple):
    """Tokens x [tokens, hidden], their scores [tokens, experts], and the experts' matrices [experts, …]."""

    x: Tensor
    scores: Tensor
    up: Tensor
    down: Tensor


class Served(NamedTuple):
    """One rank's answers for its own tokens [tokens, hidden], and the rows that it computed."""

    answers: Tensor
    rows: int


def layer(scores, seed: int = 7) -> Layer:
    """Random tokens and experts of 64 → 128 → 64 for these scores, float32."""
    dice = torch.Generator().manual_seed(seed)
    experts = len(scores[0])
    shapes = ((len(scores), HIDDEN), (experts, INNER, HIDDEN), (experts, HIDDEN, INNER))
    x, up, down = (torch.randn(shape, generator=dice) / shape[-1] ** 0.5 for shape in shapes)
    return Layer(x, torch.tensor(scores), up, down)


def weights(choice: Tensor, kept: Tensor, scores: Tensor) -> Tensor:
    """[tokens, top]: the chosen scores as shares of their sum; what was dropped weighs nothing and leaves no share."""
    shares = scores.gather(1, choice)
    return shares / shares.sum(1, keepdim=True) * (kept != DROPPED)


def serve(w, routing: Routing, layer: Layer, row: float) -> Served:
    """A rank's program: rows out, `row` seconds for each row in an expert, answers home in the old order."""
    axis, first = w.everyone.ring, sum(routing.sources[: w.rank])
    mine = slice(first, first + routing.sources[w.rank])
    choice, kept = (torch.tensor(whole[mine]) for whole in (routing.choice, routing.kept))
    held = list(routing.placement.slots[w.rank])
    up, down = layer.up[held], layer.down[held]
    axis.barrier()
    with w.span("step"):
        with w.recorder.layer(LINE):
            rows, way = dispatch(axis, layer.x[mine], kept, routing.experts, routing.placement)
        with w.span("queue"):
            started = time.monotonic()
            answers = expert_mlp(rows, up, down, way.sizes)
            time.sleep(max(0.0, started + len(rows) * row - time.monotonic()))
        with w.recorder.layer(LINE):
            home = combine(axis, answers, weights(choice, kept, layer.scores[mine]), way)
    return Served(home, len(rows))


def whole(routing: Routing, layer: Layer) -> Tensor:
    """The same on one process: a loop over the experts, [tokens, hidden]."""
    choice, kept = torch.tensor(routing.choice), torch.tensor(routing.kept)
    weight, out = weights(choice, kept, layer.scores), torch.zeros_like(layer.x)
    for expert, (up, down) in enumerate(zip(layer.up, layer.down, strict=True)):
        token, place = (kept == expert).nonzero(as_tuple=True)
        answer = torch.nn.functional.gelu(layer.x[token] @ up.T) @ down.T
        out.index_add_(0, token, weight[token, place, None] * answer)
    return out


def seconds(served) -> float:
    """From the first start of the step on any rank to its last end, messages and all."""
    steps = [span for span in served.trace.spans if span.what == "step"]
    return max(span.end for span in steps) - min(span.start for span in steps)


def longest(served) -> float:
    """How long the busiest rank worked at its queue, in seconds."""
    return max(span.end - span.start for span in served.trace.spans if span.what == "queue")


def row_bytes(trace, leg: str) -> int:
    """Bytes of rows that left their rank on this leg, "dispatch" or "combine": counted, not computed."""
    return sum(message.bytes for message in trace.messages if message.layer == f"{LINE}.{leg}")


def answers(served) -> Tensor:
    """All tokens' answers, [tokens, hidden], in their order."""
    return torch.cat([part.answers for part in served])

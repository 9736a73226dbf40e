"""Who wants which expert in lesson 11, how long does each rank work, and is what came home right?

    even      112 tokens, one expert each: 14 an expert, 28 a rank
    skewed    112 tokens: 56 want expert 0, 8 each of the other seven
    seeded    128 tokens, two experts each: random scores, 0.6 more for expert 0 and 0.3 more for expert 1

The lesson's own program (in its notebook) sends them with `minipar.nn.experts`; here stand the tokens, the pace, the
dense loop that must come to the same, and what is read off the trace.
"""

from __future__ import annotations

import contextlib
import time
from typing import NamedTuple

from minipar.cost.routing import StepTime
from minipar.plan.balance import leaning
from minipar.plan.routing import Routing, follow, route

HIDDEN, EXPERTS, RANKS = 64, 8, 4


class Tokens(NamedTuple):
    """All ranks' tokens: x [tokens, hidden], choice [tokens, top] of experts, weight [tokens, top]."""

    x: object
    choice: object
    weight: object


def routing(name: str) -> Routing:
    """The routing of this name, as counts."""
    if name == "seeded":
        return route(leaning(128, EXPERTS, lean=(0.6, 0.3)), EXPERTS, 2, ranks=RANKS)
    if name == "even":
        choice = [(token % 8,) for token in range(112)]
    else:
        choice = [(token // 2 % 7 + 1 if token % 2 else 0,) for token in range(112)]
    return follow(choice, EXPERTS, ranks=RANKS)


def tokens(name: str) -> Tokens:
    """Those tokens as tensors; a token weighs its answers with its scores, divided by their sum."""
    import torch

    found = torch.tensor(routing(name).choice)
    scores = torch.tensor(leaning(128, EXPERTS))[: len(found)].gather(1, found)
    x = torch.randn(len(found), HIDDEN, generator=torch.Generator().manual_seed(7))
    return Tokens(x, found, scores / scores.sum(1, keepdim=True))


@contextlib.contextmanager
def lasting(seconds: float):
    """Whatever stands inside takes at least this long."""
    end = time.monotonic() + seconds
    yield
    time.sleep(max(0.0, end - time.monotonic()))


def dense(x, choice, weight, up, down):
    """The dense loop: every expert in turn, on one process, with the tokens that chose it."""
    import torch
    from torch.nn.functional import gelu

    y = torch.zeros_like(x)
    for expert in range(len(up)):
        token, place = (choice == expert).nonzero(as_tuple=True)
        answers = gelu(x[token] @ up[expert].T) @ down[expert].T
        y = y.index_add(0, token, weight[token, place, None] * answers)
    return y


def alone(tokens: Tokens, up, down) -> float:
    """Seconds of the dense loop here and now: the best of five."""
    found = []
    for _ in range(5):
        start = time.perf_counter()
        dense(*tokens, up, down)
        found.append(time.perf_counter() - start)
    return min(found)


# ---- read off a run: a list, by rank, of (y, rows sent to each rank, rows of each expert here), and its trace


def rows(ran) -> tuple[tuple[int, ...], ...]:
    """Rows ``[source][target]`` as they were split for the all-to-all."""
    return tuple(tuple(sent) for _, sent, _ in ran)


def expert_loads(ran) -> tuple[int, ...]:
    """Rows of each expert."""
    return tuple(many for _, _, sizes in ran for many in sizes)


def rank_loads(ran) -> tuple[int, ...]:
    """Rows that each rank computed."""
    return tuple(sum(sizes) for _, _, sizes in ran)


def moved(ran, leg: str) -> tuple[tuple[int, ...], ...]:
    """Bytes ``[source][target]`` that really travelled on the leg "dispatch" or "combine"."""
    return ran.trace.traffic(layer=leg)


def is_dense(ran, tokens: Tokens, up, down) -> bool:
    """Do the ranks' answers, joined, equal the dense loop's up to the rounding of float32?"""
    import torch

    whole = dense(*tokens, up, down)
    return bool((torch.cat([y for y, _, _ in ran]) - whole).abs().max() <= 1e-5 * whole.abs().max())


def step_time(ran) -> StepTime:
    """The measured parts of the step: until all rows were there, until the last rank was done, until all were home."""
    legs = ("dispatch", "experts", "combine")
    spans = {name: [span for span in ran.trace.spans if span.what == name] for name in legs}
    start, there = min(one.start for one in spans["dispatch"]), max(one.end for one in spans["dispatch"])
    work = sorted((one.rank, one.end - one.start) for one in spans["experts"])
    done, end = max(one.end for one in spans["experts"]), max(one.end for one in spans["combine"])
    work = tuple(min(seconds, done - there) for _, seconds in work)
    return StepTime(there - start, done - there, end - done, work)

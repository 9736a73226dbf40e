"""How uneven is a load, how many rows may an expert take, and what does a bias teach the router?

    load of 8 experts   91 65 17 16 15 13 20 19      mean 32      max / mean 2.84      mean / max 0.35
    capacity factor 1.0 32 32 17 16 15 13 20 19      ⌈1.0 · 128 tokens · 2 / 8 experts⌉ = 32, 92 choices dropped

    bias, step by step  busy expert: − rate, idle expert: + rate; it is added where experts are *chosen*, and nowhere
                        else: outputs are weighed with the scores as they were

Two ratios say the same and are both in use, so both have their names here. max / mean is how much longer a step takes
than an even one (1 is best); mean / max is the share of the time that the average rank works (1 is best too).
The bias rule is Wang et al. 2024, "Auxiliary-Loss-Free Load Balancing" (arXiv:2408.15664), algorithm 1.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

Scores = Sequence[Sequence[float]]


def max_over_mean(loads: Sequence[float]) -> float:
    """The busiest against the mean: 1.0 for even loads (and for none at all), as many as there are at worst."""
    total = sum(loads)
    return max(loads) * len(loads) / total if total else 1.0


def mean_over_max(loads: Sequence[float]) -> float:
    """The mean against the busiest, "balancedness" in serving engines: 1.0 for even loads, 1 / len(loads) at worst."""
    return 1 / max_over_mean(loads)


def places(tokens: int, top: int, experts: int, factor: float) -> int:
    """Rows that one expert takes: ⌈factor · tokens · top / experts⌉ (Fedus et al. 2021, arXiv:2101.03961, section 2.2).

    The factor counts as it is written: 1.1 is eleven tenths, so 1.1 · 40 choices / 4 experts are 11 rows, not 12.
    ValueError for a factor that leaves no place at all, or is no number.
    """
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 <= factor < math.inf:
        raise ValueError(f"a capacity factor is a number above 0, not {factor!r}")
    if factor == 0:
        raise ValueError(f"capacity factor 0 leaves no place at any of {experts} experts: "
                         f"all {tokens * top} choices would be dropped")  # fmt: skip
    return math.ceil(Fraction(str(factor)) * tokens * top / experts)


# ---- scores with a lean, the same on every machine


def leaning(tokens: int, experts: int, lean: Sequence[float] = (0.6, 0.3), seed: int = 7) -> tuple[tuple, ...]:
    """Made-up router scores ``[tokens][experts]``: random numbers from 0 to 1, plus `lean` on the first experts.

    Drawn token by token, expert by expert from ``random.Random(seed)``.
    """
    return next(streams(tokens, experts, lean, seed))


def streams(tokens: int, experts: int, lean: Sequence[float] = (0.6, 0.3), seed: int = 7) -> Iterator[tuple]:
    """Batch after batch of such scores from one generator: fresh tokens for each step of a training."""
    if len(lean) > experts:
        raise ValueError(f"{len(lean)} leans for {experts} experts: one for each of the first experts at most")
    draw = random.Random(seed).random
    added = [*lean, *[0.0] * (experts - len(lean))]
    while True:
        yield tuple(tuple(draw() + more for more in added) for _ in range(tokens))


# ---- the router's bias


def chosen(scores: Scores, top: int, bias: Sequence[float] | None = None) -> tuple[tuple[int, ...], ...]:
    """The `top` experts of each token, best first; equal scores go to the smaller number.

    bias: one number an expert, added to the scores for the choice alone.
    """
    if bias is not None:
        scores = [[score + more for score, more in zip(row, bias, strict=True)] for row in scores]
    every = range(len(scores[0]) if scores else 0)
    return tuple(tuple(sorted(every, key=row.__getitem__, reverse=True)[:top]) for row in scores)


def counted(choice: Sequence[Sequence[int]], experts: int) -> tuple[int, ...]:
    """How many choices each expert got; -1 is a choice that was dropped."""
    found = [0] * experts
    for row in choice:
        for expert in row:
            if expert >= 0:
                found[expert] += 1
    return tuple(found)


def update_bias(bias: Sequence[float], loads: Sequence[float], rate: float) -> tuple[float, ...]:
    """One step of the rule: `rate` more where the load is under the mean, `rate` less where it is above."""
    mean = sum(loads) / len(loads)
    return tuple(one + rate * ((load < mean) - (load > mean)) for one, load in zip(bias, loads, strict=True))


class Step(NamedTuple):
    """One step of a training seen by its router: the bias that chose, and the load of each expert."""

    bias: tuple[float, ...]
    load: tuple[int, ...]


def taught(steps: int, rate: float = 0.02, tokens: int = 128, experts: int = 8, top: int = 2,
           lean: Sequence[float] = (0.6, 0.3), seed: int = 7) -> tuple[Step, ...]:  # fmt: skip
    """`steps` batches of fresh leaning tokens under the bias rule; rate 0 shows what happens without it."""
    bias, seen = (0.0,) * experts, []
    for _, scores in zip(range(steps), streams(tokens, experts, lean, seed), strict=False):
        seen.append(Step(bias, counted(chosen(scores, top, bias), experts)))
        bias = update_bias(bias, seen[-1].load, rate)
    return tuple(seen)

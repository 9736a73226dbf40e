"""Is it a softmax, is it a fair deal? The checks of lesson 10 on merge and zigzag.

    merge     against a softmax over all scores: any order, any grouping, blocks without a visible key
    zigzag    every position once, slowest rank at most 1.1 times the mean
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from minipar.learn.safely import Trouble, call
from minipar.learn.verdict import Verdict, not_yet, right
from minipar.plan import deal

FAIR = 1.1
SIZES = ((4, 64), (1, 16), (2, 32), (3, 48), (4, 256), (8, 256))  # ranks, positions: 16 a rank or more
SHOWN = (4, 16)  # small enough to be written out


# -- merge -----------------------------------------------------------------------------------------------------------


def check_merge(merge: Callable) -> Verdict:
    """The example, then other orders, groupings, large scores and blocks that are wholly masked."""
    import torch

    verdict = example(merge)
    if verdict:
        return verdict
    generator = torch.Generator().manual_seed(0)
    for scale, words in ((1, ""), (1000, ", scores near 1,000")):
        scores = torch.randn(3, 9, dtype=torch.float64, generator=generator) * 3 + scale
        values = torch.randn(9, 2, dtype=torch.float64, generator=generator)
        a, b, c = (triple(scores[:, part], values[part]) for part in (slice(0, 2), slice(2, 5), slice(5, 9)))
        none = triple(scores[:, :2] - math.inf, values[:2])
        whole = torch.softmax(scores, 1) @ values, torch.logsumexp(scores, 1, keepdim=True)
        tries = [
            (lambda a=a, b=b, c=c: merged(merge, merged(merge, a, b), c), whole, f"merge(merge(a, b), c){words}"),
            (lambda a=a, b=b, c=c: merged(merge, a, merged(merge, b, c)), whole, f"merge(a, merge(b, c)){words}"),
            (lambda a=a, b=b, c=c: merged(merge, merged(merge, c, a), b), whole, f"merge(merge(c, a), b){words}"),
            (lambda a=a, b=b, c=c, n=none: merged(merge, merged(merge, merged(merge, n, n), a), merged(merge, b, c)),
             whole, "merge(n, n), n wholly masked, then all others"),
        ]  # fmt: skip
        for attempt, expected, words_tried in tries:
            verdict = compare(attempt(), *expected, words_tried)
            if verdict:
                return verdict
    return right("One softmax, in any order.")


def triple(scores, values):
    """(maximum, sum, weighted) of a block's scores; wholly masked rows have (-inf, 0, 0)."""
    largest = scores.amax(1, keepdim=True)
    powers = (scores - largest.nan_to_num(neginf=0.0)).exp()
    return largest, powers.sum(1, keepdim=True), powers @ values


def merged(merge, a, b):
    """The learner's result as three tensors; Trouble in a sentence where it is something else."""
    import torch

    got = call(merge, a, b)
    if not isinstance(got, tuple | list) or len(got) != 3 or not all(torch.is_tensor(one) for one in got):
        was = "nothing" if got is None else f"a {type(got).__name__}"
        raise Trouble(f"merge returned {was}; return three tensors: (max, sum, weighted).")
    for one, other, name in zip(got, a, ("max", "sum", "weighted"), strict=True):
        if one.shape != other.shape:
            raise Trouble(f"{name} has shape {list(one.shape)}, expected {list(other.shape)}, as it came in.")
    return tuple(got)


def example(merge) -> Verdict | None:
    """Scores [1, 2] with values [10, 20], and score 4 with value 30: 28.02."""
    import torch

    rows = torch.tensor([[1.0, 2.0, 4.0]], dtype=torch.float64)
    values = torch.tensor([[10.0], [20.0], [30.0]], dtype=torch.float64)
    a, b = triple(rows[:, :2], values[:2]), triple(rows[:, 2:], values[2:])
    top, total, weighted = (one.item() for one in merged(merge, a, b))
    got = weighted / total if total else math.nan
    tried, expected = "(2, 1.3679, 23.6788) and (4, 1, 30)", "(4, 1.1851, 33.2046): 28.02"
    told = f"({top:.5g}, {total:.5g}, {weighted:.6g}): {got:.2f}"
    unscaled = (a[2] + b[2]) / (a[1] + b[1])
    if close(got, ((a[2] / a[1] + b[2] / b[1]) / 2).item()):
        cause = "23.66, expected 28.02: score 4 weighs more than 1 and 2 together. Weigh by the sums."
    elif close(got, unscaled.item()):
        cause = (
            "22.67, expected 28.02: the first sum is against maximum 2, the second against 4. Bring both to 4."
        )
    elif not close(got, 28.0183):
        cause = ""
    elif not close(top + math.log(total), 4.1698):
        cause = "28.02 is right, but the maximum and the sum do not fit each other: the next merge would go wrong."
    else:
        return None
    return not_yet(cause, tried=tried, expected=expected, got=told)


def close(one: float, other: float) -> bool:
    return abs(one - other) < 1e-3


def compare(got, expected, logs, tried: str) -> Verdict | None:
    """The verdict on one merged triple, None where it is right."""
    import torch

    if any(one.isnan().any() for one in got):
        masked = "n wholly masked" in tried
        cause = (
            "nan: a block without a visible key has maximum −inf, and −inf − (−inf) is no number. It weighs 0."
            if masked
            else "nan: exp of a score near 1,000 is too large for a number. Take the new maximum off first."
        )
        return not_yet(cause, tried=tried)
    if not torch.allclose(got[2] / got[1], expected, rtol=1e-9, atol=1e-9):
        furthest = (got[2] / got[1] - expected).abs().max().item()
        return not_yet("Right for the example, and not here: does it matter which side has the larger maximum?",
                       tried=tried, expected="weighted / sum equal to softmax(scores) @ values",
                       got=f"{furthest:.3g} away")  # fmt: skip
    if not torch.allclose(got[0] + got[1].log(), logs, rtol=1e-9, atol=1e-9):
        return not_yet("The maximum and the sum do not fit each other: the next merge would go wrong.", tried=tried)
    return None


# -- zigzag ----------------------------------------------------------------------------------------------------------


def check_zigzag(zigzag: Callable) -> Verdict:
    """Every position exactly once, equal shares, and work that is nearly even, at several sizes."""
    for ranks, length in (SHOWN, *SIZES):
        dealt = learners_hands(zigzag, ranks, length)
        fault = not_dealt(dealt, length)
        if fault:
            return not_yet(fault, tried=f"{ranks} ranks, {length} positions", got=short(dealt))
    for ranks, length in SIZES:
        uneven = slowest_to_mean(learners_hands(zigzag, ranks, length))
        if uneven > FAIR:
            return too_uneven(zigzag, ranks, length)
    return right(f"Every position once, all ranks work alike. {named(zigzag)}")


def learners_hands(zigzag, ranks: int, length: int) -> tuple[tuple[int, ...], ...]:
    """What the learner deals to each rank, as numbers; Trouble in a sentence where it is something else."""
    dealt = []
    for rank in range(ranks):
        got = call(zigzag, rank, ranks, length)
        try:
            dealt.append(tuple(int(position) for position in got))
        except (TypeError, ValueError):
            raise Trouble(f"zigzag({rank}, {ranks}, {length}) returned {got!r:.40}; return a list of positions, "
                          "as [2, 3, 12, 13].") from None  # fmt: skip
    return tuple(dealt)


def not_dealt(dealt: Sequence[Sequence[int]], length: int) -> str:
    """One sentence about a position lost, doubled or that does not exist, or about unequal shares."""
    homes: dict[int, list[int]] = {}
    for rank, hand in enumerate(dealt):
        for position in hand:
            homes.setdefault(position, []).append(rank)
    beyond = sorted(set(homes) - set(range(length)))
    if beyond:
        return f"Position {beyond[-1]} does not exist: {length} positions are numbered 0 to {length - 1}."
    for position in range(length):
        if position not in homes:
            return f"Position {position} is on no rank."
        if len(homes[position]) > 1:
            one, other = homes[position][:2]
            return f"Position {position} is on rank {one} twice." if one == other else (
                f"Position {position} is on rank {one} and on rank {other}.")  # fmt: skip
    if len({len(hand) for hand in dealt}) > 1:
        return f"Rank 0 has {len(dealt[0])} positions, the last rank {len(dealt[-1])}: blocks must be of equal size."
    return ""


def slowest_to_mean(dealt) -> float:
    pairs = deal.work(dealt).pairs
    return max(pairs) / (sum(pairs) / len(pairs))


def too_uneven(zigzag, ranks: int, length: int) -> Verdict:
    """The unfair deal, shown at 16 positions on 4 ranks where it is unfair there too."""
    if slowest_to_mean(learners_hands(zigzag, *SHOWN)) > FAIR:
        ranks, length = SHOWN
    dealt = learners_hands(zigzag, ranks, length)
    pairs = ", ".join(map(str, deal.work(dealt).pairs))
    chunk = length // (2 * ranks)
    halves = [[*range(r * chunk, (r + 1) * chunk), *range((r + ranks) * chunk, (r + ranks + 1) * chunk)]
              for r in range(ranks)]  # fmt: skip
    mirror = [sorted(hand) for hand in dealt] == halves
    advice = "Mirror the second half." if mirror else "Deal late positions together with early ones."
    cause = (f"Every position once, but {pairs} pairs at {length} positions: slowest/mean "
             f"{slowest_to_mean(dealt):.2f}, allowed {FAIR}. {advice}")  # fmt: skip
    return not_yet(cause, tried=f"{ranks} ranks, {length} positions", got=short(dealt))


def short(dealt) -> str:
    """The hands, if they are short enough to read."""
    told = " ".join(str(list(hand)) for hand in dealt)
    return told if len(told) <= 100 else f"{told[:97]}…"


def named(zigzag) -> str:
    """Which deal this is; a learner's own gets its credit."""
    dealt = [sorted(hand) for hand in learners_hands(zigzag, 4, 64)]
    for name, words in (("zigzag", "This is zig-zag."), ("striped", "This is striped: {:.2f} at 64 positions on 4.")):
        if dealt == [sorted(hand) for hand in deal.hands(name, 4, 64)]:
            return words.format(slowest_to_mean(dealt))
    return f"It is not in the catalogue: this deal is yours ({slowest_to_mean(dealt):.2f} at 64 positions on 4)."

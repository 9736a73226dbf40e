"""Is the circle found, and do two ranks swap from hand to hand? The checks of lesson 07b.

    cycle([1, 2, 3, 2]) -> [2, 3]         0 ─► 1 ─► 2 ⇄ 3: whoever follows the arrows ends in the circle, or at None
    swap(w, x, peer)                      both call it: one send and one receive each, and nobody waits for ever

`swap` is rehearsed in this process first, where a send waits until the other side receives: a standstill is seen at
once and told rank by rank. What passes there really runs, on a pool with NCCL's rules.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from minipar.learn.rehearse import Rehearsal, rehearse
from minipar.learn.safely import Trouble, call, trouble
from minipar.learn.verdict import Verdict, not_yet, right
from minipar.learn.workers import workers
from minipar.plan.waits import circle

STUCK = 5  # seconds that real processes may take before the verdict is "nobody goes on"
LIMIT = 1.0  # seconds for one graph of `cycle`


# -- cycle -------------------------------------------------------------------------------------------------------


def graphs() -> list[list[int | None]]:
    """Who waits for whom: what the learner was shown first, then corner cases, then up to 64 ranks."""
    fixed = [
        [1, 2, 3, 2], [1, None], [0], [None], [1, 0, 3, 2], [3, 2, 1, 4, 3], [2, 0, 1], [None, 3, 1, 2],
        [1, None, 3, 2], [1, 2, 3, 4, 5, None], [2, 2, 2], [],
    ]  # fmt: skip
    long = [[*range(1, 64), 62], [*range(1, 64), None], [*range(1, 64), 0], [63, *range(63)]]
    chance = random.Random(7)
    drawn = []
    for ranks in (5, 8, 16, 33, 64, 64):
        drawn.append([chance.choice([None, *range(ranks)]) for _ in range(ranks)])
    return fixed + long + drawn


def check_cycle(cycle: Callable) -> Verdict:
    """The verdict on a learner's ``cycle(waits)``: the first graph that fails, or right."""
    for waits in graphs():
        want = list(circle(waits))
        try:
            got = call(cycle, waits, limit=LIMIT)
        except Trouble as problem:
            if problem.kind == "limit":
                return not_yet(never_ended(waits, want))
            if problem.kind == "raised" and None in waits:
                return not_yet(ends_at_nobody(waits))
            raise
        got = list(got) if isinstance(got, (list, tuple)) else got
        if got != want:
            return not_yet(cause_of_circle(waits, want, got), tried=short(waits), expected=short(want), got=short(got))
    return right("Every circle was found, in graphs of up to 64 ranks.")


def never_ended(waits: Sequence, want: Sequence) -> str:
    never = ": from 0 you never come back to 0" if waits and 0 not in want else ""
    return f"Did not end on `{short(waits)}`{never}. Remember whom you have seen."


def ends_at_nobody(waits: Sequence) -> str:
    rank = waits.index(None)
    return f"Rank {rank} waits for nobody in `{short(waits)}`: a chain that ends is no circle."


def cause_of_circle(waits: Sequence, want: list, got) -> str:
    """Why an answer is not the circle; one sentence."""
    if not isinstance(got, list):
        return "cycle returns a list: the ranks of the circle, or [] where there is none."
    if not want:
        return ends_at_nobody(waits)
    waiting = [rank for rank, peer in enumerate(waits) if peer is not None]
    others = sorted(set(got) - set(want), key=str)
    if set(got) == set(waiting) and others and rings(waits) == 1:
        verb = "waits" if len(others) == 1 else "wait"
        them = "it" if len(others) == 1 else "them"
        ring = ", ".join(map(str, want))
        return f"{listed(others)} {verb} too, but nobody in the circle waits for {them}. Circle: {ring}."
    if set(got) == set(want) and len(got) == len(want):
        turned = [got[at:] + got[:at] for at in range(len(got))]
        if want in turned:
            return f"The right circle, from the wrong place: begin with its smallest rank, {want[0]}."
        return "The right ranks in the wrong order: each waits for the one written behind it."
    if set(want) < set(got):
        return f"The way into the circle is not part of it: {want[0]} to {want[-1]} alone wait for each other."
    if got and set(got).isdisjoint(want) and rings(waits) > 1:
        return f"There are several circles: the one with the smallest rank is asked for, that of rank {want[0]}."
    return "Each rank of the circle waits for the next one written, and the last for the first."


def rings(waits: Sequence) -> int:
    """How many circles there are."""
    left, count = list(waits), 0
    while found := circle(left):
        count += 1
        for rank in found:
            left[rank] = None
    return count


def listed(ranks: Sequence) -> str:
    """ "0 and 1", "0, 1 and 4"."""
    words = [str(rank) for rank in ranks]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def short(value) -> str:
    """A list as it is written; of a long one the two ends."""
    if isinstance(value, (list, tuple)) and len(value) > 16:
        return f"[{', '.join(map(str, value[:5]))}, …, {', '.join(map(str, value[-3:]))}] ({len(value)} ranks)"
    return str(value)


# -- swap --------------------------------------------------------------------------------------------------------

READY_MADE = "`exchange` is a cure too, ready-made. Here: with `send` and `recv` alone."
PAIRS = (((0, 1), (2, 3)), ((0, 2), (3, 1)), ((0, 3), (2, 1)))  # two pairs swap at the same time


def check_swap(swap: Callable) -> Verdict:
    """The verdict on a learner's ``swap(w, x, peer)``: the first pairs that fail, or right."""
    for at, pairs in enumerate(PAIRS):
        problem = what_went_wrong(rehearse(playing(swap, pairs), 4, rendezvous=True), pairs, later=at > 0)
        if problem:
            return not_yet(problem, tried=tried(pairs))
    return for_real(swap)


def tried(pairs) -> str:
    return " and ".join(f"{one} with {other}" for one, other in pairs) + ", both pairs at once"


def playing(swap: Callable, pairs):
    """A program in which the pairs swap: what each rank got. `exchange` would be the whole answer, so it is taken.

    It travels to workers by value and names nothing of the course, which they need not load.
    """
    peers = {one: other for pair in pairs for one, other in (pair, pair[::-1])}

    def swap_of_mine(w):
        import torch

        w.exchange = not_here
        return swap(w, torch.arange(3.0) + 10 * w.rank, peers[w.rank])

    def not_here(*_arguments, **_named):
        raise RuntimeError(READY_MADE)

    return swap_of_mine


def what_went_wrong(seen: Rehearsal, pairs, later: bool) -> str:
    """One sentence for a rehearsal that is not two swaps; empty where it is. later: other pairs went well before."""
    if seen.error is not None and str(seen.error[1]) == READY_MADE:
        return READY_MADE
    if seen.error is not None:
        return str(trouble(f"On rank {seen.error[0]} swap", seen.error[1]))
    if seen.endless:
        return "swap had not finished after 2 s. Does it loop for ever?"
    if seen.missing is not None:
        return f"Rank {seen.missing[0]} names rank {seen.missing[1]}; its partner is `peer`."
    for pair in pairs:
        for way, stuck in (("send", seen.offering), ("recv", seen.waiting)):
            if set(pair) <= set(stuck):
                return both_wait(pair, way, later)
    stuck = {**dict.fromkeys(seen.offering, "send"), **dict.fromkeys(seen.waiting, "recv")}
    if stuck:
        rank = min(stuck)
        return f"Not yet: rank {rank} waits in {stuck[rank]} for rank {({**seen.waiting, **seen.offering})[rank]}, " \
               "which does not come."  # fmt: skip
    return wrong_values(seen, pairs) or wrong_counts(seen)


def both_wait(pair, way: str, later: bool) -> str:
    one, other = pair
    if later:
        kind = "even" if one % 2 == 0 else "odd"
        alike = f"{one} and {other} are both {kind} and both wait in {way}" if (one - other) % 2 == 0 else (
            f"{one} and {other} both wait in {way}")  # fmt: skip
        return f"Works for 0 and 1; {alike}. Compare with `peer`, not with two."
    if way == "send":
        return (
            f"Not yet: ranks {one} and {other} both wait in send. One has to receive first: let the smaller rank send "
            "first."
        )
    return f"Not yet: ranks {one} and {other} both wait in recv, and nothing was sent."


def wrong_values(seen: Rehearsal, pairs) -> str:
    """One sentence for the first rank that did not return its partner's tensor."""
    import torch

    for pair in pairs:
        for rank, peer in (pair, pair[::-1]):
            got, want = seen.results[rank], torch.arange(3.0) + 10 * peer
            if got is None:
                return f"Rank {rank} returned nothing: both return the other's tensor."
            if not isinstance(got, torch.Tensor):
                return f"Rank {rank} returned {type(got).__name__}, not a tensor."
            if got.equal(torch.arange(3.0) + 10 * rank):
                return f"Rank {rank} returned its own x: both return the other's tensor."
            if got.shape != want.shape or not got.equal(want):
                return f"Rank {rank} returned {got.tolist()}; rank {peer} had {want.tolist()}."
    return ""


def wrong_counts(seen: Rehearsal) -> str:
    for rank in range(seen.ranks):
        sent = sum(message.source == rank for message in seen.messages)
        if sent != 1:
            return f"The values are right, but rank {rank} sent {sent} messages: one each is enough."
    return ""


def for_real(swap: Callable) -> Verdict:
    """The same pairs on real processes, where a send waits for its receiver."""
    import torch

    pool = workers(4, "gloo-ordered")
    for pairs in PAIRS:
        try:
            out = pool.run(playing(swap, pairs), ranks=4, timeout=STUCK)
        except RuntimeError as error:
            raise Trouble(f"Right in the rehearsal, but not on four real processes: {error}") from None
        counts = [out.trace.message_count(rank) for rank in range(4)]
        for pair in pairs:
            for rank, peer in (pair, pair[::-1]):
                if not out[rank].equal(torch.arange(3.0) + 10 * peer) or counts[rank] != 1:
                    return not_yet("The rehearsal and the real run differ.", tried=tried(pairs))
    return right("Six pairs of real processes swapped from hand to hand: one send and one receive each, nobody waits.")

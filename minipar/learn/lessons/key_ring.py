"""Is it a ring? The check of lesson 10 on attend, after merge and zigzag are right (fair_merge.py).

First rehearsed in this process: who looked at whom, values, every message. Then on 4, 3, 2 and 1 real processes.
Who looked at whom is seen and not guessed: with equal scores and the values of an identity matrix, row i of the output
holds a number wherever position i looked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from minipar.learn.lessons.devices import NUMBERS
from minipar.learn.lessons.fair_merge import SHOWN, learners_hands, named
from minipar.learn.rehearse import Rehearsal, rehearse
from minipar.learn.safely import Trouble, trouble
from minipar.learn.verdict import Verdict, not_yet, right
from minipar.learn.workers import workers
from minipar.plan import deal

RINGS = ((4, 64, 1), (1, 16, 1), (2, 32, 1), (3, 96, 1), (4, 64, 40))  # ranks, positions, how large scores are
AHEAD = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def check_attend(attend: Callable) -> Verdict:
    """Rehearsed: who looked at whom, values, messages at several sizes; then real processes."""
    zigzag = getattr(attend, "__globals__", {}).get("zigzag") or deal.zigzag
    verdict = masked_right(attend, zigzag)
    for ranks, length, scale in () if verdict else RINGS:
        dealt, inputs = learners_hands(zigzag, ranks, length), random_inputs(length, scale)
        tried = f"{ranks} rank{'s' * (ranks > 1)}, {length} positions" + (", scores near 1,000" if scale > 1 else "")
        verdict = judged(rehearse(playing(attend, dealt), ranks, *inputs), dealt, inputs, tried)
        if verdict:
            break
    return verdict or for_real(attend, zigzag)


def playing(attend, dealt):
    """A program that gives each rank its own rows."""

    def my_attend(w, q, k, v):
        mine = list(dealt[w.rank])
        return attend(w, q[mine], k[mine], v[mine])

    return my_attend


def random_inputs(length: int, scale: float = 1, width: int = 8):
    import torch

    generator = torch.Generator().manual_seed(length)
    q, k, v = (torch.randn(length, width, dtype=torch.float64, generator=generator) for _ in range(3))
    return q * scale, k * scale, v


def masked_right(attend, zigzag) -> Verdict | None:
    """Equal scores, values of an identity matrix: a number stands in row i wherever position i looked."""
    import torch

    ranks, length = SHOWN
    dealt = learners_hands(zigzag, ranks, length)
    nothing, identity = torch.zeros(length, length, dtype=torch.float64), torch.eye(length, dtype=torch.float64)
    seen = rehearse(playing(attend, dealt), ranks, nothing, nothing, identity)
    tried = f"{ranks} ranks, {length} positions"
    problem = what_went_wrong(seen) or wrong_form(seen.results, dealt, length)
    if not problem and not seen.messages:
        problem = "Nothing was sent: each rank met its own keys only."
    if problem:
        return not_yet(problem, tried=tried)
    wrong = wrong_looks(seen.results, dealt)
    return not_yet(wrong[0], tried=tried) if wrong else None


def wrong_looks(results, dealt) -> list[str]:
    """Sentences about positions that looked ahead, then about those that missed a key they may see, then about nan.

    The example's hand, rank 1, comes first, and blocks in the order in which they come by.
    """
    ahead, missed, nan, ranks = [], [], [], len(dealt)
    for rank, step in ((rank, step) for rank in (1, 0, 2, 3) for step in range(ranks)):
        for row, position in enumerate(dealt[rank]):
            for key in dealt[deal.source(rank, step, ranks)]:
                weight = results[rank][row, key].item()
                if math.isnan(weight):
                    nan.append(f"nan at position {position}: was a sum of 0 divided by?")
                elif key > position and abs(weight) > 1e-12:
                    far = AHEAD[key - position] if key - position < len(AHEAD) else key - position
                    ahead.append(f"Position {position} looked at {key}, {far} ahead: after zig-zag a row's number is "
                                 "not its position.")  # fmt: skip
                elif key <= position and abs(weight) <= 1e-12:
                    missed.append(f"Position {position} did not look at {key}: each rank must meet every block.")
    return ahead + missed + nan


def judged(seen: Rehearsal, dealt, inputs, tried: str) -> Verdict | None:
    """The verdict on one rehearsal: ended, right values, right messages."""
    problem = what_went_wrong(seen) or wrong_form(seen.results, dealt, inputs[0].shape[1])
    if problem:
        return not_yet(problem, tried=tried)
    if not all(hasattr(sent.value, "nbytes") for sent in seen.messages):
        return not_yet("A message is one tensor: torch.stack((k, v)) makes one of two.", tried=tried)
    furthest = distance(seen.results, dealt, inputs)
    if not furthest < 1e-10:
        return not_yet("", tried=tried, expected="full attention of all positions, to 1e-10",
                       got=f"{furthest:.3g} away" if furthest == furthest else "nan")  # fmt: skip
    sizes = [(sent.source, sent.target, sent.value.nbytes) for sent in seen.messages]
    problem = wrong_messages(sizes, seen.ranks, 2 * inputs[0].nbytes // seen.ranks)
    return not_yet(problem, tried=tried) if problem else None


def what_went_wrong(seen: Rehearsal) -> str:
    """One sentence for a rehearsal that did not end as it should; empty where it did."""
    last = seen.ranks - 1
    if seen.error is not None:
        return str(trouble(f"On rank {seen.error[0]} attend", seen.error[1]))
    if seen.endless:
        return "attend had not finished after 2 s. Does it loop for ever?"
    if seen.missing is not None:
        rank, peer = seen.missing
        return (f"Not yet: rank {rank} names rank {peer}, but {NUMBERS[seen.ranks]} ranks are numbered 0 to {last}. "
                "After the last comes 0: use the remainder.")  # fmt: skip
    if seen.waiting:
        rank, source = next(iter(seen.waiting.items()))
        return f"Not yet: rank {rank} waits for a block from rank {source}, which sends it none."
    if seen.left:
        source, target = min(sent[:2] for sent in seen.left)
        return f"Not yet: rank {source}'s block to rank {target} was sent and never received."
    return ""


def wrong_form(results, dealt, width: int) -> str:
    import torch

    for rank, got in enumerate(results):
        expected = [len(dealt[rank]), width]
        if not torch.is_tensor(got):
            was = "nothing" if got is None else f"a {type(got).__name__}"
            return f"Rank {rank} returned {was}; return the mixed values of its own positions: weighted / sum."
        if list(got.shape) != expected:
            return f"Rank {rank} returned shape {list(got.shape)}, expected {expected}: a row for each position it has."
    return ""


def distance(results, dealt, inputs) -> float:
    """How far the ranks' rows are from full attention."""
    from minipar.nn.context import full_attention

    whole = full_attention(*(x[None, None] for x in inputs))[0, 0]
    away = [(got - whole[list(hand)]).abs().max().item() for got, hand in zip(results, dealt, strict=True)]
    return max(away) if all(one == one for one in away) else math.nan


def wrong_messages(sent: Sequence[tuple[int, int, int]], ranks: int, block: int) -> str:
    """What is wrong with (source, target, bytes) of all messages; block: bytes of one rank's keys and values."""
    for source, target, size in sorted(sent):
        if target != (source + 1) % ranks:
            return f"Rank {source} sent to rank {target}; the ring goes on to rank {(source + 1) % ranks}."
        if size > 1.5 * block:
            return f"A message held {size / block:.0f} blocks, expected one at a time: memory is what the ring saves."
    for rank in range(ranks):
        passes = sum(size for source, _, size in sent if source == rank) // block
        if passes == ranks > 1:
            return f"{passes} passes a rank, {ranks - 1} suffice: the last one brings your own block home."
        if passes != ranks - 1:
            return f"{passes} passes a rank, expected {ranks - 1}."
    return ""


def for_real(attend, zigzag) -> Verdict:
    """The same on real processes, 4, 3, 2 and 1: values, and messages from the trace."""
    pool = workers(4)
    for ranks, length, _ in RINGS[:4]:
        dealt, inputs = learners_hands(zigzag, ranks, length), random_inputs(length)
        tried = f"{ranks} real process{'es' * (ranks > 1)}, {length} positions"
        try:
            out = pool.run(playing(attend, dealt), *inputs, ranks=ranks, timeout=10)
        except RuntimeError as error:
            raise Trouble(f"Right in the rehearsal, but not on {tried}: {error}") from None
        furthest = distance(out, dealt, inputs)
        sizes = [(message.source, message.target, message.bytes) for message in out.trace.messages]
        problem = wrong_messages(sizes, ranks, 2 * inputs[0].nbytes // ranks)
        if problem or not furthest < 1e-10:
            return not_yet(problem or "The rehearsal and the real run differ.", tried=tried)
    return right(
        f"Three passes a rank, one block at a time: full attention to 1e-10 on 1, 2, 3 and 4 real processes. "
        f"{named(zigzag)}",
        picture=lambda: picture(zigzag),
    )


def picture(zigzag):
    """The learner's own deal beside the contiguous one."""
    from minipar.view.deal import Dealt, deals, dealt

    hands = learners_hands(zigzag, 4, 1024)
    yours = Dealt("yours", hands, deal.work(hands))
    return deals([dealt("contiguous", 4, 1024), yours], "Your deal: 1,024 positions on 4 ranks",
                 {"contiguous": "In a row", "yours": "Yours"})  # fmt: skip

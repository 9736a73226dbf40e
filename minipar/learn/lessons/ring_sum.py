"""Is this sum a ring? The check of lesson 02: the values first, then every message, then real processes.

    rank 0 ──► rank 1 ──► rank 2 ──► rank 3 ──┐     lap one: a piece goes round and each rank adds its own to it
       ▲                                      │     lap two: the finished piece goes round and replaces
       └──────────────────────────────────────┘     2(P−1) messages a rank, 2(P−1)/P of the tensor's bytes

The rehearsal in this process lets a send wait until the other side receives, as GPUs do: a standstill is seen at once,
and what goes through it also goes through a pool, where letters are kept. Each cause is told from what was sent, not
from how the program is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from minipar.learn.rehearse import Rehearsal, rehearse
from minipar.learn.safely import Trouble, trouble
from minipar.learn.verdict import Verdict, not_yet, right
from minipar.learn.workers import workers

STUCK = 5  # seconds that real processes may take before the verdict is "nobody goes on"
NUMBERS = ("no", "one", "two", "three", "four")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


class Case(NamedTuple):
    """One size to try: how many ranks, what x is in words, and rank 0's x (rank r has 10 r more)."""

    ranks: int
    words: str
    make: Callable

    def inputs(self) -> list:
        import torch

        base = self.make(torch)
        return [base + 10 * rank for rank in range(self.ranks)]

    @property
    def tried(self) -> str:
        return f"{self.ranks} ranks, x = {self.words}, plus 10 on rank 1, plus 20 on rank 2, …"


CASES = (  # the one that the learner was shown comes first
    Case(4, "0 … 7", lambda torch: torch.arange(8.0)),
    Case(2, "0 … 7", lambda torch: torch.arange(8.0)),
    Case(3, "a 3 × 5 tensor", lambda torch: torch.arange(15.0).reshape(3, 5)),
    Case(4, "0 … 9", lambda torch: torch.arange(10.0)),
    Case(4, "one number", lambda torch: torch.tensor([7.0])),
    Case(4, "whole numbers 0 … 8", lambda torch: torch.arange(9)),
)


def check_ring_sum(ring_sum) -> Verdict:
    """The verdict on a learner's ``ring_sum(w, x)``: the first case that fails, or right."""
    for case in CASES:
        verdict = judge(case, rehearse(playing(ring_sum), case.ranks, case.inputs(), rendezvous=True))
        if verdict is not None:
            return verdict
    return for_real(ring_sum)


def playing(ring_sum):
    """A program that gives each rank its own x: (the sum, whether x is as it was)."""

    def ring_sum_of_mine(w, inputs):
        x = inputs[w.rank]
        before = x.clone()
        total = ring_sum(w, x)
        return total, bool((x == before).all())

    return ring_sum_of_mine


def judge(case: Case, seen: Rehearsal) -> Verdict | None:
    """The verdict on one rehearsal, or None where nothing is wrong with it."""
    problem = what_went_wrong(seen)
    if problem:
        return not_yet(problem, tried=case.tried)
    inputs, totals = case.inputs(), [total for total, _ in seen.results]
    expected = sum(inputs[1:], inputs[0])
    problem = wrong_form(totals, expected)
    if problem:
        return not_yet(problem, tried=case.tried)
    if not all(total.equal(expected) for total in totals):
        rank = next(rank for rank, total in enumerate(totals) if not total.equal(expected))
        cause = cause_of_values(case, seen, totals, expected)
        shown = {"expected": f"{expected.tolist()} on every rank", "got": f"{totals[rank].tolist()} on rank {rank}"}
        return not_yet(cause, tried=case.tried, **(shown if expected.numel() <= 10 else {}))
    changed = [rank for rank, (_, kept) in enumerate(seen.results) if not kept]
    if changed:
        return not_yet(f"The sum is right, but rank {changed[0]}'s `x` is not what it was: work on `x.clone()`.")
    problem = wrong_messages(case, letters(seen), expected.element_size(), expected.numel())
    return not_yet(problem, tried=case.tried) if problem else None


# -- it did not end ----------------------------------------------------------------------------------------------


def what_went_wrong(seen: Rehearsal) -> str:
    """One sentence for a rehearsal that did not end as it should; empty where it did."""
    last = seen.ranks - 1
    if seen.error is not None:
        return str(trouble(f"On rank {seen.error[0]} ring_sum", seen.error[1]))
    if seen.endless:
        return "ring_sum had not finished after 2 s. Does it loop for ever?"
    if seen.missing is not None:
        rank, peer = seen.missing
        return (
            f"Not yet: rank {rank} names rank {peer}, but {NUMBERS[seen.ranks]} ranks are numbered 0 to {last}. "
            "After the last comes 0: use the remainder."
        )
    if seen.waiting or seen.offering:
        return standstill(seen)
    if seen.left:
        return f"Not yet: rank {seen.left[0].source}'s message to rank {seen.left[0].target} was never received."
    return ""


def standstill(seen: Rehearsal) -> str:
    """Who waits for whom: all senders, all receivers, or the first whose other side will never come."""
    if len(seen.offering) == seen.ranks:
        sends = [f"{rank} to {to}" for rank, to in list(seen.offering.items())[1:]]
        told = ", ".join([f"Rank 0 sends to {seen.offering[0]}", *sends])
        return f"Not yet: all wait. {told}, and none receives. Use `exchange`, or let one rank receive first."
    if len(seen.waiting) == seen.ranks:
        waits = [f"{rank} for {source}" for rank, source in list(seen.waiting.items())[1:]]
        told = ", ".join([f"Rank 0 waits for {seen.waiting[0]}", *waits])
        return f"Not yet: all wait. {told}, and none sends. Use `exchange`, or let one rank send first."
    stuck = {**seen.waiting, **seen.offering}
    rank = next((rank for rank, peer in sorted(stuck.items()) if peer not in stuck), min(stuck))
    what = "a message from" if rank in seen.waiting else "somebody to receive on"
    end = "which has finished" if stuck[rank] not in stuck else "which waits too"
    return f"Not yet: rank {rank} waits for {what} rank {stuck[rank]}, {end}."


# -- it ended, with other values ---------------------------------------------------------------------------------


def wrong_form(totals: Sequence, expected) -> str:
    """One sentence for what is no tensor of x's shape and type on some rank; empty where all are."""
    for rank, total in enumerate(totals):
        if total is None:
            return f"Rank {rank} returned nothing: every rank has to return the sum."
        if not hasattr(total, "dtype") or not hasattr(total, "shape"):
            return f"Rank {rank} returned {type(total).__name__}, not a tensor."
        if total.shape != expected.shape:
            return f"Rank {rank} returned the shape {tuple(total.shape)}; x has the shape {tuple(expected.shape)}."
        if total.dtype != expected.dtype:
            kinds = [str(one).removeprefix("torch.") for one in (total.dtype, expected.dtype)]
            return f"Rank {rank} returned {kinds[0]}; x is {kinds[1]}."
    return ""


def cause_of_values(case: Case, seen: Rehearsal, totals: Sequence, expected) -> str:
    """Why the values are wrong, told from the values and the messages; the first wrong one where no cause is known."""
    inputs = [one.flatten() for one in case.inputs()]
    flat, want = [total.flatten() for total in totals], expected.flatten()
    rank = next(rank for rank in range(case.ranks) if not flat[rank].equal(want))
    at = int((flat[rank] != want).nonzero()[0])
    place = f"rank {rank}'s {ORDINALS[at]}" if at < len(ORDINALS) else f"rank {rank}'s element {at}"
    wrong = f"{place} is {flat[rank][at]:g}, expected {want[at]:g}"
    never = never_summed(flat, want, inputs)
    if never and never < len(want):
        short = "the last was" if never == 1 else f"the last {NUMBERS[never] if never < 5 else never} were"
        value = f"rank 0's is {flat[0][-never]:g}, expected {want[-never]:g}"
        return f"On {len(want)} elements {short} never summed: {value}. The pieces must cover everything."
    finished = [(total == want).nonzero().flatten().tolist() for total in flat]
    if all(finished) and sorted(sum(finished, [])) == list(range(len(want))):
        held = ", ".join(f"{want[one]:g}" for one in finished[0])
        one = f"rank 0: elements {', '.join(map(str, finished[0]))} = {held}"
        return f"Half way: each rank has one finished piece ({one}). {capital(wrong)}. Hand the pieces round."
    sent = [[message.value.flatten() for message in by] for by in letters(seen)]
    if all(len(by) == 2 * (case.ranks - 1) for by in sent):
        if not any(is_piece(by[case.ranks - 1], want) for by in sent):
            own_first = all(is_start(sent[r][0], inputs[r], r, case.ranks) for r in range(case.ranks))
            which = "Rank r finished piece r+1, not r." if own_first else "Begin with the piece finished last."
            return f"Lap two handed out pieces nobody had finished: {wrong}. {which}"
        if all(bool((total >= want).all()) for total in flat):
            return f"In lap two you added: {wrong}. A finished piece replaces, it is not summed."
    return f"{capital(wrong)}."


def never_summed(flat: Sequence, want, inputs: Sequence) -> int:
    """How many elements at the end are still each rank's own, while all before them are summed; 0 if it is not so."""
    summed = [total == want for total in flat]
    tail = int((~summed[0]).sum())
    cut = len(want) - tail
    right_before = all(bool(one[:cut].all()) for one in summed)
    own_after = all(total[cut:].equal(one[cut:]) for total, one in zip(flat, inputs, strict=True))
    return tail if right_before and own_after else 0


def is_piece(value, want) -> bool:
    """Whether these values stand in the finished sum, side by side."""
    return any(want[at : at + len(value)].equal(value) for at in range(len(want) - len(value) + 1))


def is_start(value, own, rank: int, ranks: int) -> bool:
    """Whether a rank's first message was its own piece of its own number."""
    return own.tensor_split(ranks)[rank].equal(value)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# -- it ended with the right sum, on another way -----------------------------------------------------------------


def letters(seen: Rehearsal) -> list[list]:
    """The messages that each rank sent, in order."""
    return [[sent for sent in seen.messages if sent.source == rank] for rank in range(seen.ranks)]


def wrong_messages(case: Case, sent: Sequence[Sequence], width: int, elements: int) -> str:
    """One sentence for messages that are not a ring's; empty where they are. Empty messages may be left out."""
    ranks, counts = case.ranks, [[message.value.numel() for message in by] for by in sent]
    steps, least, full = 2 * (ranks - 1), 2 * (ranks - 1) * elements * width, sum(map(sum, counts)) * width
    if full < least:
        return f"The sum is right, but {full} B were sent in all, and {least} B is the least. Where is the rest from?"
    for rank, by in enumerate(sent):
        targets = {message.target for message in by} - {(rank + 1) % ranks}
        if targets:
            return f"The sum is right, but rank {rank} sent to rank {min(targets)}. In a ring r sends only to r + 1."
    if full > least:
        if len({sum(by) for by in counts}) == len({len(by) for by in counts}) == 1 and elements % ranks == 0:
            own, many = sum(counts[0]) * width, len(counts[0])
            suffice = f"{least // ranks} B in {steps} suffice"
            return f"The sum is right; each rank sent {own} B in {many} messages, {suffice}. Send pieces."
        return f"The sum is right; the ranks sent {full} B in all, {least} B suffice. Send pieces."
    many = max(map(len, counts))
    if many > steps:
        return f"The sum is right; a rank sent {many} messages, {steps} suffice. Each message pays its wait."
    sizes = {count for by in counts for count in by if count}
    if max(sizes) - min(sizes) > 1 or max(sizes) > -(-elements // ranks):
        split = " ".join(str(elements // ranks + (piece < elements % ranks)) for piece in range(ranks))
        found = f"pieces of {min(sizes)} to {max(sizes)} elements" if len(sizes) > 1 else f"pieces of {max(sizes)}"
        return f"The sum is right, but {found} are not even: {elements} on {ranks} ranks is {split} (`tensor_split`)."
    return ""


# -- for real ----------------------------------------------------------------------------------------------------


def for_real(ring_sum) -> Verdict:
    """The same program on two, three and four real processes: values, and bytes from the trace."""
    pool = workers(4)
    for case in CASES:
        inputs = case.inputs()
        expected = sum(inputs[1:], inputs[0])
        try:
            out = pool.run(playing(ring_sum), inputs, ranks=case.ranks, timeout=STUCK)
        except RuntimeError as error:
            raise Trouble(f"Right in the rehearsal, but not on {case.ranks} real processes: {error}") from None
        full = 2 * (case.ranks - 1) * expected.numel() * expected.element_size()
        if not all(total.equal(expected) for total, _ in out) or sum(map(sum, out.trace.traffic())) != full:
            return not_yet("The rehearsal and the real run differ.", tried=case.tried)
        if case is CASES[0]:
            first = out.trace
    each = sorted({first.sent(rank) for rank in range(first.ranks)})
    return right(
        f"Two, three and four processes hold the sum. On four, each sent {first.message_count(0)} messages, only to "
        f"the next rank, {' or '.join(map(str, each))} B in all.",
        picture=lambda: picture(first),
    )


def picture(trace):
    """The learner's own traffic, beside the same sum through rank 0."""
    from minipar.view.ring import matrices

    size = max(map(max, trace.traffic())) * trace.ranks // (2 * (trace.ranks - 1))
    zero = [[size * (0 in (a, b)) * (a != b) for b in range(trace.ranks)] for a in range(trace.ranks)]
    return matrices({"yours": trace.traffic(), "through rank 0, by formula": zero}, "Your ring: no rank sends most")

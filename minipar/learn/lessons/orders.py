"""Is the learner's order of work legal, as fast as it can be, and what does it hold?

Lessons 04 and 05 ask the same of what a learner writes, as text or as a generator: it must be sound for the size that
was asked, stay within par, and then run for real. Each answer is one sentence about one cause.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from minipar.learn.safely import Trouble
from minipar.learn.verdict import Verdict, call, not_yet
from minipar.plan.actions import B, F
from minipar.plan.check import problems
from minipar.plan.schedule import Schedule, schedule
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Trace

SLOTS = Cost(F=1, B=2)  # what every lesson counts in
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@dataclass(frozen=True)
class Attempt:
    """A legal schedule of a learner's, and what it would take."""

    schedule: Schedule
    trace: Trace

    @property
    def slots(self) -> str:
        return f"{self.trace.makespan:g} slots"

    @property
    def par(self) -> int:
        """No order of whole forwards and backwards on P ranks is shorter than (P + M - 1)(F + B)."""
        return (self.schedule.ranks + self.schedule.microbatches - 1) * 3

    @property
    def peaks(self) -> tuple[int, ...]:
        return self.trace.peak_in_flight


def from_text(text: str) -> Schedule:
    """The schedule that a text spells; Trouble with the parser's own sentence."""
    try:
        return Schedule.parse(text)
    except ValueError as error:
        raise Trouble(f"{str(error)[0].upper()}{str(error)[1:]}.") from None


def from_builder(work: Any, ranks: int, microbatches: int) -> Schedule:
    """What the learner's generator gives for this size; the decorator may have been forgotten."""
    build = schedule(work) if inspect.isgeneratorfunction(work) else work
    if isinstance(build, Schedule):
        raise Trouble("check wants the function itself, so that it can try other sizes: mine, without brackets.")
    made = call(build, ranks=ranks, microbatches=microbatches)
    if not isinstance(made, Schedule):
        raise Trouble(
            "Your function gave no schedule: write @minipar.schedule above it and yield F(rank, m), B(rank, m)."
        )
    return made


def attempt(made: Schedule, ranks: int, microbatches: int) -> Attempt:
    """The schedule with its prediction; Trouble with one sentence if it is not sound for this size."""
    wrong = what_is_wrong(made, ranks, microbatches)
    if wrong:
        raise Trouble(wrong)
    return Attempt(made, predict(made, SLOTS))


def what_is_wrong(made: Schedule, ranks: int, microbatches: int) -> str:
    """One sentence, or nothing if the schedule is sound and of the size asked."""
    if made.ranks != ranks:
        return f"{made.ranks} lines are {made.ranks} ranks; {ranks} were asked for."
    beyond = next((a for row in made.programs for a in row if a.microbatch >= microbatches), None)
    if beyond is not None:
        return beyond_the_last(made, beyond, microbatches)
    found = problems(made)
    if found:
        return str(found[0])
    if made.stages != ranks:
        return f"Stage {made.stages - 1} does not exist: {ranks} ranks with one stage each are stages 0 to {ranks - 1}."
    if made.microbatches != microbatches:
        return (
            f"{F(0, made.microbatches)} is missing: {microbatches} microbatches are numbered 0 to {microbatches - 1}."
        )
    return ""


def beyond_the_last(made: Schedule, action, microbatches: int) -> str:
    have = {a for row in made.programs for a in row}
    missing = next((F(0, m) for m in range(microbatches) if F(0, m) not in have), None)
    count = NUMBERS[microbatches] if microbatches < len(NUMBERS) else str(microbatches)
    plural = "microbatches are numbered 0 to " + str(microbatches - 1) if microbatches > 1 else "microbatch is number 0"
    return f"{action} does not exist: {count} {plural}." + (f" Missing: {missing}." if missing else "")


def too_slow(tried: Attempt) -> str:
    """Why a legal order is over par, if it is one of the usual ways; else where the longest wait is."""
    if one_at_a_time(tried.schedule):
        second = next(span for span in tried.trace.actions(0) if span.what == F(0, 1))
        return (
            f"Legal, but one microbatch at a time: {tried.slots}, par is {tried.par}. "
            f"Rank 0 could start 0F1 at 1 and starts it at {second.start:g}."
        )
    disagreement = who_disagrees(tried.schedule)
    if disagreement:
        return (
            f"The ranks disagree: {disagreement}. {tried.slots}, par is {tried.par}. Either order works if all keep it."
        )
    return f"Legal, but {tried.slots}, par is {tried.par}. {longest_wait(tried.trace)}"


def one_at_a_time(made: Schedule) -> bool:
    if made.microbatches < 2:
        return False
    return all(
        row == tuple(op(r, m) for m in range(made.microbatches) for op in (F, B)) for r, row in enumerate(made.programs)
    )


def who_disagrees(made: Schedule) -> str:
    """The lowest pair of ranks whose backwards go in different orders, in words."""
    back = [[a.microbatch for a in row if a.op is B] for row in made.programs]
    for rank in range(made.ranks - 1, 0, -1):
        if back[rank] != back[rank - 1]:
            at = next(i for i, pair in enumerate(zip(back[rank], back[rank - 1], strict=True)) if pair[0] != pair[1])
            return f"rank {rank} returns {back[rank][at]} first, rank {rank - 1} waits for {back[rank - 1][at]}"
    return ""


def longest_wait(trace: Trace) -> str:
    gaps = [
        (after.start - before.end, rank, before.end)
        for rank in range(trace.ranks)
        for before, after in zip(trace.actions(rank), trace.actions(rank)[1:], strict=False)
    ]
    wait, rank, since = max(gaps, default=(0, 0, 0))
    return f"The longest wait: {trace.why_idle(rank, since)}" if wait else ""


def first_failure(work: Any, sizes: Sequence[tuple[int, int]], examine: Callable[[Attempt], str]) -> Verdict | None:
    """Try the learner's generator on every size; the verdict on the first that fails, None if none does."""
    for ranks, microbatches in sizes:
        tried = f"{ranks} rank{'s' * (ranks > 1)}, {microbatches} microbatch{'es' * (microbatches > 1)}"
        try:
            sentence = examine(attempt(from_builder(work, ranks, microbatches), ranks, microbatches))
        except Trouble as trouble:
            sentence = str(trouble)
        if sentence:
            return not_yet(sentence, tried=tried)
    return None

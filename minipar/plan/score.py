"""How good is what lies on the board, and does it have a name?

    score(level, position)  ──►  Score(solved, credit, words)      "Solved in 14 slots, par is 14. ..."

Par is the time of a named schedule. A time under par is possible on a free board only: each level's par is its `bound`.
What can be beaten there is what is held: less in the drawers than par is a credit. Recognition compares order, not
times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from minipar.plan.actions import B, F
from minipar.plan.puzzle import Position, Refused, Rules, move
from minipar.plan.schedule import Schedule
from minipar.plan.schedules import recognised


@dataclass(frozen=True)
class Level:
    """A board with a goal. Plain data; the ten of the course stand in `minipar.learn.levels`.

    par: the time to reach, in the unit of the rules' cost. spans: also no idle slot inside any rank's own span.
    peaks: what the par schedule holds; () where nothing is counted. idea: the one new rule. named: orders with a word
    of their own; solved: said of every other good order ("" for "this one is yours"). auto: whether the obvious may be
    filled in.
    """

    title: str
    rules: Rules
    par: float
    goal: str
    idea: str
    hint: str
    reference: Schedule
    named: tuple[tuple[Schedule, str], ...] = ()
    solved: str = ""
    peaks: tuple[int, ...] = ()
    spans: bool = False
    auto: bool = False


class Score(NamedTuple):
    """What a full board is worth. credit: less was held than par holds, and on no rank more."""

    solved: bool
    credit: bool
    words: str


def score(level: Level, position: Position) -> Score:
    """The verdict on a full board; on any other a word on how much is missing."""
    if not position.complete:
        return Score(False, False, f"{len(position.spans)} of {level.rules.actions} actions placed.")
    time, unit = position.makespan, level.rules.cost.unit
    if time > level.par + 1e-9:
        return Score(False, False, f"Legal: {time:g} {unit}, par is {level.par:g}: {_earlier(position)}")
    gaps = own_gaps(position)
    if level.spans and any(gaps):
        zeros = " ".join("0" for _ in gaps)
        told = " ".join(f"{gap:g}" for gap in gaps)
        return Score(False, False, f"{time:g} {unit}, in time, but gaps inside the own spans: {told}. Wanted: {zeros}.")
    peaks = position.trace.peak_in_flight
    credit = bool(level.peaks) and peaks != level.peaks and all(a <= b for a, b in zip(peaks, level.peaks, strict=True))
    under = f", {level.par - time:g} under par" if time < level.par - 1e-9 else ""
    words = f"Solved in {time:g} {unit}{under}, par is {level.par:g}. {named(level, position)}"
    if credit:
        words += f" With a credit: {_row(peaks)} in the drawers, par is {_row(level.peaks)}."
    return Score(True, credit, words)


def named(level: Level, position: Position) -> str:
    """What this order is called: on this level, else in the catalogue, else that it is the learner's own."""
    for known, words in level.named:
        if known.programs == position.programs:
            return f"{words}."
    name = recognised(position.schedule)
    if name:
        return f"This is {name}."
    return f"{level.solved}." if level.solved else f"This one is yours: peaks {_row(position.trace.peak_in_flight)}."


def own_gaps(position: Position) -> tuple[float, ...]:
    """Per rank, how long it idles between its first start and its last end."""
    trace = position.trace
    return tuple(trace.span(rank) - trace.busy(rank) for rank in range(trace.ranks))


def _row(numbers) -> str:
    return " ".join(map(str, numbers))


def _earlier(position: Position) -> str:
    """The first action that could fill an earlier gap of its own row, in words."""
    found = early(position)
    if found is None:
        rank = max(range(position.rules.ranks), key=lambda rank: own_gaps(position)[rank])
        return f"no single action can be pulled forward; rank {rank} waits {own_gaps(position)[rank]:g} of them."
    action, could, now = found
    return f"{action} could start at {could:g} and starts at {now:g}."


def early(position: Position):
    """(action, when it could start, when it starts) of the earliest gap that a later action of that rank could fill."""
    found = []
    for rank in range(position.rules.ranks):
        row = position.trace.actions(rank)
        for at, span in enumerate(row):
            gap = row[at - 1].end if at else 0.0
            if span.start > gap:
                found += _fillers(position, rank, at, gap, span.start)
    return min(found, key=lambda one: (one[1], one[3]))[:3] if found else None


def _fillers(position: Position, rank: int, at: int, gap: float, until: float):
    row = position.trace.actions(rank)
    for later in row[at + 1 :] if at + 1 < len(row) else ():
        there = [when for when, _ in position.trace.arrivals(later)]
        could = max([gap, *there])
        if could < until:
            try:
                move(position, later.what, at)
            except Refused:
                continue
            yield later.what, could, later.start, rank
            return


# ---- what no order can beat


def bound(rules: Rules) -> float:
    """A time that no order can beat: a rank's first possible start, its own work, the way home from its last action.

    Where backwards are split the last action may be a W, for which nobody waits: the way home is nothing then.
    """
    first = {rank: rules.stages(rank)[0] for rank in range(rules.ranks)}
    return max(_before(rules, stage) + _work(rules, rank) + _home(rules, stage) for rank, stage in first.items())


def _before(rules: Rules, stage: int) -> float:
    """How long microbatch 0 takes to come to a stage."""
    crossings = sum(rules.placement[one] != rules.placement[one + 1] for one in range(stage))
    return sum(rules.cost.duration(F(one, 0)) for one in range(stage)) + crossings * rules.cost.hop


def _work(rules: Rules, rank: int) -> float:
    each = sum(rules.cost.duration(op(stage, 0)) for stage in rules.stages(rank) for op in rules.ops)
    return each * rules.microbatches


def _home(rules: Rules, stage: int) -> float:
    if rules.split:
        return 0.0
    crossings = sum(rules.placement[one] != rules.placement[one + 1] for one in range(stage))
    return sum(rules.cost.duration(B(one, 0)) for one in range(stage)) + crossings * rules.cost.hop

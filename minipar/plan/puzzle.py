"""What may go next on the board, and if this may not, why not?

A board asks for every action of a pipeline step, on ranks with drawers of a given size. A learner places them one by
one; each rank's row is an order, and times follow from it (an action starts as soon as its rank and its values allow).

    rules ──► start(rules) ──place, move, remove──► Position ──► trace, text
                                      └── Refused: the reason, in words

What an action needs and makes is `actions.reads` and `actions.makes`; nothing here knows it a second time. Everything
is a value: a move gives a new position and leaves the old one as it was.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from minipar.plan.actions import Action, B, F, I, Kind, Op, W, keeps, makes, reads
from minipar.plan.order import Deadlock, explain
from minipar.plan.schedule import Schedule
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Span, Trace

EMPTY = "-"  # stands for a rank without actions where a position is text


class Refused(Exception):
    """A move that the rules do not allow; its text is the reason for the person who tried it."""


@dataclass(frozen=True)
class Rules:
    """What a board asks for: the rank of each stage, the microbatches, what a rank may hold, and what actions cost.

    caps: (stage, microbatch) pairs that each rank may hold at once, None for as many as it likes; () for no cap at all.
    split: backwards come as I and W instead of B.
    """

    placement: tuple[int, ...]
    microbatches: int
    caps: tuple[int | None, ...] = ()
    cost: Cost = Cost(F=1, B=1)
    split: bool = False

    @property
    def ranks(self) -> int:
        return max(self.placement) + 1

    @property
    def ops(self) -> tuple[Op, ...]:
        return (F, I, W) if self.split else (F, B)

    @property
    def last_stage(self) -> int:
        return len(self.placement) - 1

    @property
    def actions(self) -> int:
        """How many actions a full board has."""
        return len(self.placement) * self.microbatches * len(self.ops)

    def cap(self, rank: int) -> int | None:
        return self.caps[rank] if self.caps else None

    def stages(self, rank: int) -> list[int]:
        """The stages that stand on a rank."""
        return [stage for stage, home in enumerate(self.placement) if home == rank]

    def has(self, action: Action) -> bool:
        """Whether the board asks for this action."""
        stage, op, microbatch = action
        return stage <= self.last_stage and op in self.ops and microbatch < self.microbatches


@dataclass(frozen=True)
class Position:
    """What lies on the board: a row of actions a rank, each with its time. Made by the functions below.

    number: where the span of an action stands in `spans`. made: which action made a value. held: per rank, how many
    pairs lie in the drawer after its last action. free: when each rank's last action ends.
    """

    rules: Rules
    programs: tuple[tuple[Action, ...], ...]
    spans: tuple[Span, ...]
    number: dict[Action, int]
    made: dict
    held: tuple[int, ...]
    free: tuple[float, ...]

    @property
    def complete(self) -> bool:
        return len(self.spans) == self.rules.actions

    @functools.cached_property
    def schedule(self) -> Schedule:
        return Schedule("by hand", self.programs)

    @functools.cached_property
    def trace(self) -> Trace:
        """The predicted trace of what is placed."""
        return Trace("by hand", self.spans, self.rules.ranks, unit=self.rules.cost.unit, hop=self.rules.cost.hop)

    @property
    def makespan(self) -> float:
        return max(self.free)

    def start(self, action: Action) -> float:
        """When an action whose values are all there would start at the end of its rank's row."""
        rank = self.rules.placement[action.stage]
        starts = [self.free[rank]]
        for value in reads(action, self.rules.last_stage):
            maker = self.spans[self.number[self.made[value]]]
            starts.append(maker.end + (self.rules.cost.hop if maker.rank != rank else 0.0))
        return max(starts)

    def __str__(self) -> str:
        return "\n".join(" ".join(map(str, program)) or EMPTY for program in self.programs)


def start(rules: Rules) -> Position:
    """The empty board."""
    nothing = (0,) * rules.ranks
    return Position(rules, ((),) * rules.ranks, (), {}, {}, nothing, tuple(map(float, nothing)))


# ---- moves


def place(position: Position, action: Action, rank: int | None = None, at: int | None = None) -> Position:
    """The position with `action` at the end of its rank's row, or before the action that stands at `at` there.

    rank: where it was put, its own rank if None. Refused, with the reason, when the rules do not allow it.
    """
    row = _row_for(position, action, rank)
    if action in position.number:
        raise Refused(f"{action} stands on rank {row} already: each action runs once.")
    if at is None or at >= len(position.programs[row]):
        reason = lacks(position, action) or full(position, action)
        if reason:
            raise Refused(reason)
        return _appended(position, action)
    programs = list(map(list, position.programs))
    programs[row].insert(at, action)
    return arranged(position.rules, programs)


def move(position: Position, action: Action, at: int, rank: int | None = None) -> Position:
    """The position with a placed action at place `at` of its row (counted without it)."""
    row = _row_for(position, action, rank)
    if action not in position.number:
        raise Refused(f"{action} is not on the board yet.")
    programs = list(map(list, position.programs))
    programs[row].remove(action)
    programs[row].insert(min(max(at, 0), len(programs[row])), action)
    return arranged(position.rules, programs)


def remove(position: Position, action: Action) -> tuple[Position, tuple[Action, ...]]:
    """The position without `action` and without all that needs it, and what went with it."""
    if action not in position.number:
        raise Refused(f"{action} is not on the board.")
    gone, last = {action}, position.rules.last_stage
    lost = set(makes(action))
    for span in sorted(position.spans, key=lambda span: span.start):
        if span.what not in gone and lost & set(reads(span.what, last)):
            gone.add(span.what)
            lost.update(makes(span.what))
    programs = [[one for one in program if one not in gone] for program in position.programs]
    try:
        return arranged(position.rules, programs), tuple(sorted(gone - {action}, key=position.number.get))
    except Refused as reason:  # what is left would overfill a drawer
        raise Refused(f"{action} cannot go alone: {reason}") from None


def arranged(rules: Rules, programs: Sequence[Sequence[Action]]) -> Position:
    """The position with these rows. Refused with the first reason where the rules do not allow them."""
    programs = tuple(map(tuple, programs))
    if not any(programs):
        return start(rules)
    made = _rows_are_sound(rules, programs)
    for program in programs:
        for action in program:
            for value in reads(action, rules.last_stage):
                if value not in made:
                    raise Refused(_lacking(rules, action, value))
    try:
        spans = predict(Schedule("by hand", programs), rules.cost).spans
    except Deadlock as deadlock:
        raise Refused(_in_its_own_way(deadlock, made) or explain(deadlock)) from None
    number = {span.what: at for at, span in enumerate(spans)}
    held = tuple(sum(map(keeps, program)) for program in programs)
    free = tuple(spans[number[program[-1]]].end if program else 0.0 for program in programs)
    return Position(rules, programs, spans, number, made, held, free)


def parse(rules: Rules, text: str) -> Position:
    """The position that a text says: one line a rank, `-` for a rank without actions."""
    lines = text.rstrip().splitlines()
    if len(lines) > rules.ranks:
        raise Refused(f"The text has {len(lines)} lines, and there are {rules.ranks} ranks: one line a rank.")
    programs = [[] for _ in range(rules.ranks)]
    for rank, line in enumerate(lines):
        for word in line.split():
            if word != EMPTY:
                try:
                    programs[rank].append(Action.parse(word))
                except ValueError as error:
                    raise Refused(f"Rank {rank}: {error}.") from None
    return arranged(rules, programs)


def _appended(position: Position, action: Action) -> Position:
    rules, rank = position.rules, position.rules.placement[action.stage]
    begin = position.start(action)
    end = begin + rules.cost.duration(action)
    programs = list(position.programs)
    programs[rank] = (*programs[rank], action)
    return Position(
        rules, tuple(programs), (*position.spans, Span(rank, action, begin, end)),
        {**position.number, action: len(position.spans)}, {**position.made, **dict.fromkeys(makes(action), action)},
        _with(position.held, rank, position.held[rank] + keeps(action)), _with(position.free, rank, end),
    )  # fmt: skip


def _with(row: tuple, at: int, value) -> tuple:
    return (*row[:at], value, *row[at + 1 :])


# ---- reasons


def refusal(position: Position, action: Action, rank: int | None = None, at: int | None = None) -> str:
    """Why `action` may not be placed there, in words; "" when it may."""
    try:
        place(position, action, rank, at)
    except Refused as reason:
        return str(reason)
    return ""


def _row_for(position: Position, action: Action, rank: int | None) -> int:
    if not position.rules.has(action):
        raise Refused(_not_asked(position.rules, action))
    home = position.rules.placement[action.stage]
    if rank is not None and rank != home:
        raise Refused(_elsewhere(position.rules, action, rank))
    return home


def _not_asked(rules: Rules, action: Action) -> str:
    if action.op not in rules.ops:
        letters = " and ".join(op.name for op in rules.ops if op is not F)
        return f"{action} is no action of this board: backwards are {letters} here."
    return (
        f"{action} is no action of this board: stages go from 0 to {rules.last_stage}, "
        f"microbatches from 0 to {rules.microbatches - 1}."
    )


def _elsewhere(rules: Rules, action: Action, rank: int) -> str:
    home = rules.placement[action.stage]
    if len(rules.placement) == rules.ranks:
        return f"{action} belongs to rank {home} here: rank {rank} runs stage {rules.stages(rank)[0]}."
    dealt = all(home == stage % rules.ranks for stage, home in enumerate(rules.placement))
    return f"{action} belongs to rank {home} here: the {'stages are dealt like cards' if dealt else 'way turns'}."


def lacks(position: Position, action: Action) -> str:
    """Which value is not there yet, in words; "" when all are."""
    for value in reads(action, position.rules.last_stage):
        if value not in position.made:
            return _lacking(position.rules, action, value)
    return ""


def _lacking(rules: Rules, action: Action, value) -> str:
    maker, home = maker_of(rules, value), rules.placement[value.stage]
    if home == rules.placement[action.stage]:
        return f"{action} needs {maker} first."
    return f"{action} needs {maker}'s {value.kind.value}: rank {home} has not made it."


def maker_of(rules: Rules, value) -> Action:
    """The action of this board that makes a value which another one reads."""
    op = F if value.kind is Kind.ACTIVATION else rules.ops[1]
    return op(value.stage, value.microbatch)


def full(position: Position, action: Action) -> str:
    """Whether the drawer has no room for what `action` keeps, in words; "" when it has."""
    rank = position.rules.placement[action.stage]
    return _over(position.rules, rank, position.held[rank] + keeps(action)) if keeps(action) > 0 else ""


def _over(rules: Rules, rank: int, held: int) -> str:
    cap = rules.cap(rank)
    if cap is None or held <= cap:
        return ""
    return f"The drawer of rank {rank} is full ({cap} of {cap}). Send one home first."


def _rows_are_sound(rules: Rules, programs) -> dict:
    """What is made by whom; Refused where a row holds what is not its own, twice, or more than its drawer takes."""
    made: dict = {}
    for rank, program in enumerate(programs):
        seen, held = set(), 0
        for action in program:
            if not rules.has(action):
                raise Refused(_not_asked(rules, action))
            if rules.placement[action.stage] != rank:
                raise Refused(_elsewhere(rules, action, rank))
            if action in seen:
                raise Refused(f"{action} stands on rank {rank} already: each action runs once.")
            seen.add(action)
            held += keeps(action)
            if over := _over(rules, rank, held):
                raise Refused(over)
            made.update(dict.fromkeys(makes(action), action))
    return made


def _in_its_own_way(deadlock: Deadlock, made: dict) -> str:
    """A rank whose own later action makes what it waits for: no other rank can help."""
    for stuck in deadlock.stuck:
        maker = made[stuck.missing]
        if maker in deadlock.programs[stuck.rank]:
            return f"{stuck.step} needs {maker} first."
    return ""

"""How long would this schedule take, and who would wait?

Walk the programs once, and start each action when its rank is free and all it reads has arrived:

    start = max(end of the rank's last action, end of each maker (+ hop if it ran on another rank))
"""

import contextlib
import gc
from collections.abc import Sequence
from dataclasses import dataclass, replace

from minipar.plan.actions import Action, Op, Overlap, keeps
from minipar.plan.order import Walk
from minipar.plan.schedule import Schedule
from minipar.plan.trace import OVERLAPPED, Sample, Span, Trace

PerStage = float | Sequence[float]


@dataclass(frozen=True)
class Cost:
    """What an action costs: seconds or slots, one number for all stages or a sequence with one per stage.

    ``hop`` is the latency a message adds before its reader can start; sender and receiver spend no time on it.
    ``I`` and ``W`` default to half a backward each, or to what the other leaves of it; ``B`` to both together, and to 2
    where none of the three is given. ``overlap`` is a forward and a backward at once: F + B unless given, with the
    stages of the two. ``activation_bytes`` is what one microbatch leaves on a stage.
    """

    F: PerStage = 1.0
    B: PerStage | None = None
    I: PerStage | None = None
    W: PerStage | None = None
    overlap: float | None = None
    hop: float = 0.0
    activation_bytes: int | Sequence[int] = 0
    unit: str = "slots"

    def __post_init__(self):
        whole, inputs, weights = self.B, self.I, self.W
        if whole is None and (inputs is None) != (weights is None):
            name, other = ("I", "W") if inputs is None else ("W", "I")
            raise ValueError(f"{name} has no price: give it beside {other}, or give B, the whole backward")
        if whole is None:
            whole = 2.0 if inputs is None else _plus(inputs, weights)
        if inputs is None:
            inputs = _scale(whole, 0.5) if weights is None else _plus(whole, _scale(weights, -1))
        if weights is None:
            weights = _plus(whole, _scale(inputs, -1))
        for name, given in zip("FBIW", (self.F, whole, inputs, weights), strict=True):
            object.__setattr__(self, name, tuple(given) if isinstance(given, Sequence) else given)
            for number in given if isinstance(given, Sequence) else (given,):
                if not number >= 0:
                    raise ValueError(f"{name} must be a duration, 0 or more, not {number!r}")
        for name, number in (("hop", self.hop), ("overlap", self.overlap)):
            if number is not None and not number >= 0:
                raise ValueError(f"{name} must be a duration, 0 or more, not {number!r}")

    def duration(self, action: Action | Overlap) -> float:
        """How long this action, or this pair at once, takes."""
        if type(action) is Overlap:
            return sum(map(self.duration, action)) if self.overlap is None else self.overlap
        return _at(getattr(self, action.op.name), action.stage, action.op.name)

    def bytes(self, stage: int) -> int:
        """Bytes of activation that one microbatch leaves on this stage."""
        return _at(self.activation_bytes, stage, "activation_bytes")

    def times(self, factor: float) -> "Cost":
        """The same machine, ``factor`` times slower."""
        scaled = {op.name: _scale(getattr(self, op.name), factor) for op in Op}
        scaled["overlap"] = None if self.overlap is None else self.overlap * factor
        return Cost(**scaled, hop=self.hop * factor, activation_bytes=self.activation_bytes, unit=self.unit)


def _at(given, stage: int, name: str):
    if not isinstance(given, Sequence):
        return given
    if stage >= len(given):
        raise ValueError(f"{name} is given for {len(given)} stages, but the schedule has a stage {stage}")
    return given[stage]


def _plus(one: PerStage, other: PerStage) -> PerStage:
    """The sum, stage by stage where either has a number for each."""
    if not isinstance(one, Sequence) and not isinstance(other, Sequence):
        return one + other
    count = len(one) if isinstance(one, Sequence) else len(other)
    return tuple(_at(one, stage, "B") + _at(other, stage, "I") for stage in range(count))


def _scale(given: PerStage, factor: float) -> PerStage:
    return tuple(one * factor for one in given) if isinstance(given, Sequence) else given * factor


def predict(schedule: Schedule, cost: Cost = Cost()) -> Trace:
    """The trace this schedule would leave. Raises ``Deadlock`` with the reason when it cannot reach its end.

    Actions with no one to make what they read (a missing forward) count as stuck too; ``problems`` says more.
    """
    with uncollected():
        spans = tuple(_spans(schedule, cost))
    trace = Trace(schedule.name, spans, schedule.ranks, unit=cost.unit, hop=cost.hop)
    return replace(trace, ledger=_ledger(trace, cost)) if cost.activation_bytes else trace


@contextlib.contextmanager
def uncollected():
    """No search for cycles meanwhile: hundreds of thousands of tuples are made, and none can be part of one."""
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()


def _spans(schedule: Schedule, cost: Cost) -> list[Span]:
    hop, spans = cost.hop, []
    free = [0.0] * schedule.ranks
    price: dict = {}  # (operation, stage) -> duration, asked once
    walk = Walk(schedule.programs)  # its marks: the makers' spans
    for rank, action, makers in walk.run():
        start = free[rank]
        for maker in makers:
            there = maker.end if maker.rank == rank else maker.end + hop
            if there > start:
                start = there
        if type(action) is Overlap:
            end = start + cost.duration(action)
            spans += [Span(rank, half, start, end, OVERLAPPED) for half in action]
        else:
            stage, op, _ = action
            duration = price.get((op, stage))
            if duration is None:
                duration = price[op, stage] = cost.duration(action)
            end = start + duration
            spans.append(Span(rank, action, start, end))
        free[rank] = end
        walk.mark = spans[-1]
    return spans


def _ledger(trace: Trace, cost: Cost) -> tuple[tuple[Sample, ...], ...]:
    """Activation bytes over time, from the same rule as ``in_flight``."""
    rows = []
    for rank in range(trace.ranks):
        changes = []
        for span in trace.actions(rank):
            change = keeps(span.what)
            if change:
                changes.append((span.start if change > 0 else span.end, change * cost.bytes(span.what.stage)))
        held, row = 0, []
        for time, change in sorted(changes):
            held += change
            row.append(Sample(time, "activation", held))
        rows.append(tuple(row))
    return tuple(rows)

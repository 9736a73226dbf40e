"""What rectangles does a trace become?

    trace ──► rectangles(trace) ──► the live canvas       (packing.py, timeline.js)
                               └──► the plain figure      (plain.py)

One pure function feeds both forms, so they cannot show different things. Times are counted from the step's start.
A row has lanes: lane 0 is what the rank does; what overlaps it (a message on its way, a named part inside a longer one)
lies in lane 1, in the lower part of the row.

    rank 0 │ F0 │ F1 │╱╱╱╱╱╱╱│   B0   │        ╱ idle: no action, between the step's start and its end
           │▂▂▂▂│    │       │        │        ▂ lane 1
"""

import bisect
from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

from minipar.plan.actions import Action, B, Op, Recv, Send, makes, reads
from minipar.plan.trace import OVERLAPPED, Collective, Span, Trace
from minipar.view.theme import Kind

OPS = {
    Op.F: Kind.FORWARD,
    Op.B: Kind.BACKWARD,
    Op.I: Kind.INPUT_GRADIENT,
    Op.W: Kind.WEIGHT_GRADIENT,
}

#: First words of spans that are named in text; what is not listed is the learner's own.
WORDS = {
    "forward": Kind.FORWARD,
    "backward": Kind.BACKWARD,
    "weight": Kind.WEIGHT_GRADIENT,
    "recompute": Kind.RECOMPUTE,
    "optimizer": Kind.OPTIMIZER,
    "wait": Kind.WAIT,
    "send": Kind.COMMUNICATION,
    "recv": Kind.COMMUNICATION,
    "receive": Kind.COMMUNICATION,
    "exchange": Kind.COMMUNICATION,
    "broadcast": Kind.COMMUNICATION,
    "barrier": Kind.COMMUNICATION,
    "all_reduce": Kind.COMMUNICATION,
    "all_gather": Kind.COMMUNICATION,
    "all_to_all": Kind.COMMUNICATION,
    "dispatch": Kind.COMMUNICATION,
    "combine": Kind.COMMUNICATION,
    "reduce_scatter": Kind.COMMUNICATION,
}

#: On a measured trace a gap shorter than this share of the step is jitter, not idleness.
JITTER = 0.004


class Rectangle(NamedTuple):
    """One rectangle: on which row, from when to when, what it is, what is written in it, and why it began so late."""

    rank: int
    start: float
    end: float
    kind: Kind
    label: str
    why: str = ""
    what: object = ""
    lane: int = 0
    note: str = ""


def rectangles(trace: Trace, why: bool = False) -> list[Rectangle]:
    """All rectangles of a trace, the bars first and then the idle gaps, each part by rank and start.

    With ``why`` each idle gap, and the bar after it, carries the trace's own sentence on what was waited for.
    """
    bars = _bars(trace)
    gaps = idle(trace)
    if why:
        gaps = [gap._replace(why=trace.why_idle(gap.rank, (gap.start + gap.end) / 2 + trace.start)) for gap in gaps]
        reasons = {(gap.rank, gap.end): gap.why for gap in gaps}
        bars = [bar if bar.lane else bar._replace(why=reasons.get((bar.rank, bar.start), "")) for bar in bars]
    return bars + gaps


def kind_of(what: object) -> Kind:
    """The kind of a span from what it says it did: an action, a message, or words."""
    if isinstance(what, Action):
        return OPS[what.op]
    if isinstance(what, Send):
        return Kind.COMMUNICATION
    if isinstance(what, Recv):  # the message travels by itself; what the rank does meanwhile is wait for it
        return Kind.WAIT
    return WORDS.get(str(what).split(" ")[0].split("(")[0].lower(), Kind.OTHER)


def _bars(trace: Trace) -> list[Rectangle]:
    """Every span as a rectangle, labelled "F3", with several stages on a rank "2F3", or in its own words.

    Where there are actions, recorded waits and receipts are left to the idle gaps they lie in.
    """
    several = trace.stages > trace.ranks
    pipeline = trace.microbatches > 0
    origin = trace.start
    bars = []
    only_actions = True
    letters = {op: op.name for op in Op}  # asking each of ten thousand bars for the name takes longer
    spans = sorted(trace.spans, key=attrgetter("end"), reverse=True)  # three sorts by one number each: half the time
    spans.sort(key=attrgetter("start"))
    spans.sort(key=attrgetter("rank"))
    for rank, what, start, end, note in spans:
        if isinstance(what, Action):  # the common case, kept short: a thousand of them are packed while a slider moves
            stage, op, microbatch = what
            label = f"{stage}{letters[op]}{microbatch}" if several else f"{letters[op]}{microbatch}"
            lane = 1 if note == OVERLAPPED and op is B else 0  # a pair at once: the backward lies on the lower edge
            bars.append(Rectangle(rank, start - origin, end - origin, OPS[op], label, "", what, lane, note))
            continue
        if pipeline and _waits(what):
            continue
        only_actions = False
        label = what if isinstance(what, str) else f"send {what.value}"
        bars.append(Rectangle(rank, start - origin, end - origin, kind_of(what), label, "", what, 0, note))
    return bars if only_actions else _lanes(bars)


def _waits(what: object) -> bool:
    """Whether a span of a pipeline only says that its rank waited: for a message, or in words."""
    return isinstance(what, Recv) or kind_of(what) is Kind.WAIT


def _lanes(bars: list[Rectangle]) -> list[Rectangle]:
    """Move what overlaps an earlier bar of its row, and a message that overlaps anything, one lane down."""
    until: dict[int, float] = {}
    for at, bar in enumerate(bars):
        if bar.kind is Kind.COMMUNICATION:
            continue
        if bar.start < until.get(bar.rank, -1.0) - 1e-9:
            bars[at] = bar._replace(lane=1)
        else:
            until[bar.rank] = bar.end
    busy: dict[int, list[tuple[float, float]]] = {}
    for bar in bars:
        if bar.kind is not Kind.COMMUNICATION and not bar.lane:
            busy.setdefault(bar.rank, []).append((bar.start, bar.end))
    return [
        bar._replace(lane=1)
        if bar.kind is Kind.COMMUNICATION and _overlaps(bar.start, bar.end, busy.get(bar.rank, []))
        else bar
        for bar in bars
    ]


def _overlaps(start: float, end: float, busy: list[tuple[float, float]]) -> bool:
    """Whether start..end overlaps one of ``busy``, which are in order and do not overlap each other."""
    before = bisect.bisect_left(busy, (end - 1e-9,))
    return before > 0 and busy[before - 1][1] > start + 1e-9


def idle(trace: Trace) -> list[Rectangle]:
    """The gaps between a rank's actions, from the start of the step to its end; none when the trace has no actions.

    In a collective a rank is not idle: the sum of gradients over the replicas comes after the last action.
    """
    whole, origin = trace.makespan, trace.start
    least = whole * JITTER if trace.source.startswith("measured") else 1e-9
    gaps = []
    for rank in range(trace.ranks if trace.microbatches else 0):
        free = 0.0
        for span in _taken(trace, rank):
            begins = span.start - origin
            if begins - free > least and whole - free > least:
                gaps.append(Rectangle(rank, free, min(begins, whole), Kind.IDLE, "", "", "idle"))
            free = max(free, span.end - origin)
        if whole - free > least:
            gaps.append(Rectangle(rank, free, whole, Kind.IDLE, "", "", "idle"))
    return gaps


def _taken(trace: Trace, rank: int) -> Iterable[Span | Collective]:
    """A rank's actions and collectives, by start."""
    together = [each for each in trace.collectives if each.rank == rank]
    if not together:
        return trace.actions(rank)
    return sorted([*trace.actions(rank), *together], key=lambda span: span.start)


def needs(trace: Trace, bars: list[Rectangle]) -> list[tuple[int, int]]:
    """Pairs (from, to) of positions in ``bars``: the second one reads something that the first one made."""
    last = trace.stages - 1
    maker = {
        (trace.pipeline(bar.rank), value): at
        for at, bar in enumerate(bars)
        if isinstance(bar.what, Action)
        for value in makes(bar.what)
    }
    return [
        (maker[trace.pipeline(bar.rank), value], at)
        for at, bar in enumerate(bars)
        if isinstance(bar.what, Action)
        for value in reads(bar.what, last)
        if (trace.pipeline(bar.rank), value) in maker
    ]

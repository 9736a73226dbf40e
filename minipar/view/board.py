"""Which value goes where, and if nobody can go on, who waits for whom?

    rank 0 │ 0F0 │ 0F1 │     │ 0B0 │          board(schedule): each action at its time, and an arrow from the action
           ╲     ╲         ╱                  that makes a value to the one that reads it
    rank 1 │     │ 1F0 │ 1B0 │

    rank 2 │ 2F0 │ 2F1 ╳ sends 2F1's …  ⇄     what runs of a schedule that gets stuck, the place where each rank stands,
    rank 3 │     │ 3F0 │ 3B0 ╳ sends …        and the waits as arrows, those of the circle heavy

The picture is a canvas (puzzle.js) in a notebook, text and a plain plotly figure where nobody is there. The puzzle
draws its own position with the same functions.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

import anywidget
import traitlets

from minipar.plan.actions import Action, I, Recv, Send, W, keeps, makes, reads
from minipar.plan.schedule import Schedule
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Span, Trace
from minipar.plan.waits import Wait, circle, waits
from minipar.view.packing import KINDS, palette
from minipar.view.panel import Panel, Strip
from minipar.view.presence import mime_bundle
from minipar.view.rectangles import OPS
from minipar.view.theme import PALETTE
from minipar.view.words import duration, share

PARKS = {I: 1, W: -1}  # how an action changes what waits for its weight gradient
ARROWS = 160  # of so many values the arrows stand on the picture; of more they come when a bar is pointed at
SLOTS = Cost()
HERE = Path(__file__).parent


class Grid(anywidget.AnyWidget):
    """The live picture of a grid of actions; `head` says what stands around the bars, `numbers` holds them."""

    _esm = HERE / "puzzle.js"
    _css = HERE / "puzzle.css"
    head = traitlets.Dict().tag(sync=True)
    numbers = traitlets.Bytes(b"").tag(sync=True)
    colours = traitlets.Dict().tag(sync=True)

    def __init__(self, **traits):
        super().__init__(colours=palette(), **traits)


# ---- pure functions from traces to what is drawn


def numbers(spans: Iterable[Span], origin: float = 0.0) -> array:
    """Nine numbers a bar: rank, start, end, kind, stage, microbatch, two changes of what is held, and its part.

    An F keeps one from its start, a B or W lets one go at its end; an I parks one for its W, at its end. Part 0 is
    a bar as high as its row; two that run at once (a forward and a backward) share it as 1 and 2.
    """
    floats = array("f")
    kinds = {op: KINDS[kind] for op, kind in OPS.items()}
    spans = list(spans)
    parts = [0] * len(spans)
    for at, (one, other) in enumerate(zip(spans, spans[1:], strict=False)):
        if together(one, other):
            parts[at], parts[at + 1] = 1, 2
    for (rank, what, start, end, _), part in zip(spans, parts, strict=True):
        floats.extend((rank, start - origin, end - origin, kinds[what.op], what.stage, what.microbatch))
        floats.extend((keeps(what), PARKS.get(what.op, 0), part))
    return floats


def together(one: Span, other: Span) -> bool:
    """Whether two spans are one step of a rank: a forward and a backward at once."""
    return one.rank == other.rank and one.start == other.start and one.end == other.end > one.start


def as_bytes(floats: array) -> bytes:
    """Little endian, as the browser reads them."""
    if sys.byteorder == "big":
        floats = array("f", floats)
        floats.byteswap()
    return floats.tobytes()


class Lookup:
    """What is asked of a trace bar by bar, found once: the makers and readers of each span, and who ran before it.

    Spans are meant by their positions in ``trace.spans``.
    """

    def __init__(self, trace: Trace):
        self.trace, last = trace, trace.stages - 1
        maker = {value: at for at, span in enumerate(trace.spans) for value in makes(span.what)}
        read = [[maker[value] for value in reads(span.what, last) if value in maker] for span in trace.spans]
        self.makers: list[list[int]] = read
        self.readers: list[list[int]] = [[] for _ in trace.spans]
        for at, sources in enumerate(read):
            for source in sources:
                self.readers[source].append(at)
        self.before: dict[int, int] = {}
        ended: dict[int, int] = {}
        for at in sorted(range(len(trace.spans)), key=lambda at: trace.spans[at].start):
            rank = trace.spans[at].rank
            last_one = ended.get(rank)
            if last_one is not None and together(trace.spans[last_one], trace.spans[at]):
                last_one = self.before.get(last_one)  # both halves of a pair come after what was before it
            if last_one is not None:
                self.before[at] = last_one
            ended[rank] = at

    def crossing(self) -> list[tuple[int, int]]:
        """(from, to) of every value that goes from one rank to another."""
        spans = self.trace.spans
        return [(a, b) for b, made in enumerate(self.makers) for a in made if spans[a].rank != spans[b].rank]

    def ready(self, at: int) -> list[tuple[float, int]]:
        """(when it let this span start, which) for all that it waited for."""
        spans, hop = self.trace.spans, self.trace.hop
        found = [(spans[one].end + hop * (spans[one].rank != spans[at].rank), one) for one in self.makers[at]]
        if at in self.before:
            found.append((spans[self.before[at]].end, self.before[at]))
        return found

    def chain(self, at: int) -> list[int]:
        """The spans that one waited for, each the last thing the next one waited for, and itself.

        Of the span that ends last this is the critical path.
        """
        path, going = [], at
        while going is not None:
            path.append(going)
            going = max(self.ready(going), key=lambda pair: pair[0], default=(0, None))[1]
        return path[::-1]


PASSES = {"F": "forward", "B": "backward", "I": "input gradient", "W": "weight gradient"}


def about(lookup: Lookup, at: int) -> dict:
    """What is told of one bar: the sentence, the values in and out of it, and the chain that it waited for."""
    trace = lookup.trace
    span, path = trace.spans[at], lookup.chain(at)
    stage, op, microbatch = span.what
    words = (
        f"{span.what}: {PASSES[op.name]} of microbatch {microbatch} through stage {stage}, on rank {span.rank}, from "
        f"{trace.say(span.start)} to {trace.say(span.end)}."
    )
    gap = trace.spans[lookup.before[at]].end if at in lookup.before else trace.start
    if span.start > gap:
        words += " " + trace.why_idle(span.rank, (gap + span.start) / 2)
    elif len(path) > 1:
        words += f" It started as soon as {trace.spans[path[-2]].what} had ended."
    if span.end == trace.end:
        words += f" Nothing ends later: the {len(path)} marked actions are the critical path."
    pairs = [(maker, at) for maker in lookup.makers[at]] + [(at, reader) for reader in lookup.readers[at]]
    return {"words": words, "path": path, "pairs": [number for pair in pairs for number in pair]}


def span_of(end: float) -> float:
    """The length of the time axis, never nothing."""
    return end if end > 0 else 1.0


# ---- a schedule as it stands


class Board:
    """A schedule on the grid. `.trace`: what of it runs; `.waits`: who waits; `.circle`: the ranks in a ring."""

    def __init__(self, schedule: Schedule, cost: Cost, unbuffered: bool, title: str):
        self.view = Grid()
        self.view.on_msg(self._asked)
        self.show(schedule, cost, unbuffered, title)

    def show(self, schedule: Schedule, cost: Cost = SLOTS, unbuffered: bool = False, title: str = "") -> None:
        """Draw another schedule in the same place."""
        self.schedule, self.cost, self.unbuffered = schedule, cost, unbuffered
        self.waits: tuple[Wait, ...] = waits(schedule, unbuffered)
        self.circle = circle({wait.rank: wait.peer for wait in self.waits})
        self.trace = predict(running(schedule, self.waits), cost)
        self.lookup = Lookup(self.trace)
        self.title = title or self._finding()
        with self.view.hold_sync():
            self.view.head, self.view.numbers = self._head(), as_bytes(numbers(self.trace.spans))

    def _finding(self) -> str:
        if self.waits:
            return stuck_words(self.waits, self.circle)
        time, idle = duration(self.trace.makespan, self.trace.unit), share(self.trace.bubble)
        return f"{self.schedule.name}: {time}, {idle} idle"

    def _head(self) -> dict:
        pairs = self.lookup.crossing()
        return {
            "title": self.title,
            "ranks": self.schedule.ranks,
            "several": self.schedule.stages > self.schedule.ranks,
            "end": span_of(self.trace.makespan),
            "unit": self.trace.unit,
            "bars": len(self.trace.spans),
            "arrows": [number for pair in pairs for number in pair] if len(pairs) <= ARROWS else [],
            "waits": [waiting(wait, self.circle) for wait in self.waits],
            "said": self.sentences(),
            "summary": repr(self),
        }

    def sentences(self) -> str:
        """What stands under the picture while nothing is pointed at."""
        if not self.waits:
            many = len(self.lookup.crossing())
            return f"{many} values go from rank to rank. Point at an action, or walk to it by keys."
        return " ".join(f"{wait.words[0].upper()}{wait.words[1:]}." for wait in self.waits)

    def _asked(self, _, content: dict, __) -> None:
        """Answer what the browser asks when somebody points at a bar or a gap."""
        answer = {"answer": content.get("do"), "key": content.get("key")}
        if content.get("do") == "about":
            self.view.send({**answer, **about(self.lookup, content["bar"])})
        elif content.get("do") == "why":
            self.view.send({**answer, "words": self.trace.why_idle(content["rank"], content["time"])})

    def figure(self):
        """The same picture as a plain plotly figure; equal schedules give equal figures."""
        return figure(self.trace, self.title, self.waits, self.circle)

    def __repr__(self) -> str:
        parts = [self.schedule.name, f"ranks={self.schedule.ranks}", f"microbatches={self.schedule.microbatches}"]
        if self.waits:
            return f"Board({', '.join(parts)}, {stuck_words(self.waits, self.circle)})"
        return f"Board({', '.join(parts)}, T={duration(self.trace.makespan, self.trace.unit)})"

    __str__ = __repr__

    def _repr_mimebundle_(self, **_) -> dict:
        return mime_bundle(repr(self), self.view._repr_mimebundle_, self.figure)


def board(schedule: Schedule, cost: Cost = SLOTS, unbuffered: bool = False, title: str = "") -> Board:
    """Any schedule as a grid of its actions with the arrows of its values.

    A schedule that gets stuck is drawn as far as it runs, with the place where each rank stands, the waits as arrows,
    and the circle named. unbuffered: messages go from hand to hand, as with blocking sends. cost: the lengths of the
    actions. title: the finding in words, by default the time and the idle share, or who is stuck.
    """
    return Board(schedule, cost, unbuffered, title)


def running(schedule: Schedule, stuck: Sequence[Wait]) -> Schedule:
    """The part of a schedule that runs."""
    until = {wait.rank: wait.done for wait in stuck}
    programs = (program[: until.get(rank, len(program))] for rank, program in enumerate(schedule.programs))
    return Schedule(schedule.name, tuple(programs))


def halves(step) -> tuple:
    """An action, or the two of a pair that overlaps."""
    return (step,) if isinstance(step, Action) or step is None else tuple(step)


def waiting(wait: Wait, ring: Sequence[int]) -> dict:
    """A wait as the browser draws it: at the end of a row, with an arrow to another."""
    step = wait.step
    way = "send " if isinstance(step, Send) else "get " if isinstance(step, Recv) else ""
    label = " + ".join(map(str, halves(wait.maker if way else step)))
    in_ring = wait.rank in ring and wait.peer in ring
    return {"rank": wait.rank, "peer": wait.peer, "label": way + label, "words": wait.words, "ring": in_ring}


def stuck_words(stuck: Sequence[Wait], ring: Sequence[int]) -> str:
    """The finding of a schedule that cannot end."""
    if not ring:
        return f"Stuck: {len(stuck)} rank{'s' * (len(stuck) != 1)} cannot go on"
    way = " → ".join(map(str, (*ring, ring[0])))
    behind = [str(wait.rank) for wait in stuck if wait.rank not in ring]
    return f"Stuck in a circle: {way}" + (f"; behind it: {', '.join(behind)}" if behind else "")


def figure(trace: Trace, title: str, stuck: Sequence[Wait] = (), ring: Sequence[int] = (), cap: int | None = None):
    """Bars, arrows of values, and the waits of stuck ranks, as a plotly figure."""
    from minipar.view.plain import figure as plain

    strip = Strip.IN_FLIGHT if trace.spans else Strip.NOTHING
    chart = plain((Panel(trace, title, strip=strip, cap=cap),))
    _value_lines(chart, trace)
    if stuck:
        _wait_arrows(chart, trace, stuck, ring)
    return chart


def _wait_arrows(chart, trace: Trace, stuck: Sequence[Wait], ring: Sequence[int]) -> None:
    """Right of the bars: for each stuck rank an arrow to the one it waits for, and whom it waits for in words."""
    end = span_of(trace.makespan)
    chart.update_xaxes(range=[0, round(1.32 * end, 4)])
    for wait in stuck:
        heavy = wait.rank in ring and wait.peer in ring
        colour = PALETTE.cap if heavy else PALETTE.quiet
        text = f"waits for rank {wait.peer}" if wait.peer is not None else "waits for nobody"
        chart.add_annotation(x=1.13 * end, y=wait.rank, xref="x", yref="y", xanchor="left", showarrow=False,
                             text=text, font={"size": 13, "color": colour})  # fmt: skip
        if wait.peer is not None and wait.peer != wait.rank:
            x = (1.04 if wait.peer > wait.rank else 1.09) * end
            chart.add_annotation(
                x=x, y=wait.peer, ax=x, ay=wait.rank, xref="x", yref="y", axref="x", ayref="y", text="",
                showarrow=True, arrowhead=2, arrowwidth=3 if heavy else 1, arrowcolor=colour,
            )  # fmt: skip


def _value_lines(chart, trace: Trace) -> None:
    """A thin line from the end of each maker to the start of its reader on another rank."""
    xs, ys = [], []
    for source, target in Lookup(trace).crossing() if len(trace.spans) <= ARROWS else []:
        one, other = trace.spans[source], trace.spans[target]
        down = 0.3 if other.rank > one.rank else -0.3
        xs += [round(one.end - trace.start, 4), round(other.start - trace.start, 4), None]
        ys += [one.rank + down, other.rank - down, None]
    if xs:
        line = {"color": PALETTE.ink, "width": 1}
        chart.add_scatter(x=xs, y=ys, mode="lines", line=line, name="value", hoverinfo="skip")

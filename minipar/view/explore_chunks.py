"""At what price of a message does a second chunk a rank lose?

    hop ──●── 0.50   chunks ──●── 2   microbatches ──●── 8      [more: GPipe, busy sender]   [ Run for real ]
    slots ▲          ╱ two chunks       a hop is latency: the message arrives later, nobody is busy meanwhile;
          │     ╱╱╱╱── 1F1B             with a busy sender it also takes the sender's time
          └──────────────────► hop, in slots

Four ranks; F = 1 and B = 2 for a rank's whole share of a microbatch, a chunk takes its part. All lines are predicted;
only the button runs anything, and nothing here knows how: it is given a function.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from typing import NamedTuple

import ipywidgets as widgets

from minipar.plan.messages import lower
from minipar.plan.schedule import Schedule
from minipar.plan.schedules import gpipe, interleaved_1f1b, one_f_one_b
from minipar.plan.simulate import Cost, predict
from minipar.view import controls, drawing
from minipar.view.drawing import QUIET, Drawing, Shape, Text, tile
from minipar.view.explorer import Explorer, Task
from minipar.view.theme import BLACK, BLUE, GREEN, VERMILION, WHITE
from minipar.view.words import duration

RANKS, CHUNKS, MOST_HOP, MOST_MICROBATCHES = 4, (1, 2, 4), 2.0, 32
EVERY = tuple(number / 10 for number in range(21))  # where the lines are computed; between them they are straight
SHEET, LEFT, RIGHT, TOP, BOTTOM = (800, 280), 64, 640, 14, 236
NUMBERS = {1: "one chunk", 2: "two chunks", 4: "four chunks"}


@dataclasses.dataclass(frozen=True)
class ChunksState:
    """A hop in slots, chunks a rank, microbatches; whether GPipe is drawn, and whether sending takes time."""

    hop: float = 0.0
    chunks: int = 2
    microbatches: int = 8
    gpipe: bool = False
    busy: bool = False


class Line(NamedTuple):
    """One schedule at the hop looked at: slots, hops it pays one after another, messages of a step, and its curve."""

    name: str
    slots: float
    pays: int
    messages: int
    curve: tuple[float, ...]
    fill: str


class Chunks(Explorer):
    """1F1B against several chunks a rank over the price of a message. ``ex.set(hop=1, chunks=4)`` moves the controls.

    real: a function of (microbatches, chunks, hop in slots) that runs both and says in a sentence what was measured,
    with a ``stop()``; without one there is no button.
    """

    title = "Chunks"
    shown = ("hop", "chunks", "microbatches")

    def __init__(self, state: ChunksState, task=None, real=None):
        self.real, self.told, self._running, self._stopped = real, (None, ""), None, False
        self.button = widgets.Button(
            description="Run for real",
            tooltip="train one paced step of each on the workers",
            layout=widgets.Layout(width="130px", flex="0 0 auto", margin="2px 0 2px 8px"),
        )
        self.button.on_click(lambda _: self.run())
        super().__init__(state, task)

    def make_controls(self, state):
        hop = controls.number("hop", state.hop, 0, MOST_HOP, 0.01)
        hop.readout_format = ".2f"
        return {
            "hop": hop,
            "chunks": controls.steps("chunks", state.chunks, [(str(one), one) for one in CHUNKS]),
            "microbatches": controls.whole("microbatches", state.microbatches, 1, MOST_MICROBATCHES),
            "gpipe": controls.switch("GPipe too", state.gpipe),
            "busy": controls.switch("busy sender", state.busy),
        }

    def make_view(self):
        return Drawing("", SHEET, (), "")

    def _more(self, back):
        return [*super()._more(back), *([self.button] if self.real else [])]

    def compute(self, state) -> tuple[Line, ...]:
        chunks = [1] if state.chunks == 1 else [1, state.chunks]
        names = {1: "1F1B", 2: "two chunks", 4: "four chunks"}
        found = [line(names[each], each, state, (BLUE, VERMILION)[each > 1]) for each in chunks]
        return (*found, *([line("GPipe", 0, state, GREEN)] if state.gpipe else []))

    def draw(self, lines):
        self.view.show(self.heading(lines), SHEET, parts(lines, self.state), repr(self))

    def heading(self, lines) -> str:
        if self.state.chunks == 1:
            return "One chunk a rank is 1F1B"
        one, several = lines[0].slots, lines[1].slots
        name = NUMBERS[self.state.chunks].capitalize()
        if abs(one - several) < 1e-9:
            return f"At this hop {name.lower()} a rank and one are equally long"
        return f"{name} a rank: {abs(one - several):.4g} slots {'shorter' if several < one else 'longer'} than 1F1B"

    def facts(self, lines):
        return [
            ("predicted, in slots", ", ".join(f"{one.name} {one.slots:.6g}" for one in lines)),
            ("hops paid one after another", ", ".join(f"{one.name} {one.pays}" for one in lines)),
            ("messages of a step", ", ".join(f"{one.name} {one.messages}" for one in lines)),
        ]

    def sentence(self, lines):
        if self.told[0] == self.state:
            return self.told[1]
        if not self.state.hop:
            return "Messages arrive at once. Predicted; nothing was run."
        kind = "takes the sender's time as well" if self.state.busy else "is latency: nobody is busy meanwhile"
        return f"A hop of {duration(self.state.hop, 'slots')} {kind}. Predicted; nothing was run."

    def describe(self, lines):
        state = self.state
        switches = ", busy sender" if state.busy else ""
        times = ", ".join(f"{one.name} {one.slots:.6g}" for one in lines)
        *first, last = [str(one.messages) for one in lines]
        counted = f"{', '.join(first)} and {last}" if first else last
        return (
            f"hop={state.hop:g}, chunks={state.chunks}, microbatches={state.microbatches}{switches}: {times} slots, "
            f"{counted} messages"
        )

    def figure(self):
        return drawing.figure(self.heading(self.result), SHEET, self.view.parts)

    def run(self) -> Chunks:
        """Press the button: run both on the workers and return at once; pressed while they run, stop them."""
        if self._running is not None and self._running.is_alive():
            self._stopped = True
            self.real.stop()
            return self
        self._stopped = False
        self.button.description = "Stop"
        self._running = threading.Thread(target=self._really, args=(self.state,), daemon=True)
        self._running.start()
        return self

    def wait(self, timeout: float = 60) -> Chunks:
        """Wait until the run is over; for programs and tests, a person need not."""
        if self._running is not None:
            self._running.join(timeout)
        return self

    def _really(self, state: ChunksState) -> None:
        said = f"Running {NUMBERS[1]} and {NUMBERS[state.chunks]} a rank on the workers …"
        self.told = (state, said)
        self._update()
        try:
            if state.chunks == 1:
                said = "Nothing to compare: choose 2 chunks or 4."
            else:
                said = self.real(state.microbatches, state.chunks, state.hop)
            if state.busy:
                said += " A real link only adds latency here: compare without the busy sender."
        except BaseException as error:  # a click shows no exception, so whatever it is stands in the readout
            said = "Stopped." if self._stopped else str(error) or type(error).__name__
        finally:
            self.told = (state, said)
            self.button.description = "Run for real"
            self._update()


# ---- what is predicted ---------------------------------------------------------------------------------------------


def line(name: str, chunks: int, state: ChunksState, fill: str) -> Line:
    """The schedule with so many chunks a rank (0: GPipe) at this state."""
    key = chunks, state.microbatches, state.busy
    slots = time(*key, state.hop)
    pays = round((time(*key, state.hop + 1e-6) - slots) * 1e6)
    curve = tuple(time(*key, hop) for hop in EVERY)
    return Line(name, slots, pays, messages(chunks, state.microbatches), curve, fill)


@functools.cache
def made(chunks: int, microbatches: int) -> Schedule:
    """GPipe for 0 chunks, 1F1B for 1, interleaved 1F1B for more; on four ranks."""
    if chunks > 1:
        return interleaved_1f1b(RANKS, microbatches, chunks=chunks)
    return one_f_one_b(RANKS, microbatches) if chunks else gpipe(RANKS, microbatches)


@functools.cache
def messages(chunks: int, microbatches: int) -> int:
    """Messages of one step, counted where they are written into the programs."""
    return lower(made(chunks, microbatches)).messages


@functools.lru_cache(4096)
def time(chunks: int, microbatches: int, busy: bool, hop: float) -> float:
    """Slots of one step. A busy sender spends the hop itself, right after each action whose result leaves the rank."""
    schedule, part = made(chunks, microbatches), 1 / max(chunks, 1)
    if not busy:
        return predict(schedule, Cost(F=part, B=2 * part, hop=hop)).makespan
    stages = range(schedule.stages)
    forward = [part + hop * (stage < stages[-1]) for stage in stages]
    backward = [2 * part + hop * (stage > 0) for stage in stages]
    return predict(schedule, Cost(F=forward, B=backward)).makespan


def loses(chunks: int, microbatches: int, busy: bool, hop: float, against: int = 1) -> bool:
    """Whether so many chunks a rank are no shorter than `against` (0: GPipe) at this hop."""
    return time(chunks, microbatches, busy, hop) >= time(against, microbatches, busy, hop) - 1e-9


# ---- what is drawn -------------------------------------------------------------------------------------------------


def parts(lines: tuple[Line, ...], state: ChunksState) -> list[Shape | Text]:
    """Axes, a band for each schedule with its name at its end, and the hop looked at with a dot on each."""
    low = 10 * int(min(min(one.curve) for one in lines) * 0.9 / 10)
    high = max(max(one.curve) for one in lines) * 1.02

    def x(hop):
        return LEFT + hop / MOST_HOP * (RIGHT - LEFT)

    def y(slots):
        return BOTTOM - (slots - low) / (high - low) * (BOTTOM - TOP)

    found: list[Shape | Text] = [*axes(low, high, x, y)]
    for one in lines:
        points = [(x(hop), y(slots)) for hop, slots in zip(EVERY, one.curve, strict=True)]
        band = [(px, py - 1.6) for px, py in points] + [(px, py + 1.6) for px, py in reversed(points)]
        found.append(Shape(tuple(band), one.fill, edge=one.fill, tip=one.name))
    ends = apart([y(one.curve[-1]) for one in lines], 18)
    for one, end in zip(lines, ends, strict=True):
        found.append(Text(RIGHT + 12, end, one.name, 14, anchor="start", bold=True))
    found.append(tile(x(state.hop) - 0.75, TOP, 1.5, BOTTOM - TOP, QUIET, edge=""))
    found += marks(lines, x(state.hop), y)
    return found


def marks(lines, at: float, y) -> list[Shape | Text]:
    """A dot on each line and its slots in a tile of its colour, to the side where there is room."""
    right = at < (LEFT + RIGHT) / 2
    found = []
    for one, label in zip(lines, apart([y(one.slots) for one in lines], 20), strict=True):
        found.append(tile(at - 4, y(one.slots) - 4, 8, 8, one.fill))
        words = f"{one.slots:.4g}"
        left = at + 12 if right else at - 12 - 44
        ink = WHITE if one.fill == BLUE else BLACK
        found += [tile(left, label - 9, 44, 18, one.fill), Text(left + 22, label, words, 12, ink)]
    return found


def axes(low: float, high: float, x, y) -> list[Shape | Text]:
    """Ticks in round numbers, and what the axes say."""
    step = next(step for step in (5, 10, 20, 50, 100) if (high - low) / step <= 7)
    found = [tile(LEFT, BOTTOM, RIGHT - LEFT, 1, QUIET, edge=""), tile(LEFT, TOP, 1, BOTTOM - TOP, QUIET, edge="")]
    for slots in range(-(-low // step) * step, int(high) + 1, step):
        found.append(tile(LEFT - 5, y(slots), 5, 1, QUIET, edge=""))
        found.append(Text(LEFT - 10, y(slots), str(slots), 12, anchor="end"))
    for half in range(5):
        at = half / 2
        found += [tile(x(at), BOTTOM, 1, 5, QUIET, edge=""), Text(x(at), BOTTOM + 15, f"{at:g}", 12)]
    found.append(Text((LEFT + RIGHT) / 2, BOTTOM + 34, "hop: how much later a message arrives, in slots", 13))
    found.append(Text(LEFT + 10, TOP + 4, f"slots of a step (the axis begins at {low})", 12, QUIET, "start"))
    return found


def apart(places: list[float], least: float) -> list[float]:
    """The same places, in the same order of height, moved so that none lie closer than `least`."""
    moved, order = list(places), sorted(range(len(places)), key=lambda at: places[at])
    for before, after in zip(order, order[1:], strict=False):
        moved[after] = max(moved[after], moved[before] + least)
    over = max(0.0, moved[order[-1]] - (BOTTOM - 8))
    return [place - over for place in moved]


# ---- the words of a cell -------------------------------------------------------------------------------------------


def where_it_loses(chunks: int = 2, microbatches: int = 8) -> Task:
    """The task "at what hop does V = 2 lose?", met at the first hundredth of a slot at which it is no shorter."""

    def met(explorer: Chunks) -> bool:
        state = explorer.state
        key = chunks, microbatches, state.busy
        if (state.chunks, state.microbatches) != key[:2] or state.busy or not state.hop:
            return False
        return loses(*key, state.hop) and not loses(*key, state.hop - 0.01)

    return Task(
        f"At what hop do {NUMBERS[chunks]} a rank lose to 1F1B, at M = {microbatches}? Read it off to two places.", met
    )


def chunks(hop: float = 0.0, chunks: int = 2, microbatches: int = 8, task=None, real=None) -> Chunks:
    """An explorer of what a second chunk a rank wins, and from which hop it loses; four ranks.

    hop: in slots. chunks: 1, 2 or 4 a rank. real: (microbatches, chunks, hop) -> sentence, behind a button.
    """
    if chunks not in CHUNKS:
        raise ValueError(f"chunks is one of {', '.join(map(str, CHUNKS))}, not {chunks!r}.")
    return Chunks(ChunksState(float(hop), chunks, microbatches), task, real)

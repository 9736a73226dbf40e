"""What decides the time of a message: its wait, or its bytes?

    time ▲                     ╱        one message of n bytes takes alpha + n × beta
         │ ─────────────●────╱          the flat end is the wait, the slope is the bytes
         └──────────────────────► size  log-log; dots are the least times measured, whiskers go up to the longest

    message size ──●──   alpha ──●── 70 µs   beta ──●── 0.36 ns a byte      more: P

Three lines: one message, and (for P ranks) an all-reduce by a ring and by a tree. Nothing is run.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import anywidget
import plotly.graph_objects as go
import traitlets

from minipar.cost import comm
from minipar.cost.machine import TYPICAL, Link, Machine, Point
from minipar.view import controls
from minipar.view.curves import layout
from minipar.view.elements import script
from minipar.view.explore_ping import seconds
from minipar.view.explorer import Explorer, Task
from minipar.view.theme import BLUE, GREEN, PALETTE, PURPLE
from minipar.view.words import amount

SIZES = tuple(sorted({round(4 * 2 ** (quarter / 4)) for quarter in range(89)}))  # 4 B to 16.8 MB
LEAST_WAIT, LEAST_BYTE = 1e-7, 1e-13  # seconds: on a logarithmic axis there is no 0
ACROSS = tuple((float(size), amount(size).replace(".0 ", " ")) for size in (4, 40, 400, 4e3, 4e4, 4e5, 4e6, 4e7))
TWICE = (0.9, 1.1)  # bytes' time over the wait: near enough for a slider


class Curve(anywidget.AnyWidget):
    """Lines and points on two axes in powers of ten, and one marker that says which size is looked at."""

    _esm = script("message.js")
    _css = Path(__file__).parent / "message.css"

    name = traitlets.Unicode("").tag(sync=True)
    lines = traitlets.List().tag(sync=True)
    points = traitlets.List().tag(sync=True)
    marker = traitlets.Dict().tag(sync=True)
    across = traitlets.List().tag(sync=True)
    up = traitlets.List().tag(sync=True)


@dataclasses.dataclass(frozen=True)
class MessageState:
    """A message's bytes, the wait in seconds, seconds a byte, and ranks for the all-reduces."""

    size: int = 1024
    alpha: float = TYPICAL.link.alpha
    beta: float = TYPICAL.link.beta
    ranks: int = 4


class Times(NamedTuple):
    """At the size looked at: seconds of the wait, of the bytes, and of the two all-reduces."""

    wait: float
    bytes: float
    ring: float
    tree: float


WAYS = ("ring", "tree")


class Message(Explorer):
    """The time of one message against its size, with the learner's points where there are some."""

    title = "Message"
    shown = ("size", "alpha", "beta")

    def __init__(self, points: tuple[Point, ...], state: MessageState, task=None):
        self.points = points
        super().__init__(state, task)

    def make_controls(self, state):
        sizes = [(amount(size).replace(".0 ", " "), size) for size in sorted({*SIZES, state.size})]
        return {
            "size": controls.steps("message size", state.size, sizes),
            "alpha": controls.steps("alpha", state.alpha, [(seconds(one), one) for one in around(state.alpha)]),
            "beta": controls.steps("beta", state.beta, [(a_byte(one), one) for one in around(state.beta)]),
            "ranks": controls.choice("ranks P", state.ranks, [(str(p), p) for p in (2, 4, 8, 16, 32, 64)]),
        }

    def make_view(self):
        up = [[10.0**power, seconds(10.0**power)] for power in range(-6, 0)]
        return Curve(across=[list(tick) for tick in ACROSS], up=up)

    def compute(self, state) -> Times:
        return Times(state.alpha, state.size * state.beta, *(all_reduce(state, way, state.size) for way in WAYS))

    def lines(self) -> list[dict]:
        """The three lines as points in order of size."""
        state, at = self.state, SIZES
        found = {
            "one message": (PURPLE, "", lambda size: state.alpha + size * state.beta),
            f"ring, P = {state.ranks}": (BLUE, "7 4", lambda size: all_reduce(state, "ring", size)),
            f"tree, P = {state.ranks}": (GREEN, "2 4", lambda size: all_reduce(state, "tree", size)),
        }
        return [
            {"name": name, "colour": colour, "dash": dash, "xy": [[size, time(size)] for size in at]}
            for name, (colour, dash, time) in found.items()
        ]

    def draw(self, result):
        with self.view.hold_sync():
            self.view.name = f"time against size. {self.sentence(result)}"
            self.view.lines = self.lines()
            self.view.points = [
                {"x": point.bytes, "y": point.least, "top": point.longest, "text": told(point)}
                for point in self.points
            ]
            self.view.marker = {"x": self.state.size, "y": result.wait + result.bytes}

    def facts(self, result):
        return [
            ("one message", seconds(result.wait + result.bytes)),
            ("of it the wait", seconds(result.wait)),
            ("of it the bytes", seconds(result.bytes)),
            ("1 / beta", f"{amount(1 / self.state.beta)}/s"),
            (f"all-reduce, ring, P = {self.state.ranks}", seconds(result.ring)),
            (f"all-reduce, tree, P = {self.state.ranks}", seconds(result.tree)),
        ]

    def sentence(self, result):
        moved = [self._moved_end(name) for name in ("alpha", "beta")]
        if any(moved):
            return " ".join(filter(None, moved))
        ratio = result.bytes / result.wait
        if TWICE[0] <= ratio <= TWICE[1]:
            here = f"alpha / beta = {self.state.alpha / self.state.beta:,.0f} B"
            return f"Here the bytes cost as much as the wait, the message twice its wait: {here}."
        more = "The wait decides: the curve is flat" if ratio < 1 else "The bytes decide: the curve climbs"
        return f"{more}. The bytes cost {ratio:.2g} times the wait."

    def _moved_end(self, name: str) -> str:
        now, before = getattr(self.state, name), getattr(self.initial, name)
        if now == before:
            return ""
        end, other = ("left", "right") if name == "alpha" else ("right", "left")
        return f"{name} is {now / before:.3g} of what it was: the {end} end moved, the {other} end stayed."

    def describe(self, result):
        state = self.state
        share = result.bytes / result.wait
        many = f"{len(self.points)} points" if self.points else "no points yet"
        return f"{amount(state.size)}, P={state.ranks}, bytes cost {share:.2g} times the wait, {many}"

    def figure(self):
        chart = go.Figure()
        dashes = {"": "solid", "7 4": "dash", "2 4": "dot"}
        for line in self.lines():
            look = {"color": line["colour"], "dash": dashes[line["dash"]], "width": 2}
            x, y = zip(*line["xy"][::4], strict=True)
            chart.add_trace(go.Scatter(x=x, y=y, name=line["name"], mode="lines", line=look))
        if self.points:
            spread = [point.longest - point.least for point in self.points]
            name = "measured: the least, up to the longest"
            chart.add_trace(
                go.Scatter(
                    x=[point.bytes for point in self.points], y=[point.least for point in self.points],
                    mode="markers", name=name, marker={"color": "#000", "size": 8},
                    error_y={"array": spread, "arrayminus": [0] * len(spread), "color": PALETTE.quiet},
                )
            )  # fmt: skip
        chart.update_layout(**layout("A small message costs its wait, a large one its bytes", "bytes", "time", False))
        chart.update_layout(height=420, margin={"t": 90})
        chart.update_xaxes(type="log", tickvals=[x for x, _ in ACROSS], ticktext=[text for _, text in ACROSS])
        ticks = [10.0**power for power in range(-6, 0)]
        return chart.update_yaxes(type="log", rangemode="normal", tickvals=ticks, ticktext=list(map(seconds, ticks)))


def all_reduce(state: MessageState, way: str, size: int) -> float:
    """Seconds of an all-reduce over P ranks, by alpha and beta."""
    return comm.seconds("all_reduce", way, state.ranks, size, Link(state.alpha, state.beta))


def around(value: float) -> list[float]:
    """A value with 16 steps below and above; two steps halve or double it exactly."""
    return [value * 2.0 ** (step // 2) * (2**0.5 if step % 2 else 1) for step in range(-16, 17)]


def a_byte(time: float) -> str:
    """Seconds a byte in words: 0.36 ns/B."""
    return f"{time * 1e9:.3g} ns/B"


def told(point: Point) -> str:
    """A point in words."""
    times = [seconds(time) for time in (point.least, point.middle, point.longest)]
    return f"{amount(point.bytes)}: {times[0]} at best, half of {point.repeats} under {times[1]}, all under {times[2]}"


def twice_its_wait() -> tuple[Task, ...]:
    """Find the size whose bytes cost as much as the wait; then halve alpha, then beta."""
    return (
        Task("Where does a message cost twice its wait? Move the message size until it does.", _twice),
        Task("Halve alpha: which end of the curve moves?", lambda ex: _halved(ex, "alpha", "beta")),
        Task("Put alpha back and halve beta: which end now?", lambda ex: _halved(ex, "beta", "alpha")),
    )


def _twice(explorer: Message) -> bool:
    return TWICE[0] <= explorer.result.bytes / explorer.result.wait <= TWICE[1]


def _halved(explorer: Message, one: str, other: str) -> bool:
    now, before = explorer.state, explorer.initial
    return getattr(now, one) <= 0.5001 * getattr(before, one) and getattr(now, other) == getattr(before, other)


def message(machine: Machine = TYPICAL, ranks: int = 4, task=None) -> Message:
    """An explorer of the time of one message.

    machine: what `minipar.calibrate(pool)` found: its points are drawn, its alpha and beta are where the sliders start.
    Without one, 70 µs and 2.8 GB/s, as measured once between two processes. ranks: 2, 4, 8, 16, 32 or 64.
    """
    link = machine.link
    state = MessageState(alpha=max(link.alpha, LEAST_WAIT), beta=max(link.beta, LEAST_BYTE), ranks=ranks)
    return Message(machine.of("send", 2), state, task)

"""What does a message cost here?

    from [rank 0 ▾]   to [rank 1 ▾]   size ──●── 4 kB   [ Ping ]
    time ▲                    ●
         │  ●    ●   ●  ●              one point a ping; both axes in powers of ten
         └────────────────────► size

The one explorer that runs something: the button starts it on the workers, the notebook stays free, and the point
appears when the message is home.
"""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import NamedTuple

import anywidget
import ipywidgets as widgets
import plotly.graph_objects as go
import traitlets

from minipar.view import controls
from minipar.view.curves import layout
from minipar.view.elements import script
from minipar.view.explorer import Explorer
from minipar.view.theme import PURPLE
from minipar.view.words import amount, count

SIZES = (4, 40, 400, 4_000, 40_000, 400_000, 4_000_000)
ROUND_TRIPS = 5


class Dots(anywidget.AnyWidget):
    """Points on two axes in powers of ten. A point is {"x", "y", "text"}; the last one is drawn larger."""

    _esm = script("dots.js")
    _css = Path(__file__).parent / "explorer.css"

    name = traitlets.Unicode("points").tag(sync=True)
    points = traitlets.List().tag(sync=True)
    fill = traitlets.Unicode(PURPLE).tag(sync=True)
    across = traitlets.List().tag(sync=True)
    up = traitlets.List().tag(sync=True)


@dataclasses.dataclass(frozen=True)
class PingState:
    """Who sends, who receives, how many bytes."""

    source: int = 0
    target: int = 1
    size: int = 4_000


class Pong(NamedTuple):
    """A message that came home: sender, receiver, bytes, seconds one way."""

    source: int
    target: int
    size: int
    seconds: float


class Ping(Explorer):
    """Messages between two ranks of a pool, one point each. ``ex.ping()`` presses the button, ``ex.wait()`` waits."""

    title = "Ping"
    shown = ("source", "target", "size")

    def __init__(self, pool, state: PingState, ranks: int, task=None):
        self.pool, self.ranks = pool, ranks
        self.pongs: list[Pong] = []
        self.button = widgets.Button(
            description="Ping",
            button_style="primary",
            tooltip="send one message there and back",
            layout=controls.narrow(),
        )
        self.button.on_click(lambda _: self.ping())
        self._waiting: threading.Thread | None = None
        super().__init__(state, task)

    def make_controls(self, state):
        ranks = [(f"rank {rank}", rank) for rank in range(self.ranks)]
        return {
            "source": controls.choice("from", state.source, ranks),
            "target": controls.choice("to", state.target, ranks),
            "size": controls.steps("size", state.size, [(amount(size), size) for size in sorted({*SIZES, state.size})]),
        }

    def make_view(self):
        across = [[float(size), amount(size).replace(".0 ", " ")] for size in SIZES]
        up = [[10.0**power, seconds(10.0**power)] for power in range(-5, 1)]
        return Dots(name="time of one message against its size", across=across, up=up)

    def _more(self, back):
        return [self.button]

    def limits(self, state):
        """A rank does not send to itself: the receiver steps aside."""
        if state.source == state.target:
            state = dataclasses.replace(state, target=(state.source + 1) % self.ranks)
            self.controls["target"].value = state.target
        return state

    def compute(self, state) -> tuple[Pong, ...]:
        return tuple(self.pongs)

    def draw(self, pongs):
        self.view.points = [{"x": pong.size, "y": pong.seconds, "text": told(pong)} for pong in pongs]

    def facts(self, pongs):
        if not pongs:
            return []
        last = pongs[-1]
        return [
            ("time of the last message", seconds(last.seconds)),
            ("its size", amount(last.size)),
            ("bytes per second", f"{amount(last.size / last.seconds)}/s"),
            ("messages timed so far", len(pongs)),
        ]

    def sentence(self, pongs):
        return (
            f"Half of the shortest of {ROUND_TRIPS} round trips."
            if pongs
            else "Press Ping to send one message there and back."
        )

    def describe(self, pongs):
        state = self.state
        sent = count(len(pongs), "message") + " timed" if pongs else "none sent yet"
        return f"rank {state.source} to rank {state.target}, {amount(state.size)}, {sent}"

    def figure(self):
        chart = go.Figure(
            go.Scatter(
                x=[pong.size for pong in self.pongs],
                y=[pong.seconds for pong in self.pongs],
                mode="markers",
                marker={"color": PURPLE, "size": 10},
                text=[told(pong) for pong in self.pongs],
                hoverinfo="text",
            )
        )
        chart.update_layout(**layout("Time of one message against its size", "bytes", "seconds", False))
        chart.update_xaxes(type="log", range=[0.3, 7])
        return chart.update_yaxes(type="log", range=[-5, -1])

    def ping(self) -> Ping:
        """Start one ping on the workers and return at once. A pool that is busy or closed says so in the readout."""
        state = self.state
        try:
            run = self.pool.ping(state.source, state.target, state.size, ROUND_TRIPS)
        except Exception as error:  # a click shows no exception, so whatever it is stands in the readout
            self._tell([], "", str(error))
            return self
        self.button.disabled, self.button.description = True, "on its way"
        self._waiting = threading.Thread(target=self._collect, args=(run, state), daemon=True)
        self._waiting.start()
        return self

    def wait(self, timeout: float = 60) -> Ping:
        """Wait until the last ping is home; for programs and tests, a person need not."""
        if self._waiting is not None:
            self._waiting.join(timeout)
        return self

    def _collect(self, run, state: PingState) -> None:
        try:
            self.pongs.append(Pong(state.source, state.target, state.size, run.result()[state.source]))
            self._update()
        except Exception as error:
            self._tell([], "", str(error))
        finally:
            self.button.disabled, self.button.description = False, "Ping"


def told(pong: Pong) -> str:
    """A point in words."""
    return f"{amount(pong.size)} from rank {pong.source} to rank {pong.target}: {seconds(pong.seconds)}"


def seconds(time: float) -> str:
    """A short time in words: 95 µs, 1.2 ms, 0.2 s."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if time * factor >= 0.9995 or unit == "µs":
            return f"{time * factor:.3g} {unit}"
    return ""


def ping(pool, source: int = 0, target: int = 1, size: int = 4_000, task=None) -> Ping:
    """An explorer of messages between two ranks of `pool`. ValueError where the pool has no two ranks."""
    ranks = pool.size
    if ranks < 2:
        raise ValueError("A message needs two ranks: this pool has one.")
    return Ping(pool, PingState(source, target, size), ranks, task)

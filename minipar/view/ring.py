"""How does a sum go round a ring, and how busy is each rank with it?

    step ──●── 2 of 6                    lap one adds, lap two hands the finished pieces round
    rank 0 [0  ] [1  ] [2·3·0] [3·0]──►  each rank's tensor in P pieces; a piece fills up as numbers are added
       ▲                                 and has a heavy edge once all ranks are in it
    matrices({...})                      rank × rank tables of bytes on one colour scale, row sums at the edge

The steps are those of `minipar.run.collectives.ring_all_reduce`: in step s of lap one rank r sends piece r−s, in lap
two piece r+1−s.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import anywidget
import plotly.graph_objects as go
import traitlets
from plotly.subplots import make_subplots

from minipar.view import controls
from minipar.view.elements import script
from minipar.view.explorer import Explorer
from minipar.view.theme import BLACK, GREEN, GREY, ORANGE, PALE, PALETTE, PURPLE, SKY, VERMILION, YELLOW
from minipar.view.words import amount

PIECES = (ORANGE, SKY, GREEN, PURPLE, YELLOW, VERMILION, GREY, PALE)  # all of them carry black letters
MOST_RANKS = len(PIECES)
CELLS = {"texttemplate": "%{text}", "textfont": {"color": BLACK}, "showscale": False, "xgap": 2, "ygap": 2}


class Move(NamedTuple):
    """A piece that goes to the next rank, which adds it to its own or puts it in its place."""

    source: int
    target: int
    piece: int
    adds: bool


def moves(ranks: int) -> tuple[tuple[Move, ...], ...]:
    """What every rank sends, step by step: P − 1 steps that add, P − 1 that replace."""
    laps = [(step, adds) for adds in (True, False) for step in range(ranks - 1)]
    return tuple(
        tuple(Move(r, (r + 1) % ranks, (r + (0 if adds else 1) - step) % ranks, adds) for r in range(ranks))
        for step, adds in laps
    )


def holdings(ranks: int) -> tuple[tuple[tuple[tuple[int, ...], ...], ...], ...]:
    """[step][rank][piece]: whose numbers are summed in it, in the order in which they came; step 0 is the start."""
    now = [[(rank,) for _ in range(ranks)] for rank in range(ranks)]
    seen = [now]
    for step in moves(ranks):
        after = [list(pieces) for pieces in now]
        for move in step:
            sent = now[move.source][move.piece]
            after[move.target][move.piece] = (*sent, move.target) if move.adds else sent
        now = after
        seen.append(now)
    return tuple(tuple(tuple(pieces) for pieces in one) for one in seen)


class RingView(anywidget.AnyWidget):
    """Ranks in a circle, each with its pieces; arrows with the piece that travels."""

    _esm = script("ring.js")
    _css = Path(__file__).parent / "ring.css"

    name = traitlets.Unicode("").tag(sync=True)
    boxes = traitlets.List().tag(sync=True)
    arrows = traitlets.List().tag(sync=True)
    words = traitlets.List().tag(sync=True)


@dataclasses.dataclass(frozen=True)
class RingState:
    """Which step is shown: 0 is the start, then 2(P − 1) steps."""

    step: int = 1


class Ring(Explorer):
    """An all-reduce round a ring, one step at a time."""

    title = "Ring"
    shown = ("step",)

    def __init__(self, ranks: int, state: RingState, task=None):
        self.ranks, self.moves, self.holdings = ranks, moves(ranks), holdings(ranks)
        super().__init__(state, task)

    def make_controls(self, state):
        return {"step": controls.whole("step", state.step, 0, len(self.moves))}

    def make_view(self):
        return RingView()

    def compute(self, state):
        return self.holdings[state.step]

    def draw(self, result):
        step = self.state.step
        now = self.moves[step - 1] if step else ()
        fresh = {(move.target, move.piece) for move in now}
        first = now[0] if now else None
        with self.view.hold_sync():
            self.view.name = f"{self._lap()}. {self.sentence(result)}"
            self.view.words = [f"step {step} of {len(self.moves)}" if step else "before the first step", self._lap()]
            self.view.boxes = [
                {
                    "name": f"rank {rank}", "x": x, "y": y,
                    "tiles": [self._tile(piece, inside, (rank, piece) in fresh) for piece, inside in enumerate(pieces)],
                    "callout": self._callout(first) if first and rank == first.target else "",
                    "at": first.piece if first else 0,
                }
                for (rank, pieces), (x, y) in zip(enumerate(result), places(self.ranks), strict=True)
            ]  # fmt: skip
            self.view.arrows = [
                {"from": move.source, "to": move.target, "text": f"piece {move.piece}", "fill": PIECES[move.piece]}
                for move in now
            ]

    def _tile(self, piece: int, inside: Sequence[int], fresh: bool) -> dict:
        whole = len(inside) == self.ranks
        text = "sum" if whole else "+".join(map(str, inside))
        return {"text": text, "share": len(inside) / self.ranks, "fill": PIECES[piece], "done": whole, "fresh": fresh}

    def _callout(self, first: Move) -> str:
        if self.state.step < self.ranks - 1:
            return "sum grows"
        return "finished piece" if self.state.step == self.ranks - 1 else "replaced"

    def _lap(self) -> str:
        step = self.state.step
        return "each rank's own numbers" if not step else "lap one: add" if step < self.ranks else "lap two: hand round"

    def facts(self, result):
        finished = sum(len(inside) == self.ranks for pieces in result for inside in pieces)
        return [
            ("messages so far, each rank", str(self.state.step)),
            ("links busy in this step", f"{self.ranks if self.state.step else 0} of {self.ranks}"),
            ("finished pieces", f"{finished} of {self.ranks**2}"),
        ]

    def sentence(self, result):
        if not self.state.step:
            return "A tile shows whose numbers are in it: now each rank's own. Move the step."
        move = self.moves[self.state.step - 1][0]
        does = "adds its own to it" if move.adds else "puts it in its place"
        return f"Rank 0 sends piece {move.piece} to rank {move.target}, which {does}; the others do the same at once."

    def describe(self, result):
        finished = sum(len(inside) == self.ranks for pieces in result for inside in pieces)
        return f"ranks={self.ranks}, step {self.state.step} of {len(self.moves)}, {finished} finished pieces"

    def figure(self):
        """All moments side by side: rows are ranks, columns pieces, the number says how many ranks are summed."""
        names = ["start", *(f"step {at}" for at in range(1, len(self.holdings)))]
        chart = make_subplots(
            cols=len(self.holdings), shared_yaxes=True, horizontal_spacing=0.012, subplot_titles=names
        )
        for at, moment in enumerate(self.holdings, start=1):
            counts = [[len(inside) for inside in pieces] for pieces in moment]
            words = [["sum" if count == self.ranks else str(count) for count in row] for row in counts]
            chart.add_trace(
                go.Heatmap(z=counts, text=words, zmin=0, zmax=self.ranks, colorscale=[[0, PALETTE.paper], [1, GREEN]],
                           x=list(map(str, range(self.ranks))), y=[f"rank {rank}" for rank in range(self.ranks)],
                           hoverinfo="skip", **CELLS), 1, at)  # fmt: skip
        title = "How many ranks are in each piece: lap one adds, lap two hands round"
        return chart.update_layout(**looks(title, 300)).update_yaxes(autorange="reversed")


def places(ranks: int) -> list[tuple[float, float]]:
    """Where each rank stands, clockwise, in a square from −1 to 1; four of them in the corners."""
    start = -0.75 * math.pi if ranks == 4 else -0.5 * math.pi
    round_ = [start + 2 * math.pi * rank / ranks for rank in range(ranks)]
    found = [(math.cos(angle), math.sin(angle)) for angle in round_]
    wide, high = (max(abs(place[axis]) for place in found) for axis in (0, 1))
    return [(x / wide if wide > 1e-9 else 0.0, y / high) for x, y in found]


def ring(ranks: int = 4, step: int = 1, task=None) -> Ring:
    """The ring all-reduce of `ranks` ranks (2 to 8), to be stepped through. ValueError for other numbers."""
    if not 2 <= ranks <= MOST_RANKS:
        raise ValueError(f"The ring is drawn for 2 to {MOST_RANKS} ranks, not for {ranks}.")
    return Ring(ranks, RingState(step), task)


# -- who sends how much to whom ----------------------------------------------------------------------------------


def matrices(tables: Mapping[str, Sequence[Sequence[int]]], title: str) -> go.Figure:
    """Tables of bytes, [source][target], side by side on one colour scale; beside each row what that rank sends in all.

    The row that is longest of all gets a callout where it stands alone.
    """
    most = max(max(map(max, table)) for table in tables.values()) or 1
    names = [f"{name}<br>{short(sum(map(sum, table)))} in all" for name, table in tables.items()]
    chart = make_subplots(cols=len(tables), horizontal_spacing=0.1, subplot_titles=names)
    busiest = {name: max(sum(row) for row in table) for name, table in tables.items()}
    for at, (name, table) in enumerate(tables.items(), start=1):
        ranks = len(table)
        words = [[short(size) if size else "" for size in row] for row in table]
        chart.add_trace(
            go.Heatmap(z=[list(row) for row in table], text=words, zmin=0, zmax=most, x=list(range(ranks)),
                       y=list(range(ranks)), colorscale=[[0, "#F2F2F2"], [1, PURPLE]],
                       hovertemplate="rank %{y} to %{x}: %{z:,} B<extra></extra>", **CELLS), 1, at)  # fmt: skip
        for rank, row in enumerate(table):
            alone = sum(row) == busiest[name] and sum(sum(other) == sum(row) for other in table) == 1
            said = f"<b>{short(sum(row))}</b>" if alone else short(sum(row))
            chart.add_annotation(text=said, x=ranks - 0.42, y=rank, xanchor="left", showarrow=False, row=1, col=at)
            if alone:
                chart.add_annotation(text=f"rank {rank}'s row: {short(sum(row))}", x=ranks / 2, y=rank + 0.35,
                                     ax=0, ay=34, arrowhead=2, showarrow=True, row=1, col=at, bgcolor=PALETTE.paper,
                                     bordercolor=PALETTE.quiet, borderpad=3)  # fmt: skip
        chart.add_annotation(text="sent", x=ranks - 0.42, y=-0.72, xanchor="left", showarrow=False, row=1, col=at)
    chart.update_layout(**looks(title, 350))
    ticks = {"tickvals": list(range(ranks)), "showgrid": False}
    chart.update_xaxes(title={"text": "to rank", "standoff": 4}, range=[-0.5, ranks + 0.35], **ticks)
    return chart.update_yaxes(title={"text": "from rank", "standoff": 4}, range=[ranks - 0.5, -0.95], **ticks)


def short(size: int) -> str:
    """4,000,000 as "4 MB"."""
    return amount(size).replace(".0 ", " ")


def looks(title: str, height: int) -> dict:
    """The layout that these tables share."""
    return {
        "template": {},
        "title": {"text": title, "font": {"size": 17}, "y": 0.95},
        "font": {"family": PALETTE.font, "color": PALETTE.ink, "size": 13},
        "paper_bgcolor": PALETTE.paper,
        "plot_bgcolor": PALETTE.paper,
        "height": height,
        "margin": {"l": 60, "r": 20, "t": 96, "b": 48},
    }

"""How much is held, and does it fit?

    at the start  ████ 1.2 MB │████ 1.2 MB│████████ 2.5 MB│██████████ 3.1 MB      8.0 MB
    now           ████        │████       │████████       │█████  ┊               6.4 MB   fits
                                                                  ┊ cap 7.0 MB

Rows of stacked parts against one or more lines. `Bars` is the live form (plain HTML, so its text is text), `figure` the
plain one; both take the same rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import anywidget
import plotly.graph_objects as go
import traitlets

from minipar.view.elements import script
from minipar.view.theme import PALETTE, darker


class Part(NamedTuple):
    """One piece of a bar: what it is, how much, the text in it, its colours."""

    name: str
    value: float
    text: str
    fill: str
    ink: str


class Row(NamedTuple):
    """One bar: its label, parts from left to right, what is said at its end.

    faded: a reminder, drawn thinner. over: the note in bold. hint: said when one points at the
    bar, and to a screen reader.
    """

    label: str
    parts: tuple[Part, ...]
    note: str = ""
    faded: bool = False
    over: bool = False
    hint: str = ""


#: An empty row between two groups of rows.
GAP = Row("", ())


class Line(NamedTuple):
    """A line across all bars: a cap, or a need."""

    value: float
    text: str


class Bars(anywidget.AnyWidget):
    """The live form. `legend` says which part names are explained above the bars."""

    _esm = script("bars.js")
    _css = Path(__file__).parent / "explorer.css"

    name = traitlets.Unicode("bars").tag(sync=True)
    rows = traitlets.List().tag(sync=True)
    lines = traitlets.List().tag(sync=True)
    legend = traitlets.List().tag(sync=True)
    scale = traitlets.Float(1.0).tag(sync=True)

    def show(self, rows: list[Row], lines: list[Line] = (), scale: float | None = None, legend: bool = True) -> None:
        """Draw these rows; `scale` is the value at the right edge (default: a little more than the largest)."""
        with self.hold_sync():
            self.scale = float(scale or reach(rows, lines))
            self.lines = [line._asdict() for line in lines]
            self.legend = [list(entry) for entry in names(rows)] if legend else []
            self.rows = [{**row._asdict(), "parts": [part._asdict() for part in row.parts]} for row in rows]


def total(row: Row) -> float:
    """The length of a bar."""
    return sum(part.value for part in row.parts)


def reach(rows, lines) -> float:
    """A right edge that leaves room for the longest bar and the furthest line."""
    return 1.06 * max([total(row) for row in rows] + [line.value for line in lines] + [1e-12])


def names(rows) -> list[tuple[str, str]]:
    """(name, fill) of every kind of part, in order of appearance."""
    return list({part.name: part.fill for row in rows for part in row.parts if part.name}.items())


def figure(title: str, rows: list[Row], lines: list[Line] = (), scale: float | None = None) -> go.Figure:
    """The same rows as a plotly figure, for a saved notebook."""
    rows = [row for row in rows if row != GAP]
    chart = go.Figure()
    shown = set()
    for at in range(max((len(row.parts) for row in rows), default=0)):
        for row in rows:
            if at < len(row.parts):
                chart.add_trace(_piece(row, row.parts[at], shown))
    right = scale or reach(rows, lines)
    for line in lines:
        if line.value <= right:
            chart.add_vline(x=line.value, line={"color": PALETTE.cap, "dash": "dash", "width": 2})
            chart.add_annotation(
                x=line.value,
                y=1.0,
                yref="paper",
                yanchor="bottom",
                text=line.text,
                showarrow=False,
                font={"color": PALETTE.cap},
            )
    for row in rows:
        chart.add_annotation(x=1, xref="paper", y=row.label, text=row.note, showarrow=False, xanchor="left", xshift=8)
    chart.update_layout(
        title={"text": title},
        barmode="stack",
        height=150 + 34 * len(rows),
        margin={"l": 150, "r": 190, "t": 80, "b": 30},
        xaxis={"range": [0, right], "visible": False},
        yaxis={"autorange": "reversed", "type": "category", "ticksuffix": "  "},
        font={"family": PALETTE.font, "color": PALETTE.ink, "size": 13},
        paper_bgcolor=PALETTE.paper,
        plot_bgcolor=PALETTE.paper,
        legend={"orientation": "h", "y": -0.05, "traceorder": "normal"},
    )
    return chart


def _piece(row: Row, part: Part, shown: set) -> go.Bar:
    first = bool(part.name) and part.name not in shown
    shown.add(part.name)
    return go.Bar(
        y=[row.label],
        x=[part.value],
        orientation="h",
        name=part.name,
        legendgroup=part.name,
        showlegend=first,
        text=[part.text],
        textposition="inside",
        insidetextanchor="middle",
        hoverinfo="name+text",
        opacity=0.45 if row.faded else 1,
        marker={"color": part.fill, "line": {"color": darker(part.fill), "width": 1}},
        textfont={"color": part.ink},
    )

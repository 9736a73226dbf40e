"""How does a number move when another one grows?

    idle ▲
         │╲  P = 16
         │ ╲╲___ P = 8
         └──────────► M

Plain plotly figures: lines with a point at every value that was computed, and hover that reads it out. `idle_sweep` and
`peak_sweep` ask the simulator; nothing is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from minipar.plan.schedules import SIMPLE
from minipar.plan.simulate import Cost, predict
from minipar.view.theme import BLUE, GREEN, ORANGE, PALETTE, PURPLE, VERMILION

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")


def curves(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    title: str,
    across: str,
    up: str,
    log: bool = False,
    percent: bool = False,
) -> go.Figure:
    """Lines over the same values of x, each with its name at its end, its own dash and its own symbol.

    title: the finding, in words. across, up: what the axes say. log: powers of two across. percent: shares as per cent.
    ValueError where a line has not one value for each x.
    """
    chart = go.Figure()
    for at, (name, values) in enumerate(lines.items()):
        if len(values) != len(x):
            raise ValueError(f"The line {name!r} has {len(values)} values for {len(x)} places on the axis.")
        colour = COLOURS[at % len(COLOURS)]
        chart.add_trace(
            go.Scatter(
                x=list(x),
                y=list(values),
                name=name,
                mode="lines+markers",
                line={"color": colour, "dash": DASHES[at % len(DASHES)], "width": 2},
                marker={"symbol": SYMBOLS[at % len(SYMBOLS)], "size": 8},
                hovertemplate=f"{name}, {across} %{{x}}: %{{y{':.1%' if percent else ''}}}<extra></extra>",
            )
        )
    chart.update_layout(**layout(title, across, up, percent))
    if log:
        chart.update_xaxes(type="log", tickvals=list(x), ticktext=[f"{value:g}" for value in x])
    return chart


def layout(title: str, across: str, up: str, percent: bool) -> dict:
    """The looks all curves share."""
    axis = {"gridcolor": PALETTE.grid, "linecolor": PALETTE.quiet, "zeroline": False}
    return {
        "title": {"text": title},
        "xaxis": {**axis, "title": {"text": across}},
        "yaxis": {**axis, "title": {"text": up}, "rangemode": "tozero", "tickformat": ".0%" if percent else ""},
        "font": {"family": PALETTE.font, "color": PALETTE.ink, "size": 14},
        "paper_bgcolor": PALETTE.paper,
        "plot_bgcolor": PALETTE.paper,
        "height": 380,
        "margin": {"l": 70, "r": 20, "t": 60, "b": 50},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
    }


def idle_sweep(
    ranks=(4, 8, 16), microbatches=(4, 8, 16, 32, 64, 128), schedule="gpipe", cost=None, title=None
) -> go.Figure:
    """Idle share of all time against the number of microbatches, a line for each number of ranks. Predicted."""
    build, cost = SIMPLE[schedule], cost or Cost()
    lines = {f"P = {p}": [predict(build(p, m), cost).bubble for m in microbatches] for p in ranks}
    title = title or f"{build.title}: more microbatches, less waiting (predicted, not run)"
    return curves(microbatches, lines, title, "microbatches M", "idle share of all time", log=True, percent=True)


def peak_sweep(ranks=8, microbatches=(8, 16, 32, 64), schedules=("gpipe", "one_f_one_b"), title=None) -> go.Figure:
    """Most microbatches in flight on rank 0 against their number, a line for each schedule. Predicted."""
    lines = {
        SIMPLE[name].title: [predict(SIMPLE[name](ranks, m)).peak_in_flight[0] for m in microbatches]
        for name in schedules
    }
    title = title or f"What rank 0 of {ranks} holds at once (predicted, not run)"
    return curves(microbatches, lines, title, "microbatches M", "microbatches in flight on rank 0", log=True)

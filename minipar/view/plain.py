"""How does a timeline look where nothing runs: on a page, in a saved notebook?

As a plain plotly figure with the same rectangles as the live picture. Equal traces give equal figures: a fixed template,
no identifiers, numbers rounded, the height set. Strips are drawn as polygons on one axis, each rank between r and r + 1.
"""

import plotly.graph_objects as go

from minipar.view import words
from minipar.view.panel import Panel, Strip
from minipar.view.rectangles import Rectangle, rectangles
from minipar.view.theme import PALETTE, Kind, darker

ROW, STRIP, HEAD, GAP, FOOT = 28, 26, 52, 30, 46
#: Pixels that a figure is taken to be wide when deciding which labels fit.
WIDTH = 860
MOST_LABELS = 1200


def figure(panels: tuple[Panel, ...], apart: bool = True) -> go.Figure:
    """All panels over one time axis. `apart` only matters to the live picture."""
    end = max(panel.end for panel in panels)
    heights = [HEAD + panel.trace.ranks * ROW + _strip_height(panel) for panel in panels]
    total = sum(heights) + GAP * (len(panels) - 1) + FOOT
    drawn = go.Figure()
    layout, top = _layout(panels, end, total), 0
    for number, (panel, height) in enumerate(zip(panels, heights, strict=True)):
        rows = Block(number * 2 + 1, top + HEAD, panel.trace.ranks * ROW, total)
        strips = Block(number * 2 + 2, top + HEAD + panel.trace.ranks * ROW + 26, panel.trace.ranks * STRIP, total)
        layout[rows.axis_name] = _axis(rows, panel.trace.ranks, "rank ")
        layout["annotations"] += _headings(panel, top, total)
        _draw_bars(drawn, panel, rows, end, first=number == 0)
        if panel.strip is not Strip.NOTHING:
            layout[strips.axis_name] = _axis(strips, panel.trace.ranks, "rank ")
            layout["annotations"].append(_note(_strip_title(panel), 1 - (strips.top - 13) / total, 12, PALETTE.quiet))
            _draw_strips(drawn, panel, strips, end)
        top += height + GAP
    drawn.update_layout(layout)
    return drawn


class Block:
    """A part of the figure's height with its own y axis."""

    def __init__(self, number: int, top: float, height: float, total: float):
        self.top = top
        self.axis = "y" if number == 1 else f"y{number}"
        self.axis_name = "yaxis" if number == 1 else f"yaxis{number}"
        self.domain = [_round(1 - (top + height) / total), _round(1 - top / total)]


def _strip_height(panel: Panel) -> int:
    return 0 if panel.strip is Strip.NOTHING else 26 + panel.trace.ranks * STRIP


def _strip_title(panel: Panel) -> str:
    kinds = "" if panel.strip is Strip.IN_FLIGHT else ": " + ", ".join(panel.names)
    return panel.strip.value + kinds + (f" ({panel.cap_label}, dashed)" if panel.cap_label else "")


def _layout(panels: tuple[Panel, ...], end: float, total: float) -> dict:
    font = {"family": PALETTE.font, "size": 12, "color": PALETTE.ink}
    unit = "slots" if panels[0].trace.unit == "slots" else "seconds"
    return {
        "template": {}, "height": total + 20, "margin": {"l": 64, "r": 92, "t": 8, "b": 12}, "font": font,
        "paper_bgcolor": PALETTE.paper, "plot_bgcolor": PALETTE.paper, "barmode": "overlay", "annotations": [],
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": _round(1 - 24 / total), "yanchor": "top",
                   "font": font, "itemclick": False, "itemdoubleclick": False},
        "xaxis": {"range": [0, _round(end)], "title": {"text": unit, "standoff": 6}, "gridcolor": PALETTE.grid,
                  "zeroline": False, "anchor": "free", "position": _round(FOOT / total)},
        "hovermode": "closest",
    }  # fmt: skip


def _axis(block: Block, ranks: int, word: str) -> dict:
    return {
        "domain": block.domain, "range": [ranks - 0.5, -0.5], "tickvals": list(range(ranks)), "showgrid": False,
        "ticktext": [f"{word}{rank}" for rank in range(ranks)], "zeroline": False, "fixedrange": True,
    }  # fmt: skip


def _headings(panel: Panel, top: float, total: float) -> list[dict]:
    return [
        _note(f"<b>{panel.heading}</b>", 1 - (top + 10) / total, 15, PALETTE.ink),
        _note(panel.origin, 1 - (top + 34) / total, 12, PALETTE.quiet),
    ]


def _note(text: str, height: float, size: int, colour: str, x: float = 0, anchor: str = "left", axis="paper") -> dict:
    return {
        "text": text, "x": x, "xref": "paper", "xanchor": anchor, "y": _round(height), "yref": axis, "yanchor": "middle",
        "showarrow": False, "font": {"size": size, "color": colour, "family": PALETTE.font},
    }  # fmt: skip


def _draw_bars(drawn: go.Figure, panel: Panel, block: Block, end: float, first: bool) -> None:
    many = rectangles(panel.trace, why=len(panel.trace.spans) <= MOST_LABELS)
    if panel.ghost:
        ghosts = [bar for bar in rectangles(panel.ghost) if bar.kind is not Kind.IDLE]
        drawn.add_trace(_bars(ghosts, "prediction", block, _ghost_marker(), 0.94, panel, first))
    for kind in Kind:
        bars = [bar for bar in many if bar.kind is kind]
        if bars:
            drawn.add_trace(_bars(bars, kind.value, block, _marker(kind), 0.62 if panel.ghost else 0.86, panel, first))
    if len(many) <= MOST_LABELS:
        for ink in ("#FFFFFF", "#000000"):
            drawn.add_trace(_labels([bar for bar in many if PALETTE.bars[bar.kind].ink == ink], ink, block, end))
    for rank in range(panel.trace.ranks):
        if panel.busy(rank):
            drawn.add_annotation(_note(panel.busy(rank), rank, 12, PALETTE.quiet, 1.01, "left", block.axis))


def _bars(bars: list[Rectangle], name: str, block: Block, marker: dict, width: float, panel: Panel, first: bool):
    unit = panel.trace.unit
    return go.Bar(
        x=[_round(bar.end - bar.start) for bar in bars], base=[_round(bar.start) for bar in bars],
        y=[bar.rank + (0.3 if bar.lane else 0) for bar in bars], orientation="h", name=name, yaxis=block.axis,
        width=[width if not bar.lane else width / 3 for bar in bars], marker=marker, showlegend=first,
        legendgroup=name, hovertext=[_hover(bar, unit) for bar in bars], hoverinfo="text",
    )  # fmt: skip


def _hover(bar: Rectangle, unit: str) -> str:
    times = f"{words.duration(bar.start, unit)} to {words.duration(bar.end, unit)}"
    return f"{bar.label or bar.kind.value}, rank {bar.rank}: {times}" + (f"<br>{bar.why}" if bar.why else "")


def _marker(kind: Kind) -> dict:
    paint = PALETTE.bars[kind]
    if paint.fill:
        return {"color": paint.fill, "line": {"color": darker(paint.fill), "width": 1}}
    pattern = {"shape": "/", "fgcolor": "#9A9A9A", "bgcolor": "rgba(0,0,0,0)", "size": 6, "solidity": 0.12}
    return {"color": "rgba(0,0,0,0)", "pattern": pattern, "line": {"color": "#C8C8C8", "width": 1}}


def _ghost_marker() -> dict:
    return {"color": "rgba(0,0,0,0.08)", "line": {"color": PALETTE.quiet, "width": 1}}


def _labels(bars: list[Rectangle], ink: str, block: Block, end: float) -> go.Scatter:
    fitting = [(bar, _fit(bar, end)) for bar in bars if not bar.lane]
    fitting = [(bar, text) for bar, text in fitting if text]
    return go.Scatter(
        x=[_round((bar.start + bar.end) / 2) for bar, _ in fitting], y=[bar.rank for bar, _ in fitting],
        text=[text for _, text in fitting], mode="text", textfont={"size": 12, "color": ink}, yaxis=block.axis,
        hoverinfo="skip", showlegend=False,
    )  # fmt: skip


def _fit(bar: Rectangle, end: float) -> str:
    """The label, or only its number, or nothing, as the bar has room for it at 12 px."""
    room = (bar.end - bar.start) / end * WIDTH
    number = bar.label.lstrip("FBIW")
    return next((text for text in (bar.label, number) if text and len(text) * 7 + 3 <= room), "")


def _draw_strips(drawn: go.Figure, panel: Panel, block: Block, end: float) -> None:
    top = max(panel.top, panel.cap or 0) or 1
    below = [[0.0] * len(panel.steps(rank)) for rank in range(panel.trace.ranks)]
    for column, name in enumerate(panel.names, start=1):
        xs, ys = [], []
        for rank in range(panel.trace.ranks):
            steps = panel.steps(rank)
            low = below[rank]
            high = [under + step[column] for under, step in zip(low, steps, strict=True)]
            below[rank] = high
            x, y = _polygon([max(step[0], 0) for step in steps], low, high, end, rank, top)
            xs, ys = xs + x + [None], ys + y + [None]
        fill = PALETTE.memory.get(name, PALETTE.memory["parameter"]).fill
        drawn.add_trace(go.Scatter(
            x=xs, y=ys, fill="toself", fillcolor=fill, mode="lines", line={"color": darker(fill), "width": 1},
            yaxis=block.axis, name=name, showlegend=False, hoverinfo="name",
        ))  # fmt: skip
    if panel.cap is not None:
        xs, ys = [], []
        for rank in range(panel.trace.ranks):
            xs, ys = xs + [0, _round(end), None], ys + [_round(_height(panel.cap, rank, top))] * 2 + [None]
        line = {"color": PALETTE.cap, "width": 1.5, "dash": "dash"}
        drawn.add_trace(go.Scatter(x=xs, y=ys, mode="lines", line=line, yaxis=block.axis, showlegend=False,
                                   hoverinfo="name", name=panel.cap_label))  # fmt: skip
    for rank in range(panel.trace.ranks):
        drawn.add_annotation(_note(panel.peak(rank), rank, 12, PALETTE.quiet, 1.01, "left", block.axis))


def _polygon(times: list, low: list, high: list, end: float, rank: int, top: float) -> tuple[list, list]:
    """Outline of a step area: along the upper edge from left to right, back along the lower one."""
    if not times:
        return [], []
    until = [*times[1:], end]
    xs = [_round(x) for pair in zip(times, until, strict=True) for x in pair]
    upper = [_round(_height(y, rank, top)) for y in high for _ in (0, 1)]
    lower = [_round(_height(y, rank, top)) for y in low for _ in (0, 1)]
    return xs + xs[::-1], upper + lower[::-1]


def _height(value: float, rank: int, top: float) -> float:
    return rank + 0.42 - 0.84 * value / top


def _round(number: float) -> float:
    return round(float(number), 4)

"""How does a timeline look where nothing runs: on a page, in a saved notebook?

As a plain plotly figure with the same rectangles as the live picture. Equal traces give equal figures: a fixed
template, no identifiers, numbers rounded, the height set. All panels share one time axis; each has two y axes, one for
its rows of bars and one for its strips, which are polygons drawn between r - 0.42 and r + 0.42.
"""

import re

import plotly.graph_objects as go

from minipar.plan.actions import Action
from minipar.view import words
from minipar.view.panel import Panel, Strip
from minipar.view.rectangles import Rectangle, rectangles
from minipar.view.theme import BLACK, PALETTE, WHITE, Kind, darker

ROW, HEAD, STRIP_HEAD, GAP, FOOT = 28, 52, 26, 30, 46
#: Pixels that a figure is taken to be wide when deciding which labels fit.
WIDTH = 900
MOST_LABELS = 1200
#: With more actions than this on a page its bars say nothing when pointed at and its strips have fewer steps, so that
#: a saved notebook stays small.
MOST_HOVERS = 300


def figure(panels: tuple[Panel, ...], apart: bool = True) -> go.Figure:
    """All panels over one time axis. Without `apart` memory is the subject: the strips are three times as high."""
    page = Page(panels, strip=26 if apart else 78)
    for number, panel in enumerate(panels):
        page.place(number, panel)
    if len(page.named) > 5:  # a long legend stands beside the title, above the line of words
        page.layout["legend"] |= {"y": 1}
    return go.Figure(data=page.traces, layout=page.layout)


class Page:
    """A figure in the making: traces, layout, and the height used so far, from the top in pixels."""

    def __init__(self, panels: tuple[Panel, ...], strip: int):
        self.strip = strip
        self.end = max(panel.end for panel in panels)
        self.total = FOOT + GAP * (len(panels) - 1) + sum(self._height(panel) for panel in panels)
        self.used = 0.0
        self.traces: list = []
        self.notes: list[dict] = []
        self.named: set[str] = set()
        self.hovers = sum(len(panel.trace.actions()) for panel in panels) <= MOST_HOVERS or len(panels) == 1
        self.layout = _layout(panels[0].trace.unit, self.end, self.total) | {"annotations": self.notes}

    def _height(self, panel: Panel) -> float:
        ranks = panel.trace.ranks
        return HEAD + ranks * ROW + (STRIP_HEAD + ranks * self.strip if panel.strip is not Strip.NOTHING else 0)

    def place(self, number: int, panel: Panel) -> None:
        """Put one panel under what is there."""
        ranks = panel.trace.ranks
        self.write(f"<b>{panel.heading}</b>", self.used + 10, 15, PALETTE.ink)
        self.write(panel.origin, self.used + 35, 12, PALETTE.quiet)
        top = self.used + HEAD
        axis = self.axis(2 * number + 1, top, ranks * ROW, ranks)
        self.bars(panel, axis)
        self.sides([panel.busy(rank) for rank in range(ranks)], axis)
        self.callouts(panel, axis)
        if panel.strip is not Strip.NOTHING:
            top += ranks * ROW + STRIP_HEAD
            self.write(_strip_title(panel), top - 12, 12, PALETTE.quiet)
            axis = self.axis(2 * number + 2, top, ranks * self.strip, ranks)
            self.strips(panel, axis)
            self.sides([panel.peak(rank) for rank in range(ranks)], axis)
        self.used += self._height(panel) + GAP

    def axis(self, number: int, top: float, height: float, ranks: int) -> str:
        """A y axis with one row for each rank, rank 0 on top; returns its name in traces."""
        suffix = "" if number == 1 else str(number)
        self.layout["yaxis" + suffix] = {
            "domain": [max(0, _round(1 - (top + height) / self.total)), _round(1 - top / self.total)],
            "range": [ranks - 0.5, -0.5], "tickvals": list(range(ranks)), "zeroline": False, "fixedrange": True,
            "ticktext": [f"rank {rank} " for rank in range(ranks)], "showgrid": False,
        }  # fmt: skip
        return "y" + suffix

    def write(self, words_: str, top: float, size: int, colour: str) -> None:
        """A line of words at the left edge, `top` pixels from the top."""
        self.notes.append(_note(words_, 0, _round(1 - top / self.total), size, colour, "paper"))

    def sides(self, said: list[str], axis: str) -> None:
        """What each row comes to, right of it."""
        for rank, words_ in enumerate(said):
            if words_:
                self.notes.append(_note(words_, 1.008, rank, 12, PALETTE.quiet, axis))

    def callouts(self, panel: Panel, axis: str) -> None:
        for rank, time, words_, *_ in panel.notes:
            note = _note(words_, _round(time), rank, 12, BLACK, axis)
            above = -34 if rank else 34
            note |= {"xref": "x", "xanchor": "center", "showarrow": True, "ax": 0, "ay": above, "arrowhead": 6}
            self.notes.append(note | {"bgcolor": "#FFFBE6", "bordercolor": PALETTE.ink, "borderpad": 3})

    def bars(self, panel: Panel, axis: str) -> None:
        many = rectangles(panel.trace, why=self.hovers and len(panel.trace.spans) <= MOST_LABELS)
        unit = panel.trace.unit
        if panel.ghost:
            ghosts = [bar for bar in rectangles(panel.ghost) if bar.kind is not Kind.IDLE]
            self.add(ghosts, "prediction", axis, GHOST, 0.94, unit)
        for lane in sorted({bar.lane for bar in many}):  # what overlaps something lies on top of it
            for kind in Kind:
                bars = [bar for bar in many if bar.kind is kind and bar.lane == lane]
                if bars:
                    self.add(bars, kind.value, axis, _marker(kind), 0.62 if panel.ghost else 0.86, unit)
        if len(many) <= MOST_LABELS:
            if panel.trace.stages > panel.trace.ranks:
                self.stripes(many, panel.trace.ranks, 0.62 if panel.ghost else 0.86, axis)
            for ink in (WHITE, BLACK):
                self.labels([bar for bar in many if PALETTE.bars[bar.kind].ink == ink], ink, axis)

    def add(self, bars: list[Rectangle], name: str, axis: str, marker: dict, width: float, unit: str) -> None:
        """The bars of one kind; the first of its name on the page stands in the legend."""
        self.traces.append(go.Bar(
            x=[_round(bar.end - bar.start) for bar in bars], base=[_round(bar.start) for bar in bars],
            y=[bar.rank + (0.3 if bar.lane else 0) for bar in bars], orientation="h", name=name, yaxis=axis,
            width=[width / 3 if bar.lane else width for bar in bars], marker=marker, legendgroup=name,
            showlegend=name not in self.named, **self._says(bars, unit),
        ))  # fmt: skip
        self.named.add(name)

    def stripes(self, bars: list[Rectangle], ranks: int, width: float, axis: str) -> None:
        """Along its lower edge the second chunk of a rank has one stripe, the third two."""
        for ink in (WHITE, BLACK):
            lines = [
                (bar, width / 2 - 0.12 - 0.14 * number)
                for bar in bars
                if isinstance(bar.what, Action) and PALETTE.bars[bar.kind].ink == ink
                for number in range(min(bar.what.stage // ranks, 3))
            ]
            if lines:
                self.traces.append(go.Bar(
                    x=[_round(bar.end - bar.start) for bar, _ in lines], base=[_round(bar.start) for bar, _ in lines],
                    y=[_round(bar.rank + below) for bar, below in lines], width=[0.06] * len(lines), orientation="h",
                    marker={"color": ink}, yaxis=axis, hoverinfo="skip", showlegend=False,
                ))  # fmt: skip

    def _says(self, bars: list[Rectangle], unit: str) -> dict:
        if not self.hovers:
            return {"hoverinfo": "skip"}
        return {"hovertext": [_hover(bar, unit) for bar in bars], "hoverinfo": "text"}

    def labels(self, bars: list[Rectangle], ink: str, axis: str) -> None:
        """Letters and numbers as text of their own, which plotly neither shrinks nor turns."""
        fitting = [(bar, text) for bar in bars if (text := _fit(bar, self.end))]
        if fitting:
            self.traces.append(go.Scatter(
                x=[_round((bar.start + bar.end) / 2) for bar, _ in fitting], y=[bar.rank for bar, _ in fitting],
                text=[text for _, text in fitting], mode="text", textfont={"size": 12, "color": ink}, yaxis=axis,
                hoverinfo="skip", showlegend=False,
            ))  # fmt: skip

    def strips(self, panel: Panel, axis: str) -> None:
        """Stacked steps for each rank, one trace a kind, and the cap."""
        top = 1.1 * (max(panel.top, panel.cap or 0) or 1)
        most = max(24, 72 // panel.trace.ranks) if self.hovers else 16
        rows = [_thin(steps, self.end, most) for steps in panel.steps]
        below = [[0.0] * len(steps) for steps in rows]
        for column, name in enumerate(panel.names, start=1):
            xs, ys = [], []
            for rank, steps in enumerate(rows):
                high = [under + step[column] for under, step in zip(below[rank], steps, strict=True)]
                _outline(xs, ys, [max(step[0], 0) for step in steps] + [panel.end], below[rank], high, rank, top)
                below[rank] = high
            fill = PALETTE.memory.get(name, PALETTE.memory["parameter"]).fill
            self.traces.append(_area(xs, ys, name, fill, axis))
        if panel.cap is not None:
            xs = [x for _ in rows for x in (0, _round(self.end), None)]
            ys = [y for rank in range(len(rows)) for y in (*[_round(_height_of(panel.cap, rank, top))] * 2, None)]
            line = {"color": PALETTE.cap, "width": 1.5, "dash": "dash"}
            self.traces.append(go.Scatter(x=xs, y=ys, mode="lines", line=line, yaxis=axis, showlegend=False,
                                          hoverinfo="name", name=panel.cap_label))  # fmt: skip


def _layout(unit: str, end: float, total: float) -> dict:
    font = {"family": PALETTE.font, "size": 12, "color": PALETTE.ink}
    name = "slots" if unit == "slots" else "s"
    return {
        "template": {}, "height": total + 20, "margin": {"l": 64, "r": 100, "t": 8, "b": 12}, "font": font,
        "paper_bgcolor": PALETTE.paper, "plot_bgcolor": PALETTE.paper, "barmode": "overlay", "hovermode": "closest",
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": _round(1 - 24 / total), "yanchor": "top",
                   "font": font, "itemclick": False, "itemdoubleclick": False, "traceorder": "normal"},
        "xaxis": {"range": [0, _round(end)], "title": {"text": f"time in {name}", "standoff": 4, "font": font},
                  "gridcolor": PALETTE.grid, "zeroline": False, "anchor": "free", "position": _round(FOOT / total)},
    }  # fmt: skip


def _note(text: str, x: float, y: float, size: int, colour: str, axis: str) -> dict:
    return {
        "text": text, "x": x, "xref": "paper", "xanchor": "left", "y": y, "yref": axis, "yanchor": "middle",
        "showarrow": False, "font": {"size": size, "color": colour},
    }  # fmt: skip


def _strip_title(panel: Panel) -> str:
    """What the strips show; kinds of memory, and halves of a split backward, with a square of their colour."""
    kinds = ""
    if panel.strip is Strip.MEMORY or len(panel.names) > 1:
        colours = [PALETTE.memory.get(name, PALETTE.memory["parameter"]).fill for name in panel.names]
        pairs = zip(colours, panel.names, strict=True)
        kinds = ":  " + "   ".join(f"<span style='color:{colour}'>■</span> {name}" for colour, name in pairs)
    cap = f"   <span style='color:{PALETTE.cap}'>- - {panel.cap_label}</span>" if panel.cap_label else ""
    return panel.strip_title + kinds + cap


def _hover(bar: Rectangle, unit: str) -> str:
    times = f"{words.duration(bar.start, unit)} to {words.duration(bar.end, unit)}"
    if unit == "slots":
        times = f"{bar.start:.6g} to {words.duration(bar.end, unit)}"
    return f"{bar.label or bar.kind.value}, rank {bar.rank}: {times}" + (f"<br>{bar.why}" if bar.why else "")


def _marker(kind: Kind) -> dict:
    paint = PALETTE.bars[kind]
    if paint.fill:
        return {"color": paint.fill, "line": {"color": darker(paint.fill), "width": 1}}
    pattern = {"shape": "/", "fgcolor": "#8A8A8A", "bgcolor": "rgba(0,0,0,0)", "size": 6, "solidity": 0.14}
    return {"color": "rgba(0,0,0,0)", "pattern": pattern, "line": {"color": "#C8C8C8", "width": 1}}


GHOST = {"color": "rgba(0,0,0,0.08)", "line": {"color": PALETTE.quiet, "width": 1}}


def _fit(bar: Rectangle, end: float) -> str:
    """The label, or only its number, or nothing, as the bar has room for it at 12 px."""
    room = (bar.end - bar.start) / end * WIDTH
    number = re.sub(r"^\d*[FBIW](?=\d)", "", bar.label)
    return next((text for text in (bar.label, number) if text and not bar.lane and len(text) * 7.4 + 1 <= room), "")


def _thin(steps: list, end: float, most: int) -> list:
    """About so many steps: the first, and of each slice of time the highest and the last. Saved files stay small."""
    if len(steps) <= most:
        return steps
    parts = {}
    for step in steps:
        highest, _ = parts.get(part := int(most / 2 * step[0] / end), (step, step))
        parts[part] = (highest if sum(highest[1:]) >= sum(step[1:]) else step), step
    return list(dict.fromkeys([steps[0], *(step for pair in parts.values() for step in pair)]))


def _outline(xs: list, ys: list, times: list, low: list, high: list, rank: int, top: float) -> None:
    """Append the outline of a step area where it holds something: along its upper edge, back along the lower one."""
    at = 0
    held = [above - below > 0.004 * top for above, below in zip(high, low, strict=True)]
    while at < len(high):
        if not held[at] or times[at + 1] <= times[at]:
            at += 1
            continue
        run = [at]
        while run[-1] + 1 < len(high) and held[run[-1] + 1]:
            run.append(run[-1] + 1)
        along = [_round(x) for i in run for x in (times[i], times[i + 1])]
        upper = [_round(_height_of(high[i], rank, top)) for i in run for _ in (0, 1)]
        lower = [_round(_height_of(low[i], rank, top)) for i in run for _ in (0, 1)]
        xs += [*along, *along[::-1], None]
        ys += [*upper, *lower[::-1], None]
        at = run[-1] + 1


def _area(xs: list, ys: list, name: str, fill: str, axis: str) -> go.Scatter:
    return go.Scatter(
        x=xs, y=ys, fill="toself", fillcolor=fill, mode="lines", line={"color": darker(fill), "width": 1},
        yaxis=axis, name=name, showlegend=False, hoverinfo="name", hoveron="fills",
    )  # fmt: skip


def _height_of(value: float, rank: int, top: float) -> float:
    return rank + 0.42 - 0.84 * value / top


def _round(number: float) -> float:
    return round(float(number), 4)

"""How is a picture made of tiles, arrows and words shown, live and saved?

    Shape(points, fill)      a closed outline: a tile, an arrow as wide as its bytes; hatched where something is wrong
    Text(x, y, words)        in the theme's ink, or in the ink of the tile under it

A picture is a tuple of these on a sheet of a fixed size. `Drawing` is the live form (SVG, in colours of JupyterLab's
theme), `Drawing.figure()` the plain one for a saved notebook.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import anywidget
import plotly.graph_objects as go
import traitlets

from minipar.view.elements import script
from minipar.view.presence import mime_bundle
from minipar.view.theme import PALETTE, darker

INK, QUIET, PAPER = "ink", "quiet", "paper"  # the theme's own colours; any other is written #RRGGBB


class Shape(NamedTuple):
    """A closed outline. fill: "" for none. hatch: colour of the lines across it, "" for none. tip: said on hover."""

    points: tuple[tuple[float, float], ...]
    fill: str = ""
    hatch: str = ""
    edge: str = ""
    tip: str = ""


class Text(NamedTuple):
    """Words around (x, y). anchor: start, middle or end. plate: paper behind them, so that they read on hatches."""

    x: float
    y: float
    words: str
    size: float = 13
    ink: str = INK
    anchor: str = "middle"
    bold: bool = False
    plate: bool = False


def tile(x: float, y: float, width: float, height: float, fill: str = "", **more) -> Shape:
    """A rectangle by its upper left corner."""
    more.setdefault("edge", darker(fill) if fill.startswith("#") else QUIET)
    return Shape(((x, y), (x + width, y), (x + width, y + height), (x, y + height)), fill, **more)


def arrow(start: tuple[float, float], end: tuple[float, float], width: float, fill: str, tip: str = "") -> Shape:
    """A straight arrow whose shaft is `width` wide."""
    (x, y), (to_x, to_y) = start, end
    length = math.hypot(to_x - x, to_y - y)
    along = (to_x - x) / length, (to_y - y) / length
    head, half = min(max(8.0, width * 0.6), length / 2), width / 2
    outline = [(0, half), (length - head, half), (length - head, half + 4), (length, 0)]
    outline += [(far, -aside) for far, aside in reversed(outline[:3])]
    points = [(x + far * along[0] - aside * along[1], y + far * along[1] + aside * along[0]) for far, aside in outline]
    return Shape(tuple(points), fill, edge=darker(fill) if fill.startswith("#") else fill, tip=tip)


class Drawing(anywidget.AnyWidget):
    """Shapes and words on a sheet of `sheet` = (width, height) units; one unit is a pixel where there is room."""

    _esm = script("drawing.js")
    _css = Path(__file__).parent / "explorer.css"

    sheet = traitlets.List([10, 10]).tag(sync=True)
    shapes = traitlets.List().tag(sync=True)
    words = traitlets.List().tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    summary = traitlets.Unicode("").tag(sync=True)

    def __init__(self, title: str, sheet: tuple[float, float], parts: Iterable[Shape | Text], summary: str):
        self.parts = tuple(parts)
        super().__init__(title=title, summary=summary, **plain(sheet, self.parts))

    def show(self, title: str, sheet: tuple[float, float], parts: Iterable[Shape | Text], summary: str) -> None:
        """Draw other parts in the same place."""
        self.parts = tuple(parts)
        with self.hold_sync():
            self.title, self.summary = title, summary
            for name, value in plain(sheet, self.parts).items():
                setattr(self, name, value)

    def figure(self) -> go.Figure:
        """The same as a plotly figure, for a saved notebook."""
        return figure(self.title, self.sheet, self.parts)

    def __repr__(self) -> str:
        return self.summary

    __str__ = __repr__

    def _repr_mimebundle_(self, **_) -> dict:
        return mime_bundle(repr(self), super()._repr_mimebundle_, self.figure)


def plain(sheet: tuple[float, float], parts: Iterable[Shape | Text]) -> dict:
    """The traits of a drawing, as the browser reads them."""
    parts = tuple(parts)
    shapes = [part._asdict() for part in parts if isinstance(part, Shape)]
    for shape in shapes:
        shape["points"] = " ".join(f"{x:.4g},{y:.4g}" for x, y in shape["points"])
    return {"sheet": list(sheet), "shapes": shapes, "words": [p._asdict() for p in parts if isinstance(p, Text)]}


# ---- the plain form ----------------------------------------------------------------------------------------------

_COLOURS = {INK: PALETTE.ink, QUIET: PALETTE.quiet, PAPER: PALETTE.paper}


def figure(title: str, sheet: tuple[float, float], parts: Iterable[Shape | Text], paths: bool = False) -> go.Figure:
    """Shapes of one look are one trace; words are annotations.

    paths: shapes without hatches are paths in the layout, below the traces: a tenth of the bytes where there are many.
    """
    parts = tuple(parts)
    chart = go.Figure()
    looks: dict[tuple, list[Shape]] = {}
    for shape in parts:
        if isinstance(shape, Shape):
            looks.setdefault((shape.fill, shape.hatch, shape.edge), []).append(shape)
    drawn = [_path(look, shapes) for look, shapes in looks.items() if paths and not look[1]]
    for look, shapes in looks.items():
        if look[1] or not paths:
            chart.add_trace(_trace(look, shapes))
    if drawn:
        chart.update_layout(shapes=drawn)
        chart.add_trace(go.Scatter(x=[0], y=[0], mode="markers", marker={"opacity": 0}, hoverinfo="skip"))
    width, height = sheet
    chart.update_layout(
        title={"text": title, "x": 0, "xanchor": "left", "xref": "container", "pad": {"l": 12}},
        annotations=[_annotation(part) for part in parts if isinstance(part, Text)],
        xaxis={"range": [0, width], "visible": False, "fixedrange": True},
        yaxis={"range": [height, 0], "visible": False, "fixedrange": True},
        width=width + 20,
        height=height + 60,
        margin={"l": 10, "r": 10, "t": 50, "b": 10},
        font={"family": PALETTE.font, "color": PALETTE.ink},
        paper_bgcolor=PALETTE.paper,
        plot_bgcolor=PALETTE.paper,
    )
    return chart


def _trace(look: tuple[str, str, str], shapes: list[Shape]) -> go.Scatter:
    fill, hatch, edge = (_COLOURS.get(colour, colour) for colour in look)
    xs, ys = [], []
    for shape in shapes:
        closed = [*shape.points, shape.points[0]]
        xs += [round(x, 1) for x, _ in closed] + [None]
        ys += [round(y, 1) for _, y in closed] + [None]
    pattern = {"shape": "/", "fgcolor": hatch, "bgcolor": "rgba(0,0,0,0)", "size": 7, "solidity": 0.18} if hatch else {}
    return go.Scatter(
        x=xs[:-1], y=ys[:-1], mode="lines", line={"color": edge or "rgba(0,0,0,0)", "width": 1 if edge else 0},
        fill="toself" if fill or hatch else "none", fillcolor=fill or "rgba(0,0,0,0)", fillpattern=pattern,
        hoverinfo="skip", showlegend=False,
    )  # fmt: skip


def _path(look: tuple[str, str, str], shapes: list[Shape]) -> dict:
    """Closed outlines of one look, as one path."""
    fill, _, edge = (_COLOURS.get(colour, colour) for colour in look)
    outlines = ("L".join(f"{round(x, 1):g},{round(y, 1):g}" for x, y in shape.points) for shape in shapes)
    return {
        "type": "path", "path": "".join(f"M{outline}Z" for outline in outlines), "layer": "below", "xref": "x",
        "yref": "y", "fillcolor": fill or "rgba(0,0,0,0)", "fillrule": "nonzero",
        "line": {"color": edge or "rgba(0,0,0,0)", "width": 1 if edge else 0},
    }  # fmt: skip


def _annotation(text: Text) -> dict:
    anchor = {"start": "left", "middle": "center", "end": "right"}[text.anchor]
    return {
        "x": text.x, "y": text.y, "text": f"<b>{text.words}</b>" if text.bold else text.words, "showarrow": False,
        "xanchor": anchor, "yanchor": "middle", "borderpad": 1 if text.plate else 0,
        "font": {"size": text.size, "color": _COLOURS.get(text.ink, text.ink)},
        **({"bgcolor": PALETTE.paper} if text.plate else {}),
    }  # fmt: skip

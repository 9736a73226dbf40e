"""Who sent how much to whom?

              to  0      1      2      3    sends
    from 0        ·    6.0 MB   ·      ·    6.0 MB       rows send, columns receive; the bytes stand in the cells,
         1        ·      ·    6.0 MB   ·    6.0 MB       the sums at the edge
         2        ·      ·      ·    6.0 MB 6.0 MB
         3      6.0 MB   ·      ·      ·    6.0 MB

    traffic(trace)                     all messages; buttons split them by collective
    matrices({"ring": table, ...})     several tables side by side, on one colour scale

What our own sends and receives moved is counted. The backend's collectives (gloo, NCCL) do not say what they send, so
their tables are worked out from the payload by minipar.cost.comm and say on their face what they assume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from minipar.cost import comm
from minipar.plan.trace import Trace
from minipar.view import words
from minipar.view.presence import plain_bundle
from minipar.view.theme import BLACK, PALETTE, PURPLE, channels

#: How a collective of the backend is taken to go; one that is not here is not drawn.
ASSUMED = {"all_reduce": "ring", "reduce_scatter": "ring", "all_gather": "ring", "broadcast": "ring",
           "all_to_all": "pairs"}  # fmt: skip
#: Pixels: a cell at most, left of a table and right of it (its sums), the names of the ranks, the words, the picture.
CELL, LEFT, SIDE, ABOVE, HEAD, WIDE, HIGH = 74, 62, 62, 30, 60, 900, 560
BETWEEN = 30
ROOM = 44  # a cell narrower than this has no room for its bytes: they are in the hover

Table = Sequence[Sequence[int]]


class Face(NamedTuple):
    """One table and what stands over it: its name on a button, the finding, and where the numbers come from."""

    name: str
    finding: str
    origin: str
    table: Table


class Traffic:
    """Faces of one trace; `.figure()` is the plotly figure with a button for each, the text gives their sums."""

    def __init__(self, faces: Sequence[Face], messages: int):
        self.faces, self.messages = tuple(faces), messages

    def figure(self) -> go.Figure:
        """One face at a time, chosen by buttons; each with its own colour scale."""
        first, drawn = self.faces[0], go.Figure()
        owners = []
        for at, face in enumerate(self.faces):
            traces = _traces(face.table, max(map(max, face.table)), "", _cell([face.table]))
            drawn.add_traces([trace.update(visible=at == 0) for trace in traces])
            owners += [at] * len(traces)
        many = len(self.faces) > 1
        drawn.update_layout(**_page([first.table], top=HEAD + (40 if many else 0)))
        drawn.layout.annotations = _words(first, drawn)
        if many:
            buttons = [
                {
                    "label": face.name,
                    "method": "update",
                    "args": [
                        {"visible": [owner == at for owner in owners]},
                        {"annotations": _words(face, drawn)},
                    ],
                }
                for at, face in enumerate(self.faces)
            ]
            drawn.update_layout(updatemenus=[_menu(buttons)])
        return drawn

    def __repr__(self) -> str:
        sums = (f"{face.name} {sum(map(sum, face.table)):,} B" for face in self.faces)
        return f"Traffic({words.count(self.messages, 'message')}; {', '.join(sums)})"

    def _repr_mimebundle_(self, **_) -> dict:
        return plain_bundle(repr(self), self.figure())


def traffic(trace: Trace, collective: str | None = None) -> Traffic:
    """A trace's bytes between ranks as a table: all messages, and by buttons those of each collective.

    collective: only this one ("all_reduce"). ValueError where nothing was sent, or nothing in that collective.
    """
    faces = [face for face in _really_sent(trace) + _assumed(trace) if any(map(any, face.table))]
    if collective is not None:
        faces = [face for face in faces if face.name.split(",")[0] == collective]
    if not faces:
        there = ", ".join(dict.fromkeys(each.what for each in trace.collectives))
        what = f"in {collective}" if collective else "between ranks"
        raise ValueError(f"This trace saw nothing sent {what}" + (f": its collectives are {there}." if there else "."))
    return Traffic(faces, sum(trace.message_count(rank, collective) for rank in range(trace.ranks)))


def _really_sent(trace: Trace) -> list[Face]:
    """The faces that were counted: all messages, and those of each collective of our own."""
    names = list(dict.fromkeys(message.collective for message in trace.messages))
    faces = [_face("all messages", trace.traffic(), "bytes really sent")] if len(names) > 1 or names == [""] else []
    for name in names if names != [""] else ():
        said = name or "outside of collectives"
        faces.append(_face(said, trace.traffic(collective=name), "bytes really sent"))
    return faces


def _assumed(trace: Trace) -> list[Face]:
    """The faces of the backend's collectives: payloads as recorded, the way they went assumed."""
    tables: dict[str, list[list[int]]] = {}
    for each in trace.collectives:
        size, place = len(each.ranks), each.ranks.index(each.rank)
        counts = each.bytes > 0 if each.what == "broadcast" else place == 0  # every rank recorded the call: take one
        if each.own or each.what not in ASSUMED or not counts:
            continue
        whole = each.bytes * size if each.what == "all_gather" else each.bytes
        table = tables.setdefault(each.what, [[0] * trace.ranks for _ in range(trace.ranks)])
        for source, row in enumerate(comm.traffic(each.what, ASSUMED[each.what], size, whole, root=place)):
            for target, sent in enumerate(row):
                table[each.ranks[source]][each.ranks[target]] += sent
    return [
        _face(f"{what}, {_way(what)} assumed", table, f"the backend's: payload recorded, {_way(what)} assumed")
        for what, table in tables.items()
    ]


def _way(what: str) -> str:
    return "even parts" if ASSUMED[what] == "pairs" else ASSUMED[what]


def _face(name: str, table: Table, origin: str) -> Face:
    return Face(name, finding(name, table), origin, table)


def finding(name: str, table: Table) -> str:
    """What a table says, in words: "all_reduce: each rank sends 6.0 MB, 24.0 MB together"."""
    rows = [sum(row) for row in table]
    together, most = words.amount(sum(rows)), words.amount(max(rows))
    if min(rows) == max(rows):
        return f"{name}: each rank sends {most}, {together} together"
    return f"{name}: rank {rows.index(max(rows))} sends most, {most} of {together}"


def matrices(tables: Mapping[str, Table], title: str = "", origin: str = "bytes really sent") -> go.Figure:
    """Tables ``[source][target]`` of bytes side by side on one colour scale, each under its name.

    title: the finding in words; origin: where the numbers come from.
    """
    top = max(cell for table in tables.values() for row in table for cell in row)
    drawn = go.Figure(layout=_page(list(tables.values()), top=HEAD + 24))
    notes, above = _heads(Face("", title, origin, ()), drawn.layout.margin.t), drawn.layout.margin.t
    for at, (name, table) in enumerate(tables.items()):
        suffix = str(at + 1) if at else ""
        drawn.add_traces(_traces(table, top, suffix, _cell(list(tables.values()))))
        left, right = drawn.layout[f"xaxis{suffix}"].domain
        notes.append(_note(f"<b>{name}</b>", left, HEAD + 16, 14, PALETTE.ink, above) | {"xshift": 0})
        notes += _sums(table, right, f"y{suffix}")
    drawn.layout.annotations = notes
    return drawn


# ---- drawing


def _traces(table: Table, top: float, suffix: str, cell: int) -> list:
    """The cells, and the bytes written in them where there is room."""
    ranks = range(len(table))
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    hover = [[_hover(source, target, table[source][target]) for target in ranks] for source in ranks]
    z = [[table[source][target] if source != target else None for target in ranks] for source in ranks]
    cells = go.Heatmap(
        z=z, zmin=0, zmax=top or 1, colorscale=[[0, LEAST], [1, PURPLE]], showscale=False, xgap=3, ygap=3,
        hoverinfo="text", hovertext=hover, **axes,
    )  # fmt: skip
    written = [(target, source, table[source][target]) for source in ranks for target in ranks if source != target]
    if cell < ROOM:
        return [cells]
    letters = go.Scatter(
        x=[x for x, _, _ in written], y=[y for _, y, _ in written], mode="text",
        text=[words.amount(size) if size else "·" for _, _, size in written],
        textfont={"size": 12, "color": BLACK}, hoverinfo="skip", showlegend=False, **axes,
    )  # fmt: skip
    return [cells, letters]


def _hover(source: int, target: int, size: int) -> str:
    return "a rank sends nothing to itself" if source == target else f"rank {source} to rank {target}: {size:,} B"


def _cell(tables: list[Table]) -> int:
    """How wide a cell may be, so that all tables stand side by side."""
    free = WIDE - LEFT - SIDE * len(tables) - BETWEEN * (len(tables) - 1)
    return max(8, min(CELL, free // sum(map(len, tables)), HIGH // max(map(len, tables))))


def _page(tables: list[Table], top: int) -> dict:
    """The layout: square cells, rank 0 at the top left, the names of the ranks round each table."""
    cell, inside = _cell(tables), WIDE - LEFT
    high = cell * max(map(len, tables))
    page = {
        "template": {}, "width": WIDE, "height": high + ABOVE + top + 12, "hovermode": "closest",
        "margin": {"l": LEFT, "r": 0, "t": ABOVE + top, "b": 12}, "paper_bgcolor": PALETTE.paper,
        "plot_bgcolor": PALETTE.paper, "font": {"family": PALETTE.font, "size": 12, "color": PALETTE.ink},
    }  # fmt: skip
    left = 0
    for at, table in enumerate(tables):
        suffix, ranks, width = str(at + 1) if at else "", list(range(len(table))), cell * len(table)
        side = {"tickvals": ranks, "showgrid": False, "zeroline": False, "fixedrange": True, "ticks": ""}
        page[f"xaxis{suffix}"] = side | {
            "domain": [_round(left / inside), _round((left + width) / inside)], "range": [-0.5, len(table) - 0.5],
            "side": "top", "ticktext": ["to 0", *map(str, ranks[1:])], "anchor": f"y{suffix}",
        }  # fmt: skip
        page[f"yaxis{suffix}"] = side | {
            "domain": [_round(1 - width / high), 1], "range": [len(table) - 0.5, -0.5], "anchor": f"x{suffix}",
            "ticktext": ["rank 0 " if at == 0 else "0 ", *(f"{rank} " for rank in ranks[1:])],
        }  # fmt: skip
        left += width + SIDE + BETWEEN
    return page


def _words(face: Face, drawn: go.Figure) -> list[dict]:
    """The finding, the origin, and the sums of the rows."""
    return _heads(face, drawn.layout.margin.t) + _sums(face.table, drawn.layout.xaxis.domain[1], "y")


def _sums(table: Table, right: float, axis: str) -> list[dict]:
    """What each rank sends, at the right edge of its row."""
    return [
        _note(f"<b>{words.amount(sum(row))}</b>", right, 0, 12, PALETTE.ink, 0)
        | {"y": rank, "yref": axis, "xshift": 6, "yshift": 0}
        for rank, row in enumerate(table)
    ]


def _heads(face: Face, above: int) -> list[dict]:
    """The finding, and under it how to read the table and where its numbers come from."""
    how = f"rows send, columns receive, at the right what each rank sends; {face.origin}"
    return [_note(f"<b>{face.finding}</b>", 0, 16, 15, PALETTE.ink, above), _note(how, 0, 42, 12, PALETTE.quiet, above)]


def _note(text: str, x: float, down: float, size: int, colour: str, above: int) -> dict:
    """A line of words, `down` pixels from the upper edge of the picture; `above` are the pixels over the tables."""
    return {
        "text": text, "x": x, "xref": "paper", "xanchor": "left", "xshift": -50, "y": 1,
        "yref": "paper", "yanchor": "middle", "showarrow": False, "font": {"size": size, "color": colour},
        "yshift": above - down, "align": "left",
    }  # fmt: skip


def _menu(buttons: list[dict]) -> dict:
    return {
        "type": "buttons", "direction": "right", "buttons": buttons, "showactive": True, "x": 0, "xanchor": "left",
        "y": 1, "yanchor": "bottom", "pad": {"l": -50, "b": ABOVE + 4}, "font": {"size": 12, "color": PALETTE.ink},
        "bgcolor": PALETTE.paper, "bordercolor": PALETTE.grid,
    }  # fmt: skip


def _round(number: float) -> float:
    return round(float(number), 4)


#: The colour of a cell that carries nothing: the scale runs from here to the colour of messages.
LEAST = "#{:02X}{:02X}{:02X}".format(*(round(255 - 0.06 * (255 - channel)) for channel in channels(PURPLE)))

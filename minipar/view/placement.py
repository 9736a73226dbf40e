"""What does a board look like on which experts are moved between ranks and nodes?

    ┌ node 0 ──────────────┐ ┌ node 1 ──────────────┐
    │  ████ 1              │ │                      │   ┊ 104 is possible
    │  ████                │ │                      │
    │  ████ 0    ██ 3      │ │  ██ 5        ██ 7    │   drag a tile, or Tab to it and use the arrow keys;
    │  ████      ██ 2      │ │  ██ 4        ██ 6    │   c copies it to the next rank, Delete takes a copy away
    │ rank 0    rank 1     │ │ rank 2      rank 3   │
    └──────────────────────┘ └──────────────────────┘

A stack is as high as the rows of its rank. `Board` is the live form, `figure` the plain one; what it all costs is said
by `minipar.view.explore_placement`.
"""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

from minipar.view import drawing
from minipar.view.drawing import INK, QUIET, Text, tile
from minipar.view.elements import script

STACK, BETWEEN, NODE, HIGH, FLOOR = 92, 14, 26, 240, 282  # a stack, gaps; the highest stack and its foot, in pixels


class Board(anywidget.AnyWidget):
    """Stacks of tiles that can be dragged. `slots` is what the person moves: experts by rank, as in a Placement."""

    _esm = script("placement.js")
    _css = "".join((Path(__file__).parent / name).read_text() for name in ("explorer.css", "placement.css"))

    slots = traitlets.List().tag(sync=True)
    loads = traitlets.List().tag(sync=True)  # of one copy of each expert
    paints = traitlets.List().tag(sync=True)  # fill and ink of each expert
    nodes = traitlets.Int(1).tag(sync=True)
    room = traitlets.Int(1).tag(sync=True)
    lines = traitlets.List().tag(sync=True)  # [value, words, anchor] across all stacks
    table = traitlets.List().tag(sync=True)  # [name, busiest, between nodes, step, marked]
    top = traitlets.Float(1.0).tag(sync=True)
    summary = traitlets.Unicode("").tag(sync=True)


def figure(board: Board, title: str):
    """The board as a plotly figure, for a saved notebook."""
    parts, unit, ranks = [], HIGH / board.top, len(board.slots)
    per = ranks // board.nodes
    for rank, held in enumerate(board.slots):
        x = 20 + rank * (STACK + BETWEEN) + rank // per * NODE
        if rank % per == 0:
            parts.append(tile(x - 10, 14, per * (STACK + BETWEEN) + 6, FLOOR + 34, "", edge=QUIET))
            parts.append(Text(x, 28, f"node {rank // per}", 13, QUIET, "start"))
        parts += _stack(board, x, held, unit)
        rows = sum(board.loads[expert] for expert in held)
        parts.append(Text(x + STACK / 2, FLOOR + 16, f"rank {rank}", 13, INK))
        parts.append(Text(x + STACK / 2, FLOOR + 34, f"{rows:,.3g} rows", 13, INK, bold=True))
    end = 20 + ranks * (STACK + BETWEEN) + (board.nodes - 1) * NODE
    for value, words in board.lines:
        parts.append(tile(10, FLOOR - value * unit, end - 10, 1.5, INK, edge=INK))
        parts.append(Text(end + 6, FLOOR - value * unit, words, 12, INK, "start"))
    return drawing.figure(title, (end + 175, FLOOR + 56), parts)


def _stack(board: Board, x: float, held: list[int], unit: float) -> list:
    """The tiles of one rank, from the floor up."""
    parts, y = [], float(FLOOR)
    for expert in held:
        (fill, ink), load = board.paints[expert], board.loads[expert]
        y -= load * unit
        parts.append(tile(x, y, STACK, load * unit, fill))
        if load * unit > 12:
            parts.append(Text(x + STACK / 2, y + load * unit / 2, f"expert {expert}: {load:.3g}", 12, ink))
    return parts

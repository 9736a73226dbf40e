"""Who stands with whom on a mesh, who talks to whom, and what leaves the box?

    box 0                          from   0 1 2 3 4 5 6 7  to                    a step's bytes of one rank
    ╭─╮     ╭─╮                        0  . T D . P . . .                        tensor  ████████████  12 MB
    [0] [1] [2] [3]                    1  T . . D . P . .                        data    ██╱╱          3 MB
    box 1                              2  D . . T . . P .                        pipe    ╱             1 MB
    [4] [5] [6] [7]                    …                                                 ╱ leaves the box

Ranks are numbered through the boxes. One colour is one group of the chosen axis, in both pictures; the other axes are
grey letters. What is hatched goes over the slower way between boxes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from minipar.plan.mesh import Mesh
from minipar.view.drawing import INK, QUIET, Shape, Text, tile
from minipar.view.explore_split import DEVICES
from minipar.view.theme import BLACK, GREY, darker
from minipar.view.words import amount, share

Table = tuple[tuple[int, ...], ...]
MOST_RANKS, COLUMNS = 16, 8
WIDTH, LEFT, TABLE_LEFT = 930, 12, 596
TILE, GAP, HIGH, PITCH, TOP = 52, 12, 50, 112, 62
HALF = 2.2  # half the width of a line between ranks
BAR_LEFT, BAR_WIDE, BAR_HIGH, BAR_PITCH = 76, 250, 22, 30


class Talk(NamedTuple):
    """A mesh, the axis that is coloured, ranks in a box, and the bytes each axis sends in a step, [source][target]."""

    mesh: Mesh
    axis: str
    box: int
    traffic: Mapping[str, Table]

    def sent(self, axis: str) -> int:
        """Bytes that the busiest rank sends along this axis."""
        return max(map(sum, self.traffic[axis]))

    def leaves(self, axis: str) -> float:
        """Share of the axis's bytes that go from one box to another."""
        table, ranks = self.traffic[axis], range(self.mesh.size)
        total = sum(map(sum, table))
        apart = sum(table[a][b] for a in ranks for b in ranks if a // self.box != b // self.box)
        return apart / total if total else 0.0

    @property
    def busiest(self) -> str:
        """The axis whose ranks send most."""
        return max(self.traffic, key=self.sent)

    def group(self, rank: int) -> int:
        """The number of this rank's group along the chosen axis."""
        return next(number for number, ranks in enumerate(self.mesh.groups(self.axis)) if rank in ranks)

    def between(self, source: int, target: int) -> tuple[str, int]:
        """The axis along which these two talk, and the bytes; ("", 0) if they do not."""
        for axis, table in self.traffic.items():
            if table[source][target]:
                return axis, table[source][target]
        return "", 0


class Page(NamedTuple):
    """A sheet's size and what is on it."""

    size: tuple[float, float]
    parts: tuple[Shape | Text, ...]


def page(talk: Talk) -> Page:
    """Boxes with their ranks, under them a bar for each axis, beside them the table of who talks to whom."""
    lowest = max(corner(rank, talk)[1] for rank in range(talk.mesh.size))
    bars, bars_end = axis_bars(talk, lowest + HIGH + 34)
    table, table_end = who_talks(talk)
    return Page((WIDTH, max(bars_end, table_end) + 6), (*boxes(talk), *table, *bars))


# ---- the boxes


def seat(rank: int, talk: Talk) -> tuple[int, int, int]:
    """(place of its box in the line of boxes, column in the box, row on the sheet) of a rank.

    Small boxes stand side by side; one that is wider than the picture goes on in the next row.
    """
    box = talk.box
    columns = min(box, COLUMNS)
    abreast = {1: 4, 2: 2, 4: 2 if talk.mesh.size > COLUMNS else 1}.get(box, 1)
    rows_of_a_box = math.ceil(box / columns)
    number, inside = divmod(rank, box)
    return number % abreast, inside % columns, number // abreast * rows_of_a_box + inside // columns


def corner(rank: int, talk: Talk) -> tuple[float, float]:
    """The upper left corner of a rank's tile."""
    place, column, row = seat(rank, talk)
    wide = min(talk.box, COLUMNS) * (TILE + GAP) + 24
    return LEFT + 12 + place * wide + column * (TILE + GAP), TOP + 22 + row * PITCH


def boxes(talk: Talk) -> list[Shape | Text]:
    """Frames, rings and tiles."""
    mesh, box = talk.mesh, talk.box
    parts: list[Shape | Text] = [Text(LEFT, 18, f"{talk.axis} groups: one colour each", 15, INK, "start", bold=True)]
    for first in range(0, mesh.size, box):
        held = range(first, min(first + box, mesh.size))
        places = [corner(rank, talk) for rank in held]
        right, bottom = max(x for x, _ in places) + TILE + 12, max(y for _, y in places) + HIGH + 10
        left, top = places[0][0] - 12, places[0][1] - 26
        parts.append(tile(left, top, right - left, bottom - top))
        parts.append(Text(left, top - 10, f"box {first // box}", 12, QUIET, "start"))
    for ranks in mesh.groups(talk.axis):
        parts += ring(talk, ranks)
    for rank in range(mesh.size):
        parts += one_rank(talk, rank)
    return parts


def one_rank(talk: Talk, rank: int) -> list[Shape | Text]:
    """A tile with the rank's number and its place on every axis."""
    x, y = corner(rank, talk)
    fill, ink = DEVICES[talk.group(rank) % len(DEVICES)]
    places = talk.mesh.coordinates(rank)
    said = ", ".join(f"{axis} {place}" for axis, place in places.items())
    words = [f"{axis[0]}{place}" for axis, place in reversed(places.items())]
    lines = [" ".join(words[:2]), " ".join(words[2:])]
    parts: list[Shape | Text] = [tile(x, y, TILE, HIGH, fill, tip=f"rank {rank}: {said}")]
    parts.append(Text(x + TILE / 2, y + (12 if lines[1] else 17), str(rank), 15, ink, bold=True))
    for number, line in enumerate(filter(None, lines)):
        parts.append(Text(x + TILE / 2, y + (27 if lines[1] else 36) + 13 * number, line, 12, ink))
    return parts


def ring(talk: Talk, ranks: tuple[int, ...]) -> list[Shape]:
    """Lines between the ranks of one group that talk to each other."""
    fill = DEVICES[talk.group(ranks[0]) % len(DEVICES)][0]
    table = talk.traffic[talk.axis]
    pairs = [(a, b) for a in ranks for b in ranks if a < b and table[a][b] + table[b][a]]
    return [line(talk, a, b, fill) for a, b in pairs]


def line(talk: Talk, a: int, b: int, fill: str) -> Shape:
    """Above the tiles within a row, straight to the next row, in the gap beside the tiles to a row further down."""
    (x, y), (to_x, to_y) = corner(a, talk), corner(b, talk)
    size = amount(talk.traffic[talk.axis][a][b] or talk.traffic[talk.axis][b][a])
    if y == to_y:
        outline = thick(arc((x + TILE * 0.62, y), (to_x + TILE * 0.38, y), 6 + 13 * min(1, (to_x - x) / 220)), HALF)
    elif x == to_x and to_y - y > PITCH:
        outline = bracket(x + TILE, x + TILE + 4 + 5 * min(1.0, (to_y - y) / PITCH / 3), y + HIGH / 2, to_y + HIGH / 2)
    else:
        outline = thick([(x + TILE / 2, y + HIGH), (to_x + TILE / 2, to_y)], HALF)
    return Shape(outline, fill, edge=darker(fill), tip=f"ranks {a} and {b}: {size} a step, each way")


def arc(start, end, rise: float, steps: int = 12) -> list[tuple[float, float]]:
    """A bow from `start` up by `rise` and down to `end`."""
    (x, y), (to_x, to_y) = start, end
    bows = [(step / steps, 4 * rise * (step / steps) * (1 - step / steps)) for step in range(steps + 1)]
    return [(x + (to_x - x) * along, y + (to_y - y) * along - up) for along, up in bows]


def bracket(edge: float, aside: float, top: float, bottom: float) -> tuple[tuple[float, float], ...]:
    """Out of a tile's right edge, down in the gap beside the tiles, and back in."""
    outer, inner = aside + HALF, aside - HALF
    there = [(edge, top - HALF), (outer, top - HALF), (outer, bottom + HALF), (edge, bottom + HALF)]
    back = [(edge, bottom - HALF), (inner, bottom - HALF), (inner, top + HALF), (edge, top + HALF)]
    return (*there, *back)


def thick(points, half: float) -> tuple[tuple[float, float], ...]:
    """The outline of a line through these points, `half` wide on each side."""
    there, back = [], []
    for place, (x, y) in enumerate(points):
        (ax, ay), (bx, by) = points[max(0, place - 1)], points[min(len(points) - 1, place + 1)]
        long = math.hypot(bx - ax, by - ay) or 1.0
        nx, ny = (by - ay) / long * half, (ax - bx) / long * half
        there.append((x + nx, y + ny))
        back.append((x - nx, y - ny))
    return (*there, *reversed(back))


# ---- the table


def who_talks(talk: Talk) -> tuple[list[Shape | Text], float]:
    """A row for each sender, a column for each receiver: the first letter of the axis where they talk."""
    ranks = talk.mesh.size
    cell = min(32.0, (WIDTH - TABLE_LEFT - 40) / ranks)
    left, top = TABLE_LEFT + 34, 62
    parts: list[Shape | Text] = [Text(TABLE_LEFT, 18, "who talks to whom", 15, INK, "start", bold=True)]
    parts.append(Text(TABLE_LEFT, 40, "from ↓  to →", 12, QUIET, "start"))
    parts.append(tile(left, top, ranks * cell, ranks * cell))
    for rank in range(ranks):
        middle = (rank + 0.5) * cell
        parts.append(Text(left + middle, top - 9, str(rank), 12, QUIET))
        parts.append(Text(left - 8, top + middle, str(rank), 12, QUIET, "end"))
    for source in range(ranks):
        for target in range(ranks):
            parts += one_pair(talk, source, target, left + target * cell, top + source * cell, cell)
    return parts, top + ranks * cell


def one_pair(talk: Talk, source: int, target: int, x: float, y: float, cell: float) -> list[Shape | Text]:
    """One cell: coloured on the chosen axis, hatched where it leaves the box."""
    axis, size = talk.between(source, target)
    if not axis:
        return []
    fill, ink = DEVICES[talk.group(source) % len(DEVICES)] if axis == talk.axis else (GREY, BLACK)
    apart = source // talk.box != target // talk.box
    where = ", to another box" if apart else ""
    tip = f"rank {source} to rank {target}: {amount(size)} a step, {axis}{where}"
    shape = tile(x, y, cell, cell, "" if apart else fill, hatch=fill if apart else "", edge=darker(fill), tip=tip)
    return [shape, Text(x + cell / 2, y + cell / 2, axis[0].upper(), 12, INK if apart else ink, plate=apart)]


# ---- the bars


def axis_bars(talk: Talk, top: float) -> tuple[list[Shape | Text], float]:
    """What one rank sends along each axis in a step; hatched, what leaves its box."""
    parts: list[Shape | Text] = [Text(LEFT, top + 8, "what a rank sends in one step", 15, INK, "start", bold=True)]
    parts.append(Text(LEFT, top + 28, "hatched: leaves the box", 12, QUIET, "start"))
    most, y = max(map(talk.sent, talk.traffic)) or 1, top + 44
    for axis in reversed(talk.traffic):  # as in the order, fastest first
        wide, away = BAR_WIDE * talk.sent(axis) / most, talk.leaves(axis)
        fill = DEVICES[0][0] if axis == talk.axis else GREY
        inside = wide * (1 - away)
        if inside >= 0.5:
            parts.append(tile(BAR_LEFT, y, inside, BAR_HIGH, fill))
        if wide - inside >= 0.5:
            parts.append(tile(BAR_LEFT + inside, y, wide - inside, BAR_HIGH, "", hatch=fill, edge=darker(fill)))
        mine = axis == talk.axis
        parts.append(Text(BAR_LEFT - 8, y + BAR_HIGH / 2, axis, 13, INK, "end", bold=mine))
        said = amount(talk.sent(axis)) + (f", {share(away)} to other boxes" if away else "")
        parts.append(Text(BAR_LEFT + wide + 8, y + BAR_HIGH / 2, said, 13, INK, "start", bold=mine))
        y += BAR_PITCH
    return parts, y + 4

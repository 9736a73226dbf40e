"""Who computes which part of the attention table, and who waits meanwhile?

    keys ►                                  contiguous                  zigzag
    ▓                 rank 0                rank 0  1 ╱╱╱╱╱╱╱╱╱╱╱╱      rank 0  1 1 1 1
    ▓ ▓               rank 0                rank 1  1 2 ╱╱╱╱╱╱╱╱╱╱      rank 1  1 1 1 1
    ▒ ▒ ▒             rank 1                rank 2  1 2 2 ╱╱╱╱╱╱╱╱      rank 2  1 1 1 1
    ▒ ▒ ▒ ▒           rank 1                rank 3  1 2 2 2             rank 3  1 1 1 1

A row of the table is a query, a column a key; the row's owner computes it. The number in a tile is the step of the ring
in which its keys come by. Below, each step is as wide as its slowest rank; what is hatched waits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from minipar.plan import deal
from minipar.view import controls
from minipar.view.drawing import INK, QUIET, Drawing, Shape, Text, arrow, tile
from minipar.view.explore_split import DEVICES
from minipar.view.explorer import Explorer

ROW = 26  # height of a bar with its gap


class Dealt(NamedTuple):
    """One way to deal: its name, what each rank holds, the work of each step, whether the future is masked."""

    name: str
    hands: tuple[deal.Positions, ...]
    work: deal.Work
    causal: bool = True

    @property
    def ranks(self) -> int:
        return len(self.hands)

    @property
    def owners(self) -> tuple[int, ...]:
        """The owner of each chunk that is drawn: two chunks a rank, or four where cards are dealt one by one."""
        whose = deal.owners(self.hands)
        chunks = min(len(whose), (4 if self.name == "striped" else 2) * self.ranks)
        if self.name == "striped":
            return whose[:chunks]
        return tuple(whose[chunk * len(whose) // chunks] for chunk in range(chunks))

    @property
    def unit(self) -> float:
        """Half of one rank's block of scores: what a rank computes against its own keys."""
        return len(self.hands[0]) ** 2 / 2


def dealt(name: str, ranks: int, length: int, causal: bool = True) -> Dealt:
    """A deal with the work that is planned for it; ValueError where it does not divide."""
    hands = deal.hands(name, ranks, length)
    return Dealt(name, hands, deal.work(hands, causal), causal)


# ---- the parts of the picture --------------------------------------------------------------------------------------


def paint(rank: int) -> tuple[str, str]:
    """Fill and ink of a rank's tiles."""
    return DEVICES[rank % len(DEVICES)]


def table(one: Dealt, x: float, y: float, side: float, step: int | None) -> list:
    """Queries down, keys across, coloured by the owner of the query; with a step, only what it computes is filled."""
    owners, parts = one.owners, []
    cell = side / len(owners)
    for row, owner in enumerate(owners):
        fill, ink = paint(owner)
        last = row if one.causal else len(owners) - 1
        shape = stripe(x, y + row * cell, cell, row, last, one.causal)
        parts.append(Shape(shape, fill if step is None else "", edge=fill if step is not None else "#1F1F1F",
                           tip=f"queries of rank {owner}"))  # fmt: skip
        for column in range(last + 1):
            at = (owner - owners[column]) % one.ranks
            if step is not None and at <= step:
                half = one.causal and column == row
                square = stripe(x + column * cell, y + row * cell, cell, 0, 0, half)
                parts.append(Shape(square, fill, edge=fill) if at == step else Shape(square, "", hatch=fill, edge=fill))
            corner = one.causal and column == row
            if cell > (20 if corner else 13) and (step is None or at == step):
                aside = 0.3 if corner else 0.5
                parts.append(Text(x + (column + aside) * cell, y + (row + 1 - aside) * cell, str(at), 12, ink))
        if cell > 12:
            parts.append(Text(x - 8, y + (row + 0.5) * cell, f"rank {owner}", 13 if cell > 14 else 12, INK, "end"))
    frame = Shape(tile(x, y, side, side).points, "", edge=QUIET)
    return [*parts, frame, Text(x, y - 10, "keys, first to last →", 13, QUIET, "start"),
            Text(x - 8, y - 10, "queries ↓", 13, QUIET, "end")]  # fmt: skip


def stripe(x: float, y: float, cell: float, first: int, last: int, slanted: bool) -> tuple[tuple[float, float], ...]:
    """A row's outline from the left edge to column `last`; slanted: the last tile is cut along the diagonal."""
    right = x + (last + 1) * cell
    lower = (right, y + cell), (x, y + cell)
    return ((x, y), (right - cell, y), *lower) if slanted else ((x, y), (right, y), *lower)


def bars(one: Dealt, x: float, y: float, width: float, longest: float, step: int | None) -> list:
    """A row a rank: what it computes in each step, (hatched) how long it waits for the slowest, and its sum."""
    parts, scale = [], width / longest
    for rank in range(one.ranks):
        fill, ink = paint(rank)
        left, top = x, y + rank * ROW
        parts.append(Text(x - 8, top + 11, f"rank {rank}", 13, INK, "end"))
        for number, works in enumerate(one.work.steps):
            own, slot = works[rank] * scale, max(works) * scale
            shown, done = step is None or number == step, step is not None and number < step
            if slot - own > 0.5:
                waits = QUIET if shown or done else ""
                parts.append(tile(left + own, top, slot - own, 22, "", hatch=waits, edge=QUIET))
            if own:
                tip = f"step {number}: {works[rank]:,} pairs"
                parts.append(tile(left, top, own, 22, fill if shown else "", edge="#1F1F1F" if shown else fill,
                                  hatch=fill if done else "", tip=tip))  # fmt: skip
            if own > 14 and shown:
                parts.append(Text(left + own / 2, top + 11, halves(works[rank], one), 12, ink))
            left += slot
        total = one.work.pairs[rank]
        parts.append(Text(left + 10, top + 11, halves(total, one), 15, INK, "start", bold=True))
    return parts


def halves(pairs: int, one: Dealt) -> str:
    """Pairs in half blocks, rounded: 229,504 of four ranks' 1,024 positions are 7."""
    return f"{pairs / one.unit:.2g}"


def ring(ranks: int, x: float, y: float, width: float, step: int) -> list:
    """Who holds whose keys in this step: a box a rank, arrows to the next."""
    parts, wide = [], width / ranks
    for rank in range(ranks):
        whose = deal.source(rank, step, ranks)
        fill, ink = paint(rank)
        left = x + rank * wide
        parts.append(tile(left, y, wide - 34, 44, "", edge=fill))
        parts.append(Text(left + (wide - 34) / 2, y + 12, f"rank {rank}", 13, INK, bold=True))
        fill, ink = paint(whose)
        parts.append(tile(left + 6, y + 23, wide - 46, 17, fill))
        parts.append(Text(left + (wide - 34) / 2, y + 31.5, f"keys of rank {whose}", 12, ink))
        parts.append(arrow((left + wide - 32, y + 31), (left + wide - 4, y + 31), 4, QUIET,
                           f"passes them on to rank {(rank + 1) % ranks}"))  # fmt: skip
    parts.append(Text(x + width, y + 31, "rank 0", 13, QUIET, "start"))
    return parts


# ---- the lesson's picture: deals side by side, step by step ---------------------------------------------------------

LEFT, SIDE, GAP, BAR, PANEL, TOP = 76, 184, 72, 180, 536, 112  # of a panel: the table, then its bars beside it


def side_by_side(panels: Sequence[Dealt], step: int | None, notes: Mapping[str, str]) -> tuple[tuple, list]:
    """The sheet's size and the parts: a ring on top, then for each deal a table and its bars."""
    longest = max(one.work.slowest for one in panels)
    parts = ring(panels[0].ranks, 8, 4, PANEL * len(panels) - 70, step or 0)
    for number, one in enumerate(panels):
        x = LEFT + number * PANEL
        parts.append(Text(x, 74, notes.get(one.name, one.name), 15, INK, "start", bold=True))
        parts += table(one, x, TOP, SIDE, step)
        parts.append(Text(x + SIDE + GAP, TOP + 24, "half blocks, step by step", 13, QUIET, "start"))
        parts += bars(one, x + SIDE + GAP, TOP + 40, BAR, longest, step)
    return (PANEL * len(panels), TOP + max(SIDE, 40 + ROW * panels[0].ranks) + 6), parts


def callouts(panels: Sequence[Dealt]) -> list:
    """What to look at first: who waits in the first deal, which chunks belong together in the last."""
    cell = SIDE / len(panels[-1].owners)
    own = panels[0].work.pairs[0] / max(one.work.slowest for one in panels) * BAR
    edge, fill = LEFT + PANEL * (len(panels) - 1) + SIDE + 7, paint(0)[0]
    high, low = TOP + cell / 2, TOP + SIDE - cell / 2
    bracket = ((edge - 4, high), (edge, high), (edge, low), (edge - 4, low), (edge + 3, low), (edge + 3, high))
    return [
        Text(LEFT + SIDE + GAP + own + 6, TOP + 51, "masked: rank 0 waits", 13, INK, "start", plate=True),
        Shape(bracket, fill, edge=fill),
        Text(edge - 10, TOP + 1.5 * cell, "chunk 0 with", 13, INK, "end"),
        Text(edge - 10, TOP + 1.5 * cell + 17, f"chunk {len(panels[-1].owners) - 1}", 13, INK, "end"),
    ]


@dataclasses.dataclass(frozen=True)
class StepState:
    """Which step of the ring is shown; -1 for all of them."""

    step: int = -1


class Deals(Explorer):
    """Deals beside each other, the ring step by step. ``deals.set(step=1)`` shows one step, -1 all."""

    title = "Deals"
    shown = ("step",)

    def __init__(self, panels: Sequence[Dealt], heading: str, notes: Mapping[str, str]):
        self.panels, self.heading, self.notes = tuple(panels), heading, dict(notes)
        super().__init__(StepState())

    def make_controls(self, state):
        steps = [("all", -1), *((str(step), step) for step in range(self.panels[0].ranks))]
        return {"step": controls.steps("ring step", state.step, steps)}

    def make_view(self):
        return Drawing("", (10, 10), (), "")

    def compute(self, state):
        return None if state.step < 0 else state.step

    def draw(self, step):
        sheet, parts = side_by_side(self.panels, step, self.notes)
        self.view.show(self.heading, sheet, [*parts, *(callouts(self.panels) if step is None else ())], repr(self))

    def facts(self, step):
        return [(f"pairs of each rank, {one.name}", " ".join(f"{pairs:,}" for pairs in one.work.pairs))
                for one in self.panels]  # fmt: skip

    def sentence(self, step):
        if step is None:
            longest = ", ".join(f"{halves(one.work.slowest, one)} for {one.name}" for one in self.panels)
            return (f"Half blocks of pairs, one after the other: {longest}. The number in a tile is the step of the "
                    "ring in which its keys come by: move the slider to follow them.")  # fmt: skip
        return " ".join(f"{one.name.capitalize()}: {told(one, step)}" for one in self.panels)

    def describe(self, step):
        each = [f"{one.name} {' '.join(f'{pairs:,}' for pairs in one.work.pairs)} pairs" for one in self.panels]
        return "; ".join(each) + ("" if self.state.step < 0 else f"; step {self.state.step}")

    def figure(self):
        return self.view.figure()


def told(one: Dealt, step: int) -> str:
    """Who works and who waits in one step, in a sentence."""
    works = one.work.steps[step]
    idle = [rank for rank, pairs in enumerate(works) if not pairs]
    if not idle:
        return f"all {one.ranks} ranks compute, {max(works):,} pairs at most."
    if len(idle) == 1:
        return f"rank {idle[0]} waits: the keys it holds lie in its future."
    return f"ranks {', '.join(map(str, idle[:-1]))} and {idle[-1]} wait: the keys they hold lie in their future."


def deals(panels: Sequence[Dealt], heading: str = "", notes: Mapping[str, str] | None = None) -> Deals:
    """Deals over equally many ranks beside each other, with a slider over the steps of the ring.

    heading: the finding, above the picture. notes: a title for each deal by its name.
    """
    return Deals(panels, heading, notes or {})

"""Which way does a token go: from its rank to its experts, and home again?

    where it starts        experts, by rank       home, in the old order
    rank 0 ▪▪▪▪▪▪▪▪ ═══╲   ┌ rank 0 ───────┐ ╱═══ ▪▪▪▪▪▪▪▪ rank 0
    rank 1 ▪▪▪▪▪▪▪▪ ════╲══│ expert 0   91 │══╲═══ ▪▪▪▪▪▪▪▪ rank 1      a band is as wide as its rows and has the colour
    rank 2 ▪▪▪▪▪▪▪▪ ═══╱   │ expert 1   65 │   ╲══ ▪▪▪▪▪▪▪▪ rank 2      of the rank they start on; point at a token (or
                           └───────────────┘                            walk there with the arrow keys) to light its way
    dropped choices hang hatched under their expert: they do not travel

Python places everything, once, for both forms; the browser only lights a token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import traitlets

from minipar.plan.routing import DROPPED, Routing
from minipar.view.drawing import INK, QUIET, Drawing, Shape, Text, figure, tile
from minipar.view.elements import script
from minipar.view.explore_split import DEVICES
from minipar.view.theme import channels
from minipar.view.words import count

MOST_RANKS, MOST_SLOTS, MOST_CELLS = 8, 24, 256
WIDTH, SIDE, BOX = 760, 112, 126  # of the sheet, a rank, an expert, in pixels
HEAD, NAME, AIR, HIGH = 44, 17, 8, 250  # heights: the headings, a name, a gap, all rows together
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "The other")
CELLS = 8  # tokens in a row of a rank's cells
LEFT, RIGHT = (WIDTH - BOX) / 2, (WIDTH + BOX) / 2  # edges of the experts' column


class Slot(NamedTuple):
    """An expert on a rank: its box from `top`, `high` for rows that were kept, `drop` for dropped ones."""

    rank: int
    expert: int
    rows: int
    dropped: int
    top: float
    high: float
    drop: float


class Picture(NamedTuple):
    """Sheet, shapes and words, and for the browser the place and the way of each token."""

    sheet: tuple[float, float]
    parts: tuple[Shape | Text, ...]
    tokens: tuple[dict, ...]


class FlowView(Drawing):
    """The live form: a drawing whose tokens can be lit. `lit`: number of the token, -1 for none."""

    _esm = script("flow.js")
    _css = "".join((Path(__file__).parent / name).read_text() for name in ("explorer.css", "flow.css"))

    tokens = traitlets.List().tag(sync=True)
    lit = traitlets.Int(-1).tag(sync=True)

    def __init__(self, title: str = "", routing: Routing | None = None, lit: int = -1, summary: str = ""):
        super().__init__(title, (10, 10), (), summary)
        if routing is not None:
            self.draw(routing, title, lit, summary)

    def draw(self, routing: Routing, title: str = "", lit: int = -1, summary: str = "") -> None:
        """Show another routing in the same place."""
        found = picture(routing)
        with self.hold_sync():
            self.lit, self.tokens = lit, list(found.tokens)
            self.show(title, found.sheet, found.parts, summary)

    def figure(self):
        """The plain form; a token that is lit is drawn lit."""
        lit = [part for token in self.tokens if token["number"] == self.lit for part in way(token)]
        return figure(self.title, self.sheet, (*self.parts, *lit), paths=True)


def flow(routing: Routing, title: str | None = None, lit: int = -1) -> FlowView:
    """The way of all tokens of a `minipar.route`. lit: the number of a token to light from the start.

    Up to 256 tokens have a cell of their own. ValueError above 8 ranks or 24 experts, and for a token that is none.
    """
    if not -1 <= lit < routing.tokens:
        raise ValueError(f"there are tokens 0 to {routing.tokens - 1}, and not {lit}")
    return FlowView(heading(routing) if title is None else title, routing, lit, summary(routing))


def heading(routing: Routing) -> str:
    """The finding: who holds up the others, by how much."""
    if routing.ranks == 1:
        return "One rank: nothing travels, nobody waits"
    if routing.max_over_mean < 1.05:
        return "All ranks have the same work"
    rank, others = routing.computed.index(max(routing.computed)), NUMBERS[min(routing.ranks - 1, len(NUMBERS) - 1)]
    waits = "One rank waits" if routing.ranks == 2 else f"{others} ranks wait"
    return f"{waits} for rank {rank}: it has {routing.max_over_mean:.2f} times the mean"


def summary(routing: Routing) -> str:
    """One line of text that stands for the picture."""
    dropped = f", {routing.dropped} dropped" if routing.capacity else ""
    return (f"Flow({routing.tokens} tokens, {routing.experts} experts, ranks={routing.ranks}: rows of the experts "
            f"{' '.join(map(str, routing.load))}, of the ranks {' '.join(map(str, routing.computed))}, "
            f"{routing.carried().total} leave their rank{dropped})")  # fmt: skip


# ---- places -------------------------------------------------------------------------------------------------------


def picture(routing: Routing) -> Picture:
    """Everything in its place; ValueError where it could not be read."""
    if routing.ranks > MOST_RANKS or sum(map(len, routing.placement.slots)) > MOST_SLOTS:
        raise ValueError(f"the flow is drawn for {MOST_RANKS} ranks and {MOST_SLOTS} experts at most, not for "
                         f"{routing.ranks} and {sum(map(len, routing.placement.slots))}")  # fmt: skip
    unit = HIGH / max(1, sum(routing.wanted))
    bands = Counter()
    for home, kept, to in zip(routing.home, routing.kept, routing.targets, strict=True):
        bands.update((home, rank, expert) for expert, rank in zip(kept, to, strict=True) if expert != DROPPED)
    slots, height = _slots(routing, bands, unit)
    sources = _sources(routing, bands, unit, height)
    parts = [*_bands(bands, slots, sources, unit, routing), *_experts(routing, slots)]
    cells = routing.tokens <= MOST_CELLS
    for rank, top in enumerate(sources):
        parts += _rank(routing, rank, top, cells)
    parts += [
        Text(SIDE / 2, 14, "tokens start here", 13, QUIET), Text(WIDTH / 2, 14, "experts, by rank", 13, QUIET),
        Text(WIDTH - SIDE / 2, 14, "home, old order", 13, QUIET),
        Text((SIDE + LEFT) / 2, 14, "dispatch →", 14, INK, bold=True),
        Text((RIGHT + WIDTH - SIDE) / 2, 14, "combine →", 14, INK, bold=True),
    ]  # fmt: skip
    low = max(height, max(top + _rank_height(routing, rank, cells) for rank, top in enumerate(sources)))
    tokens = tuple(_token(routing, number, slots, sources) for number in range(routing.tokens)) if cells else ()
    return Picture((WIDTH, low + 8), tuple(parts), tokens)


def _slots(routing: Routing, bands: Counter, unit: float) -> tuple[dict[tuple[int, int], Slot], float]:
    """The experts' boxes from the top, rank by rank, and where the last one ends."""
    found, y = {}, float(HEAD - NAME)
    for rank, held in enumerate(routing.placement.slots):
        y += NAME
        for expert in dict.fromkeys(held):
            rows = sum(many for (_, there, one), many in bands.items() if (there, one) == (rank, expert))
            first = routing.placement.holders[expert][0] == rank
            dropped = routing.drops[expert] if first else 0
            high = max(15.0, rows * unit)
            drop = max(13.0, dropped * unit) if dropped else 0.0
            found[rank, expert] = Slot(rank, expert, rows, dropped, y, high, drop)
            y += high + drop + 3
        y += AIR
    return found, y - AIR


def _rank_height(routing: Routing, rank: int, cells: bool) -> float:
    lines = -(-routing.sources[rank] // CELLS) if cells else 3
    return NAME + lines * _cell(routing) + 6


def _cell(routing: Routing) -> float:
    """The edge of a token's cell with its gap: as large as the fullest rank allows."""
    lines = max(1, -(-max(routing.sources) // CELLS))
    room = (HIGH + 40) / routing.ranks - NAME - 10
    return max(5.0, min(12.0, room / lines))


def _sources(routing: Routing, bands: Counter, unit: float, height: float) -> list[float]:
    """The upper edge of each rank at the sides, spread over the same height as the experts."""
    cells = routing.tokens <= MOST_CELLS
    ranks = range(routing.ranks)
    heights = [max(_rank_height(routing, rank, cells), _out(bands, rank) * unit + NAME) for rank in ranks]
    top = HEAD - NAME
    gap = max(AIR, (height - top - sum(heights)) / max(1, routing.ranks - 1)) if routing.ranks > 1 else 0
    if routing.ranks == 1:
        top += max(0.0, (height - top - heights[0]) / 2)
    found = []
    for one in heights:
        found.append(top)
        top += one + gap
    return found


def _out(bands: Counter, rank: int) -> int:
    return sum(many for (home, _, _), many in bands.items() if home == rank)


# ---- shapes -------------------------------------------------------------------------------------------------------


def clear(colour: str, share: float = 0.5) -> str:
    """A colour that lets through what lies under it."""
    red, green, blue = channels(colour)
    return f"rgba({red}, {green}, {blue}, {share})"


def _bands(bands: Counter, slots: dict, sources: list[float], unit: float, routing: Routing) -> Iterable[Shape]:
    """Two bands for each pair that meets: out, and home again."""
    named = _named(routing)
    at_slot = {key: slot.top + (slot.high - slot.rows * unit) / 2 for key, slot in slots.items()}
    at_rank = {rank: top + NAME for rank, top in enumerate(sources)}
    for home in range(routing.ranks):
        fill = clear(DEVICES[home % len(DEVICES)][0])
        for rank, expert in slots:
            many = bands[home, rank, expert]
            if not many:
                continue
            wide, left, middle = many * unit, at_rank[home], at_slot[rank, expert]
            at_rank[home], at_slot[rank, expert] = left + wide, middle + wide
            way = f"expert {expert} on rank {rank}: {count(many, 'row')}, tokens {named[home, rank, expert]}"
            yield Shape(band(SIDE + 4, left, LEFT, middle, wide), fill, tip=f"from rank {home} to {way}")
            yield Shape(band(RIGHT, middle, WIDTH - SIDE - 4, left, wide), fill, tip=f"home to rank {home} from {way}")


def _named(routing: Routing) -> dict[tuple[int, int, int], str]:
    """By rank of start, rank and expert: the numbers of its tokens, the first twelve written."""
    found: dict[tuple[int, int, int], list[int]] = {}
    for token, (home, kept, to) in enumerate(zip(routing.home, routing.kept, routing.targets, strict=True)):
        for expert, rank in zip(kept, to, strict=True):
            if expert != DROPPED:
                found.setdefault((home, rank, expert), []).append(token)
    return {
        key: " ".join(map(str, tokens[:12])) + (f" and {len(tokens) - 12} more" if len(tokens) > 12 else "")
        for key, tokens in found.items()
    }


def band(x: float, y: float, to_x: float, to_y: float, wide: float, steps: int = 14) -> tuple[tuple[float, float], ...]:
    """The outline of a smooth band from (x, y) to (to_x, to_y), which are its upper corners."""
    upper = []
    for step in range(steps + 1):
        share = step / steps
        soft = share * share * (3 - 2 * share)
        upper.append((x + (to_x - x) * share, y + (to_y - y) * soft))
    return (*upper, *((across, down + wide) for across, down in reversed(upper)))


def _experts(routing: Routing, slots: dict[tuple[int, int], Slot]) -> Iterable[Shape | Text]:
    """A frame for each rank, in it a box for each expert with its rows; dropped ones hatched below."""
    most = max(routing.computed)
    for rank, held in enumerate(routing.placement.slots):
        own = [slots[rank, expert] for expert in dict.fromkeys(held)]
        if not own:
            continue
        fill, ink = DEVICES[rank % len(DEVICES)]
        top, low = own[0].top - NAME, own[-1].top + own[-1].high + own[-1].drop + 3
        busiest = routing.computed[rank] == most and routing.max_over_mean > 1.05
        yield tile(LEFT - 3, top, BOX + 6, low - top, "", edge=fill)
        rows = f"rank {rank}: {routing.rank_loads[rank]:,} row{'' if routing.rank_loads[rank] == 1 else 's'}"
        yield Text(WIDTH / 2, top + NAME / 2 + 0.5, rows, 13 if len(rows) < 17 else 12, INK, bold=busiest)
        for slot in own:
            tip = f"expert {slot.expert} on rank {rank}: {count(slot.rows, 'row')}"
            yield tile(LEFT, slot.top, BOX, slot.high, fill, tip=tip)
            y = slot.top + slot.high / 2
            yield Text(LEFT + 7, y, f"expert {slot.expert}", 12, ink, "start")
            yield Text(RIGHT - 7, y, f"{slot.rows:,}", 12, ink, "end", bold=True)
            if slot.drop:
                lost = slot.top + slot.high
                yield tile(LEFT, lost, BOX, slot.drop, "", hatch=QUIET, edge=QUIET, tip=f"{slot.dropped} dropped here")
                yield Text(WIDTH / 2, lost + slot.drop / 2, f"{slot.dropped} dropped", 12, INK, plate=True)


def _rank(routing: Routing, rank: int, top: float, cells: bool) -> Iterable[Shape | Text]:
    """A rank at both sides: its name, and its tokens, filled where they start and hollow where they come home."""
    fill, _ = DEVICES[rank % len(DEVICES)]
    many = routing.sources[rank]
    yield Text(0, top + NAME / 2, f"rank {rank}: {count(many, 'token')}", 13, INK, "start")
    yield Text(WIDTH, top + NAME / 2, f"rank {rank}", 13, INK, "end")
    if not cells:
        yield tile(0, top + NAME, SIDE, 3 * _cell(routing), fill)
        yield tile(WIDTH - SIDE, top + NAME, SIDE, 3 * _cell(routing), "", edge=fill)
        return
    for place in range(many):
        x, y, edge = _place(routing, place, top)
        yield tile(x, y, edge, edge, fill)
        yield tile(WIDTH - SIDE + x, y, edge, edge, "", edge=fill)


def _place(routing: Routing, place: int, top: float) -> tuple[float, float, float]:
    """Where a token's cell is on the left, by its place on its rank: x, y, edge."""
    cell = _cell(routing)
    return (place % CELLS) * SIDE / CELLS + 1, top + NAME + 2 + (place // CELLS) * cell, cell - 2


def _token(routing: Routing, number: int, slots: dict, sources: list[float]) -> dict:
    """A token for the browser: its two cells, the middles of its experts' boxes, and its way in words."""
    home = routing.home[number]
    place = number - sum(routing.sources[:home])
    x, y, edge = _place(routing, place, sources[home])
    kept = [(expert, rank) for expert, rank in zip(routing.kept[number], routing.targets[number], strict=True)
            if expert != DROPPED]  # fmt: skip
    lost = [expert for expert, stays in zip(routing.choice[number], routing.kept[number], strict=True)
            if expert != stays]  # fmt: skip
    words = " and ".join(f"expert {expert} on rank {rank}" for expert, rank in kept) or "no expert"
    words += f"; dropped at expert {' and '.join(map(str, lost))}" if lost else ""
    stops = [slots[rank, expert].top + slots[rank, expert].high / 2 for expert, rank in kept]
    return {
        "number": number, "cell": [x, y, edge], "home": [WIDTH - SIDE + x, y, edge], "stops": stops,
        "edges": [LEFT, RIGHT], "words": f"token {number} of rank {home}: {words}",
    }  # fmt: skip


def way(token: dict) -> list[Shape | Text]:
    """The way of one token as thin bands, for the plain form."""
    x, y, edge = token["cell"]
    there, _, _ = token["home"]
    left, right = token["edges"]
    parts = [tile(at - 2, y - 2, edge + 4, edge + 4, "", edge=INK) for at in (x, there)]
    for stop in token["stops"]:
        parts.append(Shape(band(x + edge, y + edge / 2 - 1.5, left, stop - 1.5, 3), INK))
        parts.append(Shape(band(right, stop - 1.5, there, y + edge / 2 - 1.5, 3), INK))
    return parts

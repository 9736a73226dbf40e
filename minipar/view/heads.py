"""Which heads live on which rank, which of them are copies, and what does each rank hold and send?

                  rank 0        rank 1        rank 2        rank 3
    query heads   [0] [1]       [2] [3]       [4] [5]       [6] [7]      one colour: they read the same
                    \\ /           \\ /           \\ /           \\ /       key/value head
    key/value     [  0  ]═══════[╱╱0╱╱]       [  1  ]═══════[╱╱1╱╱]      hatched: a copy, joined to its twin
    logits held   ████████████  ████████████  ████████████  ████████████ gathered
                  ██            ██            ██            ██           sliced

`head_map` makes the picture, `page` its parts, for whoever draws them in the place of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from minipar.plan.slices import Heads
from minipar.view.drawing import INK, QUIET, Drawing, Shape, Text, tile
from minipar.view.theme import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, WHITE, YELLOW, darker

#: A colour for each key/value head and for the query heads that read it; after the last the first again.
COLOURS = (ORANGE, GREEN, SKY, YELLOW, VERMILION, "#999933", "#E8A7B8", "#B8C4D6")
HELD, SENT, FADED = (BLUE, WHITE), (PURPLE, BLACK), (GREY, BLACK)
WIDTH, LEFT, ROOM = 860, 140, 10  # of the sheet; of the labels of the rows; between two ranks
QUERY, LINKS, KV, FOOT = 34, 64, 88, 126  # from the top: query heads, lines, key/value heads, the frame's end
BOX, BAR, STEP = 30, 20, 25


class Bars(NamedTuple):
    """Bars under the ranks: values {"gathered": (bytes of rank 0, …), "sliced": …}; one number stands for all ranks.

    say: the words at the bars of that name. The last name is the one the picture is about, the others are grey.
    """

    name: str
    values: dict[str, tuple[float, ...]]
    say: dict[str, str]
    paint: tuple[str, str]


class Page(NamedTuple):
    """A sheet's size, what is on it, and the same in one line."""

    size: tuple[float, float]
    parts: tuple[Shape | Text, ...]
    summary: str


def head_map(heads: Heads, bars: Sequence[Bars] = (), title: str = "", callout: str = "") -> Drawing:
    """The ranks side by side: query heads above the key/value heads they read, and bars under each rank.

    heads: from `plan.slices.heads`. callout: said under the first copy, where there is one.
    """
    return Drawing(title, *page(heads, bars, callout))


def page(heads: Heads, bars: Sequence[Bars] = (), callout: str = "") -> Page:
    """The parts of a head map, from top to bottom."""
    ranks, parts, foot = len(heads.query), row_names(), FOOT + 8
    for rank in range(ranks):
        parts += one_rank(heads, rank, *column(rank, ranks))
    parts += joined(heads)
    if callout and many_holders(heads) > 1:
        left = column(heads.copies[0][1], ranks)[0] + 16
        parts.append(line((left, FOOT + 24), (left, KV + BOX), INK))
        parts.append(Text(left + 8, FOOT + 17, callout, anchor="start"))
        foot += 26
    for group in bars:
        more, foot = bar_group(group, foot, longest(bars))
        parts += more
    return Page((WIDTH, foot), tuple(parts), f"Heads({'; '.join([describe(heads), *map(told, bars)])})")


def undivided(query_heads: int, kv_heads: int) -> Page:
    """The same heads where no cut fits: grey, on no rank."""
    parts, rows = row_names(), {QUERY: query_heads, KV: kv_heads}
    for top, many in rows.items():
        each = (WIDTH - LEFT) / many
        for head in range(many):
            parts += box(LEFT + head * each, top, each - min(5, each / 5), str(head), GREY, "on no rank")
    summary = f"Heads({query_heads} query and {kv_heads} key/value heads: no cut fits)"
    return Page((WIDTH, FOOT + 8), tuple(parts), summary)


def rank_bars(ranks: int, bars: Sequence[Bars], title: str) -> Drawing:
    """The bars alone, with the ranks' names above them."""
    parts, foot = [], 24
    for rank in range(ranks):
        left, width = column(rank, ranks)
        parts.append(Text(left + width / 2, 11, f"rank {rank}", bold=True))
    for group in bars:
        more, foot = bar_group(group, foot, longest(bars))
        parts += more
    return Drawing(title, (WIDTH, foot), parts, f"Bars({'; '.join(map(told, bars))})")


# ---- the heads


def row_names() -> list[Shape | Text]:
    """The labels at the left."""
    names = {"query heads": QUERY, "key/value heads": KV}
    return [Text(LEFT - ROOM, top + BOX / 2, name, anchor="end") for name, top in names.items()]


def column(rank: int, ranks: int) -> tuple[float, float]:
    """(left edge, width) of a rank's column."""
    each = (WIDTH - LEFT) / ranks
    return LEFT + rank * each, each - min(ROOM, each / 6)


def one_rank(heads: Heads, rank: int, left: float, width: float) -> list[Shape | Text]:
    """A rank's frame, name, query heads, key/value heads, and the lines between them."""
    query, kv, readers = heads.query[rank], heads.kv[rank], readers_of(heads)
    gap = min(5, width / len(query) / 9)
    each = (width - gap) / len(query)
    name = f"rank {rank}" if width > 44 else str(rank)
    parts = [tile(left, 22, width, FOOT - 22, edge=QUIET), Text(left + width / 2, 11, name, bold=True)]
    for read in kv:
        places = [place for place, head in enumerate(query) if head // readers == read]
        x, wide, fill = left + gap + places[0] * each, len(places) * each - gap, COLOURS[read % len(COLOURS)]
        for place in places:
            at = left + gap + place * each
            tip = f"query head {query[place]} reads key/value head {read}"
            parts.append(line((at + (each - gap) / 2, LINKS), (x + wide / 2, KV)))
            parts += box(at, QUERY, each - gap, str(query[place]), fill, tip)
        parts += box(x, KV, wide, str(read), fill, tip_of(heads, rank, read), copy=holders(heads, rank)[0] != rank)
    return parts


def box(x: float, y: float, width: float, number: str, fill: str, tip: str, copy: bool = False) -> list[Shape | Text]:
    """A head: its number in its colour, hatched for a copy."""
    narrow = width < 26
    room = (7 if narrow else 8) * len(number)
    parts: list[Shape | Text] = [tile(x, y, width, BOX, fill, tip=tip)]
    if copy:
        parts.append(tile(x, y, width, BOX, hatch=WHITE, edge=darker(fill), tip=tip))
        if not narrow:  # the number stands on its own piece of colour, clear of the hatches
            parts.append(tile(x + width / 2 - room / 2 - 5, y + 6, room + 10, BOX - 12, fill, edge=fill))
    if width > room:
        size = 12 if narrow else 13
        parts.append(Text(x + width / 2, y + BOX / 2, number, size, BLACK, bold=not narrow))
    return parts


def line(start: tuple[float, float], end: tuple[float, float], edge: str = QUIET) -> Shape:
    """A thin line: an outline that goes and comes back."""
    return Shape((start, end, start), edge=edge)


def joined(heads: Heads) -> list[Shape | Text]:
    """A bar between the key/value heads of twins, across the space between their columns."""
    found: list[Shape | Text] = []
    for group in heads.copies:
        for one, other in pairwise(group):
            left, width = column(one, len(heads.query))
            inset = min(5, width / 10)
            start, end = left + width - inset, column(other, len(heads.query))[0] + inset
            fill = COLOURS[heads.kv[one][0] % len(COLOURS)]
            found.append(tile(start, KV + 11, end - start, 8, fill, edge=darker(fill)))
    return found


def readers_of(heads: Heads) -> int:
    """How many query heads read one key/value head."""
    return sum(map(len, heads.query)) // kv_heads(heads)


def kv_heads(heads: Heads) -> int:
    """How many key/value heads there are, copies not counted."""
    return 1 + max(part[-1] for part in heads.kv)


def holders(heads: Heads, rank: int) -> tuple[int, ...]:
    """The ranks that hold the same key/value heads as this one, itself among them."""
    return next(group for group in heads.copies if rank in group)


def many_holders(heads: Heads) -> int:
    """How many ranks hold each key/value head."""
    return max(map(len, heads.copies))


def tip_of(heads: Heads, rank: int, read: int) -> str:
    """What is said of a key/value head when one points at it."""
    first = holders(heads, rank)[0]
    return f"key/value head {read}" + (f": a copy of what rank {first} holds" if first != rank else "")


def describe(heads: Heads) -> str:
    """The map in one line."""
    total = f"{sum(map(len, heads.query))} query and {kv_heads(heads)} key/value heads"
    copies = many_holders(heads)
    held = "no copies" if copies == 1 else f"each key/value head on {copies} ranks"
    return f"{total}, ranks={len(heads.query)}: {len(heads.query[0])} + {len(heads.kv[0])} a rank, {held}"


# ---- bars below them


def longest(bars: Sequence[Bars]) -> float:
    """The largest value: all bars have one scale."""
    return max((value for group in bars for values in group.values.values() for value in values), default=0) or 1


def told(group: Bars) -> str:
    """ "logits held a rank: gathered 41.0 MB, sliced 8.2 MB"."""
    return f"{group.name} a rank: " + ", ".join(f"{name} {words}" for name, words in group.say.items())


def bar_group(group: Bars, top: float, most: float) -> tuple[list[Shape | Text], float]:
    """The bars of one group, and where the next one starts."""
    parts: list[Shape | Text] = [Text(LEFT - ROOM, top + 10, group.name, anchor="end", bold=True)]
    if all(len(values) == 1 for values in group.values.values()):
        parts.append(Text(LEFT, top + 10, "on each rank", ink=QUIET, anchor="start"))
    top += 22
    for name, values in group.values.items():
        parts.append(Text(LEFT - ROOM, top + BAR / 2, name, anchor="end"))
        paint = group.paint if name == list(group.values)[-1] else FADED
        for place, value in enumerate(values):
            left, width = column(place, len(values))
            parts += bar(left, top, width * value / most, group.say[name], *paint)
        top += STEP
    return parts, top + 8


def bar(left: float, top: float, long: float, words: str, fill: str, ink: str) -> list[Shape | Text]:
    """A bar; its words stand in it where they fit, else behind its end."""
    drawn = tile(left, top, max(long, 2), BAR, fill, tip=words)
    if long > 8 * len(words):
        return [drawn, Text(left + long / 2, top + BAR / 2, words, ink=ink)]
    return [drawn, Text(left + long + 6, top + BAR / 2, words, anchor="start", bold=True)]

"""How much memory do experts take, and how much of it works for one token?

    rank 0   [expert 0 ████] [expert 1 ╱╱╱╱]   131 kB       a token uses two of eight,
    rank 1   [expert 2 ╱╱╱╱] [expert 3 ████]   131 kB       and any other two the next token:
    rank 2   [expert 4 ╱╱╱╱] [expert 5 ╱╱╱╱]   131 kB       all eight lie ready
    rank 3   [expert 6 ╱╱╱╱] [expert 7 ╱╱╱╱]   131 kB
"""

from __future__ import annotations

from minipar.plan.routing import DROPPED, Routing
from minipar.view.drawing import INK, QUIET, Drawing, Shape, Text, tile
from minipar.view.explore_split import DEVICES
from minipar.view.words import amount, count

WIDTH, LEFT, RIGHT, ROW, HIGH = 760, 62, 620, 44, 36


def resident(routing: Routing, expert: int, token: int = 0) -> Drawing:
    """Experts that lie ready on each rank, filled where they work for one token of a `minipar.route`.

    expert: bytes of one expert's weights. ValueError for a token that there is none of.
    """
    if not 0 <= token < routing.tokens:
        raise ValueError(f"there are tokens 0 to {routing.tokens - 1}, and not {token}")
    used = {(expert, rank) for expert, rank in zip(routing.kept[token], routing.targets[token], strict=True)
            if expert != DROPPED}  # fmt: skip
    placement = routing.placement
    most = max(1, max(map(len, placement.slots)))
    parts: list[Shape | Text] = []
    for rank, held in enumerate(placement.slots):
        parts += _row(rank, held, used, (RIGHT - LEFT) / most, amount(len(held) * expert))
    slots = sum(placement.copies)
    works = "works" if len(used) == 1 else "work"
    title = f"All {slots} experts lie ready, {len(used)} of them {works} for one token"
    summary = (f"Resident({count(slots, 'expert')} of {amount(expert)} on ranks={placement.ranks}: "
               f"{amount(slots * expert)} held, {amount(len(used) * expert)} used by token {token})")  # fmt: skip
    return Drawing(title, (WIDTH, ROW * placement.ranks + 4), parts, summary)


def _row(rank: int, held: tuple[int, ...], used: set, wide: float, size: str):
    """The experts of one rank, and what they weigh together."""
    top, (fill, ink) = 2 + rank * ROW, DEVICES[rank % len(DEVICES)]
    yield Text(LEFT - 8, top + HIGH / 2, f"rank {rank}", 13, INK, "end")
    for place, expert in enumerate(held):
        x, works = LEFT + place * wide, (expert, rank) in used
        words = f"expert {expert} works" if works and wide > 110 else f"expert {expert}" if wide > 62 else str(expert)
        if works:
            yield tile(x, top, wide - 4, HIGH, fill, tip=f"expert {expert} works for this token")
        else:
            yield tile(x, top, wide - 4, HIGH, "", hatch=QUIET, edge=fill, tip=f"expert {expert} lies ready")
        yield Text(x + wide / 2 - 2, top + HIGH / 2, words, 13, ink if works else INK, bold=works, plate=not works)
    yield Text(RIGHT + 12, top + HIGH / 2, size, 15, INK, "start", bold=True)


"""Who waits for whom, and where in its list does each rank stand?

    rank 0  0F0 0F1 0F2 0F3│0B0 …     ┌ sends 0F3's activation to rank 1 ┐      what was done is filled,
                                      └───────────────│──────────────────┘      what was not reached is hollow
    rank 1  1F0 1F1 1F2│1B0 …         ┌ sends 1F2's …  ▼                 ┐      thin: stands behind
    rank 2  2F0 2F1│2B0 …             ┌ sends 2F1's … ─┐      the circle ║      heavy: waits in the circle
    rank 3  3F0 3B0│3F1 …             ┌ sends 3B0's … ─┘                 ║

`waits` draws this; `calls` a table of what each rank called and where, the odd one marked. Both are drawn from plain
data: a schedule and where each rank stands (`plan.waits.Wait`), whether a run has said so or a walk through the lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from minipar.plan.actions import Recv, Send
from minipar.plan.schedule import Schedule
from minipar.plan.waits import Wait
from minipar.view.drawing import INK, QUIET, Drawing, Shape, Text, arrow, tile
from minipar.view.rectangles import OPS
from minipar.view.theme import BLACK, GREY, ORANGE, PALETTE, VERMILION, YELLOW, Kind

LEFT, TOP, ROW, HIGH = 62, 40, 78, 34  # where tiles begin, the first row's middle, from row to row, a tile's height
LIST, TILE = 400, 46  # pixels that the lists may take; the widest tile
BOX, TALL, SIDE = 196, 44, 150  # a box's width and height; room for words beside the boxes


def waits(schedule: Schedule, stands: Sequence[Wait], circle: Sequence[int], title: str) -> Drawing:
    """Each rank's list as far as it came, where it stands, and an arrow to whom it waits for; the circle heavy."""
    return Drawing(title, *drawn(schedule, stands, circle))


def drawn(schedule: Schedule, stands: Sequence[Wait], circle: Sequence[int]):
    """(sheet, shapes and words, summary) of the picture: what a `Drawing` takes."""
    sheet = _Sheet(schedule, {stand.rank: stand for stand in stands}, tuple(circle))
    return sheet.size, sheet.parts(), f"Waits({schedule.name}: {in_words(stands, circle)})"


def in_words(stands: Iterable[Wait], circle: Sequence[int]) -> str:
    """The finding in one line: "rank 0 waits for 1, 1 for 2, 2 for 3, 3 for 2; circle 2 → 3 → 2"."""
    pairs = [f"{stand.rank} for {'nobody' if stand.peer is None else stand.peer}" for stand in stands]
    if not pairs:
        return "all reach their end"
    first = pairs[0].replace(" for", " waits for", 1)
    told = ", ".join([f"rank {first}", *pairs[1:]])
    return f"{told}; circle {' → '.join(map(str, (*circle, circle[0])))}" if circle else told


def standing(wait: Wait) -> tuple[str, ...]:
    """What a rank does where it stands, in two lines: "sends 0F3's activation", "to rank 1"."""
    if isinstance(wait.step, Send | Recv):
        held = f"{wait.maker}'s {wait.step.value.kind.value}"
        sends = isinstance(wait.step, Send)
        return (f"sends {held}", f"to rank {wait.peer}") if sends else (f"receives {held}", f"from rank {wait.peer}")
    if wait.maker is None:
        return f"waits at {wait.step}", "for what nobody makes"
    return f"waits at {wait.step}", f"for {wait.maker} of rank {wait.peer}"


class _Sheet:
    """The picture in the making."""

    def __init__(self, schedule: Schedule, stands: Mapping[int, Wait], circle: tuple[int, ...]):
        self.schedule, self.stands, self.circle = schedule, stands, circle
        longest = max((len(program) for program in schedule.programs), default=1) or 1
        self.wide = min(TILE, LIST / longest)
        self.box = LEFT + longest * self.wide + 28
        self.size = self.box + BOX + SIDE, TOP + (schedule.ranks - 1) * ROW + 52
        self.lanes = 0

    def parts(self) -> list[Shape | Text]:
        made: list[Shape | Text] = []
        for rank, program in enumerate(self.schedule.programs):
            made += self.row(rank, program)
            made += self.place(rank)
        for stand in self.stands.values():
            made += self.wait(stand)
        return [*made, *self.beside()]

    def middle(self, rank: int) -> float:
        return TOP + rank * ROW

    def row(self, rank: int, program) -> Iterable[Shape | Text]:
        """The list: filled as far as it was carried out."""
        y, stand = self.middle(rank), self.stands.get(rank)
        yield Text(4, y, f"rank {rank}", anchor="start", bold=True)
        for at, action in enumerate(program):
            paint = PALETTE.bars[OPS.get(getattr(action, "op", None), Kind.OTHER)]
            reached = stand is None or at < stand.done
            x = LEFT + at * self.wide
            yield tile(x + 1, y - HIGH / 2, self.wide - 2, HIGH, paint.fill if reached else "",
                       tip=f"{action}: {'done' if reached else 'not reached'}")  # fmt: skip
            if self.wide >= 30:
                yield Text(x + self.wide / 2, y, str(action), 12.5, paint.ink if reached else QUIET, bold=reached)
        if stand is not None:
            x = LEFT + stand.done * self.wide
            yield Shape(((x - 2, y - 25), (x + 2, y - 25), (x + 2, y + 25), (x - 2, y + 25)), VERMILION, edge=VERMILION)

    def place(self, rank: int) -> Iterable[Shape | Text]:
        """The box at the end of the row: what the rank does there."""
        y, stand = self.middle(rank), self.stands.get(rank)
        if stand is None:
            yield Text(self.box + 8, y, "has reached its end", 13, QUIET, "start")
            return
        ring = rank in self.circle
        yield tile(self.box, y - TALL / 2, BOX, TALL, YELLOW if ring else "", edge=VERMILION if ring else QUIET)
        for at, line in enumerate(standing(stand)):
            ink = BLACK if ring else INK
            yield Text(self.box + BOX / 2, y + 17 * at - 8.5, line, 13, ink, bold=ring and not at)

    def wait(self, stand: Wait) -> Iterable[Shape | Text]:
        """The arrow to the one that is waited for: straight between neighbours, round by the right side otherwise."""
        if stand.peer is None or stand.peer == stand.rank:
            return
        heavy = stand.rank in self.circle and stand.peer in self.circle
        fill, width = (VERMILION, 7) if heavy else (GREY, 3)
        words = f"rank {stand.rank} waits for rank {stand.peer}"
        start, end = self.middle(stand.rank), self.middle(stand.peer)
        if abs(stand.rank - stand.peer) == 1:
            down = 1 if end > start else -1
            x = self.box + BOX / 2 - down * (34 if heavy else 0)
            yield arrow((x, start + down * (TALL / 2 + 2)), (x, end - down * (TALL / 2 + 2)), width, fill, words)
            side = "end" if heavy and down > 0 else "start"
            yield Text(x + (-10 if side == "end" else 10), (start + end) / 2, "waits for", 12, QUIET, side)
            return
        self.lanes += 1
        x, right, half = self.box + BOX + 16 * self.lanes, self.box + BOX, width / 2
        low, high = min(start, end), max(start, end)
        yield tile(right + 1, start - half, x - right, width, fill, tip=words)
        yield tile(x - half, low - half, width, high - low + width, fill, tip=words)
        yield arrow((x, end), (right + 2, end), width, fill, words)

    def beside(self) -> Iterable[Shape | Text]:
        """What the boxes are to each other, at the right of them."""
        x = self.box + BOX + 16 * (self.lanes + 1)
        if self.circle:
            y = sum(self.middle(rank) for rank in self.circle) / len(self.circle)
            yield Text(x, y - 9, "the circle:", 13, VERMILION, "start", bold=True)
            yield Text(x, y + 9, " → ".join(map(str, (*self.circle, self.circle[0]))), 13, INK, "start", bold=True)
        behind = [rank for rank in self.stands if rank not in self.circle]
        if self.circle and behind:
            y = sum(self.middle(rank) for rank in behind) / len(behind)
            yield Text(x, y, f"only stand{'s' * (len(behind) == 1)} behind", 13, QUIET, "start")


class Call(NamedTuple):
    """What one rank called, and where: "all_reduce", "mixed, line 4", "return w.axis().all_reduce(x)"."""

    rank: int
    what: str
    place: str
    line: str


def calls(rows: Sequence[Call], title: str) -> Drawing:
    """What each rank called and where, one below the other; who called something else than most is marked."""
    most = Counter(row.what for row in rows).most_common(1)[0][0]
    parts: list[Shape | Text] = [
        Text(x, 14, words, 12.5, QUIET, "start") for x, words in ((96, "calls"), (268, "in"), (392, "the line"))
    ]
    for at, row in enumerate(rows):
        y, odd = 44 + at * 42, row.what != most
        parts.append(Text(4, y, f"rank {row.rank}", anchor="start", bold=True))
        parts.append(tile(88, y - 16, 150, 32, ORANGE if odd else "", edge=VERMILION if odd else QUIET))
        parts.append(Text(163, y, row.what, 14, BLACK if odd else INK, bold=odd))
        parts.append(Text(268, y, row.place, 13, INK, "start", bold=odd))
        parts.append(Text(392, y, row.line, 13, INK, "start", bold=odd))
        if odd:
            parts.append(arrow((766, y), (732, y), 4, VERMILION, f"rank {row.rank} calls something else"))
            parts.append(Text(772, y, "the odd one", 13, INK, "start", bold=True))
    told = "; ".join(f"rank {row.rank} {row.what} at {row.place}" for row in rows)
    return Drawing(title, (862, 44 + len(rows) * 42 - 14), parts, f"Calls({told})")

"""Which rank owns which rows and columns, and where must they talk?

    x ─► ▓░ up ─► GELU ────────► ▓ down ─►(sum)─► y        column→row: nothing in the middle
         ▓░       whole numbers  ░
    x ─► ▓▓ up ─►(sum)─► GELU ─► ▓░ down ─►(join)─► y      row→column: GELU of half a sum is wrong
         ░░                      ▓░

Matrices are drawn as mathematics writes them, x on the left: torch's weight [outputs, inputs] turned on its side, so a
`Cut` of dimension 0 is drawn as columns. `talk` says which collective stands at which joint of a chain of cuts; an
arrow is drawn there and nowhere else, as wide as the bytes a rank sends.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from minipar.cost import comm
from minipar.plan.slices import Cut
from minipar.view.drawing import INK, PAPER, QUIET, Drawing, Shape, Text, arrow, tile
from minipar.view.theme import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, WHITE, YELLOW

#: A rank's colour and the ink on it; purple is kept for what is sent.
OWNERS = ((BLUE, WHITE), (ORANGE, BLACK), (GREEN, BLACK), (SKY, BLACK), (YELLOW, BLACK), (VERMILION, BLACK),
          (GREY, BLACK), (WHITE, BLACK))  # fmt: skip


class By(enum.Enum):
    """How a matrix lies on the ranks, as mathematics counts rows and columns."""

    COLUMN = "column"
    ROW = "row"
    WHOLE = "whole"


class Joint(NamedTuple):
    """What the ranks do where two matrices meet: a collective's name forward and backward, "" for nothing."""

    forward: str = ""
    backward: str = ""


class Arrow(NamedTuple):
    """A collective that was counted or is expected: which one, and the bytes that one rank sends."""

    what: str
    bytes: int


class Chain(NamedTuple):
    """One row of the picture: two (or more) cut matrices with a function of single numbers between them.

    forward, backward: one Arrow or None for each joint: before the first matrix, between two, after the last.
    result: what stands on the last tile ("equal", "wrong by 70 %"); wrong: hatch it; note: a line under it.
    """

    name: str
    cuts: tuple[By, ...]
    forward: tuple[Arrow | None, ...]
    backward: tuple[Arrow | None, ...]
    result: str = ""
    wrong: bool = False
    note: str = ""
    widths: tuple[int, ...] = ()  # of x, of what is between, of y
    ranks: int = 2
    names: tuple[tuple[str, ...], ...] = ()


def talk(cuts: Sequence[By]) -> tuple[Joint, ...]:
    """The collectives that a chain of cut matrices needs when x, y and their gradients are to be whole on every rank.

    A column cut wants all of its input and leaves pieces side by side; a row cut wants such pieces and leaves partial
    sums. The gradient of what a column cut reads is a partial sum again.
    """
    joints, has = [], By.WHOLE
    for at, cut in enumerate([*cuts, None]):
        joints.append(_joint(has, cut, last=at == len(cuts)))
        has = cut
    return tuple(joints)


def _joint(has: By, wants: By | None, last: bool) -> Joint:
    """`has`: the cut before (COLUMN leaves pieces, ROW partial sums). `wants`: the cut behind; None at the end."""
    if has is By.COLUMN:  # pieces
        if wants is By.ROW:
            return Joint()
        return Joint("all_gather", "reduce_scatter" if wants is By.COLUMN else "")
    if has is By.ROW:  # partial sums
        if wants is By.ROW:
            return Joint("reduce_scatter", "all_gather")
        return Joint("all_reduce", "all_reduce" if wants is By.COLUMN else "")
    return Joint("", {By.COLUMN: "all_reduce", By.ROW: "all_gather"}.get(wants, ""))


def chain(cuts: Sequence[By], widths: Sequence[int], tokens: int, ranks: int = 2, **more) -> Chain:
    """A row of the picture with the bytes that `talk` and `cost.comm` expect: float32, our ring, the busiest rank.

    widths: of x, of each matrix's output: (256, 1024, 256). more: other fields of `Chain`.
    """
    joints = talk(cuts)

    def arrows(names: Iterable[str]) -> tuple[Arrow | None, ...]:
        sizes = [4 * tokens * width for width in widths]
        return tuple(
            Arrow(what, max(comm.sent(what, "ring", ranks, size))) if what and ranks > 1 else None
            for what, size in zip(names, sizes, strict=True)
        )

    name = more.pop("name", "→".join(cut.value for cut in cuts))
    return Chain(name, tuple(cuts), arrows(j.forward for j in joints), arrows(j.backward for j in joints),
                 widths=tuple(widths), ranks=ranks, **more)  # fmt: skip


# ---- a layer as a chain --------------------------------------------------------------------------------------------


def chain_of(layer, ranks: int, tokens: int) -> Chain:
    """A layer that says `cuts(ranks)` as one row. Neighbouring column cuts read the same input, side by side.

    A column layer alone leaves its pieces where they are unless `gather_output`, a row layer takes pieces as they come
    unless not `input_is_parallel`: nothing is sent there.
    """
    if not (hasattr(layer, "cuts") and hasattr(layer, "named_parameters")):
        kind = type(layer).__name__
        raise ValueError(f"slices draws a layer that says how it is cut (ParallelMLP, …), not a {kind}.")
    cuts = {name: cut for name, cut in layer.cuts(ranks).items() if name.endswith("weight")}
    shapes = {name: tuple(parameter.shape) for name, parameter in layer.named_parameters()}
    stages: list[tuple[By, list[str], int]] = []
    width = 0
    for name, cut in cuts.items():
        by, (outputs, inputs) = side(cut), whole(shapes[name], cut)
        width = width or inputs
        if stages and stages[-1][0] is by is By.COLUMN:
            stages[-1][1].append(name)
        else:
            stages.append((by, [name], outputs))
    if not stages:
        raise ValueError(f"{type(layer).__name__} has no matrix that is cut on {ranks} ranks.")
    names = tuple(tuple(short(name) for name in names) for _, names, _ in stages)
    widths = (width, *(outputs for _, _, outputs in stages))
    made = chain([by for by, _, _ in stages], widths, tokens, ranks, names=names, name=type(layer).__name__)
    if stages[0][0] is By.ROW and getattr(layer, "input_is_parallel", True):
        made = made._replace(backward=(None, *made.backward[1:]))
    if stages[-1][0] is By.COLUMN and not getattr(layer, "gather_output", False):
        made = made._replace(forward=(*made.forward[:-1], None))
    return made


def side(cut: Cut) -> By:
    """Dimension 0 of torch's weight is the outputs, which mathematics writes as columns."""
    return (By.COLUMN, By.ROW)[cut.dim]


def whole(shape: Sequence[int], cut: Cut) -> tuple[int, int]:
    """(outputs, inputs) of the whole matrix, from one rank's shape and the cut."""
    outputs, inputs = shape
    return (cut.size, inputs) if cut.dim == 0 else (outputs, cut.size)


def short(name: str) -> str:
    """ "up" for "mlp.up.weight"."""
    return name.removesuffix(".weight").split(".")[-1]


def slices(layer, ranks: int = 2, tokens: int = 64, title: str = "") -> Drawing:
    """The matrices of a layer as tiles coloured by owner, forward and backward, an arrow where a collective stands.

    layer: one with `cuts(ranks)` (ColumnParallelLinear, RowParallelLinear, ParallelMLP, ParallelAttention), a `Chain`,
    several chains, or {name: chain}. tokens: how many rows x has, for the bytes at the arrows (float32, expected, not
    run). ValueError where nothing is cut.
    """
    if isinstance(layer, Chain):
        return draw([layer], title)
    if isinstance(layer, Mapping):
        layer = [one._replace(name=name) for name, one in layer.items()]
    if isinstance(layer, Sequence):
        return draw(list(layer), title)
    made = chain_of(layer, ranks, tokens)
    return draw([made], title or f"{made.name} on {ranks} ranks: {in_words(made)}")


# ---- the drawing ---------------------------------------------------------------------------------------------------

LEFT, TILE, SLOT, MIDDLE, RESULT = 172, 84, 112, 116, 164  # widths along a row
TOP, ROW, HIGH, BOX = 46, 124, 52, 64  # of the legend, of a row, of a tile; width of a function's box
WIDEST = 26  # of the widest arrow


def draw(chains: Sequence[Chain], title: str = "") -> Drawing:
    """Rows of tiles, one scale of arrows for all."""
    most = max((one.bytes for row in chains for one in (*row.forward, *row.backward) if one), default=1)
    joints = max(len(row.cuts) for row in chains)
    width = LEFT + 40 + SLOT + joints * (TILE + SLOT) + (joints - 1) * MIDDLE + RESULT + 8
    parts = list(legend(chains[0].ranks, width))
    sums = [By.ROW in row.cuts[:-1] for row in chains]
    for at, row in enumerate(chains):
        parts += _Row(row, TOP + at * ROW, most, at == 0, sums.index(sums[at]) == at, len(chains) > 1).parts()
    summary = f"Slices({'; '.join(in_words(row, named=True) for row in chains)})"
    return Drawing(title, (width, TOP + len(chains) * ROW + 8), parts, summary)


def legend(ranks: int, width: float) -> Iterable[Shape | Text]:
    """Who has which colour, and what an arrow's width means."""
    x = 4
    for rank in range(min(ranks, len(OWNERS))):
        yield tile(x, 8, 18, 18, OWNERS[rank][0])
        yield Text(x + 24, 17, f"rank {rank}", anchor="start")
        x += 84
    yield arrow((x + 8, 17), (x + 50, 17), 10, PURPLE)
    yield Text(x + 58, 17, "a collective, as wide as the bytes a rank sends", anchor="start")


class _Row:
    """One chain on its way from left to right; collects shapes and words."""

    def __init__(self, chain: Chain, top: float, most: int, first: bool, callout: bool, compared: bool):
        self.chain, self.most, self.first, self.callout, self.compared = chain, most, first, callout, compared
        self.mid, self.back = top + 46, top + 98
        self.made: list[Shape | Text] = []
        self.x = LEFT

    def parts(self) -> list[Shape | Text]:
        chain = self.chain
        self.say_what()
        self.whole_or_cut(chain.cuts[0], "x")
        for at, cut in enumerate(chain.cuts):
            if at:
                self.between(at, cut)
            else:
                self.joint(0)
            self.matrix(at, cut)
        self.joint(len(chain.cuts))
        self.result()
        return self.made

    def say_what(self) -> None:
        chain, there, home = self.chain, *(sum(one is not None for one in way) for way in _ways(self.chain))
        sent = sum(one.bytes for way in _ways(chain) for one in way if one)
        lines = [f"{there} collective{'s' * (there != 1)} forward", f"{home} backward", f"{sent:,} B sent a rank"]
        self.made.append(Text(4, self.mid - 27, chain.name, 15, anchor="start", bold=True))
        self.made.append(Text(LEFT + 34, self.back, "backward", 12, QUIET, "end"))
        for at, line in enumerate(lines):
            self.made.append(Text(4, self.mid - 3 + 18 * at, line, anchor="start"))

    def whole_or_cut(self, cut: By, name: str) -> None:
        """x: whole on each rank where a column cut reads it, else each takes its own columns of it."""
        if cut is By.ROW:
            self.pieces(self.x, 40, HIGH, By.COLUMN)
        else:
            self.made.append(tile(self.x, self.mid - HIGH / 2, 40, HIGH, tip="the same on every rank"))
            self.made.append(Text(self.x + 20, self.mid, "all"))
        self.label(self.x + 20, name)
        self.x += 40

    def pieces(self, x: float, width: float, high: float, by: By) -> None:
        ranks = self.chain.ranks
        for rank in range(ranks):
            fill, ink = OWNERS[rank % len(OWNERS)]
            part = (width / ranks, high) if by is By.COLUMN else (width, high / ranks)
            left = x + (rank * part[0] if by is By.COLUMN else 0)
            above = self.mid - high / 2 + (rank * part[1] if by is By.ROW else 0)
            self.made.append(tile(left, above, *part, fill, tip=f"rank {rank}"))
            if min(part) >= 13:
                self.made.append(Text(left + part[0] / 2, above + part[1] / 2, str(rank), ink=ink, bold=True))

    def matrix(self, at: int, cut: By) -> None:
        chain = self.chain
        names = chain.names[at] if chain.names else (("A", "B")[at] if at < 2 else "C",)
        self.pieces(self.x, TILE, HIGH, cut)
        self.label(self.x + TILE / 2, ", ".join(names))
        if chain.widths:
            self.made.append(Text(self.x + TILE / 2, self.mid + HIGH / 2 + 12, f"by {cut.value}s", 12, QUIET))
        self.x += TILE

    def between(self, at: int, cut: By) -> None:
        """The joint between two matrices: a function of single numbers, and where it must be, a collective.

        Partial sums are summed before the function; pieces may be joined behind it.
        """
        sums = self.chain.cuts[at - 1] is By.ROW
        if sums:
            self.joint(at)
        self.function(sums)
        if not sums:
            self.joint(at)

    def function(self, sums: bool) -> None:
        name = "attention" if self.chain.names and len(self.chain.names[0]) > 1 else "GELU"
        middle = self.x + MIDDLE / 2
        self.made.append(tile(middle - BOX / 2, self.mid - 14, BOX, 28, edge="ink"))
        self.made.append(Text(middle, self.mid, name, 12 if len(name) > 6 else 13))
        lines = ("no sum: GELU", "of half a sum") if sums else ("GELU of a", "whole number")
        for at, line in enumerate(lines if name == "GELU" and self.callout else ()):
            self.made.append(Text(middle, self.mid + 24 + 14 * at, line, 12.5, bold=True))
        self.x += MIDDLE

    def joint(self, at: int) -> None:
        """Arrows of one joint: forward in the row's middle, backward under it; a thin line where nothing is sent."""
        there, home = self.chain.forward[at], self.chain.backward[at]
        left, right = self.x + 6, self.x + SLOT - 6
        if there is None:
            edge = self.mid
            self.made.append(Shape(((left, edge), (right, edge)), edge=QUIET))
        else:
            self.made.append(self.flow((left, self.mid), (right, self.mid), there, "forward"))
            self.made.append(Text(self.x + SLOT / 2, self.mid - 25, words_of(there.what), 12.5, bold=True))
            self.made.append(Text(self.x + SLOT / 2, self.mid + 26, f"{there.bytes:,} B", 12.5))
        if home is not None:
            self.made.append(self.flow((right, self.back), (left, self.back), home, "backward"))
            away = max(8.0, self.thick(home) / 2 + 3) + 9
            told = f"{words_of(home.what)} {home.bytes:,} B"
            self.made.append(Text(self.x + SLOT / 2, self.back + away, told, 12, QUIET))
        self.x += SLOT

    def flow(self, start, end, one: Arrow, way: str) -> Shape:
        return arrow(start, end, self.thick(one), PURPLE, f"{way}: {one.what}, {one.bytes:,} B sent by each rank")

    def thick(self, one: Arrow) -> float:
        return max(3.0, WIDEST * one.bytes / self.most)

    def result(self) -> None:
        chain = self.chain
        fill, ink = (GREEN, BLACK) if chain.result and not chain.wrong else (PAPER, INK)
        hatch = VERMILION if chain.wrong else ""
        wide = RESULT - 6
        self.made.append(tile(self.x, self.mid - HIGH / 2, wide, HIGH, fill, hatch=hatch, edge="ink"))
        lines = [chain.result or "y", *([chain.note] if chain.note else [])]
        for at, line in enumerate(lines):
            y = self.mid + (at - (len(lines) - 1) / 2) * 20
            bold = at == 0 and bool(chain.result)
            self.made.append(Text(self.x + wide / 2, y, line, 14 if bold else 12, ink, bold=bold, plate=chain.wrong))
        self.label(self.x + wide / 2, "y, with the last one alone" if self.compared else "y")

    def label(self, x: float, words: str) -> None:
        if self.first or self.chain.names:
            self.made.append(Text(x, self.mid - HIGH / 2 - 13, words, 13, QUIET))


def _ways(chain: Chain):
    return chain.forward, chain.backward


def words_of(what: str) -> str:
    """A collective in a learner's words."""
    return {"all_reduce": "sum", "all_gather": "join", "reduce_scatter": "sum, cut"}.get(what, what)


def in_words(chain: Chain, named: bool = False) -> str:
    """ "column→row: forward sum 65,536 B, backward sum 65,536 B, equal"."""
    told = []
    for way, arrows in zip(("forward", "backward"), _ways(chain), strict=True):
        sent = [f"{words_of(one.what)} {one.bytes:,} B" for one in arrows if one]
        told.append(f"{way} {' and '.join(sent) or 'nothing'}")
    if chain.result:
        told.append(chain.result)
    return (f"{chain.name}: " if named else "") + ", ".join(told)

"""How do heads and words lie on P ranks, and from when on are heads copied?

ranks ──●── 4     query heads ──●── 8     key/value heads ──●── 2      [ more: words, tokens ]
[0][1] │ [2][3] │ [4][5] │ [6][7]
[  0 ] │ [╱ 0╱] │ [  1 ] │ [╱ 1╱]       more ranks than key/value heads: copies
logits held   gathered ███████████████ 41.0 MB
              sliced   ███ 8.2 MB
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from minipar.cost import comm
from minipar.plan.slices import Heads
from minipar.plan.slices import heads as heads_of
from minipar.view import controls
from minipar.view.drawing import Drawing
from minipar.view.explorer import Explorer, Task
from minipar.view.heads import HELD, SENT, Bars, many_holders, page, undivided
from minipar.view.words import amount, count

HEADS = (1, 2, 4, 8, 16, 32)
WORDS = (250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 50_000, 128_000, 256_000)
TOKENS = (1, 16, 64, 256, 1_024, 8_192)
MOST_RANKS = 40
BYTES = 4  # of a number


@dataclasses.dataclass(frozen=True)
class HeadsState:
    """Ranks, query heads, key/value heads; words of the vocabulary, tokens of the batch."""

    ranks: int = 4
    query: int = 8
    kv: int = 2
    words: int = 32_000
    tokens: int = 256


class Laid(NamedTuple):
    """Where the heads are (None where no cut fits: `problem` says why), and the bytes of one rank for the loss."""

    heads: Heads | None
    problem: str
    held_gathered: int
    held_sliced: int
    sent_gathered: int
    sent_sliced: int


class HeadsOnRanks(Explorer):
    """The head-to-rank map, and what the loss holds and sends on each rank, gathered and sliced."""

    title = "Heads"
    shown = ("ranks", "query", "kv")

    def make_controls(self, state):
        return {
            "ranks": controls.whole("ranks", state.ranks, 1, MOST_RANKS),
            "query": controls.steps("query heads", state.query, choices(HEADS, state.query)),
            "kv": controls.steps("key/value", state.kv, choices(HEADS, state.kv)),
            "words": controls.steps("words", state.words, choices(WORDS, state.words)),
            "tokens": controls.steps("tokens", state.tokens, choices(TOKENS, state.tokens)),
        }

    def make_view(self):
        return Drawing("", (10, 10), (), "")

    def compute(self, state) -> Laid:
        return laid(state)

    def draw(self, result):
        here = page(result.heads, self.bars(result)) if result.heads else undivided(self.state.query, self.state.kv)
        self.view.show("", *here)

    def bars(self, result) -> tuple[Bars, Bars]:
        """All ranks are alike: one bar stands for each of them."""
        held = {"gathered": result.held_gathered, "sliced": result.held_sliced}
        sent = {"gathered": result.sent_gathered, "sliced": result.sent_sliced}
        return bars("logits held", held, HELD), bars("bytes sent", sent, SENT)

    def facts(self, result):
        if result.heads is None:
            return []
        copies, here = many_holders(result.heads), result.heads
        return [
            ("heads a rank, query + key/value", f"{len(here.query[0])} + {len(here.kv[0])}"),
            ("each key/value head", "on one rank" if copies == 1 else f"on {copies} ranks"),
            ("logits held, sliced", exactly(result.held_sliced)),
            ("sent for the loss, sliced", exactly(result.sent_sliced)),
            ("waits, sliced against gathered", f"{4 * (self.state.ranks - 1)} : {self.state.ranks - 1}"),
        ]

    def sentence(self, result):
        if result.heads is None:
            return ""
        if many_holders(result.heads) == 1:
            return "Every head stands once: cutting by heads needs no copy."
        return (
            f"{count(self.state.kv, 'key/value head')} for {self.state.ranks} ranks: a rank holds one, as it did at "
            f"P = {self.state.kv}. More ranks only make more copies, and copies sum their gradients."
        )

    def trouble(self, result):
        return result.problem

    def describe(self, result):
        return self.view.summary.removeprefix("Heads(").removesuffix(")")

    def figure(self):
        drawing = self.view
        return Drawing("Heads on ranks; all ranks are alike", drawing.sheet, drawing.parts, drawing.summary).figure()


def choices(known: tuple[int, ...], value: int) -> list[tuple[str, int]]:
    """The steps of a slider, with the value it starts at among them."""
    return [(f"{one:,}", one) for one in sorted({*known, value})]


def bars(name: str, values: dict[str, int], paint) -> Bars:
    """One bar for each way; in words exact to the byte where they are few."""
    say = {way: exactly(value) for way, value in values.items()}
    return Bars(name, {way: (value,) for way, value in values.items()}, say, paint)


def exactly(size: int) -> str:
    """ "4,608 B", "24.6 MB"."""
    return f"{size:,} B" if size < 100_000 else amount(size)


def laid(state: HeadsState) -> Laid:
    """Heads by `plan.slices`; bytes by formula: rings, numbers of 4 bytes, words in equal pieces (rounded up).

    The sliced loss is two all-reduces, of one and of two numbers a token; what the busiest rank sends is counted.
    """
    try:
        where, problem = heads_of(state.query, state.kv, state.ranks), ""
    except ValueError as error:
        where, problem = None, str(error)
    ranks, whole = state.ranks, state.tokens * state.words * BYTES
    own = state.tokens * -(-state.words // ranks) * BYTES
    notes = [comm.sent("all_reduce", "ring", ranks, many * state.tokens * BYTES, item=BYTES) for many in (1, 2)]
    return Laid(
        where,
        problem,
        held_gathered=own + whole if ranks > 1 else whole,
        held_sliced=own,
        sent_gathered=(ranks - 1) * own,
        sent_sliced=max(map(sum, zip(*notes, strict=True))),
    )


def heads(ranks: int = 4, query: int = 8, kv: int = 2, words: int = 32_000, tokens: int = 256, task=None):
    """An explorer of heads and words on ranks. query, kv: how many query and key/value heads; words: the vocabulary."""
    return HeadsOnRanks(HeadsState(ranks, query, kv, words, tokens), task)


def largest_ranks(query: int = 32, kv: int = 8) -> tuple[Task, Task]:
    """Two findings at these heads: the largest P without copies (8), and the largest that divides at all (32)."""

    def at(ranks: int):
        def met(explorer: HeadsOnRanks) -> bool:
            state = explorer.state
            return (state.query, state.kv, state.ranks) == (query, kv, ranks)

        return met

    fits = [ranks for ranks in range(1, MOST_RANKS + 1) if laid(HeadsState(ranks, query, kv)).heads]
    once = max(ranks for ranks in fits if many_holders(heads_of(query, kv, ranks)) == 1)
    return (
        Task(f"{query} query and {kv} key/value heads: find the largest P without copies.", at(once)),
        Task("Now the largest P that divides these heads at all.", at(max(fits))),
    )

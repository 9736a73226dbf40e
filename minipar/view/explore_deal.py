"""Which deal makes all ranks work alike?

    ranks ──●── 4      positions ──●── 1,024      deal [zigzag ▾]        more: width, causal
    slowest / mean 1.00 · pairs of each rank · bytes passed on · largest score matrix
    the causal triangle coloured by owner, and a bar a rank: work, and hatched waiting
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

from minipar.plan.deal import DEALS
from minipar.view import controls
from minipar.view.deal import ROW, Dealt, bars, dealt, table
from minipar.view.drawing import QUIET, Drawing, Text
from minipar.view.explorer import Explorer, Task
from minipar.view.words import amount

RANKS, LENGTHS, WIDTHS = (1, 2, 4, 8, 16), (64, 128, 256, 512, 1024, 2048, 4096), (32, 64, 128, 256)
planned = functools.lru_cache(maxsize=256)(dealt)


@dataclasses.dataclass(frozen=True)
class DealState:
    """Ranks, positions of the text, the deal's name, numbers in a key, whether the future is masked."""

    ranks: int = 4
    positions: int = 1024
    deal: str = "contiguous"
    width: int = 64
    causal: bool = True


class Ring(NamedTuple):
    """The deal, bytes of keys and values a rank passes on (forward, float32), bytes of one block's scores."""

    one: Dealt
    passed: int
    scores: int


class Deal(Explorer):
    """One deal at a time."""

    title = "Deal"
    shown = ("ranks", "positions", "deal")

    def make_controls(self, state):
        return {
            "ranks": controls.steps("ranks", state.ranks, [(str(ranks), ranks) for ranks in RANKS]),
            "positions": controls.steps("positions", state.positions, [(f"{many:,}", many) for many in LENGTHS]),
            "deal": controls.choice("deal", state.deal, [(name, name) for name in DEALS]),
            "width": controls.steps("width", state.width, [(str(width), width) for width in WIDTHS]),
            "causal": controls.switch("causal: no position sees what comes after it", state.causal),
        }

    def make_view(self):
        return Drawing("", (10, 10), (), "")

    def compute(self, state) -> Ring:
        share = state.positions // state.ranks
        one = planned(state.deal, state.ranks, state.positions, state.causal)
        return Ring(one, (state.ranks - 1) * 2 * share * state.width * 4, share * share * 4)

    def draw(self, result):
        one = result.one
        parts = table(one, 76, 26, 240, None)
        parts += bars(one, 420, 26, 320, one.work.slowest, None)
        parts.append(Text(420, 12, "half blocks of pairs, step by step; hatched: waits", 13, QUIET, "start"))
        self.view.show(self.heading(result), (810, max(272, 34 + ROW * one.ranks)), parts, repr(self))

    def heading(self, result) -> str:
        uneven = result.one.work.uneven
        return "All ranks work alike" if uneven < 1.005 else f"The ring takes {uneven:.2f} times as long as even work"

    def facts(self, result):
        work = result.one.work
        return [
            ("slowest of each step, against the mean", f"{work.uneven:.2f}"),
            ("pairs, first and last rank", f"{work.pairs[0]:,} and {work.pairs[-1]:,}"),
            ("keys and values passed on by each rank", amount(result.passed)),
            ("largest score matrix", amount(result.scores)),
        ]

    def sentence(self, result):
        state, work = self.state, result.one.work
        if not state.causal:
            return "Without a mask every position looks at all: equal positions are equal work, whatever the deal."
        if state.ranks == 1:
            return "One rank: nobody to wait for, nothing passed on."
        if work.uneven < 1.005:
            return "Whoever holds early positions holds late ones too."
        rank = max(range(state.ranks), key=work.waiting)
        share = work.waiting(rank) / work.slowest
        return f"Rank {rank} waits {share:.0%} of the time: most of the keys that come by lie in its future."

    def describe(self, result):
        state = self.state
        mask = "causal" if state.causal else "no mask"
        return (f"{state.deal}, ranks={state.ranks}, positions={state.positions:,}, {mask}: "
                f"slowest/mean {result.one.work.uneven:.2f}, {result.passed:,} B passed on by each rank")  # fmt: skip

    def figure(self):
        return self.view.figure()


def deal(ranks: int = 4, positions: int = 1024, deal: str = "contiguous", width: int = 64, causal: bool = True,
         task=None) -> Deal:  # fmt: skip
    """An explorer of who computes which (query, key) pairs.

    ranks: 1, 2, 4, 8 or 16. positions: a power of two from 64 to 4,096. deal: "contiguous", "zigzag" or "striped".
    width: numbers in a key. ValueError for what is not among these.
    """
    options = {"ranks": (ranks, RANKS), "positions": (positions, LENGTHS), "deal": (deal, tuple(DEALS)),
               "width": (width, WIDTHS)}  # fmt: skip
    for name, (value, allowed) in options.items():
        if value not in allowed:
            raise ValueError(f"{name} is one of {', '.join(map(str, allowed))}, not {value!r}.")
    return Deal(DealState(ranks, positions, deal, width, causal), task)


def slowest_of(ranks: int = 8) -> tuple[Task, Task]:
    """The tasks "P = 8: how much longer does the slowest rank work than the mean?" and "causal off: which is best?"."""

    def met(explorer: Deal) -> bool:
        state = explorer.state
        return state.ranks == ranks and state.deal == "contiguous" and state.causal

    def unmasked(explorer: Deal) -> bool:
        return explorer.state.ranks == ranks and not explorer.state.causal

    return (
        Task(f"P = {ranks}, contiguous: how much longer does the slowest rank work than the mean?", met),
        Task("Now switch causal off (under more): which deal is best?", unmasked),
    )

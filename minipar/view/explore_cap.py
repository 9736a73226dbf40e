"""How many microbatches fit when a device can hold only so many activations?

cap ──●── 4     microbatches ──●── 8
GPipe  rank 0  ▇▇▇▇┊▇▇▇▇  8   does not fit        1F1B  rank 0  ▇▇▇▇┊  4   fits
       rank 1  ▇▇▇▇┊▇▇▇▇  8                             rank 1  ▇▇▇ ┊  3
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

from minipar.plan.schedules import SIMPLE
from minipar.plan.simulate import predict
from minipar.view import bars, controls
from minipar.view.explorer import Explorer, Task
from minipar.view.theme import PALETTE

MOST_MICROBATCHES = 32


@dataclasses.dataclass(frozen=True)
class CapState:
    """Microbatches whose activations a device may hold at once; microbatches of the batch; ranks."""

    cap: int = 6
    microbatches: int = 8
    ranks: int = 4


class Fit(NamedTuple):
    """One schedule under the cap: peaks per rank, and the largest M that fits (None: any M does)."""

    name: str
    peaks: tuple[int, ...]
    largest: int | None


class Cap(Explorer):
    """GPipe and 1F1B under one cap."""

    title = "Cap"
    shown = ("cap", "microbatches")

    def make_controls(self, state):
        return {
            "cap": controls.whole("cap", state.cap, 1, 16),
            "microbatches": controls.whole("microbatches", state.microbatches, 1, MOST_MICROBATCHES),
            "ranks": controls.whole("ranks", state.ranks, 1, 8),
        }

    def make_view(self):
        return bars.Bars(name="activations held at once, against the cap")

    def compute(self, state) -> tuple[Fit, ...]:
        return tuple(fit(name, state) for name in SIMPLE)

    def draw(self, fits):
        self.view.show(
            self.rows(fits), [bars.Line(self.state.cap, f"cap {self.state.cap}")], self.scale(fits), legend=False
        )

    def rows(self, fits) -> list[bars.Row]:
        """A row per schedule and rank, one block a microbatch; what does not fit has another colour."""
        rows = []
        for one in fits:
            rows += [bars.GAP] if rows else []
            rows += [self.row(f"{one.name}, rank {rank}", peak) for rank, peak in enumerate(one.peaks)]
        return rows

    def row(self, label: str, peak: int) -> bars.Row:
        inside, outside = PALETTE.memory["activation"], PALETTE.memory["optimizer"]
        paints = [inside if number <= self.state.cap else outside for number in range(1, peak + 1)]
        blocks = [bars.Part("", 1, str(number), paint.fill, paint.ink) for number, paint in enumerate(paints, 1)]
        over = peak > self.state.cap
        return bars.Row(label, tuple(blocks), f"{peak}: {'does not fit' if over else 'fits'}", over=over)

    def scale(self, fits) -> float:
        return max(16, *(peak for one in fits for peak in one.peaks)) + 0.5

    def facts(self, fits):
        return [
            (f"largest M that fits: {one.name}", "any" if one.largest is None else one.largest or "none")
            for one in fits
        ]

    def sentence(self, fits):
        trained = [one.name for one in fits if max(one.peaks) <= self.state.cap]
        if not trained:
            return "Neither fits: lower M, or ask for a higher cap."
        if len(trained) == len(fits):
            return f"At M = {self.state.microbatches} both fit."
        return f"At M = {self.state.microbatches} only {trained[0]} fits, on every rank."

    def describe(self, fits):
        largest = ", ".join(
            f"{one.name} {'any M' if one.largest is None else f'M up to {one.largest}'}" for one in fits
        )
        return f"cap={self.state.cap}, ranks={self.state.ranks}, microbatches={self.state.microbatches}: {largest}"

    def figure(self):
        line = bars.Line(self.state.cap, f"cap {self.state.cap}")
        return bars.figure(
            "Activations held at once, against the cap", self.rows(self.result), [line], self.scale(self.result)
        )


def fit(name: str, state: CapState) -> Fit:
    """Peaks at this M, and the largest M whose peaks stay under the cap, found by trying."""
    tried = [m for m in range(1, MOST_MICROBATCHES + 1) if max(peaks(name, state.ranks, m)) <= state.cap]
    largest = None if len(tried) == MOST_MICROBATCHES else max(tried, default=0)
    return Fit(SIMPLE[name].title, peaks(name, state.ranks, state.microbatches), largest)


@functools.cache
def peaks(name: str, ranks: int, microbatches: int) -> tuple[int, ...]:
    """Activations held at once, per rank, as the simulator counts them."""
    return predict(SIMPLE[name](ranks, microbatches)).peak_in_flight


def cap(cap: int = 6, ranks: int = 4, microbatches: int = 8, task=None) -> Cap:
    """An explorer of a cap on activations: which M fits under GPipe, and which under 1F1B?"""
    return Cap(CapState(cap, microbatches, ranks), task)


def largest_under(cap: int = 4) -> Task:
    """The task "cap 4: what is the largest M under GPipe, and under 1F1B?", met at that cap and GPipe's largest M."""

    def met(explorer: Cap) -> bool:
        return explorer.state.cap == cap and explorer.state.microbatches == explorer.result[0].largest

    return Task(f"Cap {cap}: what is the largest M under GPipe, and under 1F1B?", met)

"""How much must a rank be allowed to hold before weight gradients can fill all its gaps?

    cap ──●── 4     microbatches ──●── 8     W : I ──●── 1        more: hop, ranks
    1F1B 33 · cap 4 27 · own-span idle 3 2 1 0
    two timelines on one axis: 1F1B, and the split backward under the cap

One family of orders from cap P (ZB-H1) to cap 2P-1 (ZB-H2): a larger cap lets rank r start with more forwards, and
leaves room for more weight gradients that wait.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from minipar.plan.actions import F, I
from minipar.plan.schedule import schedule
from minipar.plan.schedules import one_f_one_b, weave, zb_h1, zb_h2
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Trace
from minipar.view import controls
from minipar.view.explorer import Explorer, Task
from minipar.view.panel import Panel, Strip
from minipar.view.timeline import Timeline

MOST_RANKS, MOST_MICROBATCHES, MOST_CAP = 8, 32, 16


@schedule
def under_cap(rank, ranks, microbatches, cap):
    """A split backward that never holds more than `cap`: ZB-H1 at cap = ranks, ZB-H2 from 2 · ranks - 1 on.

    P = 2, cap 3    0F0 0F1 0F2 0I0 0W0 ...      warm-up and what may wait share the cap: 2 + 0, 0 + 2
                    1F0 1I0 1F1 1I1 1F2 1I2 1W0 ...
    """
    last = ranks - 1 - rank
    warmup = max(0, min(2 * last, last + cap - ranks))
    parked = min(2 * rank, cap - 1 - warmup)
    forwards = [F(rank, m) for m in range(microbatches)]
    yield from weave(forwards, [I(rank, m) for m in range(microbatches)], warmup, parked)


@dataclasses.dataclass(frozen=True)
class ParkedState:
    """Microbatches a rank may hold until their W; microbatches of the batch; W's length where I takes 1; hop; ranks."""

    cap: int = 4
    microbatches: int = 8
    ratio: float = 1.0
    hop: float = 0.0
    ranks: int = 4


class Three(NamedTuple):
    """1F1B, ZB-H1 and the order under the cap, predicted; the latter's idle inside each rank's own span, its name."""

    whole: Trace
    h1: Trace
    capped: Trace
    gaps: tuple[float, ...]
    name: str


class Parked(Explorer):
    """One cap at a time, against 1F1B."""

    title = "Parked"
    shown = ("cap", "microbatches", "ratio")

    def make_controls(self, state):
        return {
            "cap": controls.whole("cap", state.cap, 1, MOST_CAP),
            "microbatches": controls.whole("microbatches", state.microbatches, 1, MOST_MICROBATCHES),
            "ratio": controls.number("W : I", state.ratio, 0.5, 2, 0.1),
            "hop": controls.number("hop", state.hop, 0, 2, 0.1),
            "ranks": controls.whole("ranks", state.ranks, 1, MOST_RANKS),
        }

    def make_view(self):
        return Timeline(self.panels(self.compute(self.state)))

    def compute(self, state) -> Three:
        cost = Cost(F=1, B=1 + state.ratio, I=1, W=state.ratio, hop=state.hop)
        size = state.ranks, state.microbatches
        made = under_cap(*size, cap=state.cap)
        trace = predict(made, cost)
        gaps = tuple(round(trace.span(rank) - trace.busy(rank), 6) for rank in range(state.ranks))
        name = next((build.title for build in (zb_h1, zb_h2) if build(*size).programs == made.programs), "")
        return Three(predict(one_f_one_b(*size), cost), predict(zb_h1(*size), cost), trace, gaps, name)

    def panels(self, result) -> list[Panel]:
        cap, capped = self.state.cap, f"Under a cap of {self.state.cap}"
        name = f"{capped}{f', which is {result.name}' if result.name else ''}: {self.length(result.capped)}"
        return [
            Panel(result.whole, f"1F1B: {self.length(result.whole)}", cap=cap, strip=Strip.IN_FLIGHT),
            Panel(result.capped, name, cap=cap, strip=Strip.IN_FLIGHT),
        ]

    def length(self, trace: Trace) -> str:
        return f"{trace.makespan:.4g} slots"

    def draw(self, result):
        self.view.draw(self.panels(result))

    def facts(self, result):
        peaks = " ".join(map(str, result.capped.peak_in_flight))
        return [
            ("1F1B", self.length(result.whole)),
            ("ZB-H1", self.length(result.h1)),
            (f"under a cap of {self.state.cap}", self.length(result.capped)),
            ("idle inside its own span, rank 0, 1, …", " ".join(f"{gap:.4g}" for gap in result.gaps)),
            ("most held until W", peaks),
        ]

    def sentence(self, result):
        if not any(result.gaps):
            return "No rank has a gap between its first action and its last."
        rank = max(range(len(result.gaps)), key=result.gaps.__getitem__)
        most = f"Rank {rank} still waits {result.gaps[rank]:.4g} slots between its first action and its last."
        return most + (" The cap is below 1F1B's own." if self.state.cap < self.state.ranks else "")

    def describe(self, result):
        state = self.state
        hop = f", hop={state.hop:g}" if state.hop else ""
        gaps = " ".join(f"{gap:.4g}" for gap in result.gaps)
        return (f"cap={state.cap}, ranks={state.ranks}, microbatches={state.microbatches}, W:I={state.ratio:g}{hop}: "
                f"1F1B {self.length(result.whole)}, ZB-H1 {self.length(result.h1)}, under the cap "
                f"{self.length(result.capped)}, own-span idle {gaps}")  # fmt: skip

    def figure(self):
        """The order under the cap alone; 1F1B's length stands in the summary."""
        return Timeline(self.panels(self.result)[1:]).figure()


def parked(cap: int = 4, microbatches: int = 8, ratio: float = 1.0, hop: float = 0.0, ranks: int = 4,
           task=None) -> Parked:  # fmt: skip
    """An explorer of split backwards under a cap: which gaps does a W fill, and what must a rank hold for that?

    cap: microbatches that a rank may hold until their W. ratio: length of W where F and I take 1. hop: in slots.
    """
    return Parked(ParkedState(cap, microbatches, float(ratio), float(hop), ranks), task)


def no_gap_inside(ranks: int = 4, hop: float = 0.5) -> tuple[Task, Task]:
    """The tasks "which cap before no rank has a gap of its own?" and "then a hop: who hides it?"."""

    def met(explorer: Parked) -> bool:
        state = explorer.state
        if (state.ranks, state.hop, state.ratio) != (ranks, 0, 1) or any(explorer.result.gaps) or state.cap == 1:
            return False
        return any(explorer.compute(dataclasses.replace(state, cap=state.cap - 1)).gaps)

    def late(explorer: Parked) -> bool:
        return explorer.state.hop == hop and explorer.state.ranks == ranks and explorer.state.cap >= 2 * ranks - 1

    return (
        Task(f"W : I = 1, {ranks} ranks: which cap is needed before no rank has a gap inside its own span?", met),
        Task(f"Keep that cap and set hop to {hop:g} (under more): what do the three take now?", late),
    )

"""What do a lean of the router, top-k, capacity and placement do to the ranks and to the links?

    lean of expert 0 ──●── 0.6     experts a token ──●── 2     ranks ──●── 4          more: capacity, placement, nodes,
    busiest / mean 2.44 · rows that travel 199 of 256, 50.9 kB · predicted step …      link speed, how tokens travel
    who waits for whom, and under it the flow of tokens

Scores are random numbers with a lean: as much as the slider says on expert 0, half of it on expert 1. Times are
predicted: a slot is the time of one row in one expert; inside a node links are 8 times as quick as between nodes.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import ipywidgets as widgets

from minipar.cost.machine import Link
from minipar.cost.routing import Links, StepTime, step
from minipar.plan import placement as plan
from minipar.plan.balance import leaning
from minipar.plan.placement import Placement
from minipar.plan.routing import Once, Routing, follow, route
from minipar.view import controls
from minipar.view.drawing import Drawing
from minipar.view.explorer import Explorer, Task
from minipar.view.flow import FlowView, heading
from minipar.view.load import stragglers
from minipar.view.words import amount, count, duration

RANKS, TOPS, HIDDEN = (1, 2, 4, 8), (1, 2, 3, 4), (64, 256, 1024, 4096)
TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
CAPACITIES = (("none: nobody is dropped", None), ("0.5", 0.5), ("1.0", 1.0), ("1.25", 1.25), ("1.5", 1.5), ("2.0", 2.0))
PLACEMENTS = ("in a row", "round robin", "packed", "packed, a copy more a rank")
SPEEDS, WAITS = (0.5, 1, 2, 4, 8, 16, 32), (0, 1, 2, 4, 8, 16, 32)
QUICKER = 8  # a link inside a node against one between nodes
made_up = functools.lru_cache(maxsize=64)(leaning)


@dataclasses.dataclass(frozen=True)
class ExpertsState:
    """What the controls say. capacity: a factor or None, dropless; speed, wait: of a link; hidden: numbers in a row."""

    lean: float = 0.6
    top: int = 2
    ranks: int = 4
    capacity: float | None = None
    placement: str = "in a row"
    nodes: int = 1
    speed: float = 4
    wait: float = 0
    once: str = "choice"
    hidden: int = 64
    tokens: int = 128


class Found(NamedTuple):
    """The routing, its predicted time, rows on the links."""

    routing: Routing
    time: StepTime
    carried: int


class Experts(Explorer):
    """One routing at a time. ``ex.set(lean=0)``, ``ex.set(capacity=1.0, placement="packed")``."""

    title = "Experts"
    shown = ("lean", "top", "ranks")

    def __init__(self, state: ExpertsState, experts: int, task=None):
        self.experts = experts
        super().__init__(state, task)

    def make_controls(self, state):
        possible = [ranks for ranks in RANKS if self.experts % ranks == 0]
        tops = [top for top in TOPS if top <= self.experts]
        return {
            "lean": controls.number("lean, expert 0", state.lean, 0.0, 1.5, 0.1),
            "top": controls.steps("experts each", state.top, [(str(top), top) for top in tops]),
            "ranks": controls.steps("ranks", state.ranks, [(str(ranks), ranks) for ranks in possible]),
            "capacity": controls.choice("capacity", state.capacity, CAPACITIES),
            "placement": controls.choice("placement", state.placement, [(way, way) for way in PLACEMENTS]),
            "nodes": controls.steps("nodes", state.nodes, [("1", 1), ("2", 2)]),
            "speed": controls.steps("link speed", state.speed, [(f"{speed:g} a slot", speed) for speed in SPEEDS]),
            "wait": controls.steps("a message", state.wait, [(f"{wait} slots", wait) for wait in WAITS]),
            "once": controls.choice("a token goes", state.once, [(f"once a {one.value}", one.value) for one in Once]),
            "hidden": controls.steps("hidden", state.hidden, [(f"{wide:,}", wide) for wide in HIDDEN]),
            "tokens": controls.steps("tokens", state.tokens, [(f"{many:,}", many) for many in TOKENS]),
        }

    def limits(self, state):
        """One rank stands in one node."""
        if state.nodes > state.ranks:
            state = dataclasses.replace(state, nodes=1)
            self.controls["nodes"].value = 1
        return state

    def compute(self, state) -> Found:
        scores = made_up(state.tokens, self.experts, (state.lean, state.lean / 2)[: self.experts])
        first = route(scores, self.experts, state.top, ranks=state.ranks, nodes=state.nodes)
        routing = route(scores, self.experts, state.top, state.capacity, placement=self._place(first, state))
        return Found(routing, step(routing, 1, 1, links(state), state.once), routing.carried(state.once).total)

    def by_ranks(self) -> dict[int, float]:
        """The predicted step of the same tokens on each possible number of ranks, in slots."""
        found, state = {}, self.state
        for ranks in (ranks for ranks in RANKS if self.experts % ranks == 0):
            other = dataclasses.replace(state, ranks=ranks, nodes=min(state.nodes, ranks))
            kept = follow(self.result.routing.kept, self.experts, ranks=ranks, nodes=other.nodes)
            routing = dataclasses.replace(kept, placement=self._place(kept, other))
            found[ranks] = step(routing, 1, 1, links(other), state.once).total
        return found

    def _place(self, first: Routing, state: ExpertsState) -> Placement:
        """The placement by its name, for the loads as they are before anybody is dropped."""
        if state.placement == "in a row":
            return first.placement
        if state.placement == "round robin":
            return plan.round_robin(self.experts, state.ranks, state.nodes)
        copies = state.ranks if "copy" in state.placement else 0
        return plan.packed(first.load, state.ranks, self.experts + copies, state.nodes)

    def make_view(self):
        self.flow, self.waits = FlowView(), Drawing("", (10, 10), (), "")
        return widgets.VBox([self.waits, self.flow], layout=widgets.Layout(width="100%"))

    def draw(self, result):
        self.flow.draw(result.routing, summary=repr(self))
        waits = stragglers(result.routing, links=links(self.state), once=self.state.once)
        self.waits.show(heading(result.routing), waits.sheet, waits.parts, waits.summary)

    def facts(self, result):
        routing, state = result.routing, self.state
        rows = sum(routing.load)
        found = [
            ("busiest rank / mean", f"{routing.max_over_mean:.2f}"),
            ("rows that travel, and back", f"{result.carried:,} of {rows:,}, {self.bytes(result)}"),
            ("predicted step", duration(round(result.time.total, 1), "slots")),
            ("experts held by all ranks, used by a token", f"{self.held(result)}, {state.top}"),
        ]
        if state.capacity is not None:
            found.insert(1, ("choices dropped", f"{routing.dropped:,} of {rows + routing.dropped:,}"))
        return found

    def bytes(self, result) -> str:
        """Bytes that leave their ranks one way, float32."""
        return amount(result.carried * self.state.hidden * 4)

    def held(self, result) -> int:
        """Experts that lie in memory, copies counted."""
        return sum(result.routing.placement.copies)

    def sentence(self, result):
        routing = result.routing
        if self.state.wait:
            every = self.by_ranks()
            best = min(every, key=every.get)
            told = ", ".join(f"{time:.0f} on {ranks}" for ranks, time in every.items())
            return f"Quickest on {count(best, 'rank')} (slots: {told}): with more ranks each rank sends more messages."
        if self.state.ranks == 1:
            return f"One rank holds all {self.experts} experts: no row travels, and no memory is saved."
        if routing.lost:
            none = "lost all their choices" if self.state.top > 1 else "lost their choice"
            return f"{count(routing.lost, 'token')} {none}: the residual alone carries them on."
        rank = routing.computed.index(max(routing.computed))
        into = sum(row[rank] for row in routing.carried().table)
        return (f"Rank {rank} computes {routing.computed[rank]:,} rows, {into:,} of them from other ranks; "
                "what is sent in all hardly changes with the lean.")  # fmt: skip

    def describe(self, result):
        state, routing = self.state, result.routing
        dropped = f", {routing.dropped} dropped, {routing.lost} tokens lost" if state.capacity is not None else ""
        sent = f"{result.carried} rows and {result.carried * state.hidden * 4:,} B leave their rank"
        return (f"{self.experts} experts, top {state.top}, ranks={state.ranks}, lean {state.lean:g}, "
                f"{state.placement}: rows {' '.join(map(str, routing.computed))}, busiest / mean "
                f"{routing.max_over_mean:.2f}, {sent}{dropped}")  # fmt: skip

    def figure(self):
        """Who waits. The flow is live only: a saved one is large, and `minipar.flow` makes it where it is wanted."""
        return self.waits.figure()


def links(state: ExpertsState) -> Links:
    """The wait of each message and its rows a slot; on one node there is one kind of link."""
    inside = QUICKER * state.speed if state.nodes > 1 else state.speed
    return Links(Link(state.wait, 1 / inside), Link(state.wait, 1 / state.speed))


def experts(lean: float = 0.6, top: int = 2, ranks: int = 4, capacity: float | None = None, placement: str = "in a row",
            nodes: int = 1, speed: float = 4, wait: float = 0, hidden: int = 64, tokens: int = 128, *,
            experts: int = 8, task=None) -> Experts:  # fmt: skip
    """An explorer of tokens on their way to experts.

    lean: what is added to expert 0's random scores from 0 to 1 (half of it to expert 1's). top: experts a token. ranks:
    1, 2, 4 or 8 that divide experts. capacity: a factor, or None. placement: a word of PLACEMENTS. speed: rows that a
    link carries while one is computed; wait: slots that each message costs. ValueError for what is not among these.
    """
    if not 2 <= experts <= 16:
        raise ValueError(f"the explorer has room for 2 to 16 experts, not for {experts}")
    options = {"ranks": (ranks, [one for one in RANKS if experts % one == 0]), "nodes": (nodes, (1, 2)),
               "top": (top, [one for one in TOPS if one <= experts]), "placement": (placement, PLACEMENTS),
               "capacity": (capacity, [value for _, value in CAPACITIES]), "speed": (speed, SPEEDS),
               "wait": (wait, WAITS), "hidden": (hidden, HIDDEN), "tokens": (tokens, TOKENS)}  # fmt: skip
    for name, (value, allowed) in options.items():
        if value not in allowed:
            raise ValueError(f"{name} is one of {', '.join(map(str, allowed))}, not {value!r}.")
    state = ExpertsState(lean, top, ranks, capacity, placement, nodes, speed, wait, "choice", hidden, tokens)
    return Experts(state, experts, task)


def no_bytes_then_twice() -> tuple[Task, Task]:
    """The lesson's tasks: no bytes without losing an expert, then a busiest rank of twice the mean on four ranks."""
    return (
        Task("Make the bytes zero without losing an expert.", lambda explorer: explorer.result.carried == 0),
        Task("Now four ranks again, the busiest with twice the mean (1.9 to 2.1).",
             lambda explorer: explorer.state.ranks == 4 and 1.9 <= explorer.result.routing.max_over_mean <= 2.1),
    )  # fmt: skip

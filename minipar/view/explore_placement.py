"""Which expert should lie where, and what does moving it cost and save?

    way [in a row ▾]   copies ──●── 0   link speed ──●── 4 a slot        more: experts as text, how tokens travel
    rows of the busiest rank 156 · between nodes 121 rows · predicted step … · moving pays after …
    the board, and under it:     way          busiest   between nodes   step
                                 in a row         156             121   …
                                 packed           104               …
                                 on the board       …

A tile keeps the colour of the rank on which its expert lay at first. Times are predicted: a slot is the time of one
row in one expert; experts that move are charged to the links, and the readout says when that has paid for itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import ipywidgets as widgets

from minipar.cost.machine import Link
from minipar.cost.routing import Links, StepTime, moving, step
from minipar.plan import placement as plan
from minipar.plan.placement import Placement
from minipar.plan.routing import DROPPED, Once, Routing
from minipar.view import controls
from minipar.view.explore_split import DEVICES
from minipar.view.explorer import Explorer, Task
from minipar.view.placement import Board, figure
from minipar.view.words import amount, count, duration

BY_HAND = "by hand"
WAYS = ("in a row", "round robin", "packed", "hierarchical", "best possible")
SPEEDS = (0.5, 1, 2, 4, 8, 16, 32)
WITHIN = 32  # rows that a link inside a node carries in a slot


@dataclasses.dataclass(frozen=True)
class BoardState:
    """The way of placing, the experts of each rank as text, copies, link speed between nodes, how tokens travel."""

    way: str = "in a row"
    slots: str = ""
    copies: int = 0
    speed: float = 4
    once: str = "choice"


class Placed(NamedTuple):
    """A placement with what it means: its routing, rows between nodes, times of a step and of moving, slots saved."""

    placement: Placement
    routing: Routing
    between: int
    time: StepTime
    moved: int
    moving: float
    saved: float
    pays_after: int | None

    @property
    def busiest(self) -> int:
        return max(self.routing.computed)


class PlacementBoard(Explorer):
    """Experts on ranks and nodes. ``board.set(way="packed")``, or ``board.set(slots="0 5 | 1 4 || 2 3 | 6 7")``."""

    title = "Placement"
    shown = ("way", "copies", "speed")

    def __init__(self, routing: Routing, state: BoardState, hidden: int, item: int, groups: int, task=None):
        self.routing, self.first = routing, routing.placement
        self.row_bytes, self.groups = hidden * item, groups
        self.expert_rows = 4 * hidden  # an expert has two matrices of hidden × 2 hidden numbers
        self.compared: tuple[tuple, list] | None = None
        super().__init__(state, task)
        self.board.observe(self._dragged, "slots")

    # controls and state

    def make_controls(self, state):
        ranks = self.first.ranks
        ways = [way for way in WAYS if self._can(way)]
        return {
            "way": controls.choice("way", state.way, [(way, way) for way in (*ways, BY_HAND)]),
            "copies": controls.steps("copies", state.copies, [(str(more), more) for more in (0, ranks, 2 * ranks)]),
            "speed": controls.steps("link speed", state.speed, [(f"{speed:g} a slot", speed) for speed in SPEEDS]),
            "slots": controls.words("experts", state.slots),
            "once": controls.choice("a token goes", state.once, [(f"once a {one.value}", one.value) for one in Once]),
        }

    def _can(self, way: str) -> bool:
        try:
            self.by(way, 0)
        except ValueError:
            return False
        return True

    def by(self, way: str, copies: int) -> Placement:
        """The placement of one of the ways; ValueError where it cannot be done here."""
        loads, first = self.routing.load, self.first
        slots = first.experts + copies
        made: dict[str, Callable[[], Placement]] = {
            "in a row": lambda: plan.linear(first.experts, first.ranks, first.nodes),
            "round robin": lambda: plan.round_robin(first.experts, first.ranks, first.nodes),
            "packed": lambda: plan.packed(loads, first.ranks, slots, first.nodes),
            "hierarchical": lambda: plan.hierarchical(loads, first.ranks, first.nodes, self.groups, slots),
            "best possible": lambda: plan.optimum(loads, first.ranks, first.nodes),
        }
        return made[way]()

    def limits(self, state):
        """A way or a number of copies places anew; experts that are typed or dragged are by hand."""
        if state.way != self.state.way or state.copies != self.state.copies:
            if state.copies != self.state.copies and state.copies and state.way not in ("packed", "hierarchical"):
                state = self._say(state, way="packed")
            if state.way in ("packed", "hierarchical"):
                return self._say(state, slots=str(self.by(state.way, state.copies)))
            if state.way != BY_HAND:
                return self._say(state, copies=0, slots=str(self.by(state.way, 0)))
        elif state.slots != self.state.slots:
            return self._say(state, way=BY_HAND)
        return state

    def _say(self, state, **values):
        """Other values, in the state and in the controls."""
        for name, value in values.items():
            self.controls[name].value = value
        return dataclasses.replace(state, **values)

    def _dragged(self, change) -> None:
        """A tile was moved in the browser: the text of the experts follows, and everything else follows the text."""
        moved = Placement(tuple(map(tuple, change.new)), self.first.nodes, self.first.experts)
        if moved != self.result.placement:
            self.controls["slots"].value = str(moved)

    # result

    def compute(self, state) -> Placed:
        placement = Placement.parse(state.slots, self.first.experts)
        if (placement.ranks, placement.nodes) != (self.first.ranks, self.first.nodes):
            raise ValueError(f"there are {count(self.first.ranks, 'rank')} in {count(self.first.nodes, 'node')}: write "
                             f"them like {self.first}")  # fmt: skip
        return self.place(placement, state.speed, state.once)

    def place(self, placement: Placement, speed: float, once: str) -> Placed:
        """What this placement means at this link speed."""
        links = Links(Link(0, 1 / WITHIN), Link(0, 1 / speed))
        routing = dataclasses.replace(self.routing, placement=placement)
        time, before = step(routing, 1, 1, links, once), step(self.routing, 1, 1, links, once)
        moves = plan.moves(self.first, placement)
        price = moving(moves, placement, self.expert_rows, links)
        pays = plan.break_even(price, before.total, time.total)
        between, saved = routing.carried(once).between_nodes, before.total - time.total
        return Placed(placement, routing, between, time, len(moves), price, saved, pays)

    def others(self) -> list[tuple[str, Placed]]:
        """What the known ways come to, at this link speed; with the copies that are chosen."""
        state = self.state
        key = (state.speed, state.once, state.copies)
        if self.compared is None or self.compared[0] != key:
            found = []
            for way in WAYS:
                if self._can(way):
                    extra = state.copies if way in ("packed", "hierarchical") else 0
                    name = way if not extra else f"{way}, {extra} copies"
                    found.append((name, self.place(self.by(way, extra), state.speed, state.once)))
            self.compared = key, found
        return self.compared[1]

    @property
    def room(self) -> int:
        """Experts that each rank has memory for: an equal share of all slots, or as many as one held at first."""
        return max(-(-sum(self.result.placement.copies) // self.first.ranks), *map(len, self.first.slots))

    @property
    def least(self) -> int:
        """The smallest busiest rank of the known ways."""
        return min((other.busiest for _, other in self.others()), default=self.result.busiest)

    # picture and words

    def make_view(self):
        self.board = Board()
        return widgets.VBox([self.board])

    def draw(self, result):
        with self.board.hold_sync():
            self.board.nodes, self.board.room = self.first.nodes, self.room
            self.board.loads = [load / copies for load, copies in
                                zip(self.routing.load, result.placement.copies, strict=True)]  # fmt: skip
            self.board.paints = [self._paint(expert) for expert in range(self.first.experts)]
            self.board.top = float(max(self.routing.computed) * 1.12)
            self.board.lines, self.board.table = self.lines(), self.rows(result)
            self.board.summary = repr(self)
            self.board.slots = [list(held) for held in result.placement.slots]

    def _paint(self, expert: int) -> list[str]:
        return list(DEVICES[self.first.holders[expert][0] % len(DEVICES)])

    def lines(self) -> list[list]:
        """The mean, and the best that is known; one line for both where they nearly meet."""
        mean = sum(self.routing.load) / self.first.ranks
        if self.least < 1.12 * mean:
            return [[mean, f"mean {mean:g}, {self.least} is possible"]]
        return [[mean, f"mean {mean:g}"], [self.least, f"{self.least} is possible"]]

    def rows(self, result) -> list[list]:
        """The table under the board: known ways, then what lies there now."""
        every = [*self.others(), ("on the board", result)]
        return [[name, f"{one.busiest:,}", f"{one.between:,}", duration(round(one.time.total, 1), "slots"),
                 name == "on the board"] for name, one in every]  # fmt: skip

    def facts(self, result):
        return [
            ("rows of the busiest rank", f"{result.busiest:,}"),
            ("between nodes", f"{result.between:,} rows, {amount(result.between * self.row_bytes)}"),
            ("predicted step", duration(round(result.time.total, 1), "slots")),
            ("moving pays after", told(result)),
        ]

    def sentence(self, result):
        rank = result.routing.computed.index(result.busiest)
        if not result.moved and result.routing.max_over_mean < 1.05:
            return "Nothing moved, and nobody waits: all ranks have the same work."
        if not result.moved:
            return f"All wait for rank {rank}: drag one of its experts away, or Tab to it and use the arrow keys."
        price = f"{count(result.moved, 'expert')} moved, {duration(round(result.moving, 1), 'slots')} once"
        if result.pays_after is None:
            return f"{price}, and steps are no shorter than before: it never pays."
        return f"{price}; each step is {duration(round(result.saved, 1), 'slots')} shorter."

    def trouble(self, result):
        over = [rank for rank, held in enumerate(result.placement.slots) if len(held) > self.room]
        return "\n".join(f"Rank {rank} holds {len(result.placement.slots[rank])} experts and has room for {self.room}."
                         for rank in over)  # fmt: skip

    def describe(self, result):
        return (f"{result.placement}: busiest {result.busiest} rows, {result.between} between nodes, step "
                f"{duration(round(result.time.total, 1), 'slots')}")  # fmt: skip

    def fits(self) -> bool:
        """Whether no rank holds more than it has room for."""
        return not self.trouble(self.result)

    def figure(self):
        return figure(self.board, f"The busiest rank has {self.result.busiest} rows")


def told(result: Placed) -> str:
    """Break-even in words."""
    if not result.moved:
        return "nothing moved"
    return "never" if result.pays_after is None else count(result.pays_after, "step")


def placement(routing: Routing, *, way: str | None = None, speed: float = 4, hidden: int = 64, item: int = 4,
              groups: int | None = None, task=None) -> PlacementBoard:  # fmt: skip
    """A board on which the experts of a `minipar.route` are moved between ranks and nodes, against the known ways.

    way: one of the known ways to begin with (default: as the routing has them). speed: rows that a link between nodes
    carries in the time of one row in one expert. hidden, item: numbers in a row and bytes of each; an expert weighs
    4 · hidden rows (two matrices hidden × 2 hidden). groups: of experts for the hierarchical way (default: one a
    rank). ValueError above 8 ranks or 32 experts, and for an unknown way or speed.
    """
    ranks, experts = routing.ranks, routing.experts
    if ranks > 8 or experts > 32:
        raise ValueError(f"the board has room for 8 ranks and 32 experts, not for {ranks} and {experts}")
    for name, value, known in (("way", way, WAYS), ("speed", speed, SPEEDS)):
        if value is not None and value not in known:
            raise ValueError(f"{name} is one of {', '.join(map(str, known))}, not {value!r}.")
    in_a_row = experts % ranks == 0 and routing.placement == plan.linear(experts, ranks, routing.placement.nodes)
    state = BoardState("in a row" if in_a_row else BY_HAND, str(routing.placement), 0, speed)
    board = PlacementBoard(routing, state, hidden, item, groups or ranks, task)
    return board if way is None else board.set(way=way)


def fewest_between(routing: Routing, busiest: float) -> int:
    """The fewest rows between two nodes over all placements without copies whose busiest rank has at most so many.

    Tries every half of the experts for node 0. ValueError where there are not 2 nodes.
    """
    first = routing.placement
    if first.nodes != 2:
        raise ValueError(f"this looks for halves of the experts, one for each of 2 nodes, not {first.nodes}")
    to = [[0] * first.experts for _ in range(2)]
    for home, kept in zip(routing.home, routing.kept, strict=True):
        for expert in kept:
            if expert != DROPPED:
                to[first.node(home)][expert] += 1
    found = []
    for half in combinations(range(first.experts), first.experts // 2):
        rest = [expert for expert in range(first.experts) if expert not in half]
        if all(_fit([routing.load[expert] for expert in one], first.ranks // 2, busiest) for one in (half, rest)):
            found.append(sum(to[1][expert] for expert in half) + sum(to[0][expert] for expert in rest))
    return min(found)


def _fit(loads: Sequence[int], ranks: int, busiest: float) -> bool:
    return max(plan.place_experts(loads, ranks).rank_loads(loads)) <= busiest


def then_the_fewest(routing: Routing) -> tuple[Task, Task]:
    """The lesson's tasks: the smallest busiest rank by placing alone, then at that the fewest rows between nodes."""
    goal = int(max(plan.place_experts(routing.load, routing.ranks).rank_loads(routing.load)))
    fewest = fewest_between(routing, goal)

    def at_goal(board: PlacementBoard) -> bool:
        return board.fits() and board.result.placement.added == 0 and board.result.busiest <= goal

    return (
        Task(f"Reach {goal} rows on the busiest rank, without copies.", at_goal),
        Task(f"Then the fewest rows between nodes at {goal}.",
             lambda board: at_goal(board) and board.result.routing.carried().between_nodes <= fewest),
    )  # fmt: skip

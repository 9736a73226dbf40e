"""How long does the expert part of a step take, and what does it cost to move experts?

    rank 0   ▒▒▒▒ dispatch │██████████████████████████████│ combine ▒▒▒▒      rows of the busiest rank · time of a row
    rank 1   ▒▒▒▒          │██████ waits for rank 0 ╱╱╱╱╱╱│         ▒▒▒▒
    rank 2   ▒▒▒▒          │█████ ╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱│         ▒▒▒▒      experts' answers leave when all are done

Links by alpha-beta, one price inside a node, one between nodes. A rank has one way out and one way in on each of the
two, they work at once, and messages on one way follow one another. Any unit will do as long as it is one: seconds and
bytes, or slots (the time of one row in one expert) and rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from minipar.cost.machine import Link
from minipar.plan.placement import Move, Placement
from minipar.plan.routing import Once, Routing
from minipar.plan.wire import Wire


class Links(NamedTuple):
    """The price of a message inside a node, and between nodes."""

    within: Link
    between: Link


class StepTime(NamedTuple):
    """The three parts of the expert layer's time, and the time that each rank works at its rows."""

    dispatch: float
    experts: float
    combine: float
    work: tuple[float, ...]

    @property
    def total(self) -> float:
        return self.dispatch + self.experts + self.combine

    def waits(self, rank: int) -> float:
        """How long a rank waits for the busiest one."""
        return self.experts - self.work[rank]


def carry(wire: Wire, links: Links, in_turn: bool = False) -> float:
    """The time until everything on `wire` has arrived: that of the busiest way out or in.

    in_turn: first between nodes, then inside them, as where a token is handed on.
    """
    ranks = range(len(wire.nodes))
    times = []
    for link, near in ((links.within, True), (links.between, False)):
        priced = [
            [link.seconds(size) if size and (wire.nodes[a] == wire.nodes[b]) == near else 0.0
             for b, size in enumerate(row)] for a, row in enumerate(wire.table)
        ]  # fmt: skip
        ways = [sum(priced[rank]) for rank in ranks] + [sum(row[rank] for row in priced) for rank in ranks]
        times.append(max(ways, default=0.0))
    return sum(times) if in_turn else max(times)


def step(routing: Routing, row: float, size: float, links: Links, once: str | Once = Once.CHOICE) -> StepTime:
    """The time of dispatch, experts and combine.

    row: the time of one row in one expert. size: of one row, in the unit of the links.
    """
    wire, handed_on = routing.carried(once), Once(once) is Once.NODE
    out = Wire(tuple(tuple(cell * size for cell in line) for line in wire.table), wire.nodes)
    work = tuple(rows * row for rows in routing.computed)
    return StepTime(carry(out, links, handed_on), max(work), carry(out.back, links, handed_on), work)


def moving(moves: Sequence[Move], placement: Placement, size: float, links: Links) -> float:
    """The time to copy these experts' weights, `size` each (optimizer states are the caller's to add)."""
    table = [[0.0] * placement.ranks for _ in range(placement.ranks)]
    for move in moves:
        table[move.source][move.target] += size
    return carry(Wire(tuple(map(tuple, table)), tuple(map(placement.node, range(placement.ranks)))), links)

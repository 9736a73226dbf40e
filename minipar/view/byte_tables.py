"""How many bytes does a routing put on each link, and what does sending a token once save?

    once a choice: 31.0 kB cross   once a rank: 24.1 kB cross   once a node: 22.0 kB cross
           0    1  |  2    3             0    1  |  2    3            0    1  |  2    3
      0    ·   3.3 | 1.5  2.3       0    ·   3.3 | 1.5  2.3      0    ·   5.1 | 3.8   ·       rows send,
      1  10.8   ·  | 1.3  2.6       1   7.4   ·  | 1.3  2.6      1  14.8   ·  |  ·   3.3      columns receive

Predicted bytes of dispatch, on one colour scale; combine is the same, the other way. What crosses leaves its node.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from minipar.plan.routing import Once, Routing, word
from minipar.view.presence import plain_bundle
from minipar.view.traffic import matrices
from minipar.view.words import amount


class ByteTables:
    """Tables of a routing's bytes, side by side; `.figure()` is the plotly figure, the text gives the sums."""

    def __init__(self, routing: Routing, hidden: int, item: int, ways: Sequence[Once]):
        self.nodes = routing.placement.nodes
        self.wires = {way: routing.dispatch(hidden, item, way) for way in ways}

    def figure(self) -> go.Figure:
        """The tables under their names and sums."""
        tables = {self._name(way): wire.table for way, wire in self.wires.items()}
        cross = f"; what crosses leaves its node ({self.nodes} nodes)" if self.nodes > 1 else ""
        return matrices(tables, self.finding(), f"predicted: dispatch, one way{cross}")

    def _name(self, way: Once) -> str:
        wire = self.wires[way]
        return f"once a {way.value}: " + (
            f"{amount(wire.between_nodes)} cross" if self.nodes > 1 else amount(wire.total)
        )

    def finding(self) -> str:
        """What the tables say: who receives most, or what the last way saves against the first."""
        first, last = list(self.wires.values())[0], list(self.wires.values())[-1]
        into = [sum(column) for column in zip(*first.table, strict=True)]
        if not first.total:
            return "Nothing leaves its rank"
        if len(self.wires) == 1:
            return f"Rank {into.index(max(into))} receives most: {amount(max(into))} of {amount(first.total)}"
        what = "between nodes" if self.nodes > 1 else "that travel"
        before, after = (wire.between_nodes if self.nodes > 1 else wire.total for wire in (first, last))
        return f"A token sent once: {amount(after)} {what}, not {amount(before)}"

    def __repr__(self) -> str:
        told = []
        for way, wire in self.wires.items():
            between = f", {wire.between_nodes:,} between nodes" if self.nodes > 1 else ""
            told.append(f"once a {way.value}: {wire.total:,} B{between}")
        return f"ByteTables({'; '.join(told)})"

    def _repr_mimebundle_(self, **_) -> dict:
        return plain_bundle(repr(self), self.figure())


def byte_tables(routing: Routing, hidden: int = 64, item: int = 4, once: str | Sequence[str] = "choice") -> ByteTables:
    """Bytes from rank to rank on the way to the experts of a `minipar.route`.

    hidden, item: numbers in a row and bytes of each. once: "choice", "rank" or "node", or several to compare.
    ValueError for another word, and above 16 ranks.
    """
    if routing.ranks > 16:
        raise ValueError(f"tables are drawn for 16 ranks at most, not for {routing.ranks}")
    ways = (once,) if isinstance(once, str) else once
    return ByteTables(routing, hidden, item, [word(Once, way, "a token travels once for each") for way in ways])

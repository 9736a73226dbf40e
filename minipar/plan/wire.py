"""How much lies on which link, inside a node and between nodes?

                to 0    1  |  2    3
    from 0         ·   13  |  6    9        a table ``[source][target]`` of rows or of bytes; nothing goes from a rank
         1        42    ·  |  5   10        to itself. Ranks of one node are joined by quick links (NVLink, shared
        ------------------ + ---------      memory), nodes by slow ones, so the two are summed apart.
         2        39    7  |  ·   12
         3        39    6  | 11    ·        within nodes 78, between nodes 121
"""

from __future__ import annotations

from typing import NamedTuple

Table = tuple[tuple[int, ...], ...]


class Wire(NamedTuple):
    """`table`: what goes ``[source][target]``; `nodes`: the node that each rank stands in."""

    table: Table
    nodes: tuple[int, ...]

    @property
    def total(self) -> int:
        """Everything that leaves its rank."""
        return sum(map(sum, self.table))

    @property
    def between_nodes(self) -> int:
        """What leaves its node."""
        return self.total - self.within_nodes

    @property
    def within_nodes(self) -> int:
        """What leaves its rank and stays in its node."""
        here = self.nodes
        return sum(size for source, row in enumerate(self.table) for target, size in enumerate(row)
                   if here[source] == here[target])  # fmt: skip

    @property
    def back(self) -> Wire:
        """The same, home again: every arrow turned round."""
        return Wire(tuple(zip(*self.table, strict=True)), self.nodes)

    def out(self, rank: int, between: bool = False) -> int:
        """What one rank sends; between: to other nodes only."""
        row = enumerate(self.table[rank])
        return sum(size for target, size in row if not between or self.nodes[target] != self.nodes[rank])

    def times(self, size: int) -> Wire:
        """Rows into bytes: `size` bytes each."""
        return Wire(tuple(tuple(cell * size for cell in row) for row in self.table), self.nodes)

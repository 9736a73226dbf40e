"""Which expert lies on which rank, how even does that make the ranks, and when has moving experts paid for itself?

    loads 91 65 17 16 15 13 20 19      node 0            node 1
                                    rank 0   rank 1   rank 2   rank 3     busiest rank
    linear                           0 1      2 3      4 5      6 7       156
    round robin                      0 4      1 5      2 6      3 7       106
    packed, largest first            0 5      1 4      6 3      7 2       104    no placement beats 91 + 13
    packed, 4 copies more            0 1 5    0 6 4    0 7 3    1 1 2     65     only a copy cuts an expert

Data and arithmetic: nothing is moved here. Packing, copying and the three levels groups -> nodes -> ranks are those of
DeepSeek's expert-parallel load balancer (github.com/deepseek-ai/EPLB), written anew from its description; the example
of its README comes out exactly (equal loads go by number here, where torch's sort leaves the order open). Redundant
experts: DeepSeek-V3, arXiv:2412.19437, section 3.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from minipar.plan.balance import max_over_mean

Loads = Sequence[float]
MOST_EXACT = 16  # experts up to which the best placement is searched for; above, packing is taken


@dataclass(frozen=True)
class Placement:
    """`slots[rank]`: the experts that a rank holds, in order. An expert that stands in several slots has copies.

    nodes: boxes of equally many ranks, numbered in a row. experts: how many there are; ValueError where one of them is
    nowhere, or a slot names one that does not exist.
    """

    slots: tuple[tuple[int, ...], ...]
    nodes: int = 1
    experts: int = 0  # 0: as many as the largest number in a slot says

    def __post_init__(self):
        slots = tuple(map(tuple, self.slots))
        object.__setattr__(self, "slots", slots)
        largest = max((expert for held in slots for expert in held), default=-1)
        object.__setattr__(self, "experts", self.experts or largest + 1)
        self._check()

    def _check(self) -> None:
        if self.nodes < 1 or self.ranks % self.nodes:
            raise ValueError(f"{self.ranks} ranks cannot stand in {self.nodes} nodes of equal size")
        held = {expert for slots in self.slots for expert in slots}
        strange = sorted(held - set(range(self.experts)))
        if strange:
            raise ValueError(f"expert {strange[0]} does not exist: there are {self.experts}, numbered from 0")
        nowhere = sorted(set(range(self.experts)) - held)
        if nowhere:
            more = f", nor are {len(nowhere) - 1} others" if len(nowhere) > 1 else ""
            raise ValueError(f"expert {nowhere[0]} is on no rank{more}: {self.ranks} ranks hold {len(held)} of "
                             f"{self.experts} experts")  # fmt: skip

    @classmethod
    def parse(cls, text: str, experts: int = 0) -> Placement:
        """What `str` writes: ranks apart by ``|``, nodes by ``||``, as in ``"0 5 | 1 4 || 6 3 | 7 2"``."""
        boxes = [box.split("|") for box in text.split("||")]
        if len({len(box) for box in boxes}) > 1:
            raise ValueError(f"the nodes in {text!r} have {', '.join(str(len(box)) for box in boxes)} ranks: "
                             "each has the same number")  # fmt: skip
        for word in text.replace("|", " ").split():
            if not word.isdecimal():
                raise ValueError(f"{word!r} is no expert: write numbers, ranks apart by |, as in 0 1 | 2 3")
        return cls(tuple(tuple(map(int, rank.split())) for box in boxes for rank in box), len(boxes), experts)

    def __str__(self) -> str:
        per = self.ranks // self.nodes
        ranks = [" ".join(map(str, held)) for held in self.slots]
        return " || ".join(" | ".join(ranks[first : first + per]) for first in range(0, self.ranks, per))

    @property
    def ranks(self) -> int:
        return len(self.slots)

    def node(self, rank: int) -> int:
        """The node a rank stands in."""
        return rank * self.nodes // self.ranks

    @cached_property
    def holders(self) -> tuple[tuple[int, ...], ...]:
        """The ranks that hold each expert, one for each copy, in order of rank."""
        found = [[] for _ in range(self.experts)]
        for rank, held in enumerate(self.slots):
            for expert in held:
                found[expert].append(rank)
        return tuple(map(tuple, found))

    @property
    def copies(self) -> tuple[int, ...]:
        """In how many slots each expert stands."""
        return tuple(map(len, self.holders))

    @property
    def added(self) -> int:
        """Slots beyond one for each expert: what copies cost in memory, counted in experts."""
        return sum(self.copies) - self.experts

    def rank_loads(self, loads: Loads) -> tuple[float, ...]:
        """The load of each rank when copies share their expert's load evenly."""
        _check_loads(loads, self.experts)
        return tuple(sum(loads[expert] / self.copies[expert] for expert in held) for held in self.slots)

    def require_single(self) -> Placement:
        """Itself; ValueError where an expert has copies, for those who cannot keep copies equal."""
        for expert, ranks in enumerate(self.holders):
            if len(ranks) > 1:
                where = f"{', '.join(map(str, ranks[:-1]))} and {ranks[-1]}"
                raise ValueError(f"expert {expert} is placed {len(ranks)} times, on ranks {where}: once is right here")
        return self


# ---- placements that look at no load


def linear(experts: int, ranks: int, nodes: int = 1) -> Placement:
    """Equal numbers in a row: 0 1 | 2 3 | ... ValueError where ranks do not divide experts."""
    each = _each(experts, ranks)
    return Placement(tuple(tuple(range(rank * each, (rank + 1) * each)) for rank in range(ranks)), nodes, experts)


def round_robin(experts: int, ranks: int, nodes: int = 1) -> Placement:
    """One to each rank in turn: 0 4 | 1 5 | ... ValueError where ranks do not divide experts."""
    _each(experts, ranks)
    return Placement(tuple(tuple(range(rank, experts, ranks)) for rank in range(ranks)), nodes, experts)


# ---- placements by load


def pack(weights: Loads, packs: int) -> tuple[tuple[int, ...], ...]:
    """Items into packs of equally many: the heaviest first, each to the lightest pack that has room.

    Items of equal weight go in their order, equally light packs from the left. One item a pack: it stays in its place.
    """
    room = _each(len(weights), packs, "items", "packs")
    if room == 1:
        return tuple((item,) for item in range(packs))
    found, sums = [[] for _ in range(packs)], [0.0] * packs
    for item in sorted(range(len(weights)), key=weights.__getitem__, reverse=True):
        lightest = min((place for place in range(packs) if len(found[place]) < room), key=sums.__getitem__)
        found[lightest].append(item)
        sums[lightest] += weights[item]
    return tuple(map(tuple, found))


def replicate(loads: Loads, slots: int) -> tuple[int, ...]:
    """The expert of each of `slots` slots: all in order, then copy after copy of whoever has most load a copy."""
    if slots < len(loads):
        raise ValueError(f"{slots} slots are fewer than {len(loads)} experts: each needs one")
    held, copies = list(range(len(loads))), [1] * len(loads)
    for _ in range(slots - len(loads)):
        busiest = max(range(len(loads)), key=lambda expert: loads[expert] / copies[expert])
        copies[busiest] += 1
        held.append(busiest)
    return tuple(held)


def packed(loads: Loads, ranks: int, slots: int | None = None, nodes: int = 1) -> Placement:
    """Greedy: copies first (`slots` in all; none by default), then packing on ranks. Nodes are not looked at.

    This is the balancer's "global" policy. ValueError where ranks do not divide slots.
    """
    return replace_nodes(hierarchical(loads, ranks, slots=slots), nodes)


def hierarchical(loads: Loads, ranks: int, nodes: int = 1, groups: int = 1, slots: int | None = None) -> Placement:
    """Groups of neighbouring experts are packed on nodes, experts copied inside their node, copies packed on ranks.

    A router that is limited to few groups a token then crosses to few nodes. slots: in all, experts and copies.
    ValueError where nodes do not divide groups or ranks, groups not experts, ranks not slots.
    """
    slots = len(loads) if slots is None else slots
    _check_loads(loads, len(loads))
    width, _ = _each(len(loads), groups, "experts", "groups"), _each(groups, nodes, "groups", "nodes")
    per_node, _ = _each(ranks, nodes, "ranks", "nodes"), _each(slots, ranks, "slots")
    members = [range(group * width, (group + 1) * width) for group in range(groups)]
    found = []
    for packed_groups in pack([sum(loads[expert] for expert in group) for group in members], nodes):
        inside = [expert for group in packed_groups for expert in members[group]]
        held = replicate([loads[expert] for expert in inside], slots // nodes)
        shares = [loads[inside[place]] / held.count(place) for place in held]
        found += [tuple(inside[held[slot]] for slot in rank) for rank in pack(shares, per_node)]
    return Placement(tuple(found), nodes, len(loads))


def balanced(loads: Loads, ranks: int, nodes: int, groups: int, slots: int | None = None) -> Placement:
    """What the published balancer does: hierarchical where nodes divide groups, else packed over all ranks."""
    if groups % nodes == 0:
        return hierarchical(loads, ranks, nodes, groups, slots)
    return packed(loads, ranks, slots, nodes)


def place_experts(loads: Loads, ranks: int, nodes: int = 1) -> Placement:
    """Equally many experts a rank, no copies: the best there is up to 16 experts, greedy packing above.

    ``place_experts([40, 24, 20, 16, 12, 8, 6, 2], 4)`` has a busiest rank of 42.
    """
    return optimum(loads, ranks, nodes) if len(loads) <= MOST_EXACT else packed(loads, ranks, nodes=nodes)


def bound(loads: Loads, ranks: int) -> float:
    """No placement without copies has a busiest rank below this: the mean of the ranks, or the largest expert."""
    return max(sum(loads) / ranks, max(loads))


def optimum(loads: Loads, ranks: int, nodes: int = 1) -> Placement:
    """The smallest possible busiest rank with equally many experts each, by search. ValueError above 16 experts."""
    _check_loads(loads, len(loads))
    room = _each(len(loads), ranks)
    if len(loads) > MOST_EXACT:
        raise ValueError(f"{len(loads)} experts are too many to try all placements: {MOST_EXACT} at most")
    order = sorted(range(len(loads)), key=loads.__getitem__, reverse=True)
    first = packed(loads, ranks)
    found = _better(order, loads, [[] for _ in range(ranks)], room, max(first.rank_loads(loads)))
    return Placement(found or first.slots, nodes, len(loads))


def _better(order: list[int], loads: Loads, ranks: list[list[int]], room: int, limit: float):
    """Slots whose busiest rank is below `limit` and as small as can be, or None: the heaviest first, try each rank.

    A rank can end no lower than with the lightest experts in its free places; a branch that reaches `limit` is left.
    """
    least = [0.0]
    for expert in reversed(order):
        least.append(least[-1] + loads[expert])
    found, goal, sums = None, bound(loads, len(ranks)), [0.0] * len(ranks)

    def place(at: int) -> None:
        nonlocal found, limit
        if at == len(order):
            found, limit = tuple(map(tuple, ranks)), max(sums)
            return
        tried = set()
        for rank, held in enumerate(ranks):
            after = sums[rank] + loads[order[at]]
            if len(held) == room or (sums[rank], len(held)) in tried or after + least[room - len(held) - 1] >= limit:
                continue
            tried.add((sums[rank], len(held)))
            before, sums[rank] = sums[rank], after
            held.append(order[at])
            place(at + 1)
            held.pop()
            sums[rank] = before
            if limit <= goal:
                return

    place(0)
    return found


# ---- moving


class Move(NamedTuple):
    """One expert's weights, copied from a rank that has them to one that needs them."""

    expert: int
    source: int
    target: int


def moves(before: Placement, after: Placement) -> tuple[Move, ...]:
    """The copies that turn one placement into the other, each from the nearest holder: same node first, then the first.

    Slots that change their place on one rank cost nothing. ValueError where ranks or experts differ.
    """
    if (before.ranks, before.experts) != (after.ranks, after.experts):
        raise ValueError(f"{before.experts} experts on {before.ranks} ranks do not become {after.experts} on "
                         f"{after.ranks} by moving experts")  # fmt: skip
    found = []
    for rank, held in enumerate(after.slots):
        for expert in dict.fromkeys(held):
            holders = before.holders[expert]
            if rank not in holders:
                near = [holder for holder in holders if after.node(holder) == after.node(rank)]
                found.append(Move(expert, (near or holders)[0], rank))
    return tuple(found)


def break_even(moving: float, before: float, after: float) -> int | None:
    """Steps until moving has paid for itself: `moving` seconds once, then steps of `after` instead of `before` seconds.

    None where steps do not become shorter: never. Nothing to move: 0.
    """
    if moving < 0:
        raise ValueError(f"moving takes 0 seconds or more, not {moving!r}")
    if moving == 0:
        return 0
    return math.ceil(round(moving / (before - after), 9)) if after < before else None


# ---- shared by them


def replace_nodes(placement: Placement, nodes: int) -> Placement:
    """The same slots, counted as standing in so many nodes."""
    return Placement(placement.slots, nodes, placement.experts)


def unevenness(placement: Placement, loads: Loads) -> float:
    """max / mean of the ranks' loads."""
    return max_over_mean(placement.rank_loads(loads))


def _each(many: int, over: int, what: str = "experts", where: str = "ranks") -> int:
    """`many` / `over`; ValueError with both numbers where it does not divide."""
    if over < 1:
        raise ValueError(f"{many} {what} need 1 or more {where}, not {over}")
    if many % over or not many:
        below = many - many % over
        near = f"{below} or {below + over}" if below else f"{over}"
        raise ValueError(f"{many} {what} cannot lie on {over} {where} in equal numbers: {near} can")
    return many // over


def _check_loads(loads: Loads, experts: int) -> None:
    if len(loads) != experts:
        raise ValueError(f"{len(loads)} loads for {experts} experts: one for each")
    for expert, load in enumerate(loads):
        if not 0 <= load < math.inf:
            raise ValueError(f"expert {expert} has load {load!r}: a load is a number, 0 or more")

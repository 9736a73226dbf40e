"""Which tokens go to which expert, who is dropped, and how many bytes does that put on each link?

    scores [tokens][experts]        128 tokens on 4 ranks, 8 experts, each token takes its top 2

    token 0   .92 .40 .71 ...  ──►  choice (0, 2)  ──►  rows, from rank (down) to rank (across):
    token 1   .66 .98 .12 ...  ──►  choice (1, 0)         36 13  6  9
      ...                                                 42  7  5 10     a row is one token for one expert;
                                                          39  7  6 12     off the diagonal it travels, out and
    load of the experts  91 65 17 16 15 13 20 19          39  6 11  8     home again: 199 of 256
    rows of the ranks   156    33    28    39             busiest / mean 2.44: three ranks wait for rank 0

    a token may travel    once for each choice            as often as it has experts: plain all-to-all
                          once to each rank               two experts of one rank share a row
                          once to each node               and are handed on inside: source ─► door ─► rank

Counts only: no process, no torch. `minipar.nn.experts` does what is counted here, and tests hold the two against each
other. Token choice and capacity: Shazeer et al. 2017 (arXiv:1701.06538), Lepikhin et al. 2020, GShard
(arXiv:2006.16668), section 2.2; once to each node: DeepSeek-V3 (arXiv:2412.19437), section 3.2.2.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from minipar.plan.balance import Scores, chosen, counted, max_over_mean, mean_over_max, places
from minipar.plan.placement import Placement, linear
from minipar.plan.wire import Table, Wire

DROPPED = -1
Choice = tuple[tuple[int, ...], ...]


class Drop(enum.Enum):
    """Who stays where an expert is full: its best scores, or the first in line. Ties go to the smaller global index."""

    PROBABILITY = "probability"
    POSITION = "position"


class Group(enum.Enum):
    """Over whom capacity is counted: all tokens of the batch (ranks change nothing), or those of each rank."""

    BATCH = "batch"
    RANK = "rank"


class Once(enum.Enum):
    """How often a token travels: for each of its choices, once to each rank, or once to each node."""

    CHOICE = "choice"
    RANK = "rank"
    NODE = "node"


@dataclass(frozen=True)
class Routing:
    """What `route` found. choice: experts by token, best first; kept: the same, -1 where the choice was dropped.

    sources: how many tokens start on each rank, in order. capacity: rows an expert takes, one number a group (the
    batch, or each rank); empty: dropless. padded: experts compute `capacity` rows whatever they got.
    """

    choice: Choice
    kept: Choice
    placement: Placement
    sources: tuple[int, ...]
    capacity: tuple[int, ...] = ()
    padded: bool = False

    @property
    def tokens(self) -> int:
        return len(self.choice)

    @property
    def experts(self) -> int:
        return self.placement.experts

    @property
    def ranks(self) -> int:
        return self.placement.ranks

    # ---- loads and drops

    @cached_property
    def wanted(self) -> tuple[int, ...]:
        """Choices by expert, before anyone was dropped."""
        return counted(self.choice, self.experts)

    @cached_property
    def load(self) -> tuple[int, ...]:
        """Rows by expert that were kept."""
        return counted(self.kept, self.experts)

    @property
    def drops(self) -> tuple[int, ...]:
        """Dropped choices by expert."""
        return tuple(want - load for want, load in zip(self.wanted, self.load, strict=True))

    @property
    def dropped(self) -> int:
        """Dropped choices in all."""
        return sum(self.drops)

    @property
    def lost(self) -> int:
        """Tokens that lost all their choices: the residual alone carries them on."""
        return sum(all(expert == DROPPED for expert in row) for row in self.kept)

    @cached_property
    def rank_loads(self) -> tuple[int, ...]:
        """Rows that each rank computes, padding not counted."""
        found = [0] * self.ranks
        for row in self.targets:
            for rank in row:
                if rank != DROPPED:
                    found[rank] += 1
        return tuple(found)

    @property
    def computed(self) -> tuple[int, ...]:
        """Rows that each rank computes, padding counted: the busiest sets the time."""
        if not self.padded:
            return self.rank_loads
        return tuple(len(held) * sum(self.capacity) for held in self.placement.slots)

    @property
    def max_over_mean(self) -> float:
        """The busiest rank against the mean, by rows that are computed."""
        return max_over_mean(self.computed)

    @property
    def mean_over_max(self) -> float:
        """The mean against the busiest rank."""
        return mean_over_max(self.computed)

    # ---- who travels where

    @cached_property
    def home(self) -> tuple[int, ...]:
        """The rank on which each token starts."""
        return tuple(rank for rank, many in enumerate(self.sources) for _ in range(many))

    @cached_property
    def targets(self) -> Choice:
        """By token and choice, the rank that computes it; -1 where dropped. Copies of an expert take rows in turn."""
        holders, turn = self.placement.holders, [0] * self.experts
        found = []
        for row in self.kept:
            to = []
            for expert in row:
                if expert == DROPPED:
                    to.append(DROPPED)
                    continue
                to.append(holders[expert][turn[expert] % len(holders[expert])])
                turn[expert] += 1
            found.append(tuple(to))
        return tuple(found)

    @cached_property
    def rows(self) -> Table:
        """Rows ``[source][target]`` of the all-to-all, those that stay included: its split lists.

        Padded by rank, each rank sends `capacity` rows to every expert; padded over the batch, padding stays at home.
        """
        found = [[0] * self.ranks for _ in range(self.ranks)]
        if self.padded and len(self.capacity) > 1:
            return tuple(tuple(len(held) * own for held in self.placement.slots) for own in self.capacity)
        for home, row in zip(self.home, self.targets, strict=True):
            for rank in row:
                if rank != DROPPED:
                    found[home][rank] += 1
        return tuple(map(tuple, found))

    def carried(self, once: str | Once = Once.CHOICE) -> Wire:
        """Rows on the links on the way to the experts. once: "choice", "rank" or "node".

        "node": to another node a token goes to the rank with its source's place in the node, and from there on.
        """
        once = word(Once, once, "a token travels once for each")
        nodes = tuple(map(self.placement.node, range(self.ranks)))
        if once is Once.CHOICE:
            return Wire(tuple(tuple(many * (rank != home) for rank, many in enumerate(row))
                              for home, row in enumerate(self.rows)), nodes)  # fmt: skip
        if self.padded and len(self.capacity) > 1:
            raise ValueError("rows padded by rank all travel: a token cannot share a row here")
        found = [[0] * self.ranks for _ in range(self.ranks)]
        for home, row in zip(self.home, self.targets, strict=True):
            for source, target in self._hops(home, set(row) - {DROPPED}, once, nodes):
                found[source][target] += 1
        return Wire(tuple(map(tuple, found)), nodes)

    def _hops(self, home: int, ranks: set[int], once: Once, nodes: tuple[int, ...]) -> set[tuple[int, int]]:
        """The links that one token takes to these ranks."""
        if once is Once.RANK:
            return {(home, rank) for rank in ranks if rank != home}
        per, hops = self.ranks // self.placement.nodes, set()
        for rank in ranks:
            door = home if nodes[rank] == nodes[home] else nodes[rank] * per + home % per
            hops |= {(home, door), (door, rank)}
        return {(source, target) for source, target in hops if source != target}

    def dispatch(self, hidden: int, item: int = 4, once: str | Once = Once.CHOICE) -> Wire:
        """Bytes from tokens to experts: rows of `hidden` numbers of `item` bytes."""
        return self.carried(once).times(hidden * item)

    def combine(self, hidden: int, item: int = 4, once: str | Once = Once.CHOICE) -> Wire:
        """Bytes from experts home: as many, the other way. Where a row was shared, answers are summed before."""
        return self.dispatch(hidden, item, once).back

    def everybody(self, hidden: int, item: int = 4) -> Wire:
        """Bytes if every token were sent to every other rank, as with gathered dense masks: for comparison."""
        ranks = range(self.ranks)
        table = tuple(tuple(many * (rank != home) for rank in ranks) for home, many in enumerate(self.sources))
        return Wire(table, tuple(map(self.placement.node, ranks))).times(hidden * item)


# ---- routing


def route(scores: Scores, experts: int, top: int, capacity: float | None = None, *, drop: str | Drop = Drop.PROBABILITY,
          group: str | Group = Group.BATCH, pad: bool = False, ranks: int = 1, nodes: int = 1,
          placement: Placement | None = None, sources: Sequence[int] | None = None, bias: Sequence[float] | None = None,
          probabilities: Scores | None = None) -> Routing:  # fmt: skip
    """Each token takes the `top` experts with its highest scores; an expert that is full drops who is too many.

    scores: ``[tokens][experts]``, by global index. capacity: the factor (1.0: the even share, rounded up), None for
    dropless. drop: "probability" or "position". group: "batch" or "rank". pad: full experts for everybody.
    ranks, nodes: experts lie in a row unless a `placement` says otherwise. sources: tokens by rank (default: alike, the
    first ranks have one more). bias: added for the choice. probabilities: by which to drop (default: the scores).
    ValueError, in a sentence with numbers, for whatever does not fit.
    """
    where = _ground(experts, ranks, nodes, placement)
    counts = _sources(sources, where.ranks, len(scores))
    if not 1 <= top <= experts:
        raise ValueError(f"top={top} of {experts} experts: a token takes 1 to {experts} different ones")
    for given, what in ((scores, "score"), (probabilities or (), "probability")):
        _check_scores(given, experts, counts, what)
    choice = chosen(scores, top, bias)
    return follow(choice, experts, capacity, drop=drop, group=group, pad=pad, placement=where, sources=counts,
                  probabilities=scores if probabilities is None else probabilities)  # fmt: skip


def follow(choice: Sequence[Sequence[int]], experts: int, capacity: float | None = None, *,
           drop: str | Drop = Drop.POSITION, group: str | Group = Group.BATCH, pad: bool = False, ranks: int = 1,
           nodes: int = 1, placement: Placement | None = None, sources: Sequence[int] | None = None,
           probabilities: Scores | None = None) -> Routing:  # fmt: skip
    """The same for choices that were made elsewhere: ``choice[token]``, experts by number, -1 for dropped before."""
    drop, group = word(Drop, drop, "choices are dropped by"), word(Group, group, "capacity is counted by")
    where = _ground(experts, ranks, nodes, placement)
    counts = _sources(sources, where.ranks, len(choice))
    choice = tuple(map(tuple, choice))
    top = _check_choice(choice, experts)
    if capacity is None:
        if pad:
            raise ValueError("padding needs a capacity: give a factor, as in capacity=1.0")
        return Routing(choice, choice, where, counts)
    if drop is Drop.PROBABILITY and probabilities is None:
        raise ValueError("dropping by probability needs probabilities: give them, or drop by position")
    blocks = (len(choice),) if group is Group.BATCH else counts
    room = tuple(places(block, top, experts, capacity) for block in blocks)
    if pad and where.added and len(room) > 1:
        raise ValueError(f"padding by rank sends equal parts to every expert, and {where.added} of them are copies: "
                         "pad over the batch, or place each expert once")  # fmt: skip
    order = probabilities if drop is Drop.PROBABILITY else None
    return Routing(choice, _keep(choice, experts, order, blocks, room), where, counts, room, pad)


def _keep(choice: Choice, experts: int, order: Scores | None, blocks: Sequence[int], room: Sequence[int]) -> Choice:
    """The choices with -1 where an expert was full: in each block, the highest `order` stays, then who comes first."""
    kept, start = list(map(list, choice)), 0
    for block, most in zip(blocks, room, strict=True):
        lines = [[] for _ in range(experts)]
        for token in range(start, start + block):
            for place, expert in enumerate(choice[token]):
                if expert != DROPPED:
                    lines[expert].append((token, place))
        for expert, line in enumerate(lines):
            if len(line) > most:
                if order is not None:
                    line.sort(key=lambda one, expert=expert: (-order[one[0]][expert], one[0]))
                for token, place in line[most:]:
                    kept[token][place] = DROPPED
        start += block
    return tuple(map(tuple, kept))


# ---- what does not fit


def word(kind: type[enum.Enum], given, what: str):
    """A member of `kind` by its word; ValueError that lists the words."""
    try:
        return kind(given)
    except ValueError:
        raise ValueError(f"{what} {' or '.join(one.value for one in kind)}, not {given!r}") from None


def _ground(experts: int, ranks: int, nodes: int, placement: Placement | None) -> Placement:
    if experts < 1:
        raise ValueError(f"tokens need 1 or more experts, not {experts}")
    if placement is None:
        return linear(experts, ranks, nodes)
    if placement.experts != experts:
        raise ValueError(f"the placement has {placement.experts} experts, and tokens choose among {experts}")
    return placement


def _sources(sources: Sequence[int] | None, ranks: int, tokens: int) -> tuple[int, ...]:
    if sources is None:
        each, more = divmod(tokens, ranks)
        return tuple(each + (rank < more) for rank in range(ranks))
    if len(sources) != ranks or sum(sources) != tokens or min(sources) < 0:
        given = " ".join(map(str, sources))
        raise ValueError(f"sources {given} must say where {tokens} tokens start on {ranks} ranks")
    return tuple(sources)


def _check_scores(scores: Scores, experts: int, counts: Sequence[int], what: str) -> None:
    """Each token has a number for each expert; infinities are numbers, NaN is none."""
    for token, row in enumerate(scores):
        if len(row) != experts:
            raise ValueError(f"token {token} has {len(row)} {_plural(what)}, and there are {experts} experts")
        if math.isnan(sum(row)):  # also infinity minus infinity: look again
            for expert, score in enumerate(row):
                if math.isnan(score):
                    rank = next(rank for rank in range(len(counts)) if token < sum(counts[: rank + 1]))
                    raise ValueError(f"token {token} on rank {rank} has no {what} for expert {expert}: it is not a "
                                     "number (NaN)")  # fmt: skip


def _plural(what: str) -> str:
    return "probabilities" if what == "probability" else what + "s"


def _check_choice(choice: Choice, experts: int) -> int:
    """How many experts a token takes; refuses numbers that are no expert, one that is taken twice, uneven rows."""
    top = len(choice[0]) if choice else 0
    if top > experts:
        raise ValueError(f"top={top} of {experts} experts: a token takes 1 to {experts} different ones")
    for token, row in enumerate(choice):
        told = " ".join(map(str, row))
        if len(row) != top:
            raise ValueError(f"token {token} takes {len(row)} experts, and token 0 takes {top}")
        if row and not (min(row) >= DROPPED and max(row) < experts):
            raise ValueError(f"token {token} chooses {told}: experts are numbered 0 to {experts - 1}, and {DROPPED} is "
                             "a dropped choice")  # fmt: skip
        if len(set(row)) < top and len(set(row) - {DROPPED}) < top - row.count(DROPPED):
            raise ValueError(f"token {token} takes an expert twice: {told}")
    return top

"""Which order is the best one under a cap on activations, and does it have a name?

    catalogue ──┐
                ├─► those under the cap ─► the shortest ─► exchange neighbours while it helps ─► Found
    walks ──────┘
    tiny sizes: every order there is, and then it is known to be the best

A walk builds a schedule in one pass through time: whenever a rank is free, a rule says what it takes. There are a few
dozen rules. A backward is split throughout, so a weight gradient can fill a gap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from minipar.plan.actions import Action, B, F, I, W, keeps
from minipar.plan.order import Deadlock
from minipar.plan.schedule import Schedule, require_positive
from minipar.plan.schedules import placed
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Trace

SLOTS = Cost(F=1, B=2)
EVERY = 2_000  # so many orders are simply all tried
EXCHANGES = 1_200  # simulations spent on exchanging neighbours


@dataclass(frozen=True)
class Found:
    """What a search came to: the schedule, its predicted trace, the catalogue's name for it ("" for a new one).

    exhaustive: every order was tried, so there is none that is shorter.
    """

    schedule: Schedule
    trace: Trace
    known: str
    exhaustive: bool = False

    def __str__(self) -> str:
        what = f"this is {self.known}" if self.known else "it is in no catalogue: this order is new"
        best = ", and no order is shorter" if self.exhaustive else ""
        peaks = " ".join(map(str, self.trace.peak_in_flight))
        return f"{self.trace.makespan:.6g} {self.trace.unit}, most in flight {peaks}: {what}{best}."


def search(ranks: int, microbatches: int, cost: Cost = SLOTS, memory_cap: int | Sequence[int] | None = None,
           chunks: int = 1, placement: Sequence[int] | None = None) -> Found:  # fmt: skip
    """The shortest schedule found in which no rank ever holds more than its cap.

    memory_cap: (stage, microbatch) pairs that a rank may hold at once, one number or one a rank; None: no cap.
    chunks: stages a rank, dealt like cards; placement: the rank of each stage instead. Never longer than the
    catalogue's best that fits. ValueError when not one microbatch fits, or a rank has no stage.
    """
    require_positive(ranks=ranks, microbatches=microbatches, chunks=chunks)
    homes = _homes(ranks, chunks, placement)
    caps = _caps(ranks, memory_cap, homes, microbatches)
    orders = _orders(homes, caps, microbatches)
    known = placed(homes, microbatches)
    walks = [] if orders else _walks(homes, ranks, microbatches, cost, caps)
    candidates = [_Candidate.of(s, cost, caps) for s in (*known, *orders, *walks)]
    best = min(filter(None, candidates), key=_Candidate.merit)
    if not orders:
        best = min(best, _exchange(best, cost, caps), key=_Candidate.merit)
    return _named(best, cost, caps, exhaustive=bool(orders))


class _Candidate(NamedTuple):
    """A schedule that ends and keeps to the caps, with its trace."""

    schedule: Schedule
    trace: Trace

    @classmethod
    def of(cls, schedule: Schedule, cost: Cost, caps: tuple[int, ...]) -> "_Candidate | None":
        try:
            trace = predict(schedule, cost)
        except Deadlock:
            return None
        if any(peak > cap for peak, cap in zip(trace.peak_in_flight, caps, strict=True)):
            return None
        return cls(schedule, trace)

    def merit(self) -> tuple:
        """Less is better: time first (rounded, as sums of decimals differ in their last digit), then what is held."""
        return round(self.trace.makespan, 9), sum(self.trace.peak_in_flight)


def _homes(ranks: int, chunks: int, placement: Sequence[int] | None) -> tuple[int, ...]:
    homes = tuple(placement) if placement is not None else tuple(range(ranks)) * chunks
    strange = [home for home in homes if not 0 <= home < ranks]
    empty = sorted(set(range(ranks)) - set(homes))
    if strange or empty:
        lack = f"there is no rank {strange[0]}" if strange else f"rank {empty[0]} has no stage"
        raise ValueError(f"the placement {homes} does not fit {ranks} ranks: {lack}")
    return homes


def _caps(ranks: int, cap, homes: tuple[int, ...], microbatches: int) -> tuple[int, ...]:
    most = len(homes) * microbatches
    caps = tuple(cap) if isinstance(cap, Sequence) else (most if cap is None else cap,) * ranks
    if len(caps) != ranks:
        raise ValueError(f"memory_cap has {len(caps)} numbers, and there are {ranks} ranks")
    for rank, held in enumerate(caps):
        if held < homes.count(rank):
            raise ValueError(f"rank {rank} may hold {held}, and one microbatch alone leaves {homes.count(rank)} there")
    return caps


# ---- where a search starts


def _orders(homes: tuple[int, ...], caps: tuple[int, ...], microbatches: int) -> list[Schedule]:
    """Every schedule there is, microbatches in their order; none if they are too many, or a rank has several stages."""
    if len(homes) > len(caps) or microbatches > 4:
        return []
    rows = [list(_rows(homes.index(rank), microbatches, cap)) for rank, cap in enumerate(caps)]
    count = 1
    for choices in rows:
        count *= len(choices)
    return [Schedule("found", programs) for programs in product(*rows)] if count <= EVERY else []


def _rows(stage: int, microbatches: int, cap: int, done=(0, 0, 0)) -> Iterator[tuple[Action, ...]]:
    """Every program of one stage: a microbatch goes F, I, W in that order, and at most `cap` are held."""
    forwards, inputs, weights = done
    if weights == microbatches:
        yield ()
    options = ((F, forwards, microbatches), (I, inputs, forwards), (W, weights, inputs))
    for place, (op, number, bound) in enumerate(options):
        if number < bound and (op is not F or forwards - weights < cap):
            after = tuple(count + (at == place) for at, count in enumerate(done))
            yield from ((op(stage, number), *rest) for rest in _rows(stage, microbatches, cap, after))


def _walks(homes, ranks: int, microbatches: int, cost: Cost, caps) -> Iterator[Schedule]:
    last = len(homes) - 1
    limits = [caps]
    for steep, extra in product((1, 2), (-1, 0, 1)):
        limits.append(tuple(max(homes.count(r), min(caps[r], steep * (ranks - r) + extra)) for r in range(ranks)))
    for limit, patience, deep, whole in product(dict.fromkeys(limits), (0.0, 0.6), (True, False), (True, False)):
        rule = _Rule(limit, patience, deep, whole)
        programs = _Walk(homes, ranks, microbatches, cost, rule, last).programs()
        if programs is not None:
            yield Schedule("found", programs)


class _Rule(NamedTuple):
    """How a free rank chooses in a walk.

    limit: the most it holds. patience: the share of a weight gradient's time that it idles for something better.
    deep: of two forwards it takes the later stage's. whole: it starts a microbatch only if all its stages fit.
    """

    limit: tuple[int, ...]
    patience: float
    deep: bool
    whole: bool


class _Walk:
    """One pass through time. For each stage it counts how many F, I and W have run; each rank has a clock."""

    def __init__(self, homes, ranks: int, microbatches: int, cost: Cost, rule: _Rule, last: int):
        self.homes, self.count, self.cost, self.rule, self.last = homes, microbatches, cost, rule, last
        self.done = [[0, 0, 0] for _ in homes]
        self.there = {(F, 0, m): 0.0 for m in range(microbatches)}  # (op, stage, microbatch) -> when its input is there
        self.free, self.held, self.rows = [0.0] * ranks, [0] * ranks, [[] for _ in range(ranks)]

    def programs(self):
        """The programs of all ranks, or None where the walk got stuck under its limits."""
        for _ in range(3 * len(self.homes) * self.count):
            options = [option for rank in range(len(self.free)) if (option := self._choice(rank)) is not None]
            if not options:
                return None
            self._take(*min(options, key=lambda option: (option[0], option[1])))
        return tuple(map(tuple, self.rows))

    def _choice(self, rank: int):
        """(start, rank, action) that this rank takes next as things stand, or None."""
        now, ready = self.free[rank], []
        for stage in (stage for stage, home in enumerate(self.homes) if home == rank):
            for op, number, bound in zip((F, I, W), self.done[stage], (self.count, *self.done[stage]), strict=False):
                when = now if op is W else self.there.get((op, stage, number))
                if number < bound and when is not None and (op is not F or self._room(rank, stage)):
                    ready.append((max(now, when), op(stage, number)))
        if not ready:
            return None
        soonest = min(start for start, _ in ready)
        wait = soonest + self.rule.patience * self.cost.duration(W(self.homes.index(rank), 0))
        start, action = min((one for one in ready if one[0] <= wait), key=self._rank_of)
        return start, rank, action

    def _rank_of(self, option):
        start, action = option
        urgency = {I: 0, F: 1, W: 2}[action.op]
        return urgency, -action.stage if self.rule.deep else action.stage, start

    def _room(self, rank: int, stage: int) -> bool:
        limit, mine = self.rule.limit[rank], self.homes.count(rank)
        if self.rule.whole and stage == self.homes.index(rank):
            begun, ended = self.done[stage][0], self.done[stage][2]
            return (begun - ended + 1) * mine <= max(limit, mine)
        return self.held[rank] < limit

    def _take(self, start: float, rank: int, action: Action) -> None:
        stage, op, m = action
        end = self.free[rank] = start + self.cost.duration(action)
        self.rows[rank].append(action)
        self.done[stage][(F, I, W).index(op)] += 1
        self.held[rank] += keeps(action)
        if op is F and stage == self.last:
            self.there[I, stage, m] = end
        elif op is F:
            self._arrive(F, stage, stage + 1, m, end)
        elif op is I and stage:
            self._arrive(I, stage, stage - 1, m, end)

    def _arrive(self, op, source: int, stage: int, m: int, end: float) -> None:
        self.there[op, stage, m] = end + self.cost.hop * (self.homes[source] != self.homes[stage])


# ---- from a good start to a better end


def _exchange(best: _Candidate, cost: Cost, caps) -> _Candidate:
    """Exchange neighbours, keep what is no worse, until nothing gets better or the effort is spent."""
    spent, going, seen = 0, True, set()
    while going and spent < EXCHANGES:
        going = False
        for rank, at in [(rank, at) for rank, row in enumerate(best.schedule.programs) for at in range(len(row) - 1)]:
            programs = _swapped(best.schedule.programs, rank, at)
            if programs is None or programs in seen:
                continue
            seen.add(programs)
            spent += 1
            other = _Candidate.of(Schedule("found", programs), cost, caps)
            if other is not None and other.merit() <= best.merit():
                best, going = other, going or other.merit() < best.merit()
    return best


def _swapped(programs, rank: int, at: int):
    """The programs with two neighbours of one rank exchanged; None where they are of one microbatch on one stage."""
    row = list(programs[rank])
    if row[at].stage == row[at + 1].stage and row[at].microbatch == row[at + 1].microbatch:
        return None
    row[at], row[at + 1] = row[at + 1], row[at]
    return (*programs[:rank], tuple(row), *programs[rank + 1 :])


def _named(best: _Candidate, cost: Cost, caps, exhaustive: bool) -> Found:
    """With the catalogue's name where it is the same order, a whole backward being an I and a W side by side."""
    found = best.schedule
    for known in placed(found.placement, found.microbatches):
        same = _Candidate.of(known, cost, caps)
        if same is not None and same.merit() <= best.merit() and _halves(known) == _halves(found):
            return Found(known, same.trace, known.name, exhaustive)
    return Found(found, best.trace, "", exhaustive)


def _halves(schedule: Schedule) -> tuple:
    """Its programs with every whole backward written as its two halves."""
    return tuple(tuple(half for action in row for half in _split(action)) for row in schedule.programs)


def _split(action: Action) -> tuple[Action, ...]:
    stage, op, m = action
    return (I(stage, m), W(stage, m)) if op is B else (action,)

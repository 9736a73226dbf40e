"""A schedule is stuck: which rank waits for which, and who stands in the circle?

    rank 0 ──► rank 1 ──► rank 2 ⇄ rank 3          waits (1, 2, 3, 2), circle (2, 3): 0 and 1 only stand behind it

Asked of a schedule before anything runs: with letter boxes (a send is put down and forgotten), or from hand to hand
(`unbuffered`: a send lasts until its receive, as with blocking sends).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from minipar.plan.actions import Recv, Send, Step, Value, makes
from minipar.plan.messages import lower
from minipar.plan.order import Deadlock, walk
from minipar.plan.schedule import Schedule


class Wait(NamedTuple):
    """A rank that cannot go on: after `done` actions it stands at `step` and waits for rank `peer` (None: for nobody).

    words: "rank 0 waits at 0B0 for 1B0 of rank 1". maker: what makes the value it lacks or holds out.
    """

    rank: int
    done: int
    step: Step
    peer: int | None
    words: str
    maker: Step | None = None


def waits(schedule: Schedule, unbuffered: bool = False) -> tuple[Wait, ...]:
    """Every rank that cannot reach its end, by rank; () when all can."""
    try:
        for _ in walk(schedule.programs):
            pass
        if unbuffered:
            for _ in walk(lower(schedule).programs, unbuffered=True):
                pass
    except Deadlock as deadlock:
        return tuple(_wait(deadlock, stuck) for stuck in deadlock.stuck)
    return ()


def _wait(deadlock: Deadlock, stuck) -> Wait:
    rank, at, step, missing = stuck.rank, stuck.position, stuck.step, stuck.missing
    done = sum(not isinstance(one, Send | Recv) for one in deadlock.programs[rank][:at])
    if isinstance(step, Send | Recv):
        maker = _maker(deadlock.programs, step.value)[1]
        held = f"{maker}'s {step.value.kind.value}"
        words = f"sends {held} to" if isinstance(step, Send) else f"receives {held} from"
        words = f"rank {rank} {words} rank {step.peer}, which is not there for it"
        return Wait(rank, done, step, step.peer, words, maker)
    peer, maker = _maker(deadlock.programs, missing)
    if maker is None:
        return Wait(rank, done, step, None, f"rank {rank} waits at {step} for {missing}, which nobody makes")
    return Wait(rank, done, step, peer, f"rank {rank} waits at {step} for {maker} of rank {peer}", maker)


def _maker(programs, value: Value):
    for rank, program in enumerate(programs):
        for step in program:
            if not isinstance(step, Send | Recv) and value in makes(step):
                return rank, step
    return None, None


def circle(peers: Sequence[int | None] | Mapping[int, int | None]) -> tuple[int, ...]:
    """The ranks that wait for each other in a ring, from the smallest; () for none. ``circle([1, 2, 3, 2]) == (2, 3)``.

    peers: for each rank the one it waits for. Of several rings the one with the smallest rank.
    """
    after = dict(peers) if isinstance(peers, Mapping) else dict(enumerate(peers))
    found, seen = [], set()
    for start in after:
        way, rank = {}, start
        while rank is not None and rank not in seen:
            seen.add(rank)
            way[rank] = len(way)
            rank = after.get(rank)
        if rank in way:
            ring = list(way)[way[rank] :]
            least = ring.index(min(ring))
            found.append((*ring[least:], *ring[:least]))
    return min(found, default=())

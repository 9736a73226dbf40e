"""Which messages does a schedule need, and where do they stand in each rank's program?

A value that one rank makes and another reads becomes a Send and a Recv. Two forms of the same programs:

- *tagged* (gloo): a Send right after the action that makes the value, a Recv right before the first action that reads
  it. Messages are told apart by their tag, so a receive may be posted ahead.
- *ordered* (NCCL): NCCL ignores tags and runs the operations of a pair in order, so every message stands in both ranks'
  programs at the same point of ONE global order: the order of time in the prediction. In one global order nobody can
  wait in a circle, even when a send lasts until its receive (``walk(..., unbuffered=True)`` proves it).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from minipar.plan.actions import Recv, Send, Step, Value, halves, makes, reads
from minipar.plan.order import walk
from minipar.plan.schedule import Schedule
from minipar.plan.simulate import predict


@dataclass(frozen=True)
class Lowered:
    """Programs with their messages written in. ``ordered`` says which of the two forms it is."""

    schedule: Schedule
    programs: tuple[tuple[Step, ...], ...]
    ordered: bool

    @property
    def messages(self) -> int:
        """How many messages travel in one step."""
        return sum(isinstance(step, Send) for program in self.programs for step in program)

    def on(self, ranks: tuple[int, ...]) -> "Lowered":
        """The same programs, carried out by these ranks of a larger call: peer 1 becomes ranks[1].

        On a mesh of several axes every pipeline is such a group. `programs` still counts by rank of the call; ranks of
        other pipelines have nothing to do in it.
        """
        if ranks == tuple(range(len(self.programs))):
            return self
        programs: list[tuple[Step, ...]] = [()] * (max(ranks) + 1)
        for rank, program in zip(ranks, self.programs, strict=True):
            programs[rank] = tuple(
                step._replace(peer=ranks[step.peer]) if isinstance(step, Send | Recv) else step for step in program
            )
        return replace(self, programs=tuple(programs))


def lower(schedule: Schedule, ordered: bool = False) -> Lowered:
    """Write the messages into a sound schedule. Raises ``Deadlock`` when the schedule cannot reach its end."""
    programs = _ordered(schedule) if ordered else _tagged(schedule)
    return Lowered(schedule, tuple(tuple(program) for program in programs), ordered)


def _crossings(schedule: Schedule) -> dict[Value, tuple[int, list[int]]]:
    """Every value that leaves its rank: value -> (maker's rank, the ranks that read it, each once)."""
    last = schedule.stages - 1
    maker = {v: rank for rank, program in enumerate(schedule.programs) for action in program for v in makes(action)}
    found: dict[Value, tuple[int, list[int]]] = {}
    for rank, program in enumerate(schedule.programs):
        for action in program:
            for value in reads(action, last):
                if maker.get(value, rank) != rank:
                    readers = found.setdefault(value, (maker[value], []))[1]
                    if rank not in readers:
                        readers.append(rank)
    return found


def _tagged(schedule: Schedule) -> Iterator[list[Step]]:
    crossing, last = _crossings(schedule), schedule.stages - 1
    for _ in walk(schedule.programs):  # a schedule that cannot end is refused here, with the reason
        pass
    for rank, program in enumerate(schedule.programs):
        steps, here = [], set()
        for action in program:
            for value in reads(action, last):
                source, readers = crossing.get(value, (rank, ()))
                if source != rank and value not in here:
                    here.add(value)
                    steps.append(Recv(value, source))
            for half in halves(action):  # a pair that overlaps: here its two actions run one after the other
                steps.append(half)
                for value in makes(half):
                    steps += [Send(value, reader) for reader in crossing.get(value, (rank, ()))[1]]
        yield steps


def _ordered(schedule: Schedule) -> list[list[Step]]:
    crossing = _crossings(schedule)
    events = []  # (time, messages before actions, tie-break by walk order, rank, step)
    for number, span in enumerate(predict(schedule).spans):
        events.append((span.start, 1, number, ((span.rank, span.what),)))
        for value in makes(span.what):
            for reader in crossing.get(value, (0, ()))[1]:
                pair = ((span.rank, Send(value, reader)), (reader, Recv(value, span.rank)))
                events.append((span.end, 0, number, pair))
    programs: list[list[Step]] = [[] for _ in schedule.programs]
    for _, _, _, steps in sorted(events, key=lambda event: event[:3]):
        for rank, step in steps:
            programs[rank].append(step)
    return programs

"""Is this schedule sound, and if not, what exactly is wrong with it?

``problems(schedule)`` returns a list; empty means that every stage runs every microbatch forward and backward once,
each stage stands on one rank, and the programs reach their end. Each problem is a sentence for the person who wrote it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from minipar.plan.actions import Action, B, F, I, W, halves, makes, reads
from minipar.plan.order import Deadlock, walk
from minipar.plan.schedule import Schedule


@dataclass(frozen=True)
class Problem:
    """What is wrong (``code``), where (``rank``, ``position`` in its program, or None), and in words (``sentence``)."""

    code: str
    rank: int | None
    position: int | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def problems(schedule: Schedule) -> list[Problem]:
    """All that is wrong with a schedule, each in a sentence; an empty list means it is sound.

    Deadlocks are looked for only in a schedule that is otherwise complete: a missing action would only be named twice.
    """
    found = [
        *_idle_ranks(schedule),
        *_misplaced(schedule),
        *_doubled(schedule),
        *_missing(schedule),
        *_upside_down(schedule),
    ]
    if not found:
        try:
            for _ in walk(schedule.programs):
                pass
        except Deadlock as deadlock:
            first = deadlock.stuck[0]
            found.append(Problem("deadlock", first.rank, first.position, str(deadlock)))
    return found


def _each(program) -> Iterator[tuple[int, Action]]:
    """(position, action) of a program; the two of a pair that overlaps stand at one position."""
    return ((position, action) for position, step in enumerate(program) for action in halves(step))


def _idle_ranks(schedule: Schedule) -> Iterator[Problem]:
    if not schedule.ranks:
        yield Problem("empty", None, None, "The schedule has no ranks: write one line a rank.")
    for rank, program in enumerate(schedule.programs):
        if not program:
            others = schedule.ranks - 1
            yield Problem(
                "empty rank",
                rank,
                None,
                f"Rank {rank} has no action, so no stage: give it one or use {others} rank{'s' * (others != 1)}.",
            )


def _misplaced(schedule: Schedule) -> Iterator[Problem]:
    told = set()
    for rank, program in enumerate(schedule.programs):
        for position, action in _each(program):
            home = schedule.placement[action.stage]
            if rank != home and (rank, action.stage) not in told:
                told.add((rank, action.stage))
                yield Problem(
                    "stage on two ranks",
                    rank,
                    position,
                    f"Row {rank} says {action}, but stage {action.stage} stands on rank {home}."
                    + _own_stage(schedule, rank, action),
                )


def _own_stage(schedule: Schedule, rank: int, action: Action) -> str:
    own = {a.stage for _, a in _each(schedule.programs[rank])} - {action.stage}
    if rank not in own and rank < len(schedule.placement) and schedule.placement[rank] not in (None, rank):
        return ""
    return f" Rank {rank} runs stage {rank}: {action._replace(stage=rank)}."


def _doubled(schedule: Schedule) -> Iterator[Problem]:
    seen: dict[Action, int] = {}
    for rank, program in enumerate(schedule.programs):
        for position, action in _each(program):
            if action in seen and seen[action] == rank:
                yield Problem(
                    "doubled", rank, position, f"{action} stands twice on rank {rank}: each action runs once."
                )
            seen.setdefault(action, rank)


def _missing(schedule: Schedule) -> Iterator[Problem]:
    have = {action for program in schedule.programs for _, action in _each(program)}
    for stage in range(schedule.stages):
        rank = schedule.placement[stage]
        if rank is None:
            yield Problem(
                "missing stage",
                None,
                None,
                f"Stage {stage} is on no rank: stages are numbered 0 to {schedule.stages - 1} without a gap.",
            )
            continue
        for m in range(schedule.microbatches):
            yield from _missing_of(stage, m, rank, have)


def _missing_of(stage: int, m: int, rank: int, have: set) -> Iterator[Problem]:
    if F(stage, m) not in have:
        yield Problem(
            "missing", rank, None, f"{F(stage, m)} is missing: rank {rank} never runs microbatch {m} forward."
        )
    split = [I(stage, m) in have, W(stage, m) in have]
    whole = B(stage, m) in have
    if whole and any(split):
        other = I(stage, m) if split[0] else W(stage, m)
        yield Problem(
            "doubled",
            rank,
            None,
            f"{B(stage, m)} and {other} both run: a backward is either whole (B) or split (I and W).",
        )
    elif not whole and not any(split):
        yield Problem(
            "missing", rank, None, f"{B(stage, m)} is missing: rank {rank} never runs microbatch {m} backward."
        )
    elif not whole and not all(split):
        lacking = W(stage, m) if split[0] else I(stage, m)
        yield Problem("missing", rank, None, f"{lacking} is missing: a split backward needs both I and W.")


def _upside_down(schedule: Schedule) -> Iterator[Problem]:
    """An action before something that the same rank makes for it: no other rank can help."""
    last = schedule.stages - 1
    for rank, program in enumerate(schedule.programs):
        makers = {value: (at, action) for at, action in reversed(list(_each(program))) for value in makes(action)}
        for position, action in _each(program):
            for value in reads(action, last):
                at, maker = makers.get(value, (-1, None))
                if at > position:
                    yield Problem(
                        "order",
                        rank,
                        position,
                        f"Rank {rank} runs {action} before {maker}, which makes {value} that it needs.",
                    )
                    break

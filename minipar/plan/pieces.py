"""Which pieces lie ready beside the board, which of them may go next, and which leave no choice?

    rank 0   [0F1] [0F2]  0B0  0B1       in brackets: may go next; for the others the reason is known
    obvious(position)                    places the pieces that leave no choice
    advice(position, good, reference)    one next move on the way to a good end, or what to take back
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

from minipar.plan.actions import Action, F, Op, W, reads
from minipar.plan.puzzle import Position, full, lacks, maker_of, place
from minipar.plan.schedule import Schedule

MOST_SEARCHED = 200  # a board with more actions is not played to its end for a hint
SHOWN = 8  # of one stage and operation so many pieces lie ready at once


class Piece(NamedTuple):
    """An action that is not placed yet. why: the reason why it may not go next; "" if it may, from `start` on."""

    action: Action
    why: str
    start: float | None
    needs: tuple[int, ...]  # the spans that make what it reads, as far as they are placed


def pieces(position: Position, rank: int, shown: int = SHOWN) -> list[Piece]:
    """The pieces of one rank, by stage and operation; of each the first `shown` that are not placed."""
    found = []
    for stage in position.rules.stages(rank):
        for op in position.rules.ops:
            waiting = _unplaced(position, stage, op)
            found += [_piece(position, action) for _, action in zip(range(shown), waiting, strict=False)]
    return found


def _unplaced(position: Position, stage: int, op: Op) -> Iterator[Action]:
    for microbatch in range(position.rules.microbatches):
        action = op(stage, microbatch)
        if action not in position.number:
            yield action


def _piece(position: Position, action: Action) -> Piece:
    why = lacks(position, action) or full(position, action)
    read = reads(action, position.rules.last_stage)
    needs = tuple(position.number[position.made[value]] for value in read if value in position.made)
    return Piece(action, why, None if why else position.start(action), needs)


def legal(position: Position) -> list[Action]:
    """Every action that may be placed next at the end of its row."""
    count = position.rules.microbatches
    return [
        piece.action for rank in range(position.rules.ranks) for piece in pieces(position, rank, count) if not piece.why
    ]


def obvious(position: Position) -> tuple[Position, tuple[Action, ...]]:
    """The position after all places that leave no choice, and what was placed.

    A row leaves no choice when of all that could ever stand at its next place, microbatches in their order, only one
    action is left and its values are there.
    """
    placed: list[Action] = []
    going = True
    while going:
        going = False
        for rank in range(position.rules.ranks):
            options = _options(position, rank)
            if len(options) == 1 and not lacks(position, options[0]):
                position = place(position, options[0])
                placed.append(options[0])
                going = True
    return position, tuple(placed)


def _options(position: Position, rank: int) -> list[Action]:
    """What could stand at the next place of a row, now or once other ranks have gone on."""
    found = []
    for stage in position.rules.stages(rank):
        for op in position.rules.ops:
            action = next(_unplaced(position, stage, op), None)
            if action is None or full(position, action):
                continue
            if not any(position.rules.placement[one.stage] == rank for one in _missing(position, action)):
                found.append(action)
    return found


def _missing(position: Position, action: Action) -> Iterator[Action]:
    """All that has to be placed before `action`: makers of what it reads, makers of what those read, and so on."""
    for value in reads(action, position.rules.last_stage):
        if value not in position.made:
            maker = maker_of(position.rules, value)
            yield maker
            yield from _missing(position, maker)


# ---- the way to a good end


class Advice(NamedTuple):
    """Place this action next, or take it back."""

    action: Action
    back: bool
    words: str


def advice(position: Position, good: Callable[[Position], bool], reference: Schedule) -> Advice | None:
    """A next move that still leads to a good end; what to take back where none was found; None when all is placed.

    good: whether a complete position is what is wanted. reference: a schedule that is; where the position is a part of
    it the way is known, otherwise a few dozen ways to go on are tried.
    """
    if position.complete and good(position):
        return None
    following = _next_of(position, reference) if _is_part(position, reference) else _next_found(position, good)
    if following is not None:
        home = position.rules.placement[following.stage]
        return Advice(following, False, f"Place {following} on rank {home} next.")
    wrong = _first_off(position, reference)
    if wrong is None:
        return None
    rank, action, better = wrong
    return Advice(action, True, f"Take back {action} on rank {rank}: {better} there comes to a good end.")


def _is_part(position: Position, reference: Schedule) -> bool:
    rows = zip(position.programs, reference.programs, strict=True)
    return all(program == whole[: len(program)] for program, whole in rows)


def _next_of(position: Position, reference: Schedule) -> Action | None:
    """Of the reference's next action in each row the one that can start first."""
    rows = zip(position.programs, reference.programs, strict=True)
    nexts = [whole[len(program)] for program, whole in rows if len(program) < len(whole)]
    return min((one for one in nexts if not lacks(position, one)), key=position.start, default=None)


def _next_found(position: Position, good: Callable[[Position], bool]) -> Action | None:
    """The next action on the first way to a good end that is found; large boards are not searched."""
    if position.complete or position.rules.actions > MOST_SEARCHED:
        return None
    for rule in _RULES:
        end = finish(position, *rule)
        if end is not None and good(end):
            return min(end.spans[len(position.spans) :], key=lambda span: (span.start, span.rank)).what
    return None


def _first_off(position: Position, reference: Schedule):
    """(rank, action, what the reference has there) of the earliest action that stands elsewhere in the reference."""
    found = []
    for rank, (program, whole) in enumerate(zip(position.programs, reference.programs, strict=True)):
        for at, (mine, theirs) in enumerate(zip(program, whole, strict=False)):
            if mine != theirs:
                found.append((position.spans[position.number[mine]].start, rank, at))
                break
    if not found:
        return None
    _, rank, at = min(found)
    return rank, position.programs[rank][at], reference.programs[rank][at]


_RULES = tuple(product((True, False), (True, False), (0.0, 0.6)))


def finish(position: Position, forward_first: bool, deep: bool, patience: float) -> Position | None:
    """The position played to its end by a rule, always with the piece that can start first; None where it gets stuck.

    forward_first: a forward before a backward where both could start. deep: of two stages the later one. patience: so
    long a rank idles for something better than a W.
    """
    while not position.complete:
        ready = [
            piece for rank in range(position.rules.ranks) for piece in pieces(position, rank, 1) if not piece.why
        ]
        if not ready:
            return None

        def urgency(piece: Piece):
            stage, op, _ = piece.action
            order = 2 if op is W else (op is F) != forward_first
            return piece.start + patience * (op is W), order, -stage if deep else stage

        position = place(position, min(ready, key=urgency).action)
    return position

"""What schedule grows from one microbatch's path, copied again and again?

A building block says when each rank meets one microbatch, in slots (F = I = W = 1). It is laid down once for every
microbatch, six slots later each time, and then everything moves together:

    block           0F0 ... ... 3F0 3I0 ... ... 0I0     P = 2: rank 0 above, rank 1 below
                    ... 1F0 2F0 ... ... 2I0 1I0 ...
    lay down        every 6 slots: the six actions of one microbatch on one rank
    pull            each action goes back to the first idle slot in which it can run
    fill            as soon as can be, weight gradients only where a rank would wait

What is held at once is the block's length over 6: a short block needs little memory. (Qi et al., 2024, "Pipeline
Parallelism with Controllable Memory", arXiv:2405.15362; there they are called repeat, reorder and squeeze.)
"""

from collections import deque
from collections.abc import Sequence

from minipar.plan.actions import Action, F, I, W, makes, reads

PERIOD = 6  # F, I and W of two stages

Block = Sequence[tuple[int, int, int, int]]  # rank -> slot of the F down, the F up, the I up and the I down
Slots = list[dict[Action, int]]  # rank -> action -> its slot


def grow(block: Block, microbatches: int, cap: int) -> tuple[tuple[Action, ...], ...]:
    """The programs of two stages a rank, placed like a V, that grow from a block.

    cap: (stage, microbatch) pairs that no rank may exceed; the block itself must not need more. Moves until no action
    does, and at most once a rank.
    """
    slots = fill(lay_down(block, microbatches), cap)
    for _ in block:
        before, slots = slots, fill(pull(slots, cap), cap)
        if slots == before:
            break
    return tuple(tuple(sorted(row, key=row.get)) for row in slots)


def lay_down(block: Block, microbatches: int) -> Slots:
    """The block, once for each microbatch; weight gradients have no slot yet."""
    rows = []
    for rank, starts in enumerate(block):
        down, up = rank, 2 * len(block) - 1 - rank
        path = zip(((F, down), (F, up), (I, up), (I, down)), starts, strict=True)
        rows.append({op(stage, m): at + PERIOD * m for (op, stage), at in path for m in range(microbatches)})
    return rows


def pull(slots: Slots, cap: int) -> Slots:
    """Each action, by its slot, moves to the first idle one after all it reads; an F only while its rank has room."""
    rows, last_stage = [dict(row) for row in slots], 2 * len(slots) - 1
    taken = [set(row.values()) for row in rows]
    held = [_held(row) for row in rows]
    there: dict = {}  # value -> the slot from which on it can be read
    for now, rank, action in sorted((at, rank, action) for rank, row in enumerate(slots) for action, at in row.items()):
        earliest = max((there[value] for value in reads(action, last_stage)), default=0)
        for at in range(earliest, now):
            if at not in taken[rank] and (action.op is not F or max(held[rank][at:now]) < cap):
                _move(action, now, at, taken[rank], held[rank])
                rows[rank][action] = now = at
                break
        there.update(dict.fromkeys(makes(action), now + 1))
    return rows


def _held(row: dict[Action, int]) -> list[int]:
    """Per slot, how many activations are held: each from its F to its W, both included."""
    held = [0] * (max(row.values()) + 1)
    for (stage, op, m), at in row.items():
        if op is F:
            for slot in range(at, row[W(stage, m)] + 1):
                held[slot] += 1
    return held


def _move(action: Action, now: int, to: int, taken: set[int], held: list[int]) -> None:
    taken.symmetric_difference_update((now, to))
    if action.op is F:
        held[to:now] = [count + 1 for count in held[to:now]]
    elif action.op is W:
        held[to + 1 : now + 1] = [count - 1 for count in held[to + 1 : now + 1]]


def fill(slots: Slots, cap: int) -> Slots:
    """Forwards and input gradients in their order, each as soon as it can; the oldest weight gradient in every gap."""
    ahead = [deque(sorted((a for a in row if a.op is not W), key=row.get)) for row in slots]
    parked, held, rows = [deque() for _ in slots], [0] * len(slots), [{} for _ in slots]
    there, last_stage, now = {}, 2 * len(slots) - 1, 0
    while any(ahead) or any(parked):
        for rank, row in enumerate(rows):
            following = ahead[rank][0] if ahead[rank] else None
            if following and held[rank] + (following.op is F) <= cap and _ready(following, there, now, last_stage):
                action = ahead[rank].popleft()
                held[rank] += action.op is F
                if action.op is I:
                    parked[rank].append(W(action.stage, action.microbatch))
            elif parked[rank]:
                action = parked[rank].popleft()
                held[rank] -= 1
            else:
                continue
            row[action] = now
            there.update(dict.fromkeys(makes(action), now + 1))
        now += 1
    return rows


def _ready(action: Action, there: dict, now: int, last_stage: int) -> bool:
    return all(there.get(value, now + 1) <= now for value in reads(action, last_stage))

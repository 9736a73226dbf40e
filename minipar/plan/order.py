"""In which order can all the programs go, and where do they get stuck?

``walk`` moves every rank along its program as far as it can; a step runs once all it reads exists. What it yields is
one order of all steps that respects every program and every need: the simulator prices it, ``lower`` writes messages
along it, and ``problems`` asks only whether it reaches the end.

Sends are buffered unless ``unbuffered=True``: then a send and its receive happen together or not at all, as with
blocking sends, and programs that lean on a buffer get stuck.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from minipar.plan.actions import Action, Overlap, Recv, Send, Step, Value, makes, reads


@dataclass(frozen=True)
class Stuck:
    """A rank that cannot go on: it stands at ``step``, the ``position``-th of its program, and lacks ``missing``."""

    rank: int
    position: int
    step: Step
    missing: Value | Step


class Deadlock(Exception):
    """The programs cannot all end. ``stuck`` says where each waiting rank stands, ``done`` how far each came."""

    def __init__(self, programs, stuck: Sequence[Stuck], done: Sequence[int]):
        self.programs, self.stuck, self.done = programs, tuple(stuck), tuple(done)
        super().__init__(explain(self))


@dataclass
class Walk:
    """The state of one walk: where each rank stands, what exists, who waits for what.

    In a plan a value is everywhere once it is made. Once lowered it is where it was made or received, and on its way
    in between, so its key says where. ``mark``: what the user of a walk last said of a step; it stands beside all that
    the step made, and comes back with each step that reads it.
    """

    programs: Sequence[Sequence[Step]]
    unbuffered: bool = False
    mark: object = None
    position: list[int] = field(init=False)
    exists: dict = field(default_factory=dict)  # value -> its mark
    waiting: dict = field(default_factory=lambda: defaultdict(list))
    asked: dict = field(default_factory=dict)  # rank -> what the step it waits at needs: looked up once

    def __post_init__(self):
        self.position = [0] * len(self.programs)
        self.last_stage, self.lowered = -1, self.unbuffered
        for program in self.programs:
            for step in program:
                if type(step) is Action:
                    if step.stage > self.last_stage:
                        self.last_stage = step.stage
                elif type(step) is Overlap:
                    self.last_stage = max(self.last_stage, step.forward.stage, step.backward.stage)
                else:
                    self.lowered = True

    def needs(self, rank: int, step: Step):
        """What a step of lowered programs must find."""
        if isinstance(step, Recv):
            return ((step.value, step.peer, rank),)
        values = (step.value,) if isinstance(step, Send) else reads(step, self.last_stage)
        needs = [(value, rank) for value in values]
        if self.unbuffered and isinstance(step, Send):
            needs.append(("arrived", step.peer, Recv(step.value, rank)))
        return needs

    def gives(self, rank: int, step: Step):
        """What a step of lowered programs leaves, and where."""
        if isinstance(step, Send):
            return ((step.value, rank, step.peer),)
        values = (step.value,) if isinstance(step, Recv) else makes(step)
        return [(value, rank) for value in values]

    def run(self) -> Iterator[tuple[int, Step, list]]:
        """``(rank, step, marks of what it reads)`` for all steps; Deadlock after the last one that could run."""
        exists, waiting, position, needs, gives = self.exists, self.waiting, self.position, self.needs, self.gives
        last_stage, lowered, unbuffered = self.last_stage, self.lowered, self.unbuffered
        ready = list(range(len(self.programs)))[::-1]
        asked = self.asked
        while ready:
            rank = ready.pop()
            program = self.programs[rank]
            for at in range(position[rank], len(program)):
                step = program[at]
                if unbuffered:  # a send may start once its receiver has come to the receive
                    exists["arrived", rank, step] = None
                    ready += waiting.pop(("arrived", rank, step), ())
                needed = asked.pop(rank, None) or (needs(rank, step) if lowered else reads(step, last_stage))
                found = []
                for need in needed:
                    if need not in exists:
                        asked[rank] = needed
                        break
                    found.append(exists[need])
                else:
                    position[rank] = at + 1
                    yield rank, step, found
                    mark = self.mark
                    for given in gives(rank, step) if lowered else makes(step):
                        exists[given] = mark
                        if given in waiting:
                            ready += waiting.pop(given)
                    continue
                waiting[need].append(rank)
                break
        if any(at < len(program) for at, program in zip(position, self.programs, strict=True)):
            raise Deadlock(self.programs, self._stuck(), position)

    def _stuck(self):
        for rank, program in enumerate(self.programs):
            at = self.position[rank]
            if at < len(program):
                lack = next(need for need in self.asked[rank] if need not in self.exists)
                what = lack if isinstance(lack, Value) else lack[2] if lack[0] == "arrived" else lack[0]
                yield Stuck(rank, at, program[at], what)


def walk(programs: Sequence[Sequence[Step]], *, unbuffered: bool = False) -> Iterator[tuple[int, Step]]:
    """Yield ``(rank, step)`` for all steps of all programs in one order that works.

    ``unbuffered=True`` makes a send last until its receive begins; it has a meaning only in lowered programs.
    Raises :class:`Deadlock`, after the last step that could run, when the programs cannot all end.
    """
    return ((rank, step) for rank, step, _ in Walk(programs, unbuffered).run())


def explain(deadlock: Deadlock) -> str:
    """One chain in words: who is stuck at what, who would make it, and where that one is stuck."""
    stuck = {one.rank: one for one in deadlock.stuck}
    rank, seen, parts = min(stuck), [], []
    while rank in stuck and rank not in seen:
        seen.append(rank)
        here = stuck[rank]
        maker, making, where = _maker(deadlock.programs, here)
        if making is None:
            parts.append(f"rank {rank} waits at {say(here.step)} for {say(here.missing)}, which no rank makes")
            break
        parts.append(f"rank {rank} waits at {say(here.step)} for {say(making)}")
        if maker == rank or (maker in seen and maker in stuck):
            parts.append(
                f"{say(making)} stands behind {say(stuck[maker].step)}" if where > stuck[maker].position else ""
            )
        rank = maker
    return "Stuck: " + "; ".join(part for part in parts if part) + "."


def _maker(programs, stuck: Stuck):
    """(rank, step, position) of the step that would give what ``stuck`` lacks; (None, None, None) if there is none."""
    for rank, program in enumerate(programs):
        start = 0 if rank != stuck.rank else stuck.position
        for position in range(start, len(program)):
            step = program[position]
            if step == stuck.missing or _gives(step, stuck, rank):
                return rank, step, position
    return None, None, None


def _gives(step: Step, stuck: Stuck, rank: int) -> bool:
    if isinstance(step, Action | Overlap):
        return stuck.missing in makes(step) and not isinstance(stuck.step, Recv)
    if isinstance(step, Send):
        return isinstance(stuck.step, Recv) and step == Send(stuck.step.value, stuck.rank) and rank == stuck.step.peer
    return isinstance(step, Recv) and rank == stuck.rank and step.value == stuck.missing


def say(step: Step | Value) -> str:
    """A step in the words of an explanation."""
    if isinstance(step, Send):
        return f"sending {step.value} to rank {step.peer}"
    if isinstance(step, Recv):
        return f"receiving {step.value} from rank {step.peer}"
    return str(step)

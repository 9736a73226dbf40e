"""How does a schedule become the text that torch's pipeline runtime reads, and the other way round?

One row a rank, one cell an action. torch knows two forms of it:

    compute only         0F0,0F1,0B0,0B1
                         ,1F0,1B0,1F1,1B1                              an empty cell is a bubble and means nothing
    with communication   0UNSHARD,0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,…,0REDUCE_GRAD,0RESHARD

A cell may hold a pair that overlaps, `(3F4;0B0)OVERLAP_F_B`. A message has the number of the stage that hands it over
or takes it: `0SEND_F0` gives stage 0's activation away, `1RECV_F0` is where stage 1 gets it. torch tells messages of a
pair of ranks apart by their order alone, so the second form is written in one global order (`lower(schedule,
ordered=True)`), and one in another order is refused. UNSHARD, RESHARD and REDUCE_GRAD are about weights that
data-parallel ranks share out, and about the scale of gradients: they are written where torch needs them and read over.

Source: torch.distributed.pipelining.schedules, `_Action` and `_PipelineScheduleRuntime._load_csv`, torch 2.13.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from minipar.plan.actions import Action, F, Kind, Overlap, Recv, Send, Step, Value, halves, parse
from minipar.plan.check import problems
from minipar.plan.messages import lower
from minipar.plan.order import Deadlock, say, walk
from minipar.plan.schedule import Schedule

_MESSAGE = re.compile(r"(\d{1,9})(SEND|RECV)_([FB])(\d{1,9})", re.ASCII)
_WEIGHTS = re.compile(r"\d{1,9}(UNSHARD|RESHARD|REDUCE_GRAD)", re.ASCII)


class Cell(NamedTuple):
    """A word of the file and where it stands, both counted from 1."""

    row: int
    column: int
    word: str

    def refused(self, why: str) -> ValueError:
        """What to raise about it."""
        return ValueError(f"row {self.row}, column {self.column}: '{self.word}' {why}")


# ---- out


def write(schedule: Schedule, communication: bool = False) -> str:
    """The text of a sound schedule. ValueError with all that is wrong with it if it is not."""
    wrong = problems(schedule)
    if wrong:
        raise ValueError("torch could not run this schedule. " + " ".join(map(str, wrong)))
    programs = schedule.programs
    if communication:
        lowered = lower(schedule, ordered=True).programs
        programs = [_with_weights(_paired(program, pairs))
                    for program, pairs in zip(lowered, schedule.programs, strict=True)]  # fmt: skip
    text = io.StringIO()
    csv.writer(text).writerows(map(_word, program) for program in programs)
    return text.getvalue()


def _word(step: Step | str) -> str:
    """torch's word for a step."""
    if not isinstance(step, Send | Recv):
        return str(step)
    kind, stage, microbatch = step.value
    forward, sends = kind is Kind.ACTIVATION, isinstance(step, Send)
    here = stage if sends else stage + 1 if forward else stage - 1
    return f"{here}{'SEND' if sends else 'RECV'}_{'F' if forward else 'B'}{microbatch}"


def _paired(lowered: Sequence[Step], program: Sequence[Action | Overlap]) -> list[Step]:
    """The lowered program with its pairs in one cell again: in the one global order nothing stands between them."""
    pairs = {step.forward: step for step in program if isinstance(step, Overlap)}
    seconds = {step.backward for step in pairs.values()}
    return [pairs.get(step, step) for step in lowered if step not in seconds]


def _with_weights(program: Sequence[Step]) -> Iterator[Step | str]:
    """The program with each stage's weights fetched before its first action, summed and given back after its last."""
    stages = [[half.stage for half in halves(step)] if _computes(step) else [] for step in program]
    last = {stage: at for at, here in enumerate(stages) for stage in here}
    seen = set()
    for at, (step, here) in enumerate(zip(program, stages, strict=True)):
        yield from (f"{stage}UNSHARD" for stage in here if stage not in seen)
        seen.update(here)
        yield step
        for stage in here:
            if last[stage] == at:
                yield from (f"{stage}REDUCE_GRAD", f"{stage}RESHARD")


def _computes(step) -> bool:
    return isinstance(step, Action | Overlap)


# ---- in


def read(text: str, name: str) -> Schedule:
    """The schedule of a text in either form. ValueError names the cell, row and column of what is wrong with it."""
    rows = _rows(text)
    steps = [[(cell, step) for cell in row if (step := _step(cell)) is not None] for row in rows]
    actions = [[(cell, step) for cell, step in row if _computes(step)] for row in steps]
    for number, row in enumerate(actions, 1):
        if not row:
            raise ValueError(f"row {number} has no action: rank {number - 1} would have nothing to do")
    schedule = Schedule(name, tuple(tuple(step for _, step in row) for row in actions))
    _require_sound(schedule, actions)
    if any(isinstance(step, _Message) for row in steps for _, step in row):
        _require_messages(schedule, steps)
    return schedule


def _rows(text: str) -> list[list[Cell]]:
    """All cells that are not empty, by row; empty rows at the end do not count."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        for number, words in enumerate(reader, 1):
            cells = [Cell(number, column, word.strip()) for column, word in enumerate(words, 1)]
            rows.append([cell for cell in cells if cell.word])
    except csv.Error as error:
        raise ValueError(f"row {len(rows) + 1}: this is no comma-separated text ({error})") from None
    while rows and not rows[-1]:
        rows.pop()
    if not rows:
        raise ValueError("row 1, column 1: the file is empty; it has one row a rank, as in 0F0,0B0")
    return rows


class _Message(NamedTuple):
    """A message as the file has it; who the other rank is follows from where the stages stand."""

    kind: type
    stage: int
    forward: bool
    microbatch: int

    @property
    def value(self) -> Value:
        there = 0 if self.kind is Send else -1 if self.forward else 1
        return Value(Kind.ACTIVATION if self.forward else Kind.GRADIENT, self.stage + there, self.microbatch)

    @property
    def other(self) -> int:
        """The stage at the other end."""
        return self.stage + (1 if (self.kind is Send) == self.forward else -1)


def _step(cell: Cell) -> Action | Overlap | _Message | None:
    """What a cell says; None for what is about weights only."""
    if _WEIGHTS.fullmatch(cell.word):
        return None
    if found := _MESSAGE.fullmatch(cell.word):
        stage, way, letter, microbatch = found.groups()
        return _Message(Send if way == "SEND" else Recv, int(stage), letter == "F", int(microbatch))
    try:
        return parse(cell.word)
    except ValueError:
        raise cell.refused(
            "is neither an action (2F0; letters F, B, I or W) nor a pair at once ((3F4;0B0)OVERLAP_F_B) nor a message "
            "(2SEND_F0, 2RECV_B0)"
        ) from None


def _require_sound(schedule: Schedule, cells) -> None:
    """Refuse the first thing that `problems` finds, at its cell; a missing action at the row where it belongs."""
    _require_small_numbers(schedule, cells)
    for problem in problems(schedule):
        if problem.code == "stage on two ranks":
            cell, step = cells[problem.rank][problem.position]
            home, stage = next((schedule.placement[half.stage], half.stage) for half in halves(step)
                               if schedule.placement[half.stage] != problem.rank)  # fmt: skip
            raise cell.refused(f"cannot stand here: stage {stage} is on rank {home}, so in row {home + 1}")
        if problem.position is not None:
            raise cells[problem.rank][problem.position][0].refused(f"cannot stand here. {problem}")
        where = f"row {problem.rank + 1}: " if problem.rank is not None else ""
        raise ValueError(f"{where}{problem}")


def _require_small_numbers(schedule: Schedule, cells) -> None:
    """One mistyped number must not make us list millions of actions that are missing."""
    most = schedule.actions
    for row in cells:
        for cell, step in row:
            if any(half.stage >= most or half.microbatch >= most for half in halves(step)):
                raise cell.refused(f"cannot be right: with {most} actions no stage or microbatch has so high a number")
    if schedule.stages * schedule.microbatches > 1000 + most:  # `problems` would name each that is missing
        have = {half for program in schedule.programs for step in program for half in halves(step)}
        whole = product(range(schedule.stages), range(schedule.microbatches))
        stage, m = next(pair for pair in whole if F(*pair) not in have)
        raise ValueError(f"{F(stage, m)} is missing, and most others: {most} actions cannot be a whole schedule")


def _require_messages(schedule: Schedule, steps) -> None:
    """Refuse messages that are not exactly those the schedule needs, or in an order that torch cannot carry out."""
    places, expected = schedule.placement, [set() for _ in schedule.programs]
    for rank, program in enumerate(lower(schedule).programs):
        expected[rank].update(step for step in program if not _computes(step))
    programs, cells = [], []
    for rank, row in enumerate(steps):
        lacking, program = set(expected[rank]), []
        for cell, step in row:
            program.append(_known(cell, step, places, expected[rank], lacking))
        if lacking:
            gone = min(lacking, key=lambda step: step.value[1:])
            raise ValueError(f"row {rank + 1}: '{_word(gone)}' is missing: rank {rank} is {say(gone)}")
        programs.append(program)
        cells.append([cell for cell, _ in row])
    _require_pairs(programs, cells)
    try:
        for _ in walk(programs):
            pass
    except Deadlock as deadlock:
        stuck = deadlock.stuck[0]
        raise cells[stuck.rank][stuck.position].refused(f"is where this file gets stuck. {deadlock}") from None


def _known(cell: Cell, step: Action | Overlap | _Message, places, expected: set, lacking: set) -> Step:
    """The step of our own that a cell stands for, taken off the list of those still lacking."""
    if _computes(step):
        return step
    there = places[step.other] if 0 <= step.other < len(places) else None
    mine = step.kind(step.value, there)
    if mine not in expected:
        raise cell.refused("is a message that this schedule does not need on this rank")
    if mine not in lacking:
        raise cell.refused("stands twice: each message travels once")
    lacking.remove(mine)
    return mine


def _require_pairs(programs, cells) -> None:
    """What a rank receives from another must stand in the order in which that one sends it."""
    sent: dict[tuple[int, int], list[Value]] = {}
    for rank, program in enumerate(programs):
        for step in program:
            if isinstance(step, Send):
                sent.setdefault((rank, step.peer), []).append(step.value)
    taken = dict.fromkeys(sent, 0)
    for rank, program in enumerate(programs):
        for position, step in enumerate(program):
            if not isinstance(step, Recv):
                continue
            pair = step.peer, rank
            comes = sent[pair][taken[pair]]
            taken[pair] += 1
            if comes != step.value:
                raise cells[rank][position].refused(
                    f"takes the next message of rank {step.peer}, which is {comes}: torch tells the messages of two "
                    "ranks apart by their order alone"
                )

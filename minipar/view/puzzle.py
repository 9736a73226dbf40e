"""What does a schedule feel like when one lays it by hand?

    3 · The memory wall                          1✓ 2✓ [3] 4 5 …      levels: each has a goal and one new rule
    rank 0 │ 0F0 │ 0F1 │ 0F2 │ ┄┄┄ │          ┊ par 14                the grid; times follow from the order
           ▁▂▃ 3 of 3                                                 what each rank holds, under its cap
    rank 0   [0F3] 0B0 0B1                                            pieces; the bright ones may go next
    "The drawer of rank 0 is full (3 of 3). Send one home first."     why another one may not
    0F0 0F1 0F2                                                       the same as text, to read and to write

The rules are `plan.puzzle`, the verdict is `plan.score`; here is only what a person does and sees. Levels are handed
in, and so is what runs a schedule for real: this floor knows neither lessons nor processes.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import ipywidgets as widgets

from minipar.plan import pieces, puzzle
from minipar.plan.actions import Action
from minipar.plan.puzzle import Position, Refused
from minipar.plan.schedule import Schedule
from minipar.plan.score import Level, Score, score
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Trace
from minipar.view.board import Grid, Lookup, about, as_bytes, figure, numbers, span_of
from minipar.view.presence import mime_bundle
from minipar.view.timeline import compare

Programs = tuple[tuple[Action, ...], ...]
MOST_TEXT = 2_000  # with more actions than this the position is not shown as text


@dataclass(frozen=True)
class PuzzleState:
    """All that a puzzle is: which level is open, and what lies on each level's board, as text."""

    level: int
    boards: tuple[str, ...]


class Puzzle:
    """Boards to solve, one level at a time. ``.position``, ``.schedule``, ``.score``, ``.state``.

    run: carries a schedule out at a cost and returns the measured trace; None for a board without "Run for real".
    stop: ends such a run. solved: levels that were solved before; remember: told (level, words) at each solution.
    ``strict = True`` (set by tests) raises what goes wrong in a message of the browser instead of telling it.
    """

    strict = False

    def __init__(self, levels: Sequence[Level], level: int = 1, run: Callable[[Schedule, Cost], Trace] | None = None,
                 stop: Callable[[], None] | None = None, solved: Iterable[int] = (),
                 remember: Callable[[int, str], None] | None = None):  # fmt: skip
        self.levels, self.solved = tuple(levels), set(solved)
        self._run, self._stop, self._remember = run, stop, remember
        self._boards: list[Programs] = [puzzle.start(one.rules).programs for one in self.levels]
        self._floats, self._packed, self._rows = numbers(()), (), []
        self._thread: threading.Thread | None = None
        self._lookup: Lookup | None = None
        self.busy = False  # whether a real run is going on
        self.view, self.under = Grid(), widgets.VBox([])
        self.view.on_msg(self._told)
        self.panel = widgets.VBox([self.view, self.under], layout=widgets.Layout(width="100%", overflow="hidden"))
        self._open(level)

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def level(self) -> Level:
        return self.levels[self.number - 1]

    @property
    def schedule(self) -> Schedule:
        return self.position.schedule

    @property
    def score(self) -> Score:
        return score(self.level, self.position)

    @property
    def state(self) -> PuzzleState:
        boards = list(self._boards)
        boards[self.number - 1] = self.position.programs
        texts = ("\n".join(" ".join(map(str, row)) or puzzle.EMPTY for row in board) for board in boards)
        return PuzzleState(self.number, tuple(texts))

    def set(self, level: int | None = None, text: str | None = None) -> Puzzle:
        """Open a level, or lay a position that is given as text; Refused, with the reason, where the rules object."""
        if level is not None:
            self._open(level)
        if text is not None:
            self._go(puzzle.parse(self.level.rules, text))
        return self

    def place(self, *words: str) -> Puzzle:
        """Place actions by name, one after the other, each at the end of its row."""
        for word in words:
            self._go(puzzle.place(self.position, Action.parse(word)))
        return self

    # -- what a person does ----------------------------------------------------------------------------------------

    def _told(self, _, content: dict, __) -> None:
        """A message of the browser. What the rules refuse is told in words; so is whatever else goes wrong."""
        try:
            getattr(self, f"_do_{content['do']}")(**{name: value for name, value in content.items() if name != "do"})
        except Refused as reason:
            self._say(str(reason), "bad")
        except Exception as error:
            self._say(str(error) or type(error).__name__, "bad")
            if self.strict:
                raise

    def _do_place(self, name: str, rank: int | None = None, at: int | None = None) -> None:
        action = Action.parse(name)
        self._go(puzzle.place(self.position, action, rank, at))

    def _do_move(self, name: str, at: int, rank: int | None = None) -> None:
        action = Action.parse(name)
        self._go(puzzle.move(self.position, action, at, rank), f"{action} moved.")

    def _do_shift(self, name: str, by: int) -> None:
        action = Action.parse(name)
        at = self.position.programs[self.level.rules.placement[action.stage]].index(action) + by
        self._do_move(name, at)

    def _do_remove(self, name: str) -> None:
        action = Action.parse(name)
        position, gone = puzzle.remove(self.position, action)
        more = f", and with it what needed it: {' '.join(map(str, gone))}" if gone else ""
        self._go(position, f"{action} is taken back{more}.")

    def _do_text(self, text: str) -> None:
        position = puzzle.parse(self.level.rules, text)
        if position.programs != self.position.programs:
            self._go(position, "Read from the text.")
        else:
            self._say("", "")

    def _do_undo(self) -> None:
        if self._before:
            programs = self._before.pop()
            self._show(puzzle.arranged(self.level.rules, programs), "One step back.")

    def _do_again(self) -> None:
        self._go(puzzle.start(self.level.rules), "The board is empty again. Undo brings it back.")

    def _do_fill(self) -> None:
        position, placed = pieces.obvious(self.position)
        if not placed:
            return self._say("Nothing is obvious here: every rank has a choice, or waits.", "")
        self._go(position, f"Filled in what left no choice: {' '.join(map(str, placed))}.")

    def _do_hint(self) -> None:
        self._asked += 1
        if self._asked == 1:
            return self._say(f"Hint: {self.level.hint}", "")
        found = pieces.advice(self.position, lambda end: score(self.level, end).solved, self.level.reference)
        if found is None:
            return self._say("The board is solved: nothing is left to hint at.", "good")
        self._say(found.words, "", hint=str(found.action))

    def _do_level(self, number: int) -> None:
        self._open(number)

    def _do_about(self, bar: int, key: str) -> None:
        if bar < len(self.position.spans):
            if self._lookup is None or self._lookup.trace is not self.position.trace:
                self._lookup = Lookup(self.position.trace)
            self.view.send({"answer": "about", "key": key, **about(self._lookup, bar)})

    def _do_why(self, rank: int, time: float, key: str) -> None:
        words = self.position.trace.why_idle(rank, time)
        if words.startswith(f"Rank {rank} has finished") and not self.position.complete:
            words = f"Rank {rank} waits for its next piece."
        self.view.send({"answer": "why", "key": key, "words": words})

    # -- for real --------------------------------------------------------------------------------------------------

    def _do_run(self) -> None:
        if self._run is None or self.busy or not self.position.complete:
            return
        self.busy = True
        self._say("Running your order on real processes, paced …", "")
        context = contextvars.copy_context()
        work = (self._carry_out, self.schedule, self.level.rules.cost)
        self._thread = threading.Thread(target=context.run, args=work, name="board", daemon=True)
        self._thread.start()

    def _do_stop(self) -> None:
        if self.busy and self._stop is not None:
            self._say("Stopping.", "")
            self._stop()

    def _carry_out(self, schedule: Schedule, cost: Cost) -> None:
        """In a thread: run, then lay the measured bars over the prediction."""
        try:
            measured = self._run(schedule, cost)
        except BaseException as error:  # nothing else would show it
            self.busy = False
            return self._say(f"The run ended: {str(error) or type(error).__name__}", "bad")
        self.busy = False
        if schedule.programs != self.position.programs:
            return self._say("The run has ended; the board has changed since, so nothing is laid over it.", "")
        ran = [measured.order(rank) == program for rank, program in enumerate(schedule.programs)]
        self.under.children = (compare(predict(schedule, cost), measured, title="Your schedule, for real"),)
        same = "in the order you laid" if all(ran) else f"but rank {ran.index(False)} ran another order"
        self._say(f"Run on {schedule.ranks} processes, {same}. The outline below is the prediction.", "good")

    # -- what is shown ---------------------------------------------------------------------------------------------

    def _open(self, number: int) -> None:
        if not 1 <= number <= len(self.levels):
            raise ValueError(f"There are levels 1 to {len(self.levels)}, and no level {number}.")
        if hasattr(self, "number"):
            self._boards[self.number - 1] = self.position.programs
        self.number, self._asked, self._before = number, 0, []
        self.under.children = ()
        self._show(puzzle.arranged(self.level.rules, self._boards[number - 1]), "")

    def _go(self, position: Position, said: str = "") -> None:
        """To a new position; the one before can be had back."""
        self._before.append(self.position.programs)
        if self.under.children and not self.busy:
            self.under.children = ()
        self._show(position, said)

    def _show(self, position: Position, said: str) -> None:
        self.position = position
        tone = ""
        if position.complete:
            found = self.score
            said, tone = f"{said} {found.words}".strip(), "good" if found.solved else "bad"
            if found.solved:
                self._solved(found)
        self._draw(said, tone)

    def _solved(self, found: Score) -> None:
        new = self.number not in self.solved
        self.solved.add(self.number)
        if self._remember is not None and new:
            self._remember(self.number, found.words)

    def _say(self, said: str, tone: str, hint: str = "") -> None:
        """Other words under the same picture."""
        self.view.head = {**self.view.head, "said": said, "tone": tone, "hint": hint, "can": self._can(),
                          "turn": self.view.head["turn"] + 1}  # fmt: skip

    def _can(self) -> dict:
        return {
            "undo": bool(self._before),
            "fill": self.level.auto,
            "run": self._run is not None and self.position.complete and not self.busy,
            "runs": self._run is not None,
            "stop": self.busy and self._stop is not None,
            "next": self.number in self.solved and self.number < len(self.levels),
        }

    def _draw(self, said: str, tone: str) -> None:
        with self.view.hold_sync():
            self.view.head = self._head(said, tone)
            self.view.numbers = self._bars()

    def _bars(self) -> bytes:
        """The numbers of all bars; what was placed at the end since the last time is only added."""
        spans, known = self.position.spans, self._packed
        if len(spans) < len(known) or spans[: len(known)] != known:
            self._floats, known = numbers(()), ()
        self._floats.extend(numbers(spans[len(known) :]))
        self._packed = spans
        return as_bytes(self._floats)

    def _head(self, said: str, tone: str) -> dict:
        level, position = self.level, self.position
        rules = level.rules
        rows = [[_piece(one) for one in pieces.pieces(position, rank)] for rank in range(rules.ranks)]
        if not said and not position.complete and not any(not one["why"] for row in rows for one in row):
            said, tone = dead_end(rows), "bad"
        makespan = position.makespan
        return {
            "title": f"{self.number} · {level.title}" if len(self.levels) > 1 else level.title,
            "goal": level.goal,
            "idea": level.idea,
            "levels": [[n, one.title, n in self.solved] for n, one in enumerate(self.levels, 1)],
            "number": self.number,
            "ranks": rules.ranks,
            "several": len(rules.placement) > rules.ranks,
            "end": span_of(max(level.par + 2, makespan)),
            "par": level.par,
            "unit": rules.cost.unit,
            "bars": len(position.spans),
            "of": rules.actions,
            "makespan": makespan,
            "lengths": {op.name: rules.cost.duration(op(0, 0)) for op in rules.ops},
            "held": list(position.held),
            "caps": [rules.cap(rank) for rank in range(rules.ranks)],
            "pieces": rows,
            "text": str(position) if rules.actions <= MOST_TEXT else "",
            "writes": rules.actions <= MOST_TEXT,
            "said": said or self._progress(),
            "tone": tone,
            "hint": "",
            "can": self._can(),
            "turn": (self.view.head.get("turn") or 0) + 1,
            "summary": repr(self),
            "play": True,
        }

    def _progress(self) -> str:
        placed = len(self.position.spans)
        if not placed:
            return "Place a bright piece: click it, or walk to it with the arrow keys and press Enter."
        return f"{placed} of {self.level.rules.actions} placed."

    def figure(self):
        """The position as a plain plotly figure."""
        caps = set(self.level.rules.caps)
        cap = caps.pop() if len(caps) == 1 else None
        return figure(self.position.trace, f"{self.number} · {self.level.title}. {self.level.goal}", cap=cap)

    def __repr__(self) -> str:
        placed, of = len(self.position.spans), self.level.rules.actions
        told = self.score.words if self.position.complete else f"{placed} of {of} placed"
        return f"Puzzle(level {self.number}, {self.level.title}: {told})"

    __str__ = __repr__

    def _repr_mimebundle_(self, **_) -> dict:
        return mime_bundle(repr(self), self.panel._repr_mimebundle_, self.figure)


def _piece(piece: pieces.Piece) -> dict:
    stage, op, microbatch = piece.action
    return {
        "name": str(piece.action), "stage": stage, "op": op.name, "microbatch": microbatch, "why": piece.why,
        "start": piece.start, "needs": list(piece.needs),
    }  # fmt: skip


def dead_end(rows: list[list[dict]]) -> str:
    """What is told when no piece may go next."""
    reasons = [one["why"] for row in rows for one in row]
    full = next((why for why in reasons if why.startswith("The drawer")), reasons[0] if reasons else "")
    return f"A dead end: no piece may go next. {full.split('. Send')[0].rstrip('.')}. Take something back."

"""Is it right? And if not: the first thing that is not, and why.

    learn.check("04", mine)
        -> Not yet.
           Tried: 3 ranks, 4 microbatches        the smallest failing case: what went in,
           Expected: …                           what should come out,
           Got: …                                what came out,
           Legal, but one microbatch at a time…  and the cause, where the lesson knows it.

A lesson's check is a plain function of the learner's function.  It calls it through ``call`` (copies go in, a time
limit holds, exceptions become sentences) and answers ``right(…)`` or ``not_yet(…)``.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minipar.learn import hints, safely, state
from minipar.learn.lesson import Lesson, lesson
from minipar.learn.safely import Trouble, call, story
from minipar.view.presence import somebody_there

__all__ = ["Trouble", "Verdict", "call", "check", "not_yet", "right", "unfinished"]

NOT_STARTED = "Not started yet."


@dataclass(frozen=True)
class Verdict:
    """Right or not yet; the sentence that says why; the failing case; what to draw."""

    good: bool
    sentence: str
    tried: str = ""
    expected: str = ""
    got: str = ""
    picture: Any = None  # a displayable, or a function without arguments that makes one

    def lines(self) -> list[str]:
        """The verdict as lines; the first says right or not yet."""
        if self.good:
            return ["Right.", self.sentence]
        if self.sentence == NOT_STARTED:
            return [NOT_STARTED]
        case = [("Tried", self.tried), ("Expected", self.expected), ("Got", self.got)]
        told = [f"{name}: {text}" for name, text in case if text]
        if self.sentence.startswith("Not yet:"):
            return [self.sentence, *told]
        return ["Not yet.", *told, self.sentence] if self.sentence else ["Not yet.", *told]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def right(sentence: str, picture: Any = None) -> Verdict:
    """The exercise is solved; ``sentence`` says what was shown by it."""
    return Verdict(True, sentence, picture=picture)


def not_yet(sentence: str = "", *, tried: Any = "", expected: Any = "", got: Any = "", picture: Any = None) -> Verdict:
    """The first failing case, and (where it is known) one cause."""
    return Verdict(False, sentence, str(tried), str(expected), str(got), picture)


def unfinished(work: Any) -> bool:
    """Is the stub's ``...`` still there? Asked of a function, of text, or of a schedule's builder."""
    if work is None or work is ...:
        return True
    text = getattr(work, "text", None)
    if isinstance(work, str) or isinstance(text, str):
        work = work if isinstance(work, str) else text
        return not work.strip() or "..." in work
    if not callable(work):
        return False
    function = inspect.unwrap(work)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        code = getattr(function, "__code__", None)
        return code is not None and not code.co_names and set(code.co_consts) <= {None, code.co_consts[0]}
    inside = {id(node) for holder in ast.walk(tree) if isinstance(holder, ast.Subscript) for node in ast.walk(holder)}
    return any(isinstance(n, ast.Constant) and n.value is ... and id(n) not in inside for n in ast.walk(tree))


def judge(of: Lesson, works: tuple[Any, ...]) -> tuple[Verdict, list[str]]:
    """The first verdict that is not right (else the last one), and the names of the parts already right."""
    if len(works) != len(of.checks):
        count = {1: "one thing", 2: "two things", 3: "three things"}.get(len(of.checks), f"{len(of.checks)} things")
        sentence = f"This check wants {count} of yours and was given {len(works)}: restore the cell."
        return not_yet(sentence), []
    done: list[str] = []
    verdict = not_yet("This lesson has no exercise.")
    for examine, work in zip(of.checks, works, strict=True):
        verdict = judge_one(examine, work)
        if not verdict.good:
            break
        done.append(name_of(work, len(done)))
    return verdict, done


def judge_one(examine: Callable[[Any], Verdict], work: Any) -> Verdict:
    if unfinished(work):
        return not_yet(NOT_STARTED)
    try:
        return examine(work)
    except Trouble as trouble:
        return not_yet(str(trouble))
    except KeyboardInterrupt:
        return not_yet("You interrupted the check.")
    except Exception as error:
        if type(error).__name__ == "RemoteError":
            return not_yet(story(error))
        raise


def name_of(work: Any, position: int) -> str:
    return getattr(work, "__name__", "") or f"part {'abcdef'[position]}"


def check(lesson_id: str, *works: Any) -> None:
    """The verdict on what the learner wrote; with somebody there, hints and the solution behind buttons too.

    works: the learner's functions (or texts), in the lesson's order. They are called, never changed.
    """
    of = lesson(lesson_id)
    safely.said.clear()
    verdict, done = judge(of, works)
    lines = verdict.lines()
    if not verdict.good and done:
        lines.insert(1, f"Right already: {', '.join(done)}.")
    if not verdict.good and lines[0] == NOT_STARTED and done:
        lines = [f"{NOT_STARTED[:-1]}: {name_of(works[len(done)], len(done))}. Right already: {', '.join(done)}."]
    if not somebody_there():
        print("\n".join(lines))
        return
    if verdict.good:
        state.update(of.id, passed=state.today())
        lines.append(f"Lesson {of.id} is ticked.")
    from IPython.display import display

    display(panel(of, verdict, lines))


def panel(of: Lesson, verdict: Verdict, lines: list[str]):
    """The verdict as a widget, the learner's own picture under it."""
    from ipywidgets import VBox

    from minipar.learn.panels import CheckPanel
    from minipar.learn.places import as_widget, parts

    made = CheckPanel(verdict=lines, right=verdict.good, buttons=hints.names(of, verdict.good))
    made.printed = "\n".join(filter(None, safely.said))[-2000:]

    def help_() -> None:
        if len(made.opened) < len(made.buttons):
            made.opened = [*made.opened, list(hints.text(of, made.buttons[len(made.opened)]))]

    made.does["help"] = help_
    try:
        picture = verdict.picture() if callable(verdict.picture) else verdict.picture
    except Exception as error:  # the verdict stands, drawn or not
        picture = f"The picture could not be drawn. {story(error)}"
    return VBox([made, *(as_widget(part) for part in parts(picture))])

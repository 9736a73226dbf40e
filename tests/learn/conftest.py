"""A small made-up lesson, and a world with or without somebody in front of the screen."""

import sys
import types

import pytest

from minipar.learn import lesson as lessons
from minipar.learn import predict, runner, state, verdict
from minipar.learn.lesson import Lesson, Option, Question


def double(work):
    got = verdict.call(work, [1, 2], limit=0.5)
    if got != [2, 4]:
        cause = "You added, the task was to double." if got == [3, 4] else ""
        return verdict.not_yet(cause, tried="[1, 2]", expected="[2, 4]", got=got)
    return verdict.right("Every entry came out twice as large.", picture="2 4")


MADE_UP = Lesson(
    id="99",
    file="99_made_up",
    title="Made up",
    questions=(
        Question(
            text="What is 20 + 22?",
            options=(Option("41", "One short."), Option("42", "Yes, 42."), Option("43", "One over.")),
            right=1,
            measured=lambda r: f"{r.total}",
        ),
    ),
    see=lambda r: f"a picture of {r.total}",
    facts=lambda r: [("total", r.total), ("even", r.total % 2 == 0)],
    formula=lambda r, guess=0: [("sum", guess, r.total)],
    checks=(double,),
    hints=("Look at the sign.", "Twice is two times.", "`2 * x`."),
)


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """Lesson "99", its progress in a temporary folder."""
    module = types.ModuleType("minipar.learn.lessons.made_up")
    module.LESSON = MADE_UP
    monkeypatch.setitem(sys.modules, "minipar.learn.lessons.made_up", module)
    monkeypatch.setitem(lessons.COURSE, "99", ("made_up", "Made up"))
    monkeypatch.setenv("MINIPAR_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(state, "_listeners", {})
    monkeypatch.setattr(runner, "_latest", {})
    monkeypatch.setattr(runner, "busy_pools", list)
    return MADE_UP


@pytest.fixture
def shown(monkeypatch):
    """Everything that was displayed, in order."""
    import IPython.display

    seen = []
    monkeypatch.setattr(IPython.display, "display", lambda *things, **_: seen.extend(things))
    return seen


def _presence(monkeypatch, there):
    for module in (predict, runner, verdict, sys.modules["minipar.learn.progress"]):
        monkeypatch.setattr(module, "somebody_there", lambda: there)


@pytest.fixture
def somebody(monkeypatch, shown):
    _presence(monkeypatch, True)
    return shown


@pytest.fixture
def nobody(monkeypatch, shown):
    _presence(monkeypatch, False)
    return shown


@pytest.fixture
def words_in():
    """Reading a widget as a learner would: all its words, its children's too."""

    def read(widget) -> str:
        names = ("value", "said", "log", "score", "verdict", "opened", "questions", "note", "printed", "outputs")
        held = [str(getattr(widget, name, "")) for name in names]
        return " ".join([*held, *(read(child) for child in getattr(widget, "children", ()))])

    return read

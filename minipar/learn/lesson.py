"""What does a lesson have to say for itself?

A lesson module (``lessons/devices.py``) fills one :class:`Lesson`; the engine does the rest.  Nothing here runs
anything, and nothing here knows a widget.

    Question ── the prediction: options, the right one, a sentence for each, what the run measured
    Lesson ──── questions · facts · see · formula · checks · hints · solution
    Results ─── what ``experiment()`` returned, read as ``r.before`` or ``r["before"]``
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

COURSE = {  # id: (module in lessons/, title)
    "00": ("devices", "Devices"),
    "01": ("memory", "Memory"),
    "02": ("messages", "What a message costs"),
    "03": ("layer_split", "Layer split"),
    "04": ("gpipe", "GPipe"),
    "05": ("one_f_one_b", "1F1B"),
    "06": ("interleaved", "Interleaved stages"),
    "07": ("zero_bubble", "Zero bubble"),
    "07b": ("hangs", "Hangs"),
    "08": ("columns_rows", "Slicing I"),
    "09": ("heads_vocabulary", "Slicing II"),
    "10": ("along_the_sequence", "Along the sequence"),
    "11": ("experts", "Experts"),
    "11b": ("balance", "Balance"),
}


@dataclass(frozen=True)
class Option:
    """One possible answer, and the sentence that answers whoever chose it."""

    text: str
    answer: str


@dataclass(frozen=True)
class Question:
    """A prediction: ``right`` is the position of the option that the run confirms.

    ``measured`` says in words what the run found: a sentence, or a function of the results.
    ``name`` ("A", "B") is shown only where a lesson asks more than once.
    """

    text: str
    options: tuple[Option, ...]
    right: int
    measured: str | Callable[[Results], str] = ""
    name: str = ""

    def found(self, results: Results) -> str:
        return self.measured(results) if callable(self.measured) else self.measured

    @staticmethod
    def letter(position: int) -> str:
        return "abcdefgh"[position]


@dataclass(frozen=True)
class Lesson:
    """Everything the engine needs to know about one lesson.

    id: "04".  file: "04_gpipe", the notebook's name without its ending.
    see(r): the lesson's picture: one displayable, or a list of displayables and sentences.
    facts(r): (label, value) pairs, exact, one a line.
    formula(r, **numbers): rows of (label, by the formula, in the run).
    checks: one a function that the learner writes, in the order ``learn.check`` receives them; each takes that
    function and answers a ``Verdict``.
    hints: three sentences.  stub: id of the cell that the solution replaces.
    """

    id: str
    file: str
    title: str
    questions: tuple[Question, ...] = ()
    see: Callable[[Results], Any] | None = None
    facts: Callable[[Results], Sequence[tuple[str, Any]]] | None = None
    formula: Callable[..., Sequence[tuple[str, Any, Any]]] | None = None
    checks: tuple[Callable[[Any], Any], ...] = ()
    hints: tuple[str, ...] = ()
    stub: str = "stub"


class Results(Mapping):
    """What an experiment returned: a read-only mapping whose entries are attributes too."""

    def __init__(self, returned: Any):
        if is_dataclass(returned) and not isinstance(returned, type):
            returned = {field.name: getattr(returned, field.name) for field in fields(returned)}
        elif hasattr(returned, "_asdict"):
            returned = returned._asdict()
        if not isinstance(returned, Mapping):
            raise TypeError(
                f"experiment() returned {describe(returned)}; its last line has to return what was measured, by name: "
                "`return dict(before=before, after=after)`."
            )
        taken = sorted({"see", "facts", "formula", "show"} & set(returned))
        if taken:
            raise TypeError(
                f"experiment() returned a result named {taken[0]!r}; that name is the run's own. Rename it."
            )
        self._entries = dict(returned)

    def __getitem__(self, name: str) -> Any:
        return self._entries[name]

    def __iter__(self):
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_entries":
            raise AttributeError(name)
        if name not in self._entries:
            raise AttributeError(f"The run has no result {name!r}. It has: {', '.join(self._entries)}.")
        return self._entries[name]

    def __repr__(self) -> str:
        return f"Results({', '.join(self._entries)})"


def describe(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def lesson(name: str) -> Lesson:
    """The lesson of this id; raises KeyError with the ids that exist."""
    if name not in COURSE:
        raise KeyError(f"There is no lesson {name!r}. There are: {', '.join(COURSE)}.")
    return importlib.import_module(f"minipar.learn.lessons.{COURSE[name][0]}").LESSON

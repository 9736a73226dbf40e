"""How far am I? One table, from the learner's own file:

    lesson | your prediction | measured | check passed | date

and one line to hand to a teacher. No points.
"""

from __future__ import annotations

import html

from minipar.learn import state
from minipar.learn.lesson import COURSE
from minipar.learn.places import columns
from minipar.view.presence import somebody_there

HEAD = ("lesson", "your prediction", "measured", "check passed", "date")


class Progress:
    """The table; as text, and as HTML where there is a screen."""

    def __init__(self, entries: dict[str, dict]):
        self.rows = [_row(lesson_id, title, entries.get(lesson_id, {})) for lesson_id, (_, title) in COURSE.items()]
        self.line = _line(entries)

    def __repr__(self) -> str:
        return "\n".join([*columns([HEAD, *self.rows]), "", self.line])

    def _repr_html_(self) -> str:
        cells = ["".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in row) for row in self.rows]
        head = "".join(f"<th style='text-align:left'>{name}</th>" for name in HEAD)
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<table><tr>{head}</tr>{body}</table><p>For your teacher: {html.escape(self.line)}</p>"


def _row(lesson_id: str, title: str, entry: dict) -> tuple[str, ...]:
    said, measured = entry.get("said", ()), entry.get("measured", ())
    date = entry.get("passed") or entry.get("answered") or ""
    passed = "yes" if entry.get("passed") else "not yet"
    return (f"{lesson_id} {title}", " · ".join(said) or "–", " · ".join(measured) or "–", passed, date or "–")


def _line(entries: dict[str, dict]) -> str:
    known = {lesson_id: entry for lesson_id, entry in entries.items() if lesson_id in COURSE}
    passed = [lesson_id for lesson_id in COURSE if known.get(lesson_id, {}).get("passed")]
    predicted = [right for entry in known.values() for right in entry.get("right", ())]
    checks = f"checks passed {len(passed)} of {len(COURSE)}" + (f" ({', '.join(passed)})" if passed else "")
    dates = [date for entry in known.values() for date in (entry.get("passed"), entry.get("answered")) if date]
    last = f"; last {max(dates)}" if dates else ""
    return f"minipar: {checks}; predictions confirmed {sum(map(bool, predicted))} of {len(predicted)}{last}"


def progress() -> Progress:
    """The learner's table. With nobody there it is empty: whose file it is cannot be known then."""
    return Progress(state.read() if somebody_there() else {})

"""Where do I go on?  The map: each lesson with its question, its minutes and, once its check has passed, a tick.

✓  00 Devices       Where does a tensor live?           15 min
→  01 Memory        What fills a device?                30 min     continue here
   03 Layer split   ...
"""

from __future__ import annotations

import html
from collections.abc import Mapping

from minipar.learn import state
from minipar.learn.lesson import COURSE, lesson
from minipar.learn.places import columns
from minipar.view.presence import somebody_there

QUESTIONS = {  # id: (the question in one sentence, minutes)
    "00": ("The notebook makes a tensor. Four workers run beside it. Who has it?", 15),
    "01": ("The weights of a small model are a few megabytes. Why does training fill ten times as much?", 30),
    "02": ("A thousand small messages or one large one of as many bytes: does it matter?", 35),
    "03": ("A model is too big for one device. What does cutting it by layers win, and what does it cost?", 35),
    "04": ("Four devices hold the model, and three of them always wait. Can the same batch keep them all busy?", 35),
    "05": ("GPipe keeps every microbatch of the batch on every device. Must it?", 35),
    "06": ("The triangle is as wide as a stage is long. Can stages be shorter, on the same four devices?", 35),
    "07": ("Each rank waits for the backward of the rank after it. Does it need all of it?", 40),
    "07b": ("Both lists are legal, four ranks stand still, and nothing is printed. Which lines do you look at?", 25),
    "08": ("One layer is too large for one device. Cut its matrices by columns or by rows?", 35),
    "09": ("What of attention, and of a loss that needs every word's score?", 35),
    "10": ("Each rank still holds every token of a long text. Can the text be cut too?", 40),
    "11": ("A token uses two of eight experts. Who holds them, what travels, and who waits?", 40),
    "11b": ("One expert is wanted by three times its share of the tokens. Drop, place, copy or teach?", 30),
}


class CourseMap:
    """The table, as text and as HTML with links."""

    def __init__(self, passed: Mapping[str, bool]):
        self.next = next((lesson_id for lesson_id in COURSE if not passed.get(lesson_id)), None)
        self.passed = passed

    def mark(self, lesson_id: str) -> str:
        return "✓" if self.passed.get(lesson_id) else "→" if lesson_id == self.next else ""

    @property
    def sentence(self) -> str:
        if self.next is None:
            return "All checks have passed. The next lessons are not written yet."
        return f"{'Begin' if self.next == next(iter(COURSE)) else 'Continue'} here: {self.next} {COURSE[self.next][1]}."

    def __repr__(self) -> str:
        rows = [
            (self.mark(lesson_id), f"{lesson_id} {title}", QUESTIONS[lesson_id][0], f"{QUESTIONS[lesson_id][1]} min")
            for lesson_id, (_, title) in COURSE.items()
        ]
        return "\n".join([*columns(rows), "", self.sentence])

    def _repr_html_(self) -> str:
        rows = []
        for lesson_id, (_, title) in COURSE.items():
            question, minutes = QUESTIONS[lesson_id]
            link = f"<a href='{lesson(lesson_id).file}.ipynb'>{lesson_id} {html.escape(title)}</a>"
            cells = (self.mark(lesson_id), link, html.escape(question), f"{minutes}&nbsp;min")
            rows.append("<tr>" + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in cells) + "</tr>")
        head = "".join(f"<th style='text-align:left'>{name}</th>" for name in ("", "lesson", "question", "time"))
        last = html.escape(self.sentence)
        if self.next is not None:
            name = f"{self.next} {COURSE[self.next][1]}"
            last = last.replace(html.escape(name), f"<a href='{lesson(self.next).file}.ipynb'>{html.escape(name)}</a>")
        return f"<table><tr>{head}</tr>{''.join(rows)}</table><p><b>{last}</b></p>"


def course() -> CourseMap:
    """The course map's table. With nobody there it has no ticks: whose they are cannot be known then."""
    known = state.read() if somebody_there() else {}
    return CourseMap({lesson_id: bool(known.get(lesson_id, {}).get("passed")) for lesson_id in COURSE})

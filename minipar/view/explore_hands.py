"""Does a list that is legal also end when every send waits for its receiver?

┌───────────────────────────┐   messages [letter box] [hand to hand]
│ 0F0 0F1 0B0 0B1           │   every key press is read, both ways are walked
│ 1F0 1B0 1F1 1B1           │
└───────────────────────────┘
letter box: ends · hand to hand: stuck, circle 0 → 1 → 0
the lists as far as they come, and who waits for whom (`view/waits.py`)
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import NamedTuple

import ipywidgets as widgets

from minipar.plan.check import problems
from minipar.plan.schedule import Schedule
from minipar.plan.waits import Wait, circle, waits
from minipar.view import waits as picture
from minipar.view.drawing import Drawing
from minipar.view.edit import sentence as capital
from minipar.view.edit import tidy
from minipar.view.explorer import Explorer, Task

WAYS = {False: "letter box", True: "hand to hand"}


@dataclasses.dataclass(frozen=True)
class HandsState:
    """The text as it stands, and how its messages travel."""

    text: str
    by_hand: bool = True


class Walked(NamedTuple):
    """What a text says: a schedule (None where a word cannot be read), what is wrong, and who is stuck either way."""

    schedule: Schedule | None
    wrong: tuple[str, ...] = ()
    stuck: dict[bool, tuple[Wait, ...]] = {}

    def ends(self, by_hand: bool) -> bool:
        return self.schedule is not None and not self.wrong and not self.stuck[by_hand]


class HandsExplorer(Explorer):
    """A list and a switch: with letter boxes, or from hand to hand. ``ex.set(text=…, by_hand=False)``."""

    title = "Hands"
    shown = ("text", "by_hand")
    columns = "minmax(260px, 2fr) minmax(200px, 1fr)"

    def make_controls(self, state):
        area = widgets.Textarea(
            value=state.text, rows=len(state.text.splitlines()) + 1, continuous_update=True,
            layout=widgets.Layout(width="auto", height="auto", margin="2px 12px 2px 0"),
            tooltip="the schedule: one line a rank, actions separated by blanks",
        )  # fmt: skip
        area.add_class("minipar-code")
        switch = widgets.ToggleButtons(
            value=state.by_hand, options=[(words, way) for way, words in WAYS.items()],
            tooltips=["a send puts its message down and goes on", "a send waits until the receiver takes it"],
            style={"button_width": "120px"}, layout=widgets.Layout(width="auto", margin="2px 12px 2px 0"),
        )  # fmt: skip
        return {"text": area, "by_hand": switch}

    def make_view(self):
        return Drawing("", (10, 10), (), "")

    def compute(self, state) -> Walked:
        return walked(state.text)

    def stuck(self, found) -> tuple[Wait, ...]:
        return found.stuck.get(self.state.by_hand, ())

    def draw(self, found):
        if found.schedule is not None and not found.wrong:
            sheet, parts, summary = self.drawn(found)
            self.view.show(self.heading(found), sheet, parts, summary)
        stale = found.schedule is None or bool(found.wrong)
        (self.view.add_class if stale else self.view.remove_class)("minipar-stale")

    def drawn(self, found):
        stuck = self.stuck(found)
        return picture.drawn(found.schedule, stuck, ring_of(stuck))

    def heading(self, found) -> str:
        way = {False: "With letter boxes", True: "From hand to hand"}[self.state.by_hand]
        ring = ring_of(self.stuck(found))
        if found.ends(self.state.by_hand):
            return f"{way}: every rank reaches its end"
        return f"{way}: {arrows(ring)} for ever" if ring else f"{way}: stuck"

    def facts(self, found):
        return [(words, said(found, way)) for way, words in WAYS.items()]

    def sentence(self, found):
        return " ".join(f"{one.words[0].upper()}{one.words[1:]}." for one in self.stuck(found))

    def trouble(self, found):
        return "\n".join(found.wrong[:3])

    def describe(self, found):
        if found.wrong:
            return found.wrong[0]
        return ", ".join(f"{words}: {said(found, way)}" for way, words in WAYS.items())

    def figure(self):
        return self.view.figure()


def walked(text: str) -> Walked:
    """A text read, and walked both ways. Pure; never raises for what a person may type."""
    try:
        schedule = Schedule.parse(text)
    except ValueError as error:
        return Walked(None, (capital(str(error)),))
    wrong = tuple(str(one) for one in problems(schedule) if one.code not in ("deadlock", "order"))
    if wrong:
        return Walked(schedule, wrong)
    return Walked(schedule, (), {way: waits(schedule, unbuffered=way) for way in WAYS})


def ring_of(stuck) -> tuple[int, ...]:
    return circle({one.rank: one.peer for one in stuck})


def arrows(ring) -> str:
    return " → ".join(map(str, (*ring, ring[0])))


def said(found: Walked, way: bool) -> str:
    """ "ends", or "stuck, circle 0 → 1 → 0"."""
    if found.wrong:
        return "–"
    if found.ends(way):
        return "ends"
    ring = ring_of(found.stuck[way])
    return f"stuck, circle {arrows(ring)}" if ring else "stuck"


def both_ways_pass() -> Task:
    """The same actions in another order, so that they end with letter boxes and from hand to hand."""

    def same_actions(ex) -> bool:
        now, first = ex.result.schedule, Schedule.parse(ex.initial.text)
        return [Counter(program) for program in now.programs] == [Counter(program) for program in first.programs]

    return Task(
        "Swap two actions so that both switches pass.",
        lambda ex: ex.result.ends(False) and ex.result.ends(True) and same_actions(ex),
    )


def hands(text, by_hand: bool = True, task=None) -> HandsExplorer:
    """An explorer of one list: does it end with letter boxes, and does it from hand to hand?

    text: one line a rank, ``0F0 0B0``, or a `Schedule`. by_hand: how the switch stands at first.
    """
    return HandsExplorer(HandsState(tidy(str(text)), by_hand), task)

"""What does the schedule that I am typing do?

┌───────────────────────────┐
│ 0F0 0F1 0B0 0B1           │   one line a rank; every key press is read
│ 1F0 1F1 1B0 1B1           │
└───────────────────────────┘
9 slots   ...                   or a sentence: who is stuck at what, what is missing, which word is no action
the timeline of it, with what each rank holds under its row; of a schedule that gets stuck, the part that runs
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import ipywidgets as widgets

from minipar.plan.check import problems
from minipar.plan.order import Deadlock, walk
from minipar.plan.schedule import Schedule
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Trace
from minipar.view.explore_pipeline import short_list
from minipar.view.explorer import Explorer
from minipar.view.panel import Strip
from minipar.view.timeline import timeline
from minipar.view.words import duration, share

MOST_SENTENCES = 3
SLOTS = Cost()


@dataclasses.dataclass(frozen=True)
class EditState:
    """The text as it stands."""

    text: str


class Reading(NamedTuple):
    """What a text says: a schedule (None where it cannot be read), what of it runs, and what is wrong with it."""

    schedule: Schedule | None
    trace: Trace | None
    sentences: tuple[str, ...]


class Editor(Explorer):
    """A text area over a live timeline. ``.text``, ``.schedule`` (None while a word cannot be read), ``.trace``."""

    title = "Editor"
    shown = ("text",)
    columns = "1fr"

    def __init__(self, text: str, cost: Cost = SLOTS, par: float | None = None, peaks=None, task=None):
        self.cost, self.par, self.peaks = cost, par, tuple(peaks) if peaks else None
        super().__init__(EditState(tidy(text)), task)

    @property
    def text(self) -> str:
        return self.state.text

    @property
    def schedule(self) -> Schedule | None:
        return self.result.schedule

    @property
    def trace(self) -> Trace | None:
        """The predicted trace: whole for a sound schedule, otherwise as far as it runs."""
        return self.result.trace

    @property
    def sound(self) -> bool:
        """Whether the text is a schedule that reaches its end."""
        return not self.result.sentences

    def make_controls(self, state):
        area = widgets.Textarea(
            value=state.text,
            rows=max(4, len(state.text.splitlines()) + 1),
            continuous_update=True,
            layout=widgets.Layout(width="auto", height="auto", margin="2px 12px 2px 0"),
            tooltip="the schedule: one line a rank, actions separated by blanks",
        )
        area.add_class("minipar-code")
        return {"text": area}

    def make_view(self):
        return timeline(Trace("by hand", (), 1), title=" ")

    def compute(self, state) -> Reading:
        return read(state.text, self.cost)

    def draw(self, reading):
        if reading.trace is not None and reading.trace.spans:
            self.view.show(reading.trace, title=self.heading(reading), strip=Strip.IN_FLIGHT)
        stale = reading.trace is None
        (self.view.add_class if stale else self.view.remove_class)("minipar-stale")

    def heading(self, reading) -> str:
        """The picture's title: the finding."""
        if reading.sentences:
            return f"Not sound yet: {len(reading.trace.spans)} of {reading.schedule.actions} actions run"
        return f"{duration(reading.trace.makespan, reading.trace.unit)}, {share(reading.trace.bubble)} idle"

    def facts(self, reading):
        if not self.sound:
            return []
        trace = reading.trace
        par = f" (par {duration(self.par, trace.unit)})" if self.par is not None else ""
        wanted = f" (wanted {short_list(self.peaks)})" if self.peaks else ""
        return [
            ("time", duration(trace.makespan, trace.unit) + par),
            ("idle, of all time", share(trace.bubble)),
            ("most in flight, rank 0, 1, …", short_list(trace.peak_in_flight) + wanted),
        ]

    def sentence(self, reading):
        return "Sound: every microbatch goes forward and back once on every stage." if self.sound else ""

    def trouble(self, reading):
        told, more = reading.sentences[:MOST_SENTENCES], len(reading.sentences) - MOST_SENTENCES
        return "\n".join([*told, f"… and {more} more." if more > 0 else ""]).strip()

    def describe(self, reading):
        if not self.sound:
            return reading.sentences[0]
        trace, schedule = reading.trace, reading.schedule
        peaks = " ".join(map(str, trace.peak_in_flight))
        return (
            f"ranks={schedule.ranks}, microbatches={schedule.microbatches}, "
            f"T = {duration(trace.makespan, trace.unit)}, idle {100 * trace.bubble:.1f} % of all, peak {peaks}"
        )

    def figure(self):
        return self.view.figure()


def read(text: str, cost: Cost = SLOTS) -> Reading:
    """What a text says. Pure; never raises for what a person may type."""
    try:
        schedule = Schedule.parse(text)
    except ValueError as error:
        return Reading(None, None, (sentence(str(error)),))
    sentences = tuple(str(problem) for problem in problems(schedule))
    return Reading(schedule, runnable(schedule, cost), sentences)


def runnable(schedule: Schedule, cost: Cost) -> Trace | None:
    """The trace of what can run before the programs get stuck; of all of it when they do not."""
    done = [0] * schedule.ranks
    try:
        for rank, _ in walk(schedule.programs):
            done[rank] += 1
    except Deadlock:
        pass
    part = Schedule(schedule.name, tuple(program[:end] for program, end in zip(schedule.programs, done, strict=True)))
    try:
        return predict(part, cost)
    except Deadlock:  # the part that ran lost its last stage, so its needs read differently
        return None


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def tidy(text: str) -> str:
    """Lines without indentation, words padded so that equal places stand under each other."""
    rows = [line.split() for line in text.strip().splitlines()]
    width = max((len(word) for row in rows for word in row), default=0)
    return "\n".join(" ".join(word.ljust(width) for word in row).rstrip() for row in rows)


def edit(text, F=1.0, B=2.0, hop=0.0, par=None, peaks=None, task=None) -> Editor:
    """Type a schedule and see it at every key press.

    text: one line a rank, ``0F0 0B0``, or a `Schedule`. par: the time to reach, in slots. peaks: microbatches in flight
    to stay under, rank by rank. task: a sentence, or one or several `Task`.
    """
    return Editor(str(text), Cost(F=F, B=B, hop=hop), par, peaks, task)

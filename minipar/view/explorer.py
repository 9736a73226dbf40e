"""What is the same about every explorer?

    ┌ task ───────────────────────────────────────────┐   ○ becomes ✓ when the task is met
    │ control   control   control            [ more ] │   at most three; the rest behind "more"
    │ time 33 slots · idle 27.3 % · most in flight …  │   the readout: the finding in text
    │ picture                                         │
    └─────────────────────────────────────────────────┘

A subclass gives four plain things: a frozen dataclass of its state, controls for the fields of that state, a pure
function from state to result, and words for the result. Everything that moves goes one way:

    control changes ─► _update ─► state ─► result ─► picture and readout
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import contextmanager

import ipywidgets as widgets

from minipar.view.presence import mime_bundle
from minipar.view.readout import Readout

MOST_CONTROLS = 3


@dataclasses.dataclass(frozen=True)
class Task:
    """Something to find with an explorer: the sentence that asks, and ``met(explorer)``, true when it is found."""

    sentence: str
    met: Callable[[Explorer], bool] | None = None


class Explorer:
    """Controls, a picture and a readout over one frozen state.

    Class attributes of a subclass: ``title`` (first word of the summary), ``shown`` (names of at most three controls).
    ``strict = True`` (set by tests) re-raises what goes wrong while a person moves a control; otherwise it is told in
    the readout, because an exception in an observer shows nowhere in a notebook.
    """

    title = "Explorer"
    shown: tuple[str, ...] = ()
    columns = "repeat(auto-fit, minmax(270px, 1fr))"  # as many as there is room for, of equal width
    strict = False

    def __init__(self, state, task: str | Task | tuple[Task, ...] | None = None):
        if len(self.shown) > MOST_CONTROLS:
            raise ValueError(
                f"{self.title} shows {len(self.shown)} controls; {MOST_CONTROLS} at most, the rest goes under more."
            )
        self.state = state
        self.initial = state
        self.result = None
        self.error: Exception | None = None
        self.tasks = as_tasks(task)
        self.met = [False] * len(self.tasks)
        self.controls = self.make_controls(state)
        self.view = self.make_view()
        self.asked = Readout(name=f"{self.title}: task")
        self.readout = Readout(name=f"{self.title}: readout")
        self.panel = self._arrange()
        self._held = False
        for control in self.controls.values():
            control.observe(self._moved, "value")
        self._update()
        if self.error:
            raise self.error

    # what a subclass gives -------------------------------------------------------------------------------------------

    def make_controls(self, state) -> dict[str, widgets.Widget]:
        """A control for each field of the state that a person can move, by the field's name."""
        raise NotImplementedError

    def make_view(self) -> widgets.Widget:
        """The live picture; empty until the first ``draw``."""
        raise NotImplementedError

    def read(self) -> dict:
        """Field by field, what the controls say."""
        return {name: control.value for name, control in self.controls.items()}

    def limits(self, state):
        """The state inside its bounds, for coupled controls: set bounds here, never raise."""
        return state

    def compute(self, state):
        """The result of a state: pure, no widget is touched."""
        raise NotImplementedError

    def draw(self, result) -> None:
        """Set the picture's traits."""
        raise NotImplementedError

    def facts(self, result) -> list[tuple[str, str]]:
        """Label and number, the finding first."""
        raise NotImplementedError

    def sentence(self, result) -> str:
        """One sentence under the numbers; "" for none."""
        return ""

    def trouble(self, result) -> str:
        """What is wrong with a result that still is one, a sentence a line; "" for nothing."""
        return ""

    def describe(self, result) -> str:
        """What stands between the brackets of the summary."""
        raise NotImplementedError

    def figure(self):
        """The same picture as a plotly figure, for a saved notebook."""
        raise NotImplementedError

    # what every explorer does ----------------------------------------------------------------------------------------

    def set(self, **values) -> Explorer:
        """Move controls in code: ``ex.set(microbatches=64)``. What goes wrong is raised here, in the cell."""
        unknown = sorted(set(values) - set(self.controls))
        if unknown:
            raise ValueError(f"{self.title} has no control {unknown[0]!r}; it has {', '.join(self.controls)}.")
        with self._hold():
            for name, value in values.items():
                move(self.controls[name], name, value)
        self._update()
        if self.error:
            raise self.error
        return self

    def _moved(self, change) -> None:
        if not self._held:
            self._update()
            if self.error and self.strict:
                raise self.error

    @contextmanager
    def _hold(self):
        """Several controls move, one update follows."""
        self._held, before = True, self._held
        try:
            yield
        finally:
            self._held = before

    def _update(self) -> None:
        """From the controls to the picture and the words: the only way anything here changes."""
        self.error = None
        try:
            with self._hold():
                self.state = self.limits(dataclasses.replace(self.state, **self.read()))
                self.result = self.compute(self.state)
            self.draw(self.result)
            self._tick()
            self._tell(self.facts(self.result), self.sentence(self.result), self.trouble(self.result))
        except Exception as error:  # whatever it is, the person who moved the control has to be told
            self.error = error
            self._tell([], "", str(error) or type(error).__name__)

    def _tell(self, facts, sentence: str, problem: str) -> None:
        with self.readout.hold_sync():
            self.readout.facts = [list(map(str, fact)) for fact in facts]
            self.readout.sentence = sentence
            self.readout.problem = problem
        self.asked.tasks = [[task.sentence, met] for task, met in zip(self.tasks, self.met, strict=True)]

    def _tick(self) -> None:
        """Tick the tasks that this state meets; a tick stays. One state ticks one task: two tasks are two findings."""
        for place, task in enumerate(self.tasks):
            if not self.met[place] and task.met and task.met(self):
                self.met[place] = True
                return

    def _arrange(self) -> widgets.Widget:
        front = [self.controls[name] for name in self.shown]
        back = [control for name, control in self.controls.items() if name not in self.shown]
        row = widgets.HBox([widgets.GridBox(front, layout=self._columns()), *self._more(back)], layout=FULL)
        rows = [self.asked, row] if self.tasks else [row]
        if back:
            self.folded = widgets.GridBox(back, layout=self._columns("none"))
            rows.append(self.folded)
        panel = widgets.VBox([*rows, self.readout, self.view], layout=widgets.Layout(width="100%", overflow="hidden"))
        panel.add_class("minipar-explorer")
        return panel

    def _columns(self, display: str = "grid") -> widgets.Layout:
        """Controls in columns, so that two rows of them line up."""
        return widgets.Layout(display=display, grid_template_columns=self.columns, flex="1 1 auto", width="auto")

    def _more(self, back) -> list[widgets.Widget]:
        """The button that unfolds the rest; a toggle button is reached by Tab and pressed with the space bar."""
        if not back:
            return []
        self.more = widgets.ToggleButton(
            value=False,
            description="more",
            tooltip="more controls",
            icon="chevron-down",
            layout=widgets.Layout(width="90px", flex="0 0 auto", margin="2px 0"),
        )
        self.more.observe(self._fold, "value")
        return [self.more]

    def _fold(self, change) -> None:
        self.folded.layout.display = "grid" if change.new else "none"
        self.more.icon = "chevron-up" if change.new else "chevron-down"
        self.more.description = "less" if change.new else "more"

    def __repr__(self) -> str:
        if self.error:
            return f"{self.title}({self.error})"
        return f"{self.title}({self.describe(self.result)})"

    def summary(self) -> str:
        """The summary line, and under it the task with its tick."""
        ticks = [
            f"{'done' if met else 'to do'}: {task.sentence}" for task, met in zip(self.tasks, self.met, strict=True)
        ]
        return "\n".join([repr(self), *ticks])

    def _repr_mimebundle_(self, **_) -> dict:
        return mime_bundle(self.summary(), self.panel._repr_mimebundle_, self.figure)


FULL = widgets.Layout(align_items="center", width="100%")


def as_tasks(task) -> tuple[Task, ...]:
    """A sentence, one task or several, as a tuple of tasks. A bare sentence has no tick."""
    if task is None:
        return ()
    if isinstance(task, str):
        return (Task(task),)
    return (task,) if isinstance(task, Task) else tuple(task)


def move(control: widgets.Widget, name: str, value) -> None:
    """Give one control a value; ValueError in words where the control cannot take it."""
    options = getattr(control, "options", None)
    if options is not None:
        values = [one[1] if isinstance(one, tuple) else one for one in options]
        if value not in values:
            raise ValueError(f"{name} is one of {', '.join(map(str, values))}, not {value!r}.")
    low, high = getattr(control, "min", None), getattr(control, "max", None)
    if low is not None and not low <= value <= high:
        raise ValueError(f"{name} goes from {low:g} to {high:g}, not {value!r}.")
    control.value = value

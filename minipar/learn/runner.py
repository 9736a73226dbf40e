"""What really happens? The run: a button that waits for a locked answer, and pictures that fill in by themselves.

    run = learn.run("04", experiment)     experiment() makes the real calls and returns its results by name
    run.see() run.facts() run.formula()   before the run: "Press Run above: this fills in by itself"
    run.show(draw)                        the same for a picture of one's own: draw(results)
    run.peaks                             one result; before the run an empty stand-in that says "not yet"

The experiment runs in a thread of its own, so the kernel stays free: other cells run, and Stop arrives.
Where nobody is there it runs at once, in the cell.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

from minipar.learn import predict, state
from minipar.learn.lesson import Lesson, Results, lesson
from minipar.learn.places import Place, Words, show_now
from minipar.learn.safely import Capture, busy_pools, stop_thread, story
from minipar.view.presence import somebody_there

WAIT = "Press Run above: this fills in by itself"
_latest: dict[str, LessonRun] = {}


class LessonRun:
    """One experiment of a lesson: not run yet, running, or with results."""

    def __init__(self, of: Lesson, experiment: Callable[[], Any]):
        self._lesson = of
        self._experiment = experiment
        self._results: Results | None = None
        self._places: dict[str, Place] = {}
        self._panel = None
        self._thread: threading.Thread | None = None
        self._stopped = False

    # -- what cells below ask for ------------------------------------------------------------------------------

    def see(self):
        """The lesson's picture of this run."""
        return self._place("see", self._lesson.see)

    def facts(self):
        """Exact facts of this run, one a line."""
        return self._place("facts", lambda results: Words(pairs=self._lesson.facts(results)))

    def formula(self, **numbers):
        """The formula's numbers and the run's, side by side."""
        return self._place("formula", lambda results: Words(rows=self._lesson.formula(results, **numbers)))

    def show(self, draw: Callable[[Results], Any]):
        """``draw(results)``, now or as soon as there are results."""
        return self._place(f"show {getattr(draw, '__qualname__', draw)}", draw)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return NotYet() if self._results is None else getattr(self._results, name)

    def __repr__(self) -> str:
        what = f"results: {', '.join(self._results)}" if self._results is not None else "not run yet"
        return f"Run of lesson {self._lesson.id} ({what})"

    def _place(self, name: str, draw: Callable[[Results], Any]):
        if not somebody_there():
            return None if self._results is None else show_now(draw(self._results))
        place = self._places[name] = Place(draw, WAIT)
        if self._results is not None:
            place.fill(self._results)
        if name == "see" and self._panel is not None:
            self._picture_moves()
        return place.box

    # -- the run itself ----------------------------------------------------------------------------------------

    def _run_here(self) -> None:
        """Nobody there: run now, in the cell; an error is an error of the cell."""
        self._results = Results(self._experiment())
        for question in self._lesson.questions:
            name = f"{question.name}. " if question.name else ""
            print(f"{name}Measured: {question.found(self._results)}")

    def _show_panel(self):
        from ipywidgets import VBox

        from minipar.learn.panels import RunPanel

        self._panel = RunPanel()
        self._panel.does.update(run=self._press_run, stop=self._press_stop)
        self._glance = VBox([])  # the picture, as long as no cell below shows it
        state.listen(self._lesson.id, self._follow)
        self._follow()
        return VBox([self._panel, self._glance])

    def _follow(self) -> None:
        """Grey while the answer is not locked; lit as soon as it is."""
        if self._panel.state == "running":
            return
        open_ = not self._lesson.questions or predict.answers(self._lesson) is not None
        if not open_:
            self._results = None
            self._say("locked", "Lock your answer first", score=[])
            self._glance.children = ()
            for place in self._places.values():
                place.empty()
        elif self._panel.state == "locked":
            self._say("ready", "Your answer is locked. Press Run.")

    def _say(self, name: str, said: str, **traits) -> None:
        with self._panel.hold_sync():
            self._panel.state = name
            self._panel.said = said
            for trait, value in traits.items():
                setattr(self._panel, trait, value)

    def _press_run(self) -> None:
        if self._panel.state in ("locked", "running"):
            return
        self._stopped = False
        self._say("running", "Running", fraction=-1.0, log="", score=[])
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run_aside,), name="experiment", daemon=True)
        self._thread.start()
        watcher = threading.Thread(target=contextvars.copy_context().run, args=(self._watch,), daemon=True)
        watcher.start()

    def _press_stop(self) -> None:
        self._stopped = True
        self._panel.said = "Stopping"
        active = busy_pools()
        for pool in active:
            pool.stop()
        if not active and self._thread is not None:
            stop_thread(self._thread, KeyboardInterrupt)

    def _run_aside(self) -> None:
        started = time.monotonic()
        with Capture() as printed:
            self._printed = printed
            try:
                results = Results(self._experiment())
            except BaseException as error:  # becomes a sentence in the panel: nothing else would show it
                return self._ended_badly(error, printed)
        said = f"Done in {time.monotonic() - started:.1f} s."
        self._results = results
        try:
            for place in self._places.values():
                place.fill(results)
            score = predict.score(self._lesson, results)
        except BaseException as error:
            return self._ended_badly(error, printed)
        if self._stopped:  # a training that was asked to stop returns the steps it had made: shown, not scored
            self._say("stopped", "Stopped. What was reached until then is shown.", log=printed.text())
            return self._picture_moves()
        self._say("done", said, log=printed.text(), score=score)
        self._picture_moves()
        predict.remember_score(self._lesson, results)

    def _ended_badly(self, error: BaseException, printed: Capture) -> None:
        log = printed.text()
        if self._stopped:
            where = story(error) if type(error).__name__ == "RemoteInterrupt" else ""  # where each rank was
            self._say("stopped", "Stopped. Press Run again to start anew.", log=f"{log}\n{where}".strip())
        else:
            self._say("failed", "The run ended with an error.", log=f"{log}\n{story(error)}".strip())

    def _picture_moves(self) -> None:
        """The picture stands under the button until the cell that shows it has been run; then only there."""
        if self._results is None or self._lesson.see is None:
            return
        if "see" in self._places:
            self._glance.children = ()
            return
        glance = Place(self._lesson.see, "")
        glance.fill(self._results)
        self._glance.children = (glance.box,)

    def _watch(self) -> None:
        """While it runs: what rank 0 reports, what was printed, and the seconds."""
        started = time.monotonic()
        thread = self._thread
        while thread.is_alive():
            thread.join(0.2)
            if not thread.is_alive() or self._stopped or self._panel.state != "running":
                continue
            said, fraction = progress_words(step_now(thread), _reported())
            self._panel.said = f"{said}, {time.monotonic() - started:.0f} s"
            self._panel.fraction = fraction
            self._panel.log = self._printed.text()


def run(lesson_id: str, experiment: Callable[[], Any]) -> LessonRun:
    """The run of a lesson: a panel with a button, or (nobody there) the run itself, at once.

    experiment: a function without arguments that returns its results by name (a dict or a dataclass).
    """
    made = LessonRun(lesson(lesson_id), experiment)
    if not somebody_there():
        made._run_here()
        return made
    from IPython.display import display

    before = _latest.get(lesson_id)
    if before is not None:
        made._places.update(before._places)  # pictures below the cell belong to the newest run
    _latest[lesson_id] = made
    display(made._show_panel())
    return made


# -- progress --------------------------------------------------------------------------------------------------

_steps: dict[int, tuple[str, int, int]] = {}  # by thread: label, how many are done, of how many


def steps(items, label: str = "{}"):
    """Go through ``items``; the run panel names the one at work: ``for m in learn.steps([1, 4, 8], "M = {}")``."""
    items = list(items)
    me = threading.get_ident()
    try:
        for at, item in enumerate(items):
            _steps[me] = (label.format(item), at, len(items))
            yield item
    finally:
        _steps.pop(me, None)


def step_now(thread: threading.Thread) -> tuple[str, int, int] | None:
    return _steps.get(thread.ident)


def _reported() -> dict:
    """The latest fields that rank 0 of a running pool reported, or none."""
    for pool in busy_pools():
        current = pool.current
        if current is not None:
            return dict(current.progress or {})
    return {}


def progress_words(step: tuple[str, int, int] | None, fields: dict) -> tuple[str, float]:
    """("M = 4 (2 of 3), loss 3.21", 0.33): words for the panel, and how far it is (below 0: unknown)."""
    fields = dict(fields)
    done, of = fields.pop("step", None), fields.pop("steps", None)
    words, fraction = [], -1.0
    if step is not None:
        label, at, count = step
        words.append(f"{label} ({at + 1} of {count})")
        fraction = at / count
    if done is not None and of:
        words.append(f"step {done} of {of}")
        fraction = done / of
    for name, value in fields.items():
        words.append(f"{str(name).replace('_', ' ')} {value:.4g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(words) or "Running", fraction


class NotYet:
    """Stands for a result before there is one: whatever is asked of it, it is still "not yet"."""

    def __repr__(self) -> str:
        return "not yet: press Run above, then run this cell again"

    def __format__(self, _specification: str) -> str:
        return "not yet"

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __iter__(self):
        return iter(())

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        return self

    def _same(self, *_arguments, **_named):
        return self

    __call__ = __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _same
    __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __neg__ = __round__ = _same
    __lt__ = __le__ = __gt__ = __ge__ = _same

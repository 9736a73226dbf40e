"""What do ranks, microbatches and the cost of a hop do to the time, the idle share and the memory?

schedule [GPipe ▾]   ranks ──●── 4   microbatches ──●── 8      [more: F, B, hop]
33 slots   27 %   38 %   8 8 8 8
the predicted timeline, redrawn as the sliders move
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from minipar.plan.schedule import Schedule
from minipar.plan.schedules import CATALOGUE, SIMPLE, naive
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Trace
from minipar.view import controls
from minipar.view.explorer import Explorer, Task
from minipar.view.timeline import timeline
from minipar.view.words import duration, share

MOST_RANKS, MOST_MICROBATCHES = 16, 128


@dataclasses.dataclass(frozen=True)
class PipelineState:
    """What the controls say: a schedule's name, sizes, durations in slots."""

    schedule: str = "gpipe"
    ranks: int = 4
    microbatches: int = 8
    F: float = 1.0
    B: float = 2.0
    hop: float = 0.0


class Pipeline(Explorer):
    """A schedule of the catalogue, or one's own builder, under sliders. ``ex.trace`` is the predicted trace."""

    title = "Pipeline"
    shown = ("schedule", "ranks", "microbatches")

    def __init__(self, state: PipelineState, builders: dict[str, Callable[..., Schedule]], task=None):
        self.builders = builders
        super().__init__(state, task)

    @property
    def trace(self) -> Trace:
        return self.result

    def make_controls(self, state):
        options = [(getattr(build, "title", name), name) for name, build in self.builders.items()]
        return {
            "schedule": controls.choice("schedule", state.schedule, options),
            "ranks": controls.whole("ranks", state.ranks, 1, MOST_RANKS),
            "microbatches": controls.whole("microbatches", state.microbatches, 1, MOST_MICROBATCHES),
            "F": controls.number("forward", state.F, 0.5, 4, 0.5),
            "B": controls.number("backward", state.B, 0.5, 8, 0.5),
            "hop": controls.number("hop", state.hop, 0, 4, 0.1),
        }

    def make_view(self):
        return timeline(self.compute(self.state), title="")

    def limits(self, state):
        whole = state.schedule == "naive"
        self.controls["microbatches"].disabled = whole
        return state

    def compute(self, state) -> Trace:
        schedule = self.build(state)
        chunks = max(1, schedule.stages // schedule.ranks)  # a rank has the same layers, in however many stages
        return predict(schedule, Cost(F=state.F / chunks, B=state.B / chunks, hop=state.hop))

    def build(self, state) -> Schedule:
        """The schedule itself; the naive one takes the batch whole, so it has no number of microbatches."""
        return self.builders[state.schedule](state.ranks, state.microbatches)

    def draw(self, trace):
        self.view.show(trace)

    def facts(self, trace):
        return [
            ("time", duration(trace.makespan, trace.unit)),
            ("idle, of all time", share(trace.bubble)),
            ("idle, against useful time", share(trace.overhead)),
            ("most in flight, rank 0, 1, …", short_list(trace.peak_in_flight)),
        ]

    def sentence(self, trace):
        faster = trace.ranks * (1 - trace.bubble)
        if trace.ranks == 1:
            return "One rank alone never waits."
        return f"{trace.ranks} ranks together do the work {faster:.2g} times as fast as one."

    def describe(self, trace):
        state = self.state
        peaks = " ".join(map(str, trace.peak_in_flight))
        hop = f", hop={state.hop:g}" if state.hop else ""
        return (
            f"{state.schedule}, ranks={state.ranks}, microbatches={trace.microbatches}{hop}, "
            f"T = {trace.makespan:.6g} slots, idle {100 * trace.bubble:.1f} % of all, peak {peaks}"
        )

    def figure(self):
        return timeline(self.trace).figure()


def short_list(numbers) -> str:
    """8 8 8 8; longer than eight: the first three and the last."""
    words = [str(number) for number in numbers]
    return " ".join(words if len(words) <= 8 else [*words[:3], "…", words[-1]])


def pipeline(schedule="gpipe", ranks=4, microbatches=8, F=1.0, B=2.0, hop=0.0, task=None) -> Pipeline:
    """An explorer of pipeline schedules.

    schedule: "gpipe", "one_f_one_b", "naive", another name of the catalogue ("zb_v"; then all of it can be chosen), or
    a builder of your own (a function decorated with `minipar.schedule`).
    F, B: what one microbatch takes on a rank, all its stages together, in slots; hop: what a message adds. task: a
    sentence, or one or several `Task`.
    """
    builders = {**SIMPLE, "naive": whole_batch}
    if callable(schedule):
        name = getattr(schedule, "title", None) or schedule.__name__
        builders, schedule = {name: schedule, **builders}, name
    elif schedule not in builders and schedule in CATALOGUE:
        builders = {**builders, **CATALOGUE}
    if schedule not in builders:
        names = ", ".join({**builders, **CATALOGUE})
        raise ValueError(f"There is no schedule {schedule!r}; there are {names}, or a builder of your own.")
    state = PipelineState(schedule, ranks, microbatches, float(F), float(B), float(hop))
    return Pipeline(state, builders, task)


def whole_batch(ranks: int, microbatches: int) -> Schedule:
    """The whole batch at once, however many microbatches were asked for."""
    return naive(ranks)


whole_batch.title = "naive (whole batch)"


def idle_below(limit: float, ranks: int = 4) -> Task:
    """The task "find the smallest M with less than 10 % idle on 4 ranks", for any limit: met where M - 1 misses it."""

    def met(explorer: Pipeline) -> bool:
        state, trace = explorer.state, explorer.trace
        if state.ranks != ranks or trace.bubble >= limit:
            return False
        one_less = dataclasses.replace(state, microbatches=state.microbatches - 1)
        return state.microbatches == 1 or explorer.compute(one_less).bubble >= limit

    return Task(f"Find the smallest M with less than {100 * limit:g} % idle on {ranks} ranks.", met)

"""How does a lesson talk with its learner? Predict, run, see, build: the course engine.

    learn.ask("04")                     the question; its answer is locked before anything runs
    run = learn.run("04", experiment)   Run lights up once the answer is locked
    run.see(), run.facts(), …           fill in by themselves
    learn.check("04", mine)             the verdict in words, hints, the solution
    learn.progress(), learn.course(), learn.reset("04")

Nothing below this floor knows that lessons exist.
"""

from __future__ import annotations

from minipar.learn.attempt import attempt
from minipar.learn.course import course
from minipar.learn.predict import ask, reset
from minipar.learn.progress import progress
from minipar.learn.runner import run, steps
from minipar.learn.verdict import check
from minipar.learn.workers import workers
from minipar.view.presence import somebody_there

__all__ = [
    "ask", "attempt", "check", "course", "paced", "progress", "reset", "run", "somebody_there", "steps", "workers",
]


def paced(cost):
    """The same Cost with its durations and its hop multiplied by this session's pace (1, or 0.2 when tests hurry)."""
    from minipar.run.pace import factor

    return cost.times(factor())

"""How does a call end: with results, or with a report of who waits for whom?

    end = ended(pool, program, …)         what it returned, or the report; and the pool works again afterwards
    standing(schedule, end.error)         the place in its list at which each rank stood, from the report
    gradients_equal(model, batch, ranks)  whether the ranks' gradients are the whole model's

The ranks' side is `minipar.run.hands`: a worker does not load the course.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from minipar.plan.actions import Action, Recv, Send, makes
from minipar.plan.messages import lower
from minipar.plan.schedule import Schedule
from minipar.plan.waits import Wait


def gradients_equal(model, batch, ranks) -> bool:
    """Whether the ranks' gradients, put together, are those of the whole model in this process (float64: to 1e-10)."""
    together = {name: gradient for gradients in ranks for name, gradient in gradients.items()}
    whole = model.whole()
    model.loss(whole(batch.inputs), batch.targets).backward()
    expected = {name: parameter.grad for name, parameter in whole.named_parameters()}
    allowed = 1e-10 * max(gradient.abs().max().item() for gradient in expected.values())
    return set(together) == set(expected) and all(
        (together[name] - gradient).abs().max().item() <= allowed for name, gradient in expected.items()
    )


@dataclass(frozen=True)
class End:
    """How a call ended: `values` by rank, or `error`, the pool's report; `ready`: the pool answered afterwards."""

    values: Any = None
    error: Exception | None = None
    ready: bool = False

    @property
    def finished(self) -> bool:
        return self.error is None


def ended(pool, program: Callable, *arguments: Any) -> End:
    """`pool.run(program, *arguments)`; a report is returned, not raised. Then every rank is asked for its number."""
    from minipar.run.pool import RemoteError

    values, error = None, None
    try:
        values = list(pool.run(program, *arguments))
    except RemoteError as report:
        error = report
    return End(values, error, list(pool.run(lambda w: w.rank)) == list(range(pool.size)))


def standing(schedule: Schedule, error) -> tuple[Wait, ...]:
    """Where each stuck rank stood in its list. The report says: in its third send to rank 1; the list has the third."""
    programs, makers = lower(schedule).programs, {}
    for program in schedule.programs:
        makers.update({value: action for action in program for value in makes(action)})
    found = []
    for rank, one in error.stuck.items():
        form = Send if one.kind == "send" else Recv
        places = [at for at, step in enumerate(programs[rank]) if isinstance(step, form) and step.peer == one.peer]
        at = places[one.number - 1]
        step = programs[rank][at]
        maker = makers[step.value]
        way = f"sends the {step.value.kind.value} of {maker} to" if form is Send else f"waits for that of {maker} from"
        done = sum(isinstance(before, Action) for before in programs[rank][:at])
        found.append(Wait(rank, done, step, step.peer, f"rank {rank} {way} rank {step.peer}", maker))
    return tuple(found)


class Place(NamedTuple):
    """A place in a report: "Cell In[4]", 4, "mixed", "return w.axis().all_reduce(x)"."""

    file: str
    line: str = ""
    function: str = ""
    code: str = ""


def place(where: str) -> Place:
    """A place as the report writes it, taken apart; one that is written otherwise is all `file`."""
    found = re.fullmatch(r"(?s)(.+), line (\d+), in ([^:]+)(?:: (.*))?", where)
    return Place(*(part or "" for part in found.groups())) if found else Place(where)

"""Does it also work for real?  The learner's own schedule or cut, run by worker processes and compared.

A check that ends in a real run uses the pool that the notebook already has. The mathematics is paced, so that the
picture shows the schedule and not this machine's cores.
"""

from __future__ import annotations

import minipar
from minipar import learn
from minipar.plan.schedule import Schedule
from minipar.plan.simulate import Cost

PACE = Cost(F=0.03, B=0.06, unit="s")


def really(made: Schedule, cuts=None, layers: int = 6):
    """Train one step with this schedule on real processes: (what differed, the step).

    What differed is a sentence about the order that ran or the first gradient that is not the whole model's; "" if
    nothing did.
    """
    model = minipar.GPT(layers=layers, hidden=16, heads=2, context=16)
    batch = minipar.text_batch(batch=2 * made.microbatches, context=16)
    plan = minipar.Plan(mesh=minipar.Mesh(pipe=made.ranks), schedule=made, cuts=cuts)
    step = minipar.train_step(learn.workers(made.ranks), plan, model, batch, pace=learn.paced(PACE))
    for rank, program in enumerate(made.programs):
        if step.trace.order(rank) != program:
            return f"Rank {rank} ran another order than the one you wrote.", step
    try:
        minipar.same_gradients(model, step)
    except AssertionError as error:
        return str(error), step
    return "", step


def same(one, other) -> bool:
    """Equal losses and gradients of two steps, up to the rounding of float32 sums taken in another order."""
    if one.gradients.keys() != other.gradients.keys():
        return False
    largest = max(gradient.abs().max() for gradient in one.gradients.values())
    for name, gradient in one.gradients.items():
        scale = max(gradient.abs().max(), largest / 100)  # where the true gradient is zero, rounding is all there is
        if not (gradient - other.gradients[name]).abs().max() <= 1e-4 * scale:
            return False
    return abs(one.loss - other.loss) <= 1e-5 * abs(one.loss)


def drawn(made: Schedule, step):
    """The learner's own schedule: measured, with its prediction behind it."""
    return minipar.compare(minipar.predict(made, step.pace), step.trace)

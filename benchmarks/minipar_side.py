"""How does minipar run the step that the benchmarks time?  These functions run on every rank of a pool."""

import torch
import torch.distributed as dist

import minipar
from benchmarks.workload import CASES, cut, time_steps
from minipar.nn.postponed import adopt
from minipar.plan.schedules import CATALOGUE, OVERLAPPING
from minipar.run.part import Part

MICROBATCHES = 8
SCHEDULES = {"gpipe": minipar.gpipe, "one_f_one_b": minipar.one_f_one_b}


class Postponing:
    """A model of the workload whose plain torch layers can split their backward, as those of a Stack can."""

    def __init__(self, model):
        self.model, self.loss, self.costs = model, model.loss, model.costs

    def build(self, indices, device="cpu"):
        """The layers with these numbers."""
        return adopt(self.model.build(indices, device))


def prepare(w, case, schedule, recording=False):
    """Build this rank's part and take a first step. Returns its loss and gradients."""
    record(w, recording)
    model, order = CASES[case], {**CATALOGUE, **OVERLAPPING}[schedule](w.ranks, MICROBATCHES)
    plan = minipar.Plan(mesh=minipar.Mesh(pipe=w.ranks), schedule=order, cuts=tuple(cut(model, order.stages)))
    part, batch = Part(w, plan, Postponing(model)), model.batch(MICROBATCHES)
    part.watch()
    part.prepare(batch)
    w.state["benchmark"] = part, batch
    part.run(batch)
    w.recorder.memory.close()
    return part.loss, part.gradients()


def measure(w, steps, before):
    """`before` steps that do not count, then what `steps` steps take. Nothing is recorded."""
    record(w, False)
    part, batch = resumed(w)
    settle = (lambda: torch.cuda.synchronize(w.device)) if w.device.type == "cuda" else (lambda: None)
    return time_steps(lambda: part.run(batch), part.clear_gradients, dist.barrier, before + steps, settle)[before:]


def measure_recording(w, steps, before, recording):
    """As `measure`, with spans and memory recorded or not; freeing the gradients counts too, for the ledger sees it."""
    record(w, recording)
    part, batch = resumed(w)
    part.watch()

    def step():
        part.run(batch)
        part.clear_gradients()

    taken = time_steps(step, lambda: None, dist.barrier, before + steps)[before:]
    w.recorder.memory.close()
    return taken


def record(w, recording):
    """Record spans and memory in this call, or neither."""
    w.recorder.keeps_spans = recording
    if recording:
        w.recorder.watch_memory()


def resumed(w):
    """The part and the batch that `prepare` left here, ready for this call."""
    part, batch = w.state["benchmark"]
    part.clear_gradients()
    part.attach(w)
    part.prepare(batch)
    return part, batch

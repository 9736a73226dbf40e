"""What does each rank do in a training step?

    run the schedule ─► settle the gradients ─► norm over all ranks ─► clip ─► update ─► free the gradients

These are the programs that `training.py` hands to the pool. The loss and the wish to stop travel with the norm, so all
ranks know the same and stop after the same step.
"""

import time
from dataclasses import dataclass
from typing import Any

import torch

from minipar.cost.model import Optimizer
from minipar.plan.simulate import Cost
from minipar.run import optimizer as optimizers
from minipar.run.parcel import loads
from minipar.run.part import Feed, Part, feed
from minipar.run.tally import Told

KEPT = "minipar.training"  # where a worker's state keeps its part of the trained model


@dataclass(frozen=True)
class Recipe:
    """How `train` changes the weights. clip: the largest norm the whole gradient may have, or None."""

    optimizer: str = "AdamW"
    learning_rate: float = 1e-3
    clip: float | None = 1.0

    def __post_init__(self):
        Optimizer.named(self.optimizer)


def step_on_rank(w, plan, model, parcels, pace, spans, memory, recipe):
    """One step on this rank. Everything it built is gone when it returns."""
    _record(w, spans, memory, pace)
    part = Part(w, plan, model, pace)
    part.watch()
    batch = loads(parcels[w.rank])
    part.prepare(batch)
    part.everyone.barrier()
    part.run(batch)
    part.settle()
    gradients = part.gradients()
    if recipe is not None:
        _update(w, part, optimizers.make(recipe.optimizer, part.parameters.values(), recipe.learning_rate), scale=1.0)
    w.recorder.memory.close()
    allocator = max((size for _, size in w.recorder.allocator), default=None)
    return {"loss": part.loss, "gradients": gradients, "allocator": allocator, "said": part.tallies.said()}


def _record(w, spans: bool, memory: bool, pace: Cost | None) -> None:
    w.recorder.keeps_spans = spans
    if memory:
        w.recorder.watch_memory()
    if w.device.type == "cuda" and pace is None:  # a paced action waits for the GPU, so the clock is right
        w.recorder.on_device(w.device)


@dataclass
class Trained:
    """What a rank keeps between calls: its part, its optimizer, and how many full steps they have seen."""

    part: Part
    optimizer: Any
    step: int = 0
    whole: bool = True  # False while the optimizer is at work: an end in the middle leaves a half-made update


def train_on_rank(w, plan, model, data, steps, recipe, pace, resume, memory):
    """Steps until done or told to stop. All ranks stop after the same step: the wish travels with the norm."""
    _record(w, True, memory, pace)
    kept = _kept(w, plan, model, recipe, pace, resume)
    part, losses, norms, told, stopped, tokens = kept.part, [], [], [], False, 0
    speed = 0.0
    part.watch()
    w.recorder.memory.hold_optimizer(kept.optimizer)
    part.prepare(_pick(data, kept.step, part))
    part.everyone.barrier()
    began = time.monotonic()
    for number in range(steps):
        batch = _pick(data, kept.step, part)
        loss, norm, stopped, seen, experts = _train_one(w, kept, batch, recipe)
        losses.append(loss)
        norms.append(norm)
        told.append(experts)
        tokens += seen
        speed = tokens / (time.monotonic() - began)
        more = {"loads": experts.loads} if experts.loads else {}
        w.progress(step=kept.step, steps=steps, loss=loss, tokens_per_second=speed, **more)
        if number == 0:  # the first step is the one to look at; recording all would fill the memory
            w.recorder.pause()
        if stopped:
            break
    return {"losses": losses, "norms": norms, "tokens_per_second": speed, "step": kept.step, "stopped": stopped,
            "told": [tuple(one) for one in told]}  # fmt: skip


def _kept(w, plan, model, recipe, pace, resume) -> Trained:
    found = w.state.get(KEPT)
    if resume:
        if found is None or (found.part.plan, found.part.model) != (plan, model) or not found.whole:
            raise ValueError(f"rank {w.rank} keeps no training of this plan and model to go on from.")
        steps = w.everyone.all_gather(torch.tensor([found.step], device=w.device)).tolist()
        if len(set(steps)) > 1:
            raise ValueError(f"the ranks were cut off after different steps {steps}: train from the start.")
        found.part.attach(w, pace)
        return found
    w.state.pop(KEPT, None)
    found = None
    part = Part(w, plan, model, pace)
    optimizer = optimizers.make(recipe.optimizer, part.parameters.values(), recipe.learning_rate)
    return w.state.setdefault(KEPT, Trained(part, optimizer))


def _train_one(w, kept: Trained, batch: Feed, recipe: Recipe) -> tuple[float, float, bool, int, Told]:
    """One full step: (loss, norm of the whole gradient, whether anybody was asked to stop, tokens seen, experts)."""
    part = kept.part
    tokens = batch.inputs.numel() if batch.inputs is not None and part.speaks else 0
    part.run(batch, kept.step)
    part.settle()
    said = [part.squared_norm(), part.loss, float(w.stopping), float(tokens), *part.tallies.said()]
    heard = part.everyone.all_reduce(torch.tensor(said, dtype=torch.float64, device=w.device))
    squares, loss, stop, tokens, *sums = heard.tolist()
    told = part.tallies.heard(sums)
    norm = squares**0.5
    scale = min(1.0, recipe.clip / (norm + 1e-6)) if recipe.clip is not None else 1.0
    kept.whole = False
    _update(w, part, kept.optimizer, scale)
    part.tallies.teach(told)
    kept.step, kept.whole = kept.step + 1, True
    part.clear_gradients()
    return loss, norm, stop > 0, int(tokens), told


def _update(w, part: Part, optimizer, scale: float) -> None:
    start = w.recorder.mark()
    if scale < 1.0:
        for parameter in part.parameters.values():
            parameter.grad.mul_(scale)
    optimizer.step()
    w.recorder.memory.hold_optimizer(optimizer)
    w.recorder.add("optimizer", start, w.recorder.mark())


def _pick(data, step: int, part: Part) -> Feed:
    """What this rank needs of this step's batch."""
    if callable(data):
        return feed(part.plan, part.w.rank, data(step)) if part.reads_batch else Feed()
    return loads(data[step % len(data)][part.w.rank])

"""How do four processes train one model?

    train_step    one batch, forward and backward: loss, gradients and what happened, from a freshly built model
    train         many steps: backward, tied gradients summed, one norm over all ranks, AdamW on each rank's own part

The weights of `train` stay in the workers, each rank its own; `minipar.generate` uses them there.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from minipar.plan.layout import Plan
from minipar.plan.schedule import Schedule
from minipar.plan.simulate import Cost
from minipar.plan.trace import Trace
from minipar.run.optimizer import OPTIMIZERS
from minipar.run.parcel import dumps, loads
from minipar.run.part import Part
from minipar.run.story import RemoteInterrupt

PATIENCE = 30.0                 # seconds a stopped training gets to end its step
KEPT = "minipar.training"       # where a worker's state keeps its part of the trained model


@dataclass(frozen=True)
class Step:
    """What one step gave: the batch's mean loss, the gradients by parameter name, and a trace of what was done.

    `trace.order(rank)` is the order that was run, `trace.peak_in_flight` how many microbatches each rank held at most.
    """

    loss: float
    gradients: dict[str, Tensor] = field(repr=False)
    trace: Trace = field(repr=False)
    pace: Cost | None
    batch: Any = field(repr=False)
    schedule: Schedule

    def __repr__(self) -> str:
        return (
            f"Step({self.schedule.name}, ranks={self.schedule.ranks}, microbatches={self.schedule.microbatches}, "
            f"loss={self.loss:.4f}, {self.trace.source}, {self.trace.makespan * 1000:.0f} ms)"
        )


@dataclass(frozen=True)
class Training:
    """A finished run of `train`: losses by step, gradient norms before clipping, speed, the trace of its first step.

    `stopped`: it was asked to stop before its last step. `step`: how many full steps the kept weights have seen.
    """

    losses: list[float] = field(repr=False)
    norms: list[float] = field(repr=False)
    tokens_per_second: float
    trace: Trace = field(repr=False)
    step: int
    stopped: bool = False

    def __repr__(self) -> str:
        ends = f"loss {self.losses[0]:.3f} -> {self.losses[-1]:.3f}" if self.losses else "no step"
        stopped = ", stopped" if self.stopped else ""
        return f"Training({self.step} steps{stopped}, {ends}, {self.tokens_per_second:,.0f} tokens/s)"


@dataclass(frozen=True)
class Recipe:
    """How `train` changes the weights. clip: the largest norm the whole gradient may have, or None."""

    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    clip: float | None = 1.0

    def __post_init__(self):
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"there is no optimizer {self.optimizer!r}: choose {', '.join(sorted(OPTIMIZERS))}")


# ---- in the notebook


def train_step(pool, plan: Plan, model, batch, pace: Cost | None = None, spans: bool = True, memory: bool = True,
               optimizer: str | None = None, learning_rate: float = 1e-3) -> Step:  # fmt: skip
    """Run one step of `plan` on real workers, from the model's first weights, and bring everything home.

    batch: inputs and targets, [batch, context] each. pace: declared durations in seconds, or None for full speed.
    optimizer: "sgd", "momentum" or "adamw" to make one update too (the gradients that come home are unclipped).
    ValueError when the schedule is not sound, or the batch has fewer texts than microbatches.
    """
    _require(pool, plan, model, batch)
    recipe = Recipe(optimizer, learning_rate, clip=None) if optimizer else None
    result = pool.run(_step_on_rank, plan, model, _for_ends(plan, batch), pace, spans, memory, recipe,
                      ranks=plan.ranks, mesh=plan.mesh)  # fmt: skip
    gradients = {name: gradient for part in result for name, gradient in part["gradients"].items()}
    in_order = {name: gradients[name] for name in sorted(gradients, key=_natural)}
    loss = sum(part["loss"] for part in result)
    return Step(loss, in_order, _named(result.trace, plan, pace), pace, batch, plan.schedule)


def train(pool, plan: Plan, model, data, steps: int, learning_rate: float = 1e-3, optimizer: str = "adamw",
          clip: float | None = 1.0, pace: Cost | None = None, resume: bool = False, memory: bool = True,
          progress: Callable[[dict], None] | None = None) -> Training:  # fmt: skip
    """Train for `steps` steps; the weights stay in the workers. Returns when done, or when the pool is told to stop.

    data: a batch (used every step), a list of batches (in turn), or a function: step number -> batch, called on the
    ranks that need it. resume: go on from the weights, optimizer and step number that an earlier `train` of the same
    plan and model left there. progress: called with {"step", "steps", "loss", "tokens_per_second"} now and then.
    Lab's interrupt or `pool.stop()` ends it after a full step, keeps the weights of that step, and raises
    RemoteInterrupt with the Training so far as its `training`.
    """
    recipe = Recipe(optimizer, learning_rate, clip)
    parcels = data
    if not callable(data):
        batches = [data] if hasattr(data, "inputs") else list(data)
        for batch in batches:
            _require(pool, plan, model, batch)
        parcels = [_for_ends(plan, batch) for batch in batches]
    else:
        _require(pool, plan, model, data(0))
    with _telling(pool, progress):
        try:
            result = pool.run(_train_on_rank, plan, model, parcels, steps, recipe, pace, resume, memory,
                              ranks=plan.ranks, mesh=plan.mesh, patience=PATIENCE)  # fmt: skip
        except RemoteInterrupt as error:
            if error.result is not None:
                error.training = _training(error.result, plan, pace)
                error.args = (f"Stopped after step {error.training.step}: the weights of that step are kept in the workers.",)
            raise
    return _training(result, plan, pace)


def same_gradients(model, step: Step, tolerance: float | None = None) -> bool:
    """Compare a step's gradients with those of the ordinary, unsplit model in this process. True when they are equal.

    tolerance: largest difference against the largest gradient of that parameter; 1e-10 in float64, 1e-4 in float32.
    AssertionError names the first parameter that differs, and by how much.
    """
    whole = model.whole()
    model.loss(whole(step.batch.inputs), step.batch.targets).backward()
    # some true gradients are zero (a key's bias): what is there is rounding, measured against the model's largest
    largest = max(parameter.grad.abs().max().item() for parameter in whole.parameters())
    for name, parameter in whole.named_parameters():
        found, expected = step.gradients.get(name), parameter.grad
        if found is None:
            raise AssertionError(f"{name} has no gradient in this step.")
        allowed = tolerance or (1e-10 if expected.dtype == torch.float64 else 1e-4)
        scale = max(expected.abs().max().item(), largest / 100)
        difference = (found - expected).abs().max().item() / scale
        if not difference <= allowed:
            raise AssertionError(f"{name} differs by {difference:.1e} of its largest gradient; {allowed:.0e} is allowed.")
    return True


# ---- on every rank


def _step_on_rank(w, plan, model, parcels, pace, spans, memory, recipe):
    """One step on this rank. Everything it built is gone when it returns."""
    w.recorder.keeps_spans = spans
    if memory:
        w.recorder.watch_memory()
    part = Part(w, plan, model, pace)
    part.watch()
    batch = loads(parcels[w.rank]) if parcels[w.rank] is not None else None
    part.prepare(batch)
    w.axis("pipe").barrier()
    part.run(batch)
    part.add_tied_gradients()
    gradients = part.gradients()
    if recipe is not None:
        _update(w, part, OPTIMIZERS[recipe.optimizer](part.parameters.values(), recipe.learning_rate), scale=1.0)
    w.recorder.memory.close()
    return {"loss": part.loss, "gradients": gradients}


@dataclass
class Trained:
    """What a rank keeps between calls: its part, its optimizer, and how many full steps they have seen."""

    part: Part
    optimizer: Any
    step: int = 0
    whole: bool = True      # False while the optimizer is at work: an end in the middle leaves a half-made update


def _train_on_rank(w, plan, model, data, steps, recipe, pace, resume, memory):
    """Steps until done or told to stop. All ranks stop after the same step: the wish travels with the norm."""
    if memory:
        w.recorder.watch_memory()
    kept = _kept(w, plan, model, recipe, pace, resume)
    part, losses, norms, stopped, tokens = kept.part, [], [], False, 0
    part.watch()
    w.recorder.memory.hold_optimizer(kept.optimizer)
    part.prepare(_pick(data, kept.step, part))
    w.axis("pipe").barrier()
    began = time.monotonic()
    for number in range(steps):
        batch = _pick(data, kept.step, part)
        loss, norm, stopped = _train_one(w, kept, batch, recipe)
        losses.append(loss)
        norms.append(norm)
        tokens += batch.targets.numel() if batch is not None else 0
        speed = tokens / (time.monotonic() - began)
        w.progress(step=kept.step, steps=steps, loss=loss, tokens_per_second=speed)
        if number == 0:     # the first step is the one to look at; recording all would fill the memory
            w.recorder.pause()
        if stopped:
            break
    return {"losses": losses, "norms": norms, "tokens_per_second": speed, "step": kept.step, "stopped": stopped}


def _kept(w, plan, model, recipe, pace, resume) -> Trained:
    found = w.state.get(KEPT)
    if resume:
        if found is None or (found.part.plan, found.part.model) != (plan, model) or not found.whole:
            raise ValueError(f"rank {w.rank} keeps no training of this plan and model to go on from.")
        found.part.attach(w, pace)
        return found
    w.state.pop(KEPT, None)
    found = None
    part = Part(w, plan, model, pace)
    optimizer = OPTIMIZERS[recipe.optimizer](part.parameters.values(), recipe.learning_rate)
    return w.state.setdefault(KEPT, Trained(part, optimizer))


def _train_one(w, kept: Trained, batch, recipe: Recipe) -> tuple[float, float, bool]:
    """One full step on this rank: (loss, norm of the whole gradient, whether anybody was asked to stop)."""
    part = kept.part
    part.run(batch)
    part.add_tied_gradients()
    said = torch.tensor([part.squared_norm(), part.loss, float(w.stopping)], dtype=torch.float64, device=w.device)
    squares, loss, stop = w.axis("pipe").all_reduce(said).tolist()
    norm = squares**0.5
    scale = min(1.0, recipe.clip / (norm + 1e-6)) if recipe.clip is not None else 1.0
    kept.whole = False
    _update(w, part, kept.optimizer, scale)
    kept.step, kept.whole = kept.step + 1, True
    part.clear_gradients()
    return loss, norm, stop > 0


def _update(w, part: Part, optimizer, scale: float) -> None:
    start = w.recorder.mark()
    if scale < 1.0:
        for parameter in part.parameters.values():
            parameter.grad.mul_(scale)
    optimizer.step()
    w.recorder.memory.hold_optimizer(optimizer)
    w.recorder.add("optimizer", start, w.recorder.mark())


def _pick(data, step: int, part: Part):
    """This step's batch where it is needed."""
    if not part.reads_batch:
        return None
    if callable(data):
        return data(step)
    return loads(data[step % len(data)][part.w.rank])


# ---- small things of the notebook's side


def _training(result, plan: Plan, pace: Cost | None) -> Training:
    first = result[0]
    return Training(first["losses"], first["norms"], first["tokens_per_second"], _named(result.trace, plan, pace),
                    first["step"], first["stopped"])  # fmt: skip


@contextlib.contextmanager
def _telling(pool, progress: Callable[[dict], None] | None):
    """While the block runs, hand each new word of rank 0 to `progress`, from a thread of its own."""
    over = threading.Event()

    def tell():
        last = None
        while not over.wait(0.1):
            word = pool.current.progress if pool.current is not None else None
            if word and word != last:
                last = word
                progress(word)

    teller = threading.Thread(target=tell, daemon=True)
    if progress is not None:
        teller.start()
    try:
        yield
    finally:
        over.set()


def _require(pool, plan: Plan, model, batch) -> None:
    plan.require_sound()
    plan.cut(model)
    texts, count = len(batch.inputs), plan.schedule.microbatches
    if texts < count:
        raise ValueError(f"{count} microbatches cannot be cut from a batch of {texts}: each needs at least one text.")


def _for_ends(plan: Plan, batch) -> list[bytes | None]:
    """The batch, packed, for the ranks that need it; nobody else holds it."""
    placement, packed = plan.schedule.placement, bytes(dumps(batch))
    ends = {placement[0], placement[-1]}
    return [packed if rank in ends else None for rank in range(plan.ranks)]


def _named(trace: Trace, plan: Plan, pace: Cost | None) -> Trace:
    """The same trace, from the start of its first action, under the schedule's name."""
    zero = trace.start
    return replace(
        trace,
        name=plan.schedule.name,
        source="measured" if pace is None else "measured, paced",
        hop=pace.hop if pace is not None else 0.0,
        spans=tuple(span._replace(start=span.start - zero, end=span.end - zero) for span in trace.spans),
        messages=tuple(m._replace(sent=m.sent - zero, received=m.received - zero) for m in trace.messages),
        ledger=tuple(tuple(s._replace(time=max(0.0, s.time - zero)) for s in row) for row in trace.ledger),
    )


def _natural(name: str) -> list:
    return [int(word) if word.isdigit() else word for word in name.split(".")]

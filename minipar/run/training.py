"""How do four processes train one model?

    train_step    one batch, forward and backward: loss, gradients and what happened, from a freshly built model
    train         many steps: backward, gradients settled, one norm over all ranks, AdamW on each rank's own part

Any mesh of the axes pipe, data, tensor and context, and expert among them (see `Plan`), gives what one process would:
the same loss, the same gradients, which come home whole, and the same norm. The weights of `train` stay in the workers,
each rank its own; `minipar.generate` uses them there. Meshes of several axes were run over gloo on processors only,
never on GPUs.
"""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from minipar.plan.layout import Plan
from minipar.plan.mesh import Mesh
from minipar.plan.schedule import Schedule
from minipar.plan.simulate import Cost
from minipar.plan.trace import Trace
from minipar.run import twin
from minipar.run.on_rank import Recipe, step_on_rank, train_on_rank
from minipar.run.parcel import dumps
from minipar.run.part import expert_slices, feed, gather, gather_experts, slices
from minipar.run.story import RemoteInterrupt
from minipar.run.tally import Tallies, Told

PATIENCE = 30.0  # seconds a stopped training gets to end its step


@dataclass(frozen=True)
class Step:
    """What one step gave: the batch's mean loss, the gradients by parameter name, and a trace of what was done.

    `trace.order(rank)` is the order that was run, `trace.peak_in_flight` how many microbatches each rank held at most,
    `trace.peak_memory(rank)` the bytes on its ledger. allocator: on a GPU, beside the ledger, the highest figure of
    each rank in torch's own allocator at the end of an action; None on a CPU. experts: where the model has some,
    `.loads` ({layer: choices by expert}), `.dropped` choices, and the `.loss` that they added, which is not in `loss`.
    """

    loss: float
    gradients: dict[str, Tensor] = field(repr=False)
    trace: Trace = field(repr=False)
    pace: Cost | None
    batch: Any = field(repr=False)
    schedule: Schedule
    allocator: tuple[int | None, ...] = field(default=(), repr=False)
    mesh: Mesh | None = field(default=None, repr=False)
    experts: Told | None = field(default=None, repr=False)
    plan: Plan | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        alone = self.mesh is None or tuple(self.mesh.axes) == ("pipe",)
        ranks = f"ranks={self.schedule.ranks}" if alone else repr(self.mesh)
        return (
            f"Step({self.schedule.name}, {ranks}, microbatches={self.schedule.microbatches}, "
            f"loss={self.loss:.4f}, {self.trace.source}, {self.trace.makespan * 1000:.0f} ms)"
        )


@dataclass(frozen=True)
class Training:
    """A finished run of `train`: losses by step, gradient norms before clipping, speed, the trace of its first step.

    `stopped`: it was asked to stop before its last step. `step`: how many full steps the kept weights have seen.
    experts: by step, `.loads`, `.dropped` and `.loss` as in a Step; [] for a model without experts.
    """

    losses: list[float] = field(repr=False)
    norms: list[float] = field(repr=False)
    tokens_per_second: float
    trace: Trace = field(repr=False)
    step: int
    stopped: bool = False
    experts: list[Told] = field(default_factory=list, repr=False)

    def __repr__(self) -> str:
        ends = f"loss {self.losses[0]:.3f} -> {self.losses[-1]:.3f}" if self.losses else "no step"
        stopped = ", stopped" if self.stopped else ""
        return f"Training({self.step} steps{stopped}, {ends}, {self.tokens_per_second:,.0f} tokens/s)"


# ---- in the notebook


def train_step(pool, plan: Plan, model, batch, pace: Cost | None = None, spans: bool = True, memory: bool = True,
               optimizer: str | None = None, learning_rate: float = 1e-3) -> Step:  # fmt: skip
    """Run one step of `plan` on real workers, from the model's first weights, and bring everything home.

    batch: inputs and targets, [batch, context] each. pace: declared durations in seconds, or None for full speed.
    optimizer: "SGD", "momentum" or "AdamW" to make one update too (the gradients that come home are unclipped).
    ValueError when the schedule is not sound, when the batch has fewer texts than microbatches, and where texts,
    positions, heads or hidden units cannot be shared out evenly over the axes of the mesh.
    """
    _require(pool, plan, model, batch)
    recipe = Recipe(optimizer, learning_rate, clip=None) if optimizer else None
    result = pool.run(step_on_rank, plan, model, _for_ends(plan, batch), pace, spans, memory, recipe,
                      ranks=plan.ranks, mesh=plan.mesh_for(model))  # fmt: skip
    gradients = _gathered([part["gradients"] for part in result], slices(plan, model), expert_slices(plan, model))
    in_order = {name: gradients[name] for name in sorted(gradients, key=_layer)}
    loss = sum(part["loss"] for part in result)
    allocator = tuple(part["allocator"] for part in result)
    sums = [sum(numbers) for numbers in zip(*(part["said"] for part in result), strict=True)]
    told = Tallies(model, ()).heard(sums) if sums else None
    return Step(loss, in_order, _named(result.trace, plan, pace), pace, batch, plan.schedule, allocator, plan.mesh,
                told, plan)  # fmt: skip


def train(pool, plan: Plan, model, data, steps: int, learning_rate: float = 1e-3, optimizer: str = "AdamW",
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
            result = pool.run(train_on_rank, plan, model, parcels, steps, recipe, pace, resume, memory,
                              ranks=plan.ranks, mesh=plan.mesh_for(model), patience=PATIENCE)  # fmt: skip
        except RemoteInterrupt as error:
            if error.result is not None:
                error.training = _training(error.result, plan, pace)
                step = error.training.step
                error.args = (f"Stopped after step {step}: the weights of that step are kept in the workers.",)
            raise
    return _training(result, plan, pace)


def same_gradients(model, step: Step, tolerance: float | None = None) -> bool:
    """Compare a step's gradients with those of the ordinary, unsplit model in this process. True when they are equal.

    tolerance: largest difference against the largest gradient of that parameter (or, where that is nearly nothing, a
    hundredth of the largest of the model); 1e-10 in float64, 1e-4 in float32. AssertionError names the first parameter
    that differs, and by how much.
    """
    whole = model.whole()
    twin.backward(model, whole, step.plan, step.batch)
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
            raise AssertionError(
                f"{name} differs by {difference:.1e} of its largest gradient; {allowed:.0e} is allowed"
            )
    return True


# ---- small things of the notebook's side


def _training(result, plan: Plan, pace: Cost | None) -> Training:
    first = result[0]
    return Training(first["losses"], first["norms"], first["tokens_per_second"], _named(result.trace, plan, pace),
                    first["step"], first["stopped"], [Told(*one) for one in first["told"] if one[0]])  # fmt: skip


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
    if plan.ranks > pool.size and len(plan.mesh.axes) > 1:
        product = " · ".join(f"{axis} {size}" for axis, size in plan.mesh.axes.items())
        raise ValueError(f"{plan.mesh!r} has {product} = {plan.ranks} ranks, and this pool has {pool.size} workers")
    plan.require_sound()
    plan.cut(model)
    slices(plan, model)
    expert_slices(plan, model)
    by_position = plan.size("context") > 1 or plan.sequence_parallel
    plan.require_batch(len(batch.inputs), batch.inputs.shape[1] if by_position else None)


def _for_ends(plan: Plan, batch) -> list[bytes]:
    """What each rank needs of the batch, packed: no rank holds what it does not need."""
    return [bytes(dumps(feed(plan, rank, batch))) for rank in range(plan.ranks)]


def _gathered(parts: list[dict[str, Tensor]], cuts: dict, experts: dict) -> dict[str, Tensor]:
    """Gradients by name from what the ranks brought home: slices are put together, in the order of the ranks."""
    found: dict[str, list[Tensor]] = {}
    for part in parts:
        for name, gradient in part.items():
            found.setdefault(name, []).append(gradient)
    for name, pieces in found.items():
        if name in experts:
            found[name] = gather_experts(pieces, experts[name])
        else:
            found[name] = gather(pieces, cuts[name]) if name in cuts else pieces[0]
    return found


def _named(trace: Trace, plan: Plan, pace: Cost | None) -> Trace:
    """The same trace, from the start of its first action, under the schedule's name."""
    zero = trace.start  # what came before, a barrier for example, is not part of the step
    spans = [span for span in trace.spans if span.start >= zero]
    return replace(
        trace,
        name=plan.schedule.name,
        source="measured" if pace is None else "measured, paced",
        hop=pace.hop if pace is not None else 0.0,
        spans=tuple(span._replace(start=span.start - zero, end=span.end - zero) for span in spans),
        messages=tuple(m._replace(sent=m.sent - zero, received=m.received - zero) for m in trace.messages),
        collectives=tuple(
            each._replace(start=each.start - zero, end=each.end - zero)
            for each in trace.collectives
            if each.start >= zero
        ),
        pipelines=plan.pipelines if plan.pipelines != (tuple(range(plan.ranks)),) else (),
        ledger=tuple(tuple(s._replace(time=max(0.0, s.time - zero)) for s in row) for row in trace.ledger),
    )


def _layer(name: str) -> int:
    return int(name.split(".")[1])

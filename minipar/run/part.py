"""What does one rank hold of a split model, and what must it settle with the others after the backwards?

    its stages            built here from the description; no rank builds another's layers
    tied parameters       two copies on two ranks: their gradients are summed, so both copies stay equal
    the gradient's norm   over all ranks, every parameter counted once, so a tied copy is left out

A model is any object with `costs()`, `build(indices, device)`, `loss(outputs, targets)` and, if it has tied parameters,
`ties`: {name of the copy: name of the original}. Parameter names say their layer: `layers.3.mlp.up.weight`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from minipar.plan.layout import Plan
from minipar.plan.messages import lower
from minipar.run.ledger import BATCH, COMMUNICATION
from minipar.run.mail import FIRST_TAG, boundary_forms
from minipar.run.pacing import Pacer
from minipar.run.pipeline import Pipeline
from minipar.run.recorder import UNKNOWN
from minipar.run.stage import Stage

TIED_TAG = FIRST_TAG - 2


class Feed(NamedTuple):
    """What one rank needs of a batch: inputs for the first stage, targets for the last, None for the others."""

    inputs: Tensor | None = None
    targets: Tensor | None = None


def feed(plan: Plan, rank: int, batch) -> Feed:
    """The part of a batch that goes to this rank under this plan."""
    first, last = plan.schedule.placement[0], plan.schedule.placement[-1]
    return Feed(batch.inputs if rank == first else None, batch.targets if rank == last else None)


class Part:
    """One rank's stages of a model laid out by a plan, ready for training steps.

    w: the worker's handle; pace: a Cost in seconds, or None for full speed.
    """

    def __init__(self, w, plan: Plan, model, pace=None):
        self.w, self.plan, self.model = w, plan, model
        self.cuts = plan.cut(model)
        self.placement, self.last = plan.schedule.placement, plan.schedule.stages - 1
        self.pacer = Pacer(pace, w.device) if pace is not None else None
        self.stages = {
            stage: Stage(model.build(self.cuts[stage], w.device), model.loss if stage == self.last else None)
            for stage in plan.stages_of(w.rank)
        }
        self.parameters = {
            name: parameter for stage in self.stages.values() for name, parameter in stage.module.named_parameters()
        }
        self.ties = dict(getattr(model, "ties", None) or {})
        self._pipeline, self._form = None, None

    def attach(self, w, pace=None) -> None:
        """Go on in a later call: the handle, and perhaps the pace, are new each time."""
        self.w, self._pipeline = w, None
        self.clear_gradients()
        self.pacer = Pacer(pace, w.device) if pace is not None else None

    def watch(self) -> None:
        """Show this part's parameters, and its gradients as they come, to the recorder's ledger."""
        for stage in self.stages.values():
            self.w.recorder.memory.watch(stage.module)

    @property
    def reads_batch(self) -> bool:
        """Whether this rank needs something of a batch."""
        return 0 in self.stages or self.last in self.stages

    def prepare(self, batch: Feed) -> None:
        """Find out the shapes of all messages, and make the interpreter: once, with a batch of the form to come."""
        schedule = self.plan.schedule
        inputs = self._cut(batch.inputs)
        forms = boundary_forms(self.w, schedule.placement, self.stages, inputs, schedule.microbatches)
        self._form = [tuple(part.shape) for part in inputs]
        self._pipeline = Pipeline(self.w, lower(schedule, ordered=self.w.ordered), self.stages, forms, self.pacer)

    def run(self, batch: Feed) -> None:
        """Forward and backward of every microbatch, as the schedule says."""
        memory = self.w.recorder.memory
        inputs, targets = self._cut(batch.inputs), self._cut(batch.targets)
        for held in (inputs, targets):
            if held:
                memory.hold(held[0], BATCH)
        if [tuple(part.shape) for part in inputs] != self._form:
            raise ValueError(f"rank {self.w.rank} was prepared for other shapes: every batch of a run has the same.")
        for number, stage in self.stages.items():
            stage.feed(inputs if number == 0 else (), targets if number == self.last else (), memory)
        self._pipeline.run()
        for stage in self.stages.values():
            stage.inputs = stage.targets = ()
        for held in (inputs, targets):
            if held:
                memory.release(held[0], BATCH)

    def _cut(self, whole: Tensor | None) -> tuple[Tensor, ...]:
        """The microbatches, in order; sizes differ by one at most. They share the batch's memory."""
        return () if whole is None else whole.to(self.w.device).tensor_split(self.plan.schedule.microbatches)

    @property
    def loss(self) -> float:
        """The batch's mean loss where the last stage is, 0 elsewhere."""
        return self.stages[self.last].total.item() if self.last in self.stages else 0.0

    def add_tied_gradients(self) -> None:
        """Sum the gradients of every tied pair, on both ranks that hold a copy."""
        for copy, original in self.ties.items():
            homes = self._home(original), self._home(copy)
            if homes[0] == homes[1]:
                self._add_here(copy, original)
            elif self.w.rank in homes:
                self._add_across(copy if self.w.rank == homes[1] else original, homes)

    def _add_here(self, copy: str, original: str) -> None:
        if copy in self.parameters and self.parameters[copy] is not self.parameters[original]:
            total = self.parameters[original].grad
            total += self.parameters[copy].grad
            self.parameters[copy].grad.copy_(total)

    def _add_across(self, name: str, homes: tuple[int, int]) -> None:
        """Both ranks send their gradient and add what comes; the lower rank posts its send first, the other last."""
        own, w = self.parameters[name].grad, self.w
        peer = homes[0] if w.rank == homes[1] else homes[1]
        other, memory = torch.empty_like(own), w.recorder.memory
        memory.hold(other, COMMUNICATION)
        outgoing = own.clone()
        memory.hold(outgoing, COMMUNICATION)
        w.recorder.message(w.rank, peer, own.nbytes, w.recorder.clock(), UNKNOWN, "tied gradient")
        if w.rank < peer:
            works = w.post_send(outgoing, peer, TIED_TAG), w.post_recv(other, peer, TIED_TAG)
        else:
            works = w.post_recv(other, peer, TIED_TAG), w.post_send(outgoing, peer, TIED_TAG)
        for work in works:
            work.wait()
        w.recorder.message(peer, w.rank, own.nbytes, UNKNOWN, w.recorder.clock(), "tied gradient")
        own += other
        memory.release(other, COMMUNICATION)
        memory.release(outgoing, COMMUNICATION)

    def squared_norm(self) -> float:
        """Sum of the squares of this rank's gradients; a tied copy is counted by the rank of its original."""
        return sum(
            parameter.grad.double().square().sum().item()
            for name, parameter in self.parameters.items()
            if name not in self.ties and parameter.grad is not None
        )

    def gradients(self) -> dict[str, torch.Tensor]:
        """This rank's gradients by name, tied copies left out."""
        return {
            name: parameter.grad.cpu()
            for name, parameter in self.parameters.items()
            if name not in self.ties and parameter.grad is not None
        }

    def clear_gradients(self) -> None:
        """Free all gradients."""
        for parameter in self.parameters.values():
            self.w.recorder.memory.drop_gradient(parameter)
            parameter.grad = None

    def _home(self, name: str) -> int:
        layer = int(name.split(".")[1])
        return self.placement[next(stage for stage, cut in enumerate(self.cuts) if layer in cut)]

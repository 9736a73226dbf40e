"""What does one rank hold of a split model, and what of a batch does it read?

    pipe        its stages, built here from the description: no rank builds another's layers
    tensor      of each layer its slice; all ranks of the axis read the same texts
    data        its piece of the batch's texts
    context     its positions of every text
    expert      of layers of experts some, and of each perhaps a slice (expert_tensor)

What the ranks settle with one another after the backwards stands in `settle.py`. The norm is over all ranks, and every
number is counted by one of them: tied copies, copied heads and the replicas on the data and context axes are left out.
Experts have replicas of their own, on `expert_data`: their parameters say `expert`, and whom to sum with.

A model is any object with `costs()`, `build(indices, device)`, `loss(outputs, targets)` and, if it has tied parameters,
`ties`: {name of the copy: name of the original}. One that can be sliced has `cuts(ranks)` and `axes(tensor=…, …)` too,
and takes the latter as `axes=` in `build` and `loss`. One with layers of experts has `experts`, how many, and
`expert_cuts(ranks, width)`. Parameter names say their layer: `layers.3.mlp.up.weight`.
"""

import functools
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from minipar.plan.layout import Plan
from minipar.plan.messages import lower
from minipar.run import settle
from minipar.run.axis import Axis
from minipar.run.ledger import BATCH
from minipar.run.mail import boundary_forms
from minipar.run.pacing import Pacer
from minipar.run.pipeline import Pipeline
from minipar.run.stage import Stage
from minipar.run.tally import Tallies


class Feed(NamedTuple):
    """What one rank needs of a batch: inputs for the first stage, targets for the last, None for the others."""

    inputs: Tensor | None = None
    targets: Tensor | None = None


def feed(plan: Plan, rank: int, batch) -> Feed:
    """The part of a batch that goes to this rank under this plan: its texts, and of these its positions.

    ValueError where they cannot be shared evenly.
    """
    home, placement = plan.place(rank)["pipe"], plan.schedule.placement

    def mine(whole: Tensor) -> Tensor:
        if plan.size("data") > 1:
            plan.require_batch(len(whole))
            whole = whole[list(plan.texts_of(rank, len(whole)))]
        if plan.size("context") > 1:
            whole = whole[:, list(plan.positions_of(rank, whole.shape[1]))]
        return whole

    inputs = mine(batch.inputs) if home == placement[0] else None
    return Feed(inputs, mine(batch.targets) if home == placement[-1] else None)


class Part:
    """One rank's stages of a model laid out by a plan, ready for training steps.

    w: the worker's handle; pace: a Cost in seconds, or None for full speed.
    """

    def __init__(self, w, plan: Plan, model, pace=None):
        self.w, self.plan, self.model = w, plan, model
        self.place = plan.place(w.rank)
        self.cuts, self.slices = plan.cut(model), slices(plan, model)
        self.pipeline = plan.pipeline_of(w.rank)  # the ranks of this rank's pipeline; other replicas have their own
        self.placement = tuple(self.pipeline[home] for home in plan.schedule.placement)
        self.last = plan.schedule.stages - 1
        self.pacer = Pacer(pace, w.device) if pace is not None else None
        self.mesh = plan.mesh_for(model)
        self.data, self.context, self.tensor = (self._axis(name) for name in ("data", "context", "tensor"))
        self.axes = self._axes()
        self.stages = {stage: self._build(stage) for stage in plan.stages_of(w.rank)}
        self.parameters = {
            name: parameter for stage in self.stages.values() for name, parameter in stage.module.named_parameters()
        }
        self.tallies = Tallies(model, self.stages.values())
        self.ties = dict(getattr(model, "ties", None) or {})
        self._pipeline, self._form, self._texts = None, None, ()

    def _axis(self, name: str) -> Axis | None:
        """This rank's view of an axis, or None where nobody else is on it."""
        if name not in self.mesh.names or len(self.mesh.group(name, self.w.rank)) == 1:
            return None
        axis = self.w.axis(name)
        return axis.ring if self.plan.collectives == "ring" else axis

    def _axes(self):
        """What sliced layers are handed; None where no layer is sliced."""
        names = ("expert", "expert_tensor", "expert_data")
        group = self._axis("microbatch")
        experts = {} if group is None else {name: self._axis(name) for name in names} | {"group": group}
        if self.tensor is None and self.context is None and not experts:
            return None
        plan, mine = self.plan, {"data": self.data, **experts} if experts else {}
        return self.model.axes(tensor=self.tensor, context=self.context, sequence_parallel=plan.sequence_parallel,
                               overlap=plan.overlap, deal=plan.deal, **mine)  # fmt: skip

    def _build(self, stage: int) -> Stage:
        model, sliced = self.model, {} if self.axes is None else {"axes": self.axes}
        module = model.build(self.cuts[stage], self.w.device, **sliced)
        return Stage(module, functools.partial(model.loss, **sliced) if stage == self.last else None)

    @property
    def everyone(self) -> Axis:
        """All ranks of the plan."""
        axis = self.w.everyone
        return axis.ring if self.plan.collectives == "ring" else axis

    @property
    def speaks(self) -> bool:
        """Whether this rank's loss and tokens count: its tensor twins have read the same texts."""
        return self.place["tensor"] == 0

    @property
    def is_first_replica(self) -> bool:
        """Whether this rank's parameters count: the data and context ranks hold them again."""
        return self.place["data"] == self.place["context"] == 0

    def counts(self, name: str, parameter) -> bool:
        """Whether this rank counts a parameter; a tied copy is counted where its original is."""
        if name in self.ties or not getattr(parameter, "counted", True):
            return False
        return getattr(parameter, "expert", False) or self.is_first_replica

    def attach(self, w, pace=None) -> None:
        """Go on in a later call: the handle, and perhaps the pace, are new each time."""
        self.w.go_on_as(w)  # sliced layers hold axes of the first call's handle
        self._pipeline = None
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
        schedule, recorder = self.plan.schedule, self.w.recorder
        inputs = self._cut(batch.inputs)
        kept, recorder.keeps_spans = recorder.keeps_spans, False  # what layers say here is not said in a step
        forms = boundary_forms(self.w, self.placement, self.stages, inputs, schedule.microbatches)
        recorder.keeps_spans = kept
        self._texts = tuple(form[0][0] for form in next(rows for rows in forms.values() if rows))
        self._form = [tuple(part.shape) for part in inputs]
        lowered = lower(schedule, ordered=self.w.ordered).on(self.pipeline)
        self._pipeline = Pipeline(self.w, lowered, self.stages, forms, self.pacer)

    def run(self, batch: Feed, step: int = 0) -> None:
        """Forward and backward of every microbatch, as the schedule says. step: of the training, for dropout."""
        memory = self.w.recorder.memory
        inputs, targets = self._cut(batch.inputs), self._cut(batch.targets)
        for held in (inputs, targets):
            if held:
                memory.hold(held[0], BATCH)
        if [tuple(part.shape) for part in inputs] != self._form:
            raise ValueError(f"rank {self.w.rank} was prepared for other shapes: every batch of a run has the same.")
        pieces, moments = self.plan.size("data") * self.plan.size("context"), self._moments(step)
        for number, stage in self.stages.items():
            stage.feed(inputs if number == 0 else (), targets if number == self.last else (), memory, pieces, moments)
        self._pipeline.run()
        for stage in self.stages.values():
            stage.inputs = stage.targets = ()
        for held in (inputs, targets):
            if held:
                memory.release(held[0], BATCH)

    def _moments(self, step: int) -> list[tuple[int, int, float]]:
        """(step, number in the whole batch of its first text, share) of each microbatch, for layers that want it."""
        if not (getattr(self.model, "dropout", 0) or getattr(self.model, "experts", 0)):
            return []
        data, at, total = self.plan.size("data"), self.place["data"], sum(self._texts)
        before = accumulate((0, *self._texts[:-1]))
        return [(step, data * first + at * own, own / total) for first, own in zip(before, self._texts, strict=True)]

    def _cut(self, whole: Tensor | None) -> tuple[Tensor, ...]:
        """The microbatches, in order; sizes differ by one at most. They share the batch's memory."""
        return () if whole is None else whole.to(self.w.device).tensor_split(self.plan.schedule.microbatches)

    @property
    def loss(self) -> float:
        """This rank's share of the batch's mean loss; 0 where no last stage is, and where a twin says it."""
        return self.stages[self.last].total.item() if self.last in self.stages and self.speaks else 0.0

    def settle(self) -> None:
        """Make the gradients whole: partial ones, those of the replicas, those of tied parameters (`settle.py`)."""
        settle.sum_partial(self.w, self.parameters.values())
        everywhere = [one for one in self.parameters.values() if not getattr(one, "expert", False)]
        for axis in (self.data, self.context):
            if axis is not None:
                settle.sum_over(self.w, axis, everywhere, f"gradients over {axis.name}")
        self.add_tied_gradients()

    def add_tied_gradients(self) -> None:
        """Sum the gradients of every tied pair, on both ranks that hold a copy."""
        for copy, original in self.ties.items():
            homes = self._home(original), self._home(copy)
            if homes[0] == homes[1]:
                if copy in self.parameters:
                    settle.add_tied_here(self.parameters[original], self.parameters[copy])
            elif self.w.rank in homes:
                name, peer = (copy, homes[0]) if self.w.rank == homes[1] else (original, homes[1])
                settle.add_tied_across(self.w, self.parameters[name].grad, peer)

    def squared_norm(self) -> float:
        """Sum of the squares of the gradients that this rank counts."""
        return sum(
            parameter.grad.double().square().sum().item()
            for name, parameter in self.parameters.items()
            if parameter.grad is not None and self.counts(name, parameter)
        )

    def gradients(self) -> dict[str, torch.Tensor]:
        """This rank's gradients by name, as far as no other rank brings the same home. Tied copies are left out."""
        return {
            name: parameter.grad.cpu()
            for name, parameter in self.parameters.items()
            if parameter.grad is not None and self._brings(name, parameter)
        }

    def _brings(self, name: str, parameter) -> bool:
        if getattr(parameter, "expert", False):
            return parameter.counted
        return self.is_first_replica and name not in self.ties and (name in self.slices or self.speaks)

    def clear_gradients(self) -> None:
        """Free all gradients."""
        for parameter in self.parameters.values():
            self.w.recorder.memory.drop_gradient(parameter)
            parameter.grad = None

    def _home(self, name: str) -> int:
        layer = int(name.split(".")[1])
        return self.placement[next(stage for stage, cut in enumerate(self.cuts) if layer in cut)]


def slices(plan: Plan, model) -> dict:
    """{parameter name: Cut} over the tensor axis; ValueError for a model whose layers cannot be sliced."""
    for axis in ("tensor", "context"):
        if plan.size(axis) > 1 and not hasattr(model, "cuts"):
            kind = type(model).__name__
            raise ValueError(f"{axis}={plan.size(axis)} slices layers, and those of a {kind} cannot be sliced.")
    return model.cuts(plan.size("tensor")) if plan.size("tensor") > 1 else {}


def expert_slices(plan: Plan, model) -> dict:
    """{parameter name: (Cut over expert, Cut over expert_tensor)}; ValueError where experts cannot lie so."""
    plan.require_experts(getattr(model, "experts", 0))
    if not getattr(model, "experts", 0):
        return {}
    return model.expert_cuts(plan.size("expert"), plan.size("expert_tensor"))


def gather_experts(pieces: list[Tensor], cuts) -> Tensor:
    """The whole of all experts' slices, by place on the expert axis, then on expert_tensor."""
    experts, width = cuts
    many = len(width.parts)
    return gather([gather(pieces[at : at + many], width) for at in range(0, len(pieces), many)], experts)


def gather(pieces: list[Tensor], cut) -> Tensor:
    """The whole of a parameter's slices, by place on the tensor axis. Copied slices are equal: any will do."""
    shape = list(pieces[0].shape)
    shape[cut.dim] = cut.size
    whole = pieces[0].new_zeros(shape)
    for piece, part in zip(pieces, cut.parts, strict=True):
        whole.narrow(cut.dim, part.start, len(part)).copy_(piece.narrow(cut.dim, 0, len(part)))
    return whole

"""On which axes of the mesh does a layer lie, and where on them is this rank?

    Axes(tensor=w.axis("tensor"))                          matrices, heads and words are cut
    Axes(tensor=…, sequence_parallel=True)                 and between them the stream of tokens is, too
    Axes(context=w.axis("context"), deal="zigzag")         each rank holds some positions of every text
    Axes(expert=w.axis("expert"), group=w.axis("expert"))  each rank has tokens of its own, and some of the experts

Handed to a layer when it is made, never looked up: no layer asks the world where it is. An axis of None is one of a
single rank, on which nothing is sent.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from minipar.plan.deal import deal
from minipar.plan.slices import Cut, even


def size(axis) -> int:
    """How many ranks an axis has; None has one."""
    return 1 if axis is None else axis.size


def place(axis) -> int:
    """This rank's place on an axis; 0 on None."""
    return 0 if axis is None else axis.rank


@dataclass(frozen=True)
class Axes:
    """One rank's axes for sliced layers.

    tensor, context: `w.axis(…)`, or None. sequence_parallel: norms, dropout and the residual stream hold a slice of
    the sequence on each rank of the tensor axis. overlap: in the backward of column layers the sum over the ranks
    travels while the weights' gradients are computed; not with sequence_parallel. deal: how positions lie on the
    context axis.

    For layers of experts. expert: ranks that hold different experts and send one another tokens. expert_tensor: ranks
    that hold slices of the same experts. expert_data: ranks that hold the same. group: all ranks whose tokens belong
    to one microbatch, over whom capacity and losses are counted. data: those among them that read other texts.
    """

    tensor: Any = None
    context: Any = None
    sequence_parallel: bool = False
    overlap: bool = False
    deal: str = "zigzag"
    expert: Any = None
    expert_tensor: Any = None
    expert_data: Any = None
    group: Any = None
    data: Any = None

    def __post_init__(self):
        if self.overlap and self.sequence_parallel:
            raise ValueError("overlap=True is built for the all-reduce; with sequence_parallel=True there is none.")

    def positions(self, count: int) -> Sequence[int]:
        """The numbers, in the whole text, of the `count` positions that attention has on this rank."""
        if size(self.context) == 1:
            return range(count)
        return deal(self.deal, self.context.rank, self.context.size, count * self.context.size)

    def stream_positions(self, count: int) -> Sequence[int]:
        """The same of the residual stream: with sequence parallel, this rank's slice of those."""
        if not self.sequence_parallel:
            return self.positions(count)
        ranks = size(self.tensor)
        mine = even(count * ranks, ranks, "sequence")[place(self.tensor)]
        return self.positions(count * ranks)[mine.start : mine.stop]

    def billed(self, layer: str) -> contextlib.AbstractContextManager:
        """Everything sent while it is open is written down under this layer's name."""
        axes = (self.tensor, self.context, self.group, self.expert)
        axis = next((axis for axis in axes if size(axis) > 1), None)
        return axis.recorder.layer(layer) if axis is not None else contextlib.nullcontext()

    @property
    def recorder(self):
        """The recorder of this rank and call; None without any axis."""
        axes = (self.expert, self.group, self.tensor, self.context)
        return next((axis.recorder for axis in axes if axis is not None), None)


#: One device, nothing cut.
ALONE = Axes()


def mark(layer: nn.Module, cuts: dict[str, Cut], axis, sequence_parallel: bool = False) -> None:
    """Say of each parameter over whom its gradient must be summed after the backward, and who counts it in the norm.

        a slice of its own          summed over nobody              counted here
        a copied key/value head     over its twins                  by the first twin
        whole, input whole          over nobody: all are equal      by rank 0
        whole, input a slice        over the axis                   by rank 0        (sequence parallel)

    Sets `parameter.sum_over`, a tuple of axes, and `parameter.counted`.
    """
    everyone = tuple(range(size(axis)))
    for name, parameter in layer.named_parameters():
        holders = cuts[name].twins(place(axis)) if name in cuts else everyone
        parameter.counted = place(axis) == holders[0]
        parameter.sum_over = ()
        if len(holders) > 1 and (name in cuts or sequence_parallel):
            parameter.sum_over = (axis if holders == everyone else axis.subset(holders),)

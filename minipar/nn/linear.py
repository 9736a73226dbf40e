"""What is a linear layer, and what are its two slices?

    whole     y = x · weightᵀ + bias            weight [out, in], bias [out]

    columns   x ──copy──► my rows of weight ──► my part of y              each rank makes some outputs from all inputs
    rows      my part of x ──► my columns of weight ──reduce──► y + bias  each rank adds up some of the inputs

One after the other they need one sum, at the end: a column layer's output is a row layer's input. torch stores a
weight as [out, in], so the columns of the mathematics are the rows of `weight`. The bias of a row layer is added
once, after the sum; the doors are in regions.py. (Megatron-LM, arXiv:1909.08053, section 3.)

torch's own layer fills itself with random numbers when it is made; these are empty until `gpt.fill` gives them the
numbers of their layer, or `from_whole` this rank's slices of a whole one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from minipar.nn.axes import place, size
from minipar.nn.postponed import looked_up, plus, product, wanted
from minipar.nn.regions import all_gather, copy, gather, reduce, reduce_scatter, scatter
from minipar.nn.state import take
from minipar.plan.slices import Cut, column_cuts, even, row_cuts

SEQUENCE = -2  # the dimension of tokens in [..., seq, hidden]


class Linear(nn.Module):
    """[..., inputs] -> [..., outputs]. Not filled."""

    later = None  # where W's work is left, if the stage splits its backward (postponed.py)

    def __init__(self, inputs: int, outputs: int, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        if self.later is None:  # nothing in the way of the ordinary case
            return linear(x, self.weight, self.bias)
        return self.product(x, self.bias)

    def product(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """[..., inputs] -> [..., outputs], with this bias or none; the weight's gradient may be postponed."""
        if wanted(self.later, self.weight):
            return product(self.later, x, self.weight, bias)
        return linear(x, self.weight, bias)


class ColumnParallelLinear(Linear):
    """[..., inputs] -> [..., my outputs], or [..., outputs] with gather_output. Holds weight [my outputs, inputs].

    inputs, outputs: of the whole layer; parts: each rank's outputs, equal ones if not given. overlap: in the backward
    the sum of x's gradient travels while the weight's is computed. sequence_parallel: x is this rank's slice of the
    sequence, [..., seq / P, inputs]. ValueError when outputs do not divide by the ranks.
    """

    def __init__(self, inputs: int, outputs: int, axis=None, bias: bool = True, gather_output: bool = False,
                 overlap: bool = False, sequence_parallel: bool = False,
                 parts: Sequence[range] | None = None):  # fmt: skip
        parts = parts or even(outputs, size(axis), "outputs")
        super().__init__(inputs, len(parts[place(axis)]), bias)
        self.axis, self.outputs, self.gather_output = axis, outputs, gather_output
        self.overlap, self.sequence_parallel = overlap, sequence_parallel

    @classmethod
    def from_whole(cls, whole: Linear, axis, **options) -> "ColumnParallelLinear":
        """This rank's slice of a whole layer's weights."""
        outputs, inputs = whole.weight.shape
        sliced = cls(inputs, outputs, axis, whole.bias is not None, **options)
        return take(sliced, whole, axis, sliced.sequence_parallel)

    def cuts(self, ranks: int) -> dict[str, Cut]:
        """Which rows of weight and bias each of `ranks` ranks holds."""
        return column_cuts(even(self.outputs, ranks, "outputs"), self.bias is not None)

    def forward(self, x: Tensor) -> Tensor:
        """x is the same on each rank of the axis (with sequence_parallel: its slice)."""
        (y,) = columns(self.axis, x, [self], self.overlap, self.sequence_parallel)
        return gather(self.axis, y) if self.gather_output else y


class RowParallelLinear(Linear):
    """[..., my inputs] -> [..., outputs], the same on each rank. Holds weight [outputs, my inputs] and the whole bias.

    input_is_parallel=False: x is whole, and cut here. sequence_parallel: y is this rank's slice of the sequence, and
    so the bias has only a part of its gradient here. ValueError when inputs do not divide by the ranks.
    """

    def __init__(self, inputs: int, outputs: int, axis=None, bias: bool = True, input_is_parallel: bool = True,
                 sequence_parallel: bool = False):  # fmt: skip
        super().__init__(len(even(inputs, size(axis), "inputs")[place(axis)]), outputs, bias)
        self.axis, self.inputs, self.input_is_parallel = axis, inputs, input_is_parallel
        self.sequence_parallel = sequence_parallel

    @classmethod
    def from_whole(cls, whole: Linear, axis, **options) -> "RowParallelLinear":
        """This rank's slice of a whole layer's weights."""
        outputs, inputs = whole.weight.shape
        sliced = cls(inputs, outputs, axis, whole.bias is not None, **options)
        return take(sliced, whole, axis, sliced.sequence_parallel)

    def cuts(self, ranks: int) -> dict[str, Cut]:
        """Which columns of weight each of `ranks` ranks holds."""
        return row_cuts(even(self.inputs, ranks, "inputs"))

    def forward(self, x: Tensor) -> Tensor:
        """x is what a column layer made: this rank's part of the inputs."""
        if not self.input_is_parallel:
            x = scatter(self.axis, x)
        y = self.product(x)
        y = reduce_scatter(self.axis, y, SEQUENCE) if self.sequence_parallel else reduce(self.axis, y)
        if self.bias is None:
            return y
        return plus(self.later, y, self.bias) if wanted(self.later, self.bias) else y + self.bias


def columns(axis, x: Tensor, layers: Sequence[Linear], overlap: bool = False, sequence_parallel: bool = False):
    """What each of these column slices makes of the same x: one door for all of them, so one sum in the backward."""
    halved = wanted(layers[0].later, layers[0].weight)  # then there is no weight gradient in I to overlap with
    if overlap and size(axis) > 1 and not sequence_parallel and not halved:
        weights, biases = [layer.weight for layer in layers], [layer.bias for layer in layers]
        return _Overlapped.apply(axis, x, *weights, *biases)
    x = all_gather(axis, x, SEQUENCE) if sequence_parallel else copy(axis, x)
    return [layer.product(x, layer.bias) for layer in layers]


class _Overlapped(torch.autograd.Function):
    """Column slices whose whole backward does two things at once:

        gradient of x      ──► all-reduce under way ─────────────► wait, done
                               gradients of weight and bias
    """

    @staticmethod
    def forward(context, axis, x, *parameters):
        weights, biases = parameters[: len(parameters) // 2], parameters[len(parameters) // 2 :]
        context.save_for_backward(x, *weights)
        context.axis, context.layer = axis, axis.recorder.here
        return tuple(linear(x, weight, bias) for weight, bias in zip(weights, biases, strict=True))

    @staticmethod
    def backward(context, *gradients):
        x, *weights = context.saved_tensors
        axis, recorder = context.axis, context.axis.recorder
        needs_x, *asked = context.needs_input_grad[1:]
        with recorder.layer(context.layer):
            if needs_x:
                back = sum(gradient @ weight for gradient, weight in zip(gradients, weights, strict=True))
                pending = axis.all_reduce(back, async_op=True)
            start, tokens = recorder.mark(), x.flatten(0, -2)
            rows = [gradient.flatten(0, -2) for gradient in gradients]
            of_weights = [row.transpose(0, 1) @ tokens for row in rows]
            of_biases = [row.sum(0) if asked[len(weights) + at] else None for at, row in enumerate(rows)]
            recorder.add("weight gradient", start, recorder.mark(), context.layer)
            return None, pending.wait() if needs_x else None, *of_weights, *of_biases


class Table(nn.Module):
    """A learned vector for each of `rows` numbers. Not filled."""

    later = None

    def __init__(self, rows: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))

    def forward(self, numbers: Tensor) -> Tensor:
        """Integers of any shape [...] -> [..., width]."""
        if wanted(self.later, self.weight):
            return looked_up(self.later, numbers, self.weight)
        return nn.functional.embedding(numbers, self.weight)

    def rows(self, numbers: Sequence[int]) -> Tensor:
        """[len(numbers), width]; a view where they stand in a row."""
        if wanted(self.later, self.weight):
            return looked_up(self.later, torch.tensor(numbers, device=self.weight.device), self.weight)
        if isinstance(numbers, range) and numbers.step == 1:
            return self.weight[numbers.start : numbers.stop]
        return self.weight[torch.tensor(numbers, device=self.weight.device)]

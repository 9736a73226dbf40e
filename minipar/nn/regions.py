"""What stands at the border between what every rank holds and what each holds a part of?

Doors. Each is a collective one way and another the other way, because a gradient walks the same path backwards:

                    forward                          backward
    copy            x ──► x on each                  parts of x's gradient ──(sum)──► on each
    reduce          partial sums ──(sum)──► y        gradient ──► the same on each
    scatter         x ──► my slice                   slices ──(join)──► on each
    gather          slices ──(join)──► x             gradient ──► my slice
    all_gather      slices ──(join)──► x             partial sums ──(sum, cut)──► my slice
    reduce_scatter  partial sums ──(sum, cut)──► y   slices ──(join)──► on each

The pairs are each other's mirror image: copy and reduce, scatter and gather, all_gather and reduce_scatter. gather and
all_gather look alike going forward. After a gather all ranks do the same with x, so each already has the whole
gradient; after an all_gather each does something else with it, so each has a part.

Megatron's names: copy_to_, reduce_from_, scatter_to_, gather_from_tensor_model_parallel_region, and
gather_from_, reduce_scatter_to_sequence_parallel_region (arXiv:1909.08053 figure 3, arXiv:2205.05198 figure 5).
On an axis of one rank, or None, a door is open: x comes back and nothing is sent. Never run on a GPU.
"""

import torch
from torch import Tensor

from minipar.nn.axes import size
from minipar.plan.slices import even


def copy(axis, x: Tensor) -> Tensor:
    """x, the same on each rank, goes to where each rank does something else with it."""
    return x if size(axis) == 1 else _Copy.apply(x, axis)


def reduce(axis, x: Tensor) -> Tensor:
    """Partial sums, one on each rank, become their sum on each."""
    return x if size(axis) == 1 else _Reduce.apply(x, axis)


def scatter(axis, x: Tensor, dim: int = -1) -> Tensor:
    """x, the same on each rank, becomes this rank's equal slice along `dim`. ValueError if it does not divide."""
    return x if size(axis) == 1 else _Scatter.apply(x, axis, dim)


def gather(axis, x: Tensor, dim: int = -1) -> Tensor:
    """Slices of equal shape become the whole, joined along `dim`, on ranks that all go on alike."""
    return x if size(axis) == 1 else _Gather.apply(x, axis, dim)


def all_gather(axis, x: Tensor, dim: int) -> Tensor:
    """Slices of equal shape become the whole, joined along `dim`, on ranks that each go on differently."""
    return x if size(axis) == 1 else _AllGather.apply(x, axis, dim)


def reduce_scatter(axis, x: Tensor, dim: int) -> Tensor:
    """Partial sums become this rank's equal slice, along `dim`, of their sum. ValueError if it does not divide."""
    return x if size(axis) == 1 else _ReduceScatter.apply(x, axis, dim)


# ---- each door, there and back


class _Copy(torch.autograd.Function):
    @staticmethod
    def forward(context, x, axis):
        _remember(context, axis)
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient):
        with _billed(context):
            return context.axis.all_reduce(gradient), None


class _Reduce(torch.autograd.Function):
    @staticmethod
    def forward(context, x, axis):
        return axis.all_reduce(x)

    @staticmethod
    def backward(context, gradient):
        return gradient, None


class _Scatter(torch.autograd.Function):
    @staticmethod
    def forward(context, x, axis, dim):
        _remember(context, axis, dim)
        return _mine(axis, x, dim)

    @staticmethod
    def backward(context, gradient):
        with _billed(context):
            return context.axis.all_gather(gradient, dim=context.dim), None, None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context, x, axis, dim):
        _remember(context, axis, dim)
        return axis.all_gather(x, dim=dim)

    @staticmethod
    def backward(context, gradient):
        return _mine(context.axis, gradient, context.dim), None, None


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(context, x, axis, dim):
        _remember(context, axis, dim)
        return axis.all_gather(x, dim=dim)

    @staticmethod
    def backward(context, gradient):
        with _billed(context):
            return context.axis.reduce_scatter(gradient, dim=context.dim), None, None


class _ReduceScatter(torch.autograd.Function):
    @staticmethod
    def forward(context, x, axis, dim):
        _remember(context, axis, dim)
        return axis.reduce_scatter(x, dim=dim)

    @staticmethod
    def backward(context, gradient):
        with _billed(context):
            return context.axis.all_gather(gradient, dim=context.dim), None, None


def _remember(context, axis, dim=None) -> None:
    """What the way back needs: the axis, the dimension, and which layer is billed now."""
    context.axis, context.dim, context.layer = axis, dim, axis.recorder.here


def _billed(context):
    return context.axis.recorder.layer(context.layer)


def _mine(axis, x: Tensor, dim: int) -> Tensor:
    part = even(x.shape[dim], axis.size, f"dimension {dim} of {list(x.shape)}")[axis.rank]
    return x.narrow(dim, part.start, len(part)).contiguous()

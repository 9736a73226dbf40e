"""What do the ranks owe one another between the last backward and the update?

    partial      a norm on a slice of the sequence, a key head that two ranks copy: each rank has its own share of
                 the gradient                                       summed over the ranks that hold the parameter
    replicas     data and context ranks have seen other tokens      summed over these axes
    tied         one table at both ends of the pipeline             summed at both ends

Plain sums everywhere, each once: every loss was weighted by the tokens of the whole batch. Gradients that travel the
same way are laid into one flat tensor first (a bucket), so that they cost one message's wait and not one each.

The sums over axes were never run on GPUs.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from minipar.run.ledger import COMMUNICATION
from minipar.run.mail import FIRST_TAG
from minipar.run.recorder import UNKNOWN

TIED_TAG = FIRST_TAG - 2


def sum_partial(w, parameters: Iterable[nn.Parameter]) -> None:
    """Sum every gradient over the axes that its parameter's `sum_over` names, if it has any.

    Axes are taken in the order of their ranks, the same everywhere, so that ranks in several of them meet.
    """
    buckets: dict[tuple, tuple] = {}
    for parameter in parameters:
        for axis in getattr(parameter, "sum_over", ()):
            buckets.setdefault(tuple(axis.ranks), (axis, []))[1].append(parameter)
    for ranks in sorted(buckets):
        sum_over(w, *buckets[ranks], "partial gradients")


def sum_over(w, axis, parameters: Iterable[nn.Parameter], layer: str) -> None:
    """Sum the gradients of these parameters over an axis, in one bucket a dtype. Billed to `layer`."""
    buckets: dict[torch.dtype, list[Tensor]] = {}
    for parameter in parameters if axis.size > 1 else ():
        if parameter.grad is not None:
            buckets.setdefault(parameter.grad.dtype, []).append(parameter.grad)
    for gradients in buckets.values():
        with w.recorder.layer(layer):
            _sum_bucket(w, axis, gradients)


def _sum_bucket(w, axis, gradients: list[Tensor]) -> None:
    memory, flat = w.recorder.memory, torch.cat([gradient.flatten() for gradient in gradients])
    memory.hold(flat, COMMUNICATION)
    total = axis.all_reduce(flat)
    memory.hold(total, COMMUNICATION)
    pieces = total.split([gradient.numel() for gradient in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))
    memory.release(flat, COMMUNICATION)
    memory.release(total, COMMUNICATION)


def add_tied_here(original: nn.Parameter, copy: nn.Parameter) -> None:
    """Both ends of a tie on one rank: sum the two gradients, unless they are one."""
    if copy is not original:
        total = original.grad
        total += copy.grad
        copy.grad.copy_(total)


def add_tied_across(w, own: Tensor, peer: int) -> None:
    """Send this gradient to the rank of the tie's other end and add what comes; the lower rank posts its send first."""
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

"""Which collectives do not go through gloo's own?

    gloo's all_reduce of 64 KB on 2 ranks    a ring of two, twice round, handed from thread to thread      ~200 µs
    one message each way, and one addition   the same bytes: 2(P-1)/P n = n at P = 2, in one wait           ~90 µs

    gloo's all_to_all, after one of shapes   two collectives                                              ~550 µs
    row of shape and part, pair by pair      the same bytes, the row's follow the part's at once          ~150 µs

So on the CPU an axis of two swaps: each sends what the other needs, and both combine, with the same bits on both.
For the log, the recorder and whoever disagrees it is the backend's collective: the same names, numbers and sentences.
Not on GPUs, where NCCL does this better, nor with NCCL's rules on gloo, where a send waits for its receive.
"""

import torch
from torch._C import _distributed_c10d as c

from minipar.run.oplog import Refusal, where

TAG = (1 << 29) - 1  # the gloo tag of a swap: no pipeline message's, no letter's
LARGEST = 10_000_000  # bytes each way up to which a swap is quicker than gloo's sum, as measured on two cores
MOST_DIMENSIONS = 8
_wait = c.Work.wait  # taken before the log wraps it


def quick(axis, tensor, bytes):
    """Whether the ranks of this axis swap what has so many bytes each way: two of them, on the CPU, through gloo."""
    return axis.size == 2 and bytes <= LARGEST and direct(axis, tensor)


def direct(axis, tensor):
    """Whether sends of this tensor go at once and straight from its memory."""
    return tensor.device.type == "cpu" and not axis.links.rendezvous


class _Ours:
    """What a collective made of messages tells the log, and at its end the recorder."""

    def __init__(self, axis, what, text, payload):
        self.log, self.recorder = axis.log, axis.recorder
        self.operation = self.log.collective(axis.group_name, axis.ranks, what, text, where())
        self.bill = what, axis.name, axis.ranks, payload, self.recorder.mark()
        self.layer = self.recorder.here

    def wait(self, waiting):
        return self.log.wait(self.operation, waiting)

    def done(self):
        self.recorder.collective(*self.bill, self.recorder.mark(), own=False, layer=self.layer)


class Swap:
    """One message each way between the two ranks of an axis, under way; `.wait()` as torch's Work has it."""

    def __init__(self, axis, what, form, payload, out, into):
        self._ours = _Ours(axis, what, f"{what} {form} {_dtype(out)}", payload)
        gloo, other = axis.links.gloo, axis.ranks[1 - axis.rank]
        self._works = [gloo.recv([into], other, TAG), gloo.send([out], other, TAG)] if out.numel() else []

    def wait(self):
        """Returns when both messages have arrived; what was sent may be changed from then on."""
        self._ours.wait(lambda: _finish(self._works))
        self._ours.done()


class Trade:
    """all_to_all under way: to each rank its part; where shapes are not known, a row that says its shape goes before.

    coming: the shapes that will arrive, by rank, or None. `came`: new tensors, by rank, filled once `wait` returns.
    """

    def __init__(self, axis, parts, coming=None):
        self._ours = _Ours(axis, "all_to_all", f"all_to_all {_dtype(parts[0])}", sum(part.nbytes for part in parts))
        gloo, others = axis.links.gloo, [place for place in range(axis.size) if place != axis.rank]
        shapes = dict(enumerate(coming)) if coming is not None else {}
        rows = {place: torch.empty(1 + MOST_DIMENSIONS, dtype=torch.int64) for place in others if place not in shapes}
        told = [gloo.recv([row], axis.ranks[place], TAG) for place, row in rows.items()]
        self._kept, self._works = [], []  # what is sent is kept until it has arrived
        if shapes:
            self.came, coming = _room(axis, parts[0], others, shapes)
        for place in others:
            part = parts[place].detach().contiguous()
            self._kept.append([part] if shapes else [torch.tensor(shape_row(part)), part])
            self._works += [gloo.send([each], axis.ranks[place], TAG) for each in self._kept[-1] if each.numel()]
        if rows:
            self._ours.wait(lambda: _finish(told))
            shapes = {place: (numbers := row.tolist())[1 : 1 + numbers[0]] for place, row in rows.items()}
            self.came, coming = _room(axis, parts[0], others, shapes)
        self._works += coming
        self.came[axis.rank] = parts[axis.rank].detach().clone()

    def wait(self):
        """Returns when all parts have arrived here, and this rank's there."""
        self._ours.wait(lambda: _finish(self._works))
        self._kept = ()
        self._ours.done()


def _room(axis, like, others, shapes):
    """(a new tensor for each other rank's part, receives that fill them)."""
    came, coming = [None] * axis.size, []
    for place in others:
        came[place] = torch.empty(shapes[place], dtype=like.dtype)
        if came[place].numel():
            coming.append(axis.links.gloo.recv([came[place]], axis.ranks[place], TAG))
    return came, coming


def shape_row(tensor):
    """How many dimensions, and how long each: as many numbers for every tensor. ValueError beyond 8 dimensions."""
    if tensor.dim() > MOST_DIMENSIONS:
        raise Refusal(f"all_to_all takes tensors of at most {MOST_DIMENSIONS} dimensions, not {list(tensor.shape)}")
    return [tensor.dim(), *tensor.shape] + [0] * (MOST_DIMENSIONS - tensor.dim())


def _finish(works):
    for work in works:
        _wait(work)


def _dtype(tensor):
    return str(tensor.dtype).removeprefix("torch.")

"""Who are my neighbours along one axis of the mesh, and what can we do together?

    mesh (data=2, pipe=4)      rank 5 on "pipe":  .rank 1  .size 4  .ranks (4, 5, 6, 7)  .previous 0  .next 2
    0 1 2 3                    ranks on an axis are counted along the axis; .ranks are the call's own numbers
    4 5 6 7

    axis.all_reduce(x)         by the backend (gloo, NCCL; pairs.py): quick; recorded with what each rank put in
    axis.ring.all_reduce(x)    by our own sends and receives (collectives.py): every byte stands in the ledger
    axis.subset([0, 2])        a ring of some of these ranks, which alone call it

Every method here is called by all ranks of the axis, in the same order, or nobody returns. None changes its
argument. On an axis of one rank nothing is sent and nothing recorded. Collectives of several GPUs were never run in
this project's own tests.
"""

import torch
import torch.distributed as dist

from minipar.run import collectives as our
from minipar.run.oplog import Refusal, where
from minipar.run.pairs import Swap, Trade, direct, quick, shape_row

_OPS = {"sum": dist.ReduceOp.SUM, "mean": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX, "min": dist.ReduceOp.MIN,
        "product": dist.ReduceOp.PRODUCT}  # fmt: skip
_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor  # torch's new names, and its old
_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


class Pending:
    """A collective under way. `.wait()` returns its result; until then the rank may compute."""

    __slots__ = ("_work", "_result", "_finish")

    def __init__(self, result, work=None, finish=None):
        self._work, self._result, self._finish = work, result, finish

    def wait(self):
        """Returns when the collective is done (on a GPU: when the stream will wait for it), with its result."""
        if self._work is not None:
            self._work.wait()
            self._work = None
            if self._finish is not None:
                self._result = self._finish(self._result)
        return self._result


class Axis:
    """One rank's view of one axis: `rank`, `size`, `ranks` (numbers in the call), `next`, `previous` (they wrap)."""

    def __init__(self, name, ranks, worker):
        self.name, self.ranks, self._worker = name, tuple(ranks), worker
        self.size = len(self.ranks)
        self.rank = self.ranks.index(worker.rank)
        self.next, self.previous = (self.rank + 1) % self.size, (self.rank - 1) % self.size

    def __repr__(self):
        return f"rank {self.rank} of {self.size} on axis {self.name!r}"

    @property
    def recorder(self):
        """The recorder of this rank and call."""
        return self._worker.recorder

    @property
    def log(self):
        """The log of this rank's operations."""
        return self._worker.log

    @property
    def links(self):
        """The process groups of this rank."""
        return self._worker.links

    @property
    def group_name(self):
        """torch's name of the process group of this axis."""
        return self._group().group_name

    @property
    def ring(self):
        """The same axis, with collectives made of our own sends and receives."""
        return Ring(self.name, self.ranks, self._worker)

    def subset(self, positions):
        """A ring of the ranks at these positions of this axis, this one among them. The others need not call."""
        places = [self._there(position) for position in positions]
        if len(set(places)) < len(places) or self._worker.rank not in places:
            raise Refusal(f"rank {self._worker.rank} is at position {self.rank} of axis {self.name!r}, "
                          f"and the subset {list(positions)} must have it exactly once")  # fmt: skip
        return Ring(self.name, places, self._worker)

    def send(self, tensor, to):
        """As `w.send`, `to` counted along the axis."""
        self._worker.send(tensor, to=self._there(to))

    def recv(self, source, like=None):
        """As `w.recv`, `source` counted along the axis."""
        return self._worker.recv(source=self._there(source), like=like)

    def exchange(self, tensor, to, source):
        """Sends to one and receives from another (or the same) at once: a step around a ring that cannot deadlock."""
        if to == self.rank == source:
            return tensor.detach().clone()
        return self._worker.exchange(tensor, self._there(to), self._there(source))

    def all_reduce(self, tensor, op="sum", async_op=False):
        """The sum ("mean", "max", "min", "product") over all ranks of the axis, on each. Shapes must be equal.

        async_op: returns a Pending at once, whose `.wait()` gives the sum.
        """
        _known("all_reduce", op)
        if self.size == 1:
            pending = Pending(_copy(tensor))
        elif quick(self, tensor, tensor.nbytes):
            pending = self._swapped_sum(tensor, op, keep=async_op)
        else:
            total = _copy(tensor)
            self._announce(tensor, total.nbytes)
            work = dist.all_reduce(total, op=_OPS[op], group=self._group(), async_op=True)
            pending = Pending(total, work, self._mean if op == "mean" else None)
        return pending if async_op else pending.wait()

    def _swapped_sum(self, tensor, op, keep):
        """Both send the whole and combine. keep: a copy is sent, for the caller may change its own meanwhile."""
        out = _copy(tensor) if keep else tensor.detach().contiguous()
        came = torch.empty_like(out)
        work = Swap(self, "all_reduce", f"{op} of {list(out.shape)}", out.nbytes, out, came)
        return Pending(came, work, lambda came: self._combined(came, out, op))

    def _combined(self, came, own, op):
        total = our.COMBINE[op](came, own, out=came)
        return self._mean(total) if op == "mean" else total

    def _mean(self, total):
        return total / self.size

    def reduce_scatter(self, tensor, dim=0, op="sum"):
        """This rank's equal piece, along `dim`, of the sum over the axis. ValueError if `dim` does not divide."""
        _known("reduce_scatter", op)
        self._divides(tensor, dim)
        if self.size == 1:
            return _copy(tensor)
        whole = tensor.detach().movedim(dim, 0).contiguous()
        piece = whole.new_empty(whole.shape[0] // self.size, *whole.shape[1:])
        if quick(self, whole, piece.nbytes):
            halves, form = whole.chunk(2), f"{op} of {list(tensor.shape)} along {dim}"
            Swap(self, "reduce_scatter", form, whole.nbytes, halves[1 - self.rank], piece).wait()
            return self._combined(piece, halves[self.rank], op).movedim(0, dim).contiguous()
        self._announce(tensor, whole.nbytes, f" along {dim}")
        _scatter(piece, whole, op=_OPS[op], group=self._group(), async_op=True).wait()
        piece = piece.movedim(0, dim).contiguous()
        return self._mean(piece) if op == "mean" else piece

    def all_gather(self, tensor, dim=0):
        """All ranks' tensors (of equal shape) joined along `dim`, on each of them."""
        own = torch.atleast_1d(tensor.detach()).contiguous()
        if self.size == 1:
            return own.clone()
        if quick(self, own, own.nbytes):
            pair = [own, torch.empty_like(own)]
            Swap(self, "all_gather", f"of {list(tensor.shape)}", own.nbytes, *pair).wait()
            return torch.cat(pair if self.rank == 0 else pair[::-1], dim=dim)
        parts = own.new_empty(self.size * own.shape[0], *own.shape[1:])
        self._announce(tensor, own.nbytes)
        _gather(parts, own, group=self._group(), async_op=True).wait()
        return parts if dim in (0, -own.dim()) else torch.cat(parts.chunk(self.size), dim=dim)

    def all_to_all(self, parts, coming=None, async_op=False):
        """What each rank has for this one, as a list in rank order. `parts`: one tensor a rank, of one dtype.

        Shapes may differ, also be empty: a small table of them goes before, which is not counted. coming: the shapes
        that will arrive, by rank, where they are known; then no table goes. async_op (with coming only): returns a
        Pending at once, whose `.wait()` gives the list; `parts` must not change until then.
        """
        parts = self._one_each(parts)
        if async_op and coming is None:
            raise Refusal("all_to_all with async_op=True must be told coming=: the shapes that will arrive, by rank")
        if self.size == 1:
            pending = Pending([_copy(parts[0])])
        elif direct(self, parts[0]):
            trading = Trade(self, parts, coming)
            pending = Pending(trading.came, trading)
        else:
            pending = self._all_to_all(parts, coming)
        return pending if async_op else pending.wait()

    def _all_to_all(self, parts, shapes):
        if shapes is None:
            table = torch.tensor([shape_row(part) for part in parts], device=parts[0].device)
            told = torch.empty_like(table)
            self._announce(None, None)
            dist.all_to_all_single(told, table, group=self._group(), async_op=True).wait()
            shapes = [row[1 : 1 + row[0]] for row in told.tolist()]
        sent = torch.cat([part.detach().reshape(-1) for part in parts])
        sizes = [torch.Size(shape).numel() for shape in shapes]
        came = sent.new_empty(sum(sizes))
        self._announce(None, sent.nbytes)
        work = dist.all_to_all_single(came, sent, sizes, [part.numel() for part in parts], group=self._group(),
                                      async_op=True)  # fmt: skip

        def cut(pair):  # what was sent is kept until here
            return [part.reshape(shape) for part, shape in zip(pair[0].split(sizes), shapes, strict=True)]

        return Pending((came, sent), work, cut)

    def broadcast(self, tensor, source=0):
        """The tensor of rank `source` of the axis, on each of them. Others pass one of the same shape and dtype."""
        copy, there = _copy(tensor), self._there(source)
        if self.size > 1:
            self._announce(tensor, copy.nbytes if source == self.rank else 0)
            dist.broadcast(copy, src=there, group=self._group(), async_op=True).wait()
        return copy

    def reduce(self, tensor, to=0, op="sum"):
        """The sum over the axis on rank `to` of it; None on the others."""
        _known("reduce", op)
        total, there = _copy(tensor), self._there(to)
        if self.size > 1:
            self._announce(tensor, total.nbytes)
            dist.reduce(total, dst=there, op=_OPS[op], group=self._group(), async_op=True).wait()
        if to != self.rank:
            return None
        return self._mean(total) if op == "mean" else total

    def barrier(self):
        """Returns when all ranks of the axis have come here."""
        if self.size > 1:
            self._announce(None, 0)
            dist.barrier(group=self._group())

    def account(self, what, given, how):
        """While it is open, what is sent is billed to `what`; the ranks' shapes are compared first. See `ours`."""
        return _Account(self, what, given, how)

    def _announce(self, tensor, bytes, more=""):
        """What the next call of torch.distributed is, for the log and the recorder (watch.py)."""
        form = None if tensor is None else f"{list(tensor.shape)}{more}"
        self.log.announced = self.name, bytes, form

    def _group(self):
        return self._worker.group(self.ranks)

    def _there(self, rank):
        if isinstance(rank, bool) or not isinstance(rank, int) or not 0 <= rank < self.size:
            raise Refusal(f"axis {self.name!r} has ranks 0 to {self.size - 1}, and not {rank!r}")
        return self.ranks[rank]

    def _divides(self, tensor, dim):
        if not -tensor.dim() <= dim < tensor.dim():
            raise Refusal(f"reduce_scatter: {list(tensor.shape)} has no dimension {dim}")
        if tensor.shape[dim] % self.size:
            long, over = tensor.shape[dim], tensor.shape[dim] % self.size
            raise Refusal(f"reduce_scatter cannot cut dimension {dim} of {list(tensor.shape)} in {self.size} equal "
                          f"pieces: {long} = {self.size} × {long // self.size} + {over}")  # fmt: skip

    def _one_each(self, parts):
        parts = list(parts)
        if len(parts) != self.size:
            raise Refusal(f"all_to_all takes one tensor for each of the {self.size} ranks of axis {self.name!r}, "
                          f"and rank {self.rank} gave it {len(parts)}")  # fmt: skip
        if len({part.dtype for part in parts}) > 1:
            dtypes = " and ".join(sorted({str(part.dtype) for part in parts}))
            raise Refusal(f"all_to_all takes tensors of one dtype, and rank {self.rank} gave it {dtypes}")
        return parts


class Ring(Axis):
    """An axis whose collectives are our own (collectives.py). It needs no process group of torch."""

    @property
    def ring(self):
        """This one."""
        return self

    def all_reduce(self, tensor, op="sum", async_op=False):
        """As `Axis.all_reduce`, in a ring. With async_op it is done when it returns: nothing runs beside the rank."""
        _known("all_reduce", op)
        total = our.ring_all_reduce(self, tensor, op)
        return Pending(total) if async_op else total

    def reduce_scatter(self, tensor, dim=0, op="sum"):
        """As `Axis.reduce_scatter`: lap one of the ring."""
        _known("reduce_scatter", op)
        self._divides(tensor, dim)
        return our.ring_reduce_scatter(self, tensor, dim, op)

    def all_gather(self, tensor, dim=0):
        """As `Axis.all_gather`: lap two of the ring."""
        return our.ring_all_gather(self, tensor, dim)

    def all_to_all(self, parts, coming=None, async_op=False):
        """As `Axis.all_to_all`, in P-1 shifted exchanges. With async_op it is done when it returns."""
        came = our.all_to_all(self, self._one_each(parts))
        return Pending(came) if async_op else came

    def broadcast(self, tensor, source=0):
        """As `Axis.broadcast`, in a tree."""
        self._there(source)
        return our.broadcast_tree(self, tensor, source)

    def reduce(self, tensor, to=0, op="sum"):
        """As `Axis.reduce`, in a tree."""
        _known("reduce", op)
        self._there(to)
        return our.reduce_tree(self, tensor, to, op)

    def barrier(self):
        """As `Axis.barrier`: two laps of empty letters."""
        empty = torch.zeros(0)
        with self.account("barrier", empty, ()):
            our.ring_all_reduce(self, empty)


class _Account:
    """A collective of our own while it runs: compared with the other ranks', then billed, then recorded."""

    __slots__ = ("axis", "what", "given", "how", "started")

    def __init__(self, axis, what, given, how):
        self.axis, self.what, self.given, self.how = axis, what, given, how

    def __enter__(self):
        axis, recorder = self.axis, self.axis.recorder
        if recorder.doing or axis.size == 1:
            self.started = None
            return
        parts = isinstance(self.given, (list, tuple))
        first = self.given[0] if parts else self.given
        form = str(first.dtype).removeprefix("torch.") if parts else _form(first)
        text = " ".join([self.what, *map(str, self.how), "of", form])
        axis.log.collective(f"ours on {axis.name} {axis.ranks}", axis.ranks, self.what, text, where())
        self.started, recorder.doing = recorder.mark(), self.what

    def __exit__(self, kind, *_):
        if self.started is None:
            return
        axis, recorder = self.axis, self.axis.recorder
        recorder.doing = ""
        parts = self.given if isinstance(self.given, (list, tuple)) else [self.given]
        size = sum(part.nbytes for part in parts)
        if self.what == "broadcast" and self.how[-1] != axis.rank:
            size = 0
        recorder.collective(self.what, axis.name, axis.ranks, size, self.started, recorder.mark(), own=True)


def _known(what, op):
    if op not in _OPS:
        raise Refusal(f"{what} can do {', '.join(_OPS)}, not {op!r}")


def _form(tensor):
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _copy(tensor):
    return tensor.detach().clone(memory_format=torch.contiguous_format)

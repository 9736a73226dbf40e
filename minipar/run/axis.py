"""Who are my neighbours along one axis of the mesh, and what can we do together?

    mesh (data=2, pipe=4)      rank 5 on "pipe":  .rank 1  .size 4  .ranks (4, 5, 6, 7)  .previous 0  .next 2
    0 1 2 3                    ranks on an axis are counted along the axis; .ranks are the call's own numbers
    4 5 6 7

Every method here is called by all ranks of the axis, in the same order, or nobody returns. None changes its
argument.
"""

import torch
import torch.distributed as dist

_SUMS = {"sum": dist.ReduceOp.SUM, "mean": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX, "min": dist.ReduceOp.MIN,
         "product": dist.ReduceOp.PRODUCT}  # fmt: skip


class Axis:
    """One rank's view of one axis: `rank`, `size`, `ranks` (numbers in the call), `next`, `previous` (they wrap)."""

    def __init__(self, name, ranks, worker):
        self.name, self.ranks, self._worker = name, tuple(ranks), worker
        self.size = len(self.ranks)
        self.rank = self.ranks.index(worker.rank)
        self.next, self.previous = (self.rank + 1) % self.size, (self.rank - 1) % self.size

    def __repr__(self):
        return f"rank {self.rank} of {self.size} on axis {self.name!r}"

    def send(self, tensor, to):
        """As `w.send`, `to` counted along the axis."""
        self._worker.send(tensor, to=self._there(to))

    def recv(self, source, like=None):
        """As `w.recv`, `source` counted along the axis."""
        return self._worker.recv(source=self._there(source), like=like)

    def exchange(self, tensor, to, source):
        """Sends to one and receives from another (or the same) at once: a step around a ring that cannot deadlock."""
        if to == self.rank == source:
            return tensor.clone()
        return self._worker.exchange(tensor, self._there(to), self._there(source))

    def all_reduce(self, tensor, op="sum"):
        """The sum ("mean", "max", "min", "product") over all ranks of the axis, on each. Shapes must be equal."""
        if op not in _SUMS:
            raise ValueError(f"all_reduce can do {', '.join(_SUMS)}, not {op!r}")
        total = tensor.detach().clone().contiguous()
        if self.size > 1:
            dist.all_reduce(total, op=_SUMS[op], group=self._group())
        return total / self.size if op == "mean" else total

    def all_gather(self, tensor, dim=0):
        """All ranks' tensors (of equal shape) joined along `dim`, on each of them."""
        own = tensor.detach().contiguous()
        if self.size == 1:
            return own.clone()
        parts = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(parts, own, group=self._group())
        return torch.cat(parts, dim=dim)

    def broadcast(self, tensor, source=0):
        """The tensor of rank `source` of the axis, on each of them. Others pass one of the same shape and dtype."""
        copy = tensor.detach().clone().contiguous()
        if self.size > 1:
            dist.broadcast(copy, src=self._there(source), group=self._group())
        return copy

    def barrier(self):
        """Returns when all ranks of the axis have come here."""
        if self.size > 1:
            dist.barrier(group=self._group())

    def _group(self):
        return self._worker.group(self.ranks)

    def _there(self, rank):
        if isinstance(rank, bool) or not isinstance(rank, int) or not 0 <= rank < self.size:
            raise ValueError(f"axis {self.name!r} has ranks 0 to {self.size - 1}, and not {rank!r}")
        return self.ranks[rank]

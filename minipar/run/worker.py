"""What does a program that every rank runs get in its hand?

    def ring(w, x):                                   # every rank runs this, each in its own process
        if w.rank == 0:
            w.send(x, to=1)                           # a letter: a copy of x, with its shape and dtype on the envelope
            return w.recv(source=w.ranks - 1)         # waits until a letter from there has come

What a send means. `w.send` copies the tensor and returns at once: the letter lies at the receiver's door until it
is collected, at most 64 of one sender at a time (then send waits). So sending never waits for the other to be
ready, and receiving always does. A letter nobody collected is named at the end of the call. On the transport with
NCCL's rules (`backend="gloo-ordered"`) there is no door: a send waits until the receiver takes it, as GPUs do.

The pipeline uses `post_send` and `post_recv` instead: no envelope, no copy, both return at once.
"""

import contextlib
import time
from collections import deque

import torch

from minipar.run.axis import Axis
from minipar.run.oplog import Refusal, where
from minipar.run.transport import Ordered, Posted

LETTER = 1 << 30  # the gloo tag of w.send; pipeline tags stay under it
AT_THE_DOOR = 64
_DIMENSIONS = 8
_DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
           torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128]  # fmt: skip


class Worker:
    """The handle `w` of one rank during one call.

    `rank`, `ranks` (how many take part), `device`, `state` (a dictionary kept between calls), `recorder`, `ordered`
    (whether pipeline messages must be posted in one global order, as NCCL needs).
    """

    def __init__(self, rank, ranks, device, state, log, recorder, links, mesh=None, tell=None):
        self.rank, self.ranks, self.device, self.state = rank, ranks, device, state
        self.recorder = recorder
        self.log, self.links, self._mesh, self._tell = log, links, mesh, tell
        self.post_send, self.post_recv = links.transport.send, links.transport.receive
        self.ordered = links.transport.ordered

    def __repr__(self):
        return f"rank {self.rank} of {self.ranks} on {self.device}"

    def send(self, tensor, to):
        """Sends a copy of `tensor` (any shape, CPU or GPU) to rank `to`; does not wait for it to be collected."""
        if not isinstance(tensor, torch.Tensor):
            raise Refusal(f"w.send takes a tensor, and rank {self.rank} gave it a {type(tensor).__name__}: "
                          f"wrap it first, as in torch.tensor({tensor!r:.40})")  # fmt: skip
        self._write(tensor, to)
        self.links.deliver(to)

    def _write(self, tensor, to):
        self._check_peer(to, "sent to")
        if tensor.dtype not in _DTYPES or tensor.dim() > _DIMENSIONS:
            raise Refusal(
                f"rank {self.rank} cannot send a {tensor.dtype} tensor with {tensor.dim()} dimensions: convert it first"
            )
        copy = tensor.detach().to("cpu", copy=True).contiguous()
        head = [_DTYPES.index(copy.dtype), time.monotonic_ns(), copy.dim(), *copy.shape]
        envelope = torch.tensor(head + [0] * (3 + _DIMENSIONS - len(head)))
        self.links.post(copy, envelope, to)

    def recv(self, source, like=None):
        """Waits for the next letter from rank `source` and returns its tensor, on this rank's device.

        `like`, a tensor: refuses a letter of another shape or dtype.
        """
        self._check_peer(source, "waits for a message from")
        operation = self.log.point("recv", source, "letter", None, None, where())
        receive, started = self.links.gloo.recv, time.monotonic()
        envelope = torch.zeros(3 + _DIMENSIONS, dtype=torch.int64)
        Posted(receive([envelope], source, LETTER), operation, self.log).wait()
        code, sent, dimensions, *shape = envelope.tolist()
        tensor = torch.empty(shape[:dimensions], dtype=_DTYPES[code])
        if tensor.numel():
            Posted(receive([tensor], source, LETTER), operation, self.log).wait()
        self.links.collected(source)
        ended = time.monotonic()
        if not self.recorder.doing:  # a collective of our own is one span, not its letters
            self.recorder.add("recv", started, ended, f"from rank {source}")
        self.recorder.message(source, self.rank, tensor.numel() * tensor.element_size(), sent / 1e9, ended, "")
        if like is not None and (tensor.shape != like.shape or tensor.dtype != like.dtype):
            raise Refusal(f"rank {self.rank} expected {_form(like)} from rank {source} and got {_form(tensor)}")
        return tensor.to(self.device)

    def exchange(self, tensor, to, source):
        """Sends to one rank and receives from another (or the same) at once: cannot deadlock, on any transport."""
        self._write(tensor, to)
        tensor = self.recv(source)
        self.links.deliver(to)
        return tensor

    def axis(self, name=None):
        """This rank's place on the mesh axis `name` (an Axis); without a mesh, `w.axis()` is all ranks of the call."""
        if self._mesh is None:
            if name is not None:
                raise Refusal(f"there is no axis {name!r}: call pool.run(..., mesh=minipar.Mesh({name}={self.ranks}))")
            return Axis("all", tuple(range(self.ranks)), self)
        if name not in self._mesh.names:
            raise Refusal(f"this mesh has no axis {name!r}: it has {', '.join(self._mesh.names)}")
        return Axis(name, self._mesh.group(name, self.rank), self)

    @property
    def everyone(self):
        """All ranks of the call as an Axis, with or without a mesh."""
        return Axis("everyone", tuple(range(self.ranks)), self)

    def go_on_as(self, w):
        """This handle, and every axis taken from it, is that of a later call: layers keep their axes."""
        self.__dict__.update(w.__dict__)

    @contextlib.contextmanager
    def span(self, name):
        """Records the time spent inside as a span of this name. On a GPU it waits for the device at both ends."""
        self._settle_device()
        started = self.recorder.clock()
        try:
            yield
        finally:
            self._settle_device()
            self.recorder.add(name, started, self.recorder.clock(), "")

    def progress(self, **fields):
        """Tells the notebook how far the call is: rank 0's latest word is `Run.progress`, other ranks' are dropped."""
        if self.rank == 0 and self._tell is not None:
            self._tell(fields)

    def name_tags(self, name):
        """`name(tag)` -> what a pipeline message is ("activation 0 m1"), for the story of a deadlock."""
        self.log.name_of = name

    @property
    def stopping(self):
        """True once the notebook has asked this call to stop (only in calls started with patience=)."""
        return self.links.stopping.is_set()

    def group(self, ranks):
        """torch's process group of these ranks of the call (a tuple), for torch.distributed functions."""
        return self.links.group(ranks)

    def _settle_device(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _check_peer(self, peer, verb):
        if isinstance(peer, bool) or not isinstance(peer, int):
            raise Refusal(f"rank {self.rank} {verb} {peer!r}: a rank is a whole number from 0 to {self.ranks - 1}")
        if not 0 <= peer < self.ranks:
            raise Refusal(f"rank {self.rank} {verb} rank {peer}, but {_ranks(self.ranks)}")
        if peer == self.rank:
            raise Refusal(f"rank {self.rank} {verb} itself: what is here need not be sent")


class Links:
    """The process groups of one worker, and its letters that are under way. Lives as long as the default group."""

    def __init__(self, log, transport, gloo, default, ranks, stopping):
        self.transport, self.gloo, self.stopping = transport, gloo, stopping
        self.rendezvous = isinstance(transport, Ordered)
        self._log, self._default, self._ranks = log, default, ranks
        self._groups, self._under_way, self._sent = {}, {}, {}

    def post(self, copy, envelope, to):
        """Posts a letter without waiting for anything."""
        number = self._sent[to] = self._sent.get(to, 0) + 1
        operation = self._log.point("send", to, "letter", copy.dtype, copy.numel(), where())
        parts = [part for part in (envelope, copy) if part.numel()]
        posted = [Posted(self.gloo.send([part], to, LETTER), operation, self._log) for part in parts]
        self._under_way.setdefault(to, deque()).append((number, posted))

    def deliver(self, to):
        """Waits where more than 64 letters lie uncollected at that door, or for all where the transport has no door."""
        self.reap(to)
        waiting = self._under_way[to]
        while len(waiting) > (0 if self.rendezvous else AT_THE_DOOR):
            self._finish(waiting)

    def reap(self, to):
        """Drops the copies of letters that rank `to` is known to have collected."""
        waiting, board = self._under_way.get(to), self._log.board
        if not waiting or board is None:
            return
        collected = board.collected(to, self._log.rank)
        while waiting and waiting[0][0] <= collected:
            self._finish(waiting)

    def reap_all(self):
        """Drops all copies of letters that were collected."""
        for to in self._under_way:
            self.reap(to)

    def reap_everything(self):
        """Drops all copies, where it is known in another way that every letter was collected."""
        for waiting in self._under_way.values():
            while waiting:
                self._finish(waiting)

    def collected(self, source):
        """Counts a letter from `source`, so that its sender may drop the copy."""
        if self._log.board is not None:
            self._log.board.collect(source)

    def group(self, ranks):
        """The process group of these ranks; every rank of the call must ask for the same groups in the same order."""
        if len(ranks) == self._ranks:
            return self._default
        return self._groups[tuple(ranks)]

    def make_groups(self, mesh):
        """Makes the groups of every axis of a mesh that has several, once."""
        import torch.distributed as dist

        for axis in mesh.names:
            for ranks in mesh.groups(axis):
                if 1 < len(ranks) < self._ranks and ranks not in self._groups:
                    self._groups[ranks] = dist.new_group(list(ranks))

    def _finish(self, waiting):
        for posted in waiting[0][1]:
            posted.wait()
        waiting.popleft()


def _form(tensor):
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _ranks(number):
    return "there is only rank 0" if number == 1 else f"the {number} ranks are numbered 0 to {number - 1}"

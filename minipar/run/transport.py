"""How does one pipeline message travel between two ranks?

    Tagged     gloo on the CPU: matched by (pair, tag), so receives may be posted ahead in any order
    Ordered    gloo with NCCL's rules: untagged, a pair's operations run in turn, a send waits for its receive
    Staged     several ranks on one GPU: gloo carries a copy through host memory (NCCL refuses two ranks on one device)
    Nccl       a GPU a rank: card to card; the order of a pair's operations is the only address

Each has `send(tensor, to, tag)` and `receive(buffer, source, tag)`, which return at once with something to
`.wait()` for, and `ordered`: whether both ranks of a pair must post in one global order (`lower(schedule,
ordered=True)`).

Staged was never run in this project's own tests on a GPU, nor Nccl on several: both are kept as small as they can
be.
"""

import queue
import threading
import time

from torch._C import _distributed_c10d as c

_wait = c.Work.wait  # taken before the log wraps it: these classes mark their waits themselves
ORDER_TAG = "pair"
_GLOO_TAG = 1 << 29  # all messages of the ordered transport carry one gloo tag


def transport(name, log, group, device):
    """The transport of this name ("gloo", "gloo-ordered", "nccl") for one process group."""
    import torch

    if name == "nccl":
        return Nccl(log, group._get_backend(device))
    cpu = group._get_backend(torch.device("cpu"))
    if name == "gloo-ordered":
        return Ordered(log, cpu)
    return Tagged(log, cpu) if device.type == "cpu" else Staged(log, cpu)


class Posted:
    """A message under way. `.wait()` returns when it has arrived, or when the receiver has taken it."""

    __slots__ = ("work", "operation", "log")

    def __init__(self, work, operation, log):
        self.work, self.operation, self.log = work, operation, log

    def wait(self):
        log, thread = self.log, threading.get_ident()
        log.blocked[thread] = self.operation, time.monotonic()
        try:
            _wait(self.work)
        except BaseException:
            log.failed_in = self.operation
            raise
        finally:
            del log.blocked[thread]


class Tagged:
    """gloo: a receive finds its message by pair and tag."""

    ordered = False

    def __init__(self, log, backend):
        self._log, self._point = log, log.point
        self._send, self._receive = backend.send, backend.recv

    def send(self, tensor, to, tag):
        operation = self._point("send", to, tag, tensor.dtype, tensor.numel())
        return Posted(self._send([tensor], to, tag), operation, self._log)

    def receive(self, buffer, source, tag):
        operation = self._point("recv", source, tag, buffer.dtype, buffer.numel())
        return Posted(self._receive([buffer], source, tag), operation, self._log)

    def close(self):
        """Nothing is left running by this transport."""


class Nccl(Tagged):
    """NCCL: tags are ignored. `.wait()` orders the GPU's stream, it does not stop the program."""

    ordered = True


class Staged(Tagged):
    """Ranks that share one GPU: out through host memory, in through host memory."""

    def send(self, tensor, to, tag):
        return super().send(tensor.detach().cpu(), to, tag)

    def receive(self, buffer, source, tag):
        host = buffer.new_empty(buffer.shape, device="cpu")
        return _Landing(super().receive(host, source, tag), host, buffer)


class _Landing:
    """A message that arrives in host memory and is then copied to its place on the GPU."""

    __slots__ = ("posted", "host", "buffer")

    def __init__(self, posted, host, buffer):
        self.posted, self.host, self.buffer = posted, host, buffer

    def wait(self):
        self.posted.wait()
        self.buffer.copy_(self.host)


class Ordered:
    """NCCL's rules on gloo. One thread a peer runs that pair's operations in the order in which they were posted."""

    ordered = True

    def __init__(self, log, backend):
        self._log, self._backend = log, backend
        self._queues, self._threads, self._now = {}, [], {}

    def send(self, tensor, to, tag):
        return self._post(_InOrder("send", tensor, to, tag, self))

    def receive(self, buffer, source, tag):
        return self._post(_InOrder("recv", buffer, source, tag, self))

    def close(self):
        """Lets the threads end. Their sockets must be closed already where one of them is blocked."""
        for line in self._queues.values():
            line.put(None)
        for thread in self._threads:
            thread.join(1.0)
        self._queues, self._threads = {}, []

    def _post(self, step):
        if step.peer not in self._queues:
            self._queues[step.peer] = queue.SimpleQueue()
            runner = threading.Thread(target=self._serve, args=(step.peer,), name=f"pair-{step.peer}", daemon=True)
            self._threads.append(runner)
            runner.start()
        self._queues[step.peer].put(step)
        return step

    def _serve(self, peer):
        line = self._queues[peer]
        while (step := line.get()) is not None:
            try:
                self._now[peer] = self._log.point(step.kind, peer, ORDER_TAG, step.tensor.dtype, step.tensor.numel())
                self._carry(step)
            except BaseException as error:
                step.error = error
            self._now.pop(peer, None)
            step.done.set()
            step = None

    def _carry(self, step):
        """A message and, before it, what it is: an order that differs between two ranks is an error, not a mix-up."""
        import torch

        head = torch.tensor([step.tag, step.tensor.numel() * step.tensor.element_size()])
        if step.kind == "send":
            _wait(self._backend.send([head], step.peer, _GLOO_TAG))
            _wait(self._backend.send([step.tensor], step.peer, _GLOO_TAG))
            return
        expected = head.tolist()
        _wait(self._backend.recv([head], step.peer, _GLOO_TAG))
        if head.tolist() != expected:
            raise RuntimeError(
                f"out of order: this rank receives message {expected[0]} ({expected[1]} bytes) from rank {step.peer}, "
                f"which sent message {head[0]} ({head[1]} bytes)"
            )
        _wait(self._backend.recv([step.tensor], step.peer, _GLOO_TAG))


class _InOrder:
    """An operation in a pair's queue."""

    __slots__ = ("kind", "tensor", "peer", "tag", "home", "done", "error")

    def __init__(self, kind, tensor, peer, tag, home):
        self.kind, self.tensor, self.peer, self.tag, self.home = kind, tensor, peer, tag, home
        self.done, self.error = threading.Event(), None

    def wait(self):
        if not self.done.is_set():
            self.home._log.wait(self._blocking, self.done.wait)
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def _blocking(self):
        """What really holds this one up: the operation of the same pair that is running now."""
        return self.home._now.get(self.peer, (self.kind, self.peer, ORDER_TAG, 0))

"""How does a cell run on several processes?

    pool = minipar.WorkerPool(4)                    four processes, each with memory of its own
    out = pool.run(fn, x)                           each rank runs fn(w, x); out[2] is what rank 2 returned
    run = pool.start(fn, x)                         the same, and the notebook stays free: run.stop(), run.result()

A function may come from a cell; its arguments and results are copies. The workers live on between calls, and so
does what they keep in `w.state`. Whatever goes wrong ends as one readable error, and the pool works again.
"""

import atexit
import os
import sys
import threading
import time
import warnings
import weakref

from minipar.run import parcel
from minipar.run.call import Run
from minipar.run.crew import prewarm
from minipar.run.keeper import Keeper
from minipar.run.ping import ping
from minipar.run.place import choose, how_many
from minipar.run.story import RemoteError, RemoteInterrupt

__all__ = ["RemoteError", "RemoteInterrupt", "Run", "WorkerPool", "live_pools", "prewarm"]

_live = weakref.WeakSet()


def live_pools():
    """The pools that are open in this process."""
    return [pool for pool in _live if not pool.closed]


class WorkerPool:
    """`size` worker processes on this machine. A context manager; `close()` ends it.

    backend: "gloo", "gloo-ordered" (gloo with NCCL's rules) or "nccl"; device: "cpu" or "cuda". Left out: what place.py
    finds, NCCL and a GPU a rank where there are enough.
    timeout: seconds after which a call is stopped (none by default: a deadlock is noticed anyway).
    memory_limit: bytes a worker's calls may use, over what an idle worker holds. Under torchrun, see spmd.py.
    """

    def __new__(cls, *arguments, **options):
        if "TORCHELASTIC_RUN_ID" in os.environ:
            from minipar.run.spmd import SpmdPool

            return SpmdPool(*arguments, **options)
        return super().__new__(cls)

    def __init__(self, size=4, backend=None, device=None, timeout=None, memory_limit=None, name=None):
        self.closed = True
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"a pool has a whole number of workers, 1 or more, not {size!r}")
        if memory_limit is not None and memory_limit <= 0:
            raise ValueError(f"memory_limit is a number of bytes, more than 0, not {memory_limit!r}")
        _require_allowed(size)
        self.size, self.timeout, self.name, self.memory_limit = size, timeout, name, memory_limit
        self.backend, self.device, self.place = choose(size, backend, device)
        self.current = None
        self._door = threading.Lock()  # held by whoever listens to the workers
        cores = os.cpu_count() or 1
        if size > max(cores, 4):
            warnings.warn(
                f"{size} workers on {cores} cores take turns: times will show the turns, not the program", stacklevel=2
            )
        self._made_at = _close_older(sys._getframe(1))
        settings = {"backend": self.backend, "device": self.device, "memory_limit": memory_limit}
        self._keeper = Keeper(size, {**settings, "size": size, "threads": max(1, cores // size)})
        self.closed = False
        _live.add(self)

    # ---- what a learner calls

    @property
    def ordered(self):
        """Whether pipeline messages need the ordered form (`lower(schedule, ordered=True)`)."""
        return self.backend in ("nccl", "gloo-ordered")

    def run(self, fn, *args, mesh=None, timeout=None, ranks=None, patience=0.0, **kw):
        """Calls `fn(w, *args, **kw)` on every rank and waits: a Result, by rank. Output appears live, as "[rank] line".

        mesh: gives `w.axis(name)`; ranks: only the first so many workers take part; timeout: seconds.
        patience: seconds an interrupt leaves the ranks to end by themselves once `w.stopping` is true.
        Raises RemoteError or RemoteInterrupt, whose text is the story; the pool works again afterwards.
        """
        run, blob = self._open(fn, args, kw, mesh, timeout, ranks, patience, show=True)
        try:
            run.drive(mesh, blob)
        finally:
            self._release(run)
        return run.result()

    def start(self, fn, *args, mesh=None, timeout=None, ranks=None, patience=0.0, **kw):
        """As `run`, but returns a Run at once; nothing is printed, the lines are in `run.output`."""
        run, blob = self._open(fn, args, kw, mesh, timeout, ranks, patience, show=False)
        threading.Thread(target=run.drive, args=(mesh, blob), name=f"minipar-{run.name}", daemon=True).start()
        return run

    def stop(self):
        """Interrupts the call that is running, if there is one; from any thread."""
        if (run := self.current) is not None:
            run.stop()

    def snapshot(self):
        """Who holds what now: a list of dict(name, pid, bytes, link), the notebook first, then the ranks."""
        self.wait_ready()
        keeper, until = self._keeper, time.monotonic() + 2.0
        keeper.ask_held()
        while len(keeper.held) < self.size and time.monotonic() < until:
            if self._door.acquire(timeout=0.01):  # no call is listening: listen here
                try:
                    keeper.listen_idle(0.02)
                finally:
                    self._door.release()
        rows = [{"name": "notebook", "pid": os.getpid(), "bytes": _held_here(), "link": "pipe"}]
        link = self.backend if self.device == "cpu" else f"{self.device} {self.backend}"
        for rank, pid in enumerate(keeper.crew.pids()):
            rows.append({"name": f"rank {rank}", "pid": pid, "bytes": keeper.held.get(rank), "link": link})
        return rows

    def ping(self, source, target, size, times=5):
        """Sends `size` bytes from `source` to `target` and back; a Run, whose result at `source` is seconds one way."""
        return self.start(ping, source, target, size, times)

    def wait_ready(self):
        """Returns when all workers are up. Raises RemoteError if they do not come up."""
        while not self._keeper.ready:
            if self.closed:
                raise RuntimeError(_CLOSED)
            if self._door.acquire(timeout=0.05):
                try:
                    self._keeper.make_ready()
                finally:
                    self._door.release()

    def close(self):
        """Ends the workers. Can be called twice."""
        if self.closed:
            return
        self.closed = True
        if (run := self.current) is not None:
            run.stop()
            run.stop()
            run._finished.wait(5.0)
        if hasattr(self, "_keeper"):
            self._keeper.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()

    def __repr__(self):
        workers = "1 worker" if self.size == 1 else f"{self.size} workers"
        if self.closed:
            return f"{workers}, closed"
        self.wait_ready()
        return f"{workers} ready: {self.place}"

    def __reduce__(self):
        raise TypeError("the pool itself cannot travel to a worker: inside the function use its first argument, w")

    @property
    def _crew(self):
        return self._keeper.crew

    # ---- a call's side (call.py)

    def _open(self, fn, args, kw, mesh, timeout, ranks, patience, show):
        if self.closed:
            raise RuntimeError(_CLOSED)
        if not callable(fn):
            raise TypeError(f"pool.run takes a function, as in pool.run(fn, x), and not a {type(fn).__name__}")
        ranks = how_many(ranks, mesh, self.size)
        name = getattr(fn, "__name__", type(fn).__name__)
        blob = parcel.dumps((fn, args, kw), fn).tobytes()
        run = Run(self, name, ranks, self.timeout if timeout is None else timeout, patience, show)
        if (other := self.current) is not None or not self._door.acquire(timeout=5.0):
            since = f", started {time.monotonic() - other.started:.0f} s ago" if other else ""
            raise RuntimeError(f"this pool is still running {other.name if other else 'another call'}{since}: "
                               f"wait for it, or stop it with pool.stop()")  # fmt: skip
        self.current = run
        return run, blob

    def _release(self, run):
        if self.current is run:
            self.current = None
            self._door.release()


_CLOSED = "this pool is closed: make a new one with minipar.WorkerPool(4)"


def _held_here():
    if "torch" not in sys.modules:
        return 0
    from minipar.run.held import held_bytes

    return held_bytes()


def _close_older(frame):
    """A cell that is run again replaces the pool it made: the notebook's history would keep the old one alive."""
    place = frame.f_code.co_filename, frame.f_lineno
    if "ipykernel" in place[0] or "ipython-input" in place[0]:
        for pool in live_pools():
            if pool._made_at == place and pool.current is None:
                pool.close()
    return place


@atexit.register
def _close_all():
    for pool in live_pools():
        pool.close()


def _require_allowed(size):
    """Refuses more workers than whoever started the lessons allows (`minipar lab --workers N`)."""
    most = os.environ.get("MINIPAR_WORKERS", "")
    if most.isdigit() and size > int(most) > 0:
        raise ValueError(
            f"a pool of {size} workers is more than the {most} allowed here (MINIPAR_WORKERS={most}, or "
            f"`minipar lab --workers {most}`): ask for fewer, or start without that limit"
        )

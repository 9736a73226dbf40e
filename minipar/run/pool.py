"""How does a cell run on several processes?

    pool = minipar.WorkerPool(4)                    four processes, each with memory of its own
    out = pool.run(fn, x)                           each rank runs fn(w, x); out[2] is what rank 2 returned
    run = pool.start(fn, x)                         the same, and the notebook stays free: run.stop(), run.result()

A function may come from a cell; its arguments and results are copies. The workers live on between calls, and so
does what they keep in `w.state`. Whatever goes wrong ends as one readable error, and the pool works again.
"""

import atexit
import linecache
import os
import shutil
import sys
import tempfile
import threading
import time
import warnings
import weakref

from minipar.run import parcel
from minipar.run.board import Board
from minipar.run.call import Run
from minipar.run.crew import Crew, prewarm
from minipar.run.ping import ping
from minipar.run.place import choose, how_many
from minipar.run.story import RemoteError, RemoteInterrupt

__all__ = ["RemoteError", "RemoteInterrupt", "Run", "WorkerPool", "live_pools", "prewarm"]

START = 60.0  # seconds the workers may take to come up
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
        self.size, self.timeout, self.name, self.memory_limit = size, timeout, name, memory_limit
        self.backend, self.device, self.place = choose(size, backend, device)
        self.current = None
        self._door, self._number, self._stale, self._ready, self._group = threading.Lock(), 0, False, False, None
        self._held, self._stray, self._sent, self._ranks = {}, [], set(), size
        cores = os.cpu_count() or 1
        if size > max(cores, 4):
            warnings.warn(
                f"{size} workers on {cores} cores take turns: times will show the turns, not the program", stacklevel=2
            )
        self._folder = tempfile.mkdtemp(prefix="minipar-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self._settings = {"size": size, "backend": self.backend, "device": self.device, "memory_limit": memory_limit,
                          "threads": max(1, cores // size), "board": os.path.join(self._folder, "board")}  # fmt: skip
        self._made_at = _close_older(sys._getframe(1))
        self.closed = False
        self._restart()
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
        run.drive(mesh, blob)
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
        ticket, self._held, crew = self._next(), {}, self._crew
        crew.post(("held", ticket))
        until = time.monotonic() + 2.0
        while len([1 for t, _ in self._held.values() if t == ticket]) < self.size and time.monotonic() < until:
            if self._door.acquire(timeout=0.01):  # no call is listening: listen here
                try:
                    self._listen_idle(0.02)
                finally:
                    self._door.release()
        rows = [{"name": "notebook", "pid": os.getpid(), "bytes": _held_here(), "link": "pipe"}]
        for rank, pid in enumerate(crew.pids()):
            found = self._held.get(rank, (None, None))
            link = self.backend if self.device == "cpu" else f"{self.device} {self.backend}"
            rows.append({"name": f"rank {rank}", "pid": pid, "bytes": found[1], "link": link})
        return rows

    def ping(self, source, target, size, times=5):
        """Sends `size` bytes from `source` to `target` and back; a Run, whose result at `source` is seconds one way."""
        return self.start(ping, source, target, size, times)

    def wait_ready(self):
        """Returns when all workers are up. Raises RemoteError if they do not come up."""
        while not self._ready:
            if self.closed:
                raise RuntimeError(_CLOSED)
            if self._door.acquire(timeout=0.05):
                try:
                    self._stray += self._make_ready()
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
        if hasattr(self, "_crew"):
            self._crew.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

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
        self.current = None
        self._door.release()

    def _next(self):
        self._number += 1
        return self._number

    def _make_ready(self, run=None):
        """Workers that died while idle are replaced; waits until all are up. Returns lines to show."""
        lines = []
        for _ in range(3):
            if self._ready:
                self._listen_idle(0.0)
            if self._crew.gone:
                if self._ready:
                    lost = ", ".join(
                        str(rank) for rank, process in enumerate(self._crew.processes) if not process.is_alive()
                    )
                    lines.append(
                        (
                            None,
                            f"minipar: the process of rank {lost} was gone: the workers were started again, "
                            "w.state is empty",
                        )
                    )
                self._restart()
            if self._ready or self._await_ready(START, run):
                lines, self._stray = self._stray + lines, []
                return lines
            if run is not None and run._stops:
                text = "interrupted while the workers were starting"
                raise RemoteInterrupt(text, kind="interrupted", cause=text)
        self._crew.kill()
        raise RemoteError(
            "the workers did not start: " + "; ".join(line for _, line in self._stray[-4:]), kind="died", kept=False
        )

    def _await_ready(self, seconds, run=None):
        """Whether all workers stand in the latest group, after at most so many seconds, or until `run` is stopped."""
        until = time.monotonic() + seconds
        while len(self._up) < self.size and time.monotonic() < until and not (run and run._stops):
            messages, lines = self._crew.events(0.05)
            self._stray += lines
            for message in messages:
                if message[0] == "ready" and message[2] == self._group:
                    self._up.add(message[1])
                elif message[0] in ("dead", "unready"):
                    self._stray.append((message[1], f"did not come up: {message[-1]}"))
                    return False
        self._ready = len(self._up) == self.size
        return self._ready

    def _new_group(self, ranks):
        """A fresh process group for these ranks; whether all workers stand again."""
        if self.closed:
            return False
        self._group, self._ranks, self._stale, self._ready, self._up = self._next(), ranks, False, False, set()
        self._crew.post(("group", self._group, self._store(), ranks))
        return self._await_ready(5.0)

    def _restart(self):
        """New workers; what the old ones kept is gone."""
        if hasattr(self, "_crew"):
            self._crew.kill()
        if self.closed:
            return
        self._sent, self._up, self._ready, self._stale, self._ranks = set(), set(), False, False, self.size
        Board.make(self._settings["board"], self.size)
        self._crew = Crew(self.size, self._settings)
        self._group = self._next()
        self._crew.post(("group", self._group, self._store(), self.size))

    def _store(self):
        return os.path.join(self._folder, f"store-{self._group}")  # torch's file store never works twice on one file

    def _surroundings(self, ranks, mesh):
        """What a call needs besides its function: the folder, the path, the cells' source lines, the group."""
        group = None
        if self._stale or ranks != self._ranks:
            self._group, self._ranks, self._stale = self._next(), ranks, False
            group = self._group, self._store(), ranks
            if ranks < self.size:
                self._crew.post(("group", *group), range(ranks, self.size))
        new = {
            name: entry
            for name, entry in linecache.cache.items()
            if len(entry) == 4 and entry[1] is None and name not in self._sent
        }
        self._sent.update(new)
        return {
            "group": group,
            "folder": os.getcwd(),
            "path": list(sys.path),
            "sources": new,
            "mesh": mesh,
            "ranks": ranks,
        }

    def _listen_idle(self, seconds):
        messages, lines = self._crew.events(seconds)
        self._stray += lines
        for message in messages:
            self._note(message)

    def _note(self, message):
        if message[0] == "held":
            self._held[message[1]] = message[2], message[3]


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

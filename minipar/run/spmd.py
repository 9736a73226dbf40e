"""How does the same program run when torchrun has started the processes, on one machine or on several?

    python program.py                               a WorkerPool starts four workers; this process is none of them
    torchrun --nproc-per-node 4 program.py          four processes run the whole program; each *is* one rank

`WorkerPool(4)` gives an SpmdPool in the second case. Its `run` calls the function here, as this rank, and then
gathers what all ranks returned, so the program goes on with the same Result everywhere. What the program prints
outside of `run` is printed by rank 0 alone; what ranks print inside comes as "[rank] line", as it does from a local
pool.

A rank that fails raises its own error here, and torchrun ends the others. The NCCL path was never run on several
GPUs.
"""

import contextlib
import os
import sys
import time

import torch
import torch.distributed as dist

from minipar.run import parcel, waits
from minipar.run.budget import Budget
from minipar.run.oplog import OperationLog
from minipar.run.place import how_many
from minipar.run.recorder import Recorder
from minipar.run.result import Result
from minipar.run.story import RemoteError
from minipar.run.transport import transport
from minipar.run.watch import watch_torch
from minipar.run.worker import Links, Worker

_log = None  # one log a process: torch can be wrapped only once


class SpmdPool:
    """What `WorkerPool(...)` is in a process that torchrun started. Same `run`, same Result."""

    def __init__(self, size=4, backend=None, device=None, timeout=None, memory_limit=None, name=None):
        global _log
        self.rank, self.size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        if size != self.size:
            raise ValueError(f"the program asks for {size} workers, and torchrun started {self.size} processes")
        self.name, self.timeout, self.memory_limit, self.closed, self.current = name, timeout, memory_limit, False, None
        self.backend, self.device, self._device = _place(backend, device)
        kinds = "cpu:gloo,cuda:nccl" if self.backend == "nccl" else "gloo"
        if not dist.is_initialized():
            dist.init_process_group(kinds)
        self._control = dist.new_group(backend="gloo")
        self._links, self._state, self._stdout = {}, {}, sys.stdout
        if _log is None:
            _log = OperationLog(self.rank)
            watch_torch(_log)
        self._budget = Budget(memory_limit, self._device)
        self._budget.measure()
        self.place = f"processes of torchrun on {self.device}, talking through {self.backend}"
        if self.rank:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115

    @property
    def ordered(self):
        """Whether pipeline messages need the ordered form."""
        return self.backend in ("nccl", "gloo-ordered")

    def run(self, fn, *args, mesh=None, timeout=None, ranks=None, patience=0.0, **kw):
        """As `WorkerPool.run`. `timeout` and `patience` are torchrun's business here."""
        ranks = how_many(ranks, mesh, self.size)
        started, value, recorder = time.monotonic(), None, Recorder(self.rank)
        links = self._links_of(ranks)
        if self.rank < ranks:
            value = self._call(fn, args, kw, mesh, ranks, recorder, links)
        report = {**_log.account(), "trace": recorder.export()} if self.rank < ranks else None
        gathered = [None] * self.size
        dist.all_gather_object(gathered, (parcel.dumps(value, fn).tobytes(), report), group=self._control)
        reports = {rank: report for rank, (_, report) in enumerate(gathered[:ranks])}
        self._check(reports)
        links.reap_everything()
        values = [parcel.loads(blob) for blob, _ in gathered[:ranks]]
        name = getattr(fn, "__name__", "call")
        return Result(
            values, [reports[rank]["trace"] for rank in reports], (), time.monotonic() - started, name, self.place
        )

    def start(self, fn, *args, **options):
        """Not here: under torchrun every process is a rank, and none is left to wait beside it."""
        raise RuntimeError("under torchrun a call cannot run in the background: use pool.run")

    def stop(self):
        """Nothing to do: a call runs in this very process."""

    def wait_ready(self):
        """Returns at once: torchrun has started all processes."""

    def close(self):
        """Leaves the process group."""
        if not self.closed:
            self.closed = True
            self._links.clear()
            _log.forget()
            sys.stdout = self._stdout
            dist.destroy_process_group()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return f"{self.size} workers ready: {self.place}"

    def _links_of(self, ranks):
        if ranks not in self._links:
            group = dist.group.WORLD if ranks == self.size else dist.new_group(list(range(ranks)))
            if self.rank >= ranks:
                return Links(_log, None, None, None, ranks, None)
            way = transport(self.backend, _log, group, self._device)
            self._links[ranks] = Links(_log, way, group._get_backend(torch.device("cpu")), group, ranks, _Never)
        return self._links[ranks]

    def _call(self, fn, args, kw, mesh, ranks, recorder, links):
        _log.start_call()
        _log.recorder = recorder
        if mesh is not None:
            links.make_groups(mesh)
        worker = Worker(self.rank, ranks, self._device, self._state, _log, recorder, links, mesh)
        try:
            with contextlib.redirect_stdout(_Tagged(self.rank, self._stdout)), self._budget:
                return fn(worker, *args, **kw)
        finally:
            _log.recorder = None

    def _check(self, reports):
        lost = waits.unmatched(reports)
        if lost:
            source, target, _, sends, receives = lost[0]
            raise RemoteError(f"rank {source} sent rank {target} {sends} messages, and {receives} were collected")


class _Never:
    @staticmethod
    def is_set():
        return False


class _Tagged:
    """A stream that puts "[rank] " before each line and writes whole lines at once."""

    def __init__(self, rank, stream):
        self._rank, self._stream, self._line = rank, stream, ""

    def write(self, text):
        *lines, self._line = (self._line + text).split("\n")
        self._stream.write("".join(f"[{self._rank}] {line}\n" for line in lines))
        return len(text)

    def flush(self):
        self._stream.flush()


def _place(backend, device):
    gpus = torch.cuda.device_count() if device != "cpu" else 0
    each, local = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["LOCAL_RANK"])
    if not gpus:
        return backend or "gloo", "cpu", torch.device("cpu")
    torch.cuda.set_device(local % gpus)
    return backend or ("nccl" if gpus >= each else "gloo"), "cuda", torch.device("cuda", local % gpus)

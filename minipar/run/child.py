"""What does a worker process do all day?

    main thread       waits for a call, runs it, reports its result or its fault, waits again
    listener thread   reads the pipe from the notebook even while the main thread is busy: answers "where are you",
                      pulls the plug when the notebook says so, and takes the process down when the notebook is gone

A rank that fails reports first and then leaves its process group at once: that is what frees the ranks waiting for
it.
"""

import contextlib
import ctypes
import datetime
import gc
import linecache
import multiprocessing
import os
import pickle
import queue
import shutil
import signal
import socket
import stat
import sys
import threading
import time
import traceback
from multiprocessing import forkserver

import torch
import torch.distributed as dist

from minipar.run import budget, parcel
from minipar.run.board import Board
from minipar.run.held import held_bytes
from minipar.run.oplog import Desync, OperationLog, describe, where
from minipar.run.recorder import Recorder
from minipar.run.transport import transport
from minipar.run.watch import watch_torch
from minipar.run.worker import Links, Refusal, Worker

_PATIENCE = datetime.timedelta(days=1)  # gloo's own time limit: the pool watches instead


def main(rank, control, output, settings):
    """Runs in a fresh process until the notebook closes its end of the pipe. The target of every worker process."""
    _settle_in(rank, output, settings)
    Child(rank, control, settings).serve()


def _settle_in(rank, output, settings):
    os.dup2(output.fileno(), 1)  # at the level of the file: what C++ prints comes too
    os.dup2(output.fileno(), 2)
    output.close()
    sys.stdout = sys.stderr = open(1, "w", buffering=1, closefd=False, errors="replace")  # noqa: SIM115
    os.setpgid(0, 0)  # Jupyter interrupts the kernel's process group; this one is not in it, and dies as a group
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    multiprocessing.current_process()._config["daemon"] = False  # or a DataLoader with workers is refused
    if sys.platform == "linux":
        multiprocessing.set_start_method("fork", force=True)  # a DataLoader's own workers: not by a server each
        if (alive := forkserver._forkserver._forkserver_alive_fd) is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), alive)  # or the server of a dead kernel lives as long as we do
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # die with the server, even while C code holds the interpreter
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
        # a message that arrives does not interrupt whoever computes, least of all its sender in the middle of sending
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    world = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": settings["size"], "LOCAL_WORLD_SIZE": settings["size"]}
    os.environ.update({name: str(value) for name, value in world.items()})
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if sys.platform == "linux" else "lo0")
    import faulthandler

    faulthandler.enable()  # a segmentation fault leaves a Python stack in the output
    torch.set_num_threads(settings["threads"])


class Child:
    """One worker process: its pipe, its process group, its state."""

    def __init__(self, rank, control, settings):
        self.rank, self.settings = rank, settings
        self.state, self.call = {}, None
        self.stopping = threading.Event()
        self._control, self._lock, self._jobs = control, threading.Lock(), queue.SimpleQueue()
        self.log = OperationLog(rank)
        self.log.board = Board(settings["board"], settings["size"], rank)
        watch_torch(self.log)
        self.links = None
        self.device = torch.device("cpu")
        if settings["device"] == "cuda":
            self.device = torch.device("cuda", rank % torch.cuda.device_count())
            torch.cuda.set_device(self.device)
        self.budget = budget.Budget(settings["memory_limit"], self.device)
        gc.freeze()  # torch's million objects: a full collection stays cheap

    def serve(self):
        """The main thread: one job after the other, for ever."""
        threading.Thread(target=self._listen, name="listener", daemon=True).start()
        while True:
            kind, *rest = self._jobs.get()
            if kind == "group":
                self._group(*rest)
            elif kind == "run":
                self._run(*rest)
            elif kind == "settle" and self.links is not None:
                self.links.reap_all()
            elif kind == "held":
                self._tell("held", self.rank, rest[0], held_bytes())

    # ---- the listener thread

    def _tell(self, *message, body=None):
        """Sends a message, and right behind it, as it is, what a function returned."""
        with self._lock:
            self._control.send_bytes(pickle.dumps(message, 5))
            if body is not None:
                self._control.send_bytes(body)

    def _listen(self):
        try:
            while True:
                kind, *rest = message = pickle.loads(self._control.recv_bytes())
                if kind == "where":
                    self._tell("where", self.rank, rest[0], self._whereabouts())
                elif kind == "held" and self.call is not None:
                    self._tell("held", self.rank, rest[0], held_bytes())
                elif kind == "unplug":
                    unplug()
                elif kind == "stop":
                    self.stopping.set()
                else:
                    self._jobs.put(message)
        except (EOFError, OSError):
            shutil.rmtree(os.path.dirname(self.settings["board"]), ignore_errors=True)
            os.killpg(0, signal.SIGKILL)  # the notebook is gone: go, and take every grandchild along

    def _whereabouts(self):
        frame = sys._current_frames().get(threading.main_thread().ident)
        return {**self.log.account(), "at": describe(where(frame)), "clock": time.monotonic()}

    # ---- process groups

    def _group(self, ticket, path, ranks):
        try:
            self._join(ticket, path, ranks)
        except BaseException as error:
            self._tell("unready", self.rank, ticket, f"{type(error).__name__}: {error}")
            return
        self._tell("ready", self.rank, ticket, {"pid": os.getpid(), "device": self._device_name()})

    def _join(self, ticket, path, ranks):
        self._leave()
        self.log.new_group(ticket)
        self.log.board.start_counting()
        if self.rank >= ranks:
            return
        backend = {"nccl": "cpu:gloo,cuda:nccl"}.get(self.settings["backend"], "gloo")
        store = dist.FileStore(path, ranks)
        dist.init_process_group(backend, store=store, rank=self.rank, world_size=ranks, timeout=_PATIENCE)
        group = dist.group.WORLD
        gloo = group._get_backend(torch.device("cpu"))
        way = transport(self.settings["backend"], self.log, group, self.device)
        self.links = Links(self.log, way, gloo, group, ranks, self.stopping)
        self.budget.measure()

    def _leave(self):
        links, self.links = self.links, None
        if links is not None and links.rendezvous:
            unplug()  # its threads may be blocked
        if links is not None:
            links.transport.close()
        links = None
        with contextlib.suppress(Exception):
            if dist.is_initialized():
                dist.destroy_process_group()
        self.log.forget()
        gc.collect()  # whatever still refers to the group keeps its sockets open, and the peers waiting

    def _device_name(self):
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"

    # ---- calls

    def _run(self, call, blob, env):
        self.stopping.clear()
        self.log.start_call(call)
        recorder = self.log.recorder = Recorder(self.rank)
        self.call, started, fault = call, time.monotonic(), None
        try:
            if env["group"]:
                self._join(*env["group"])
            body = self._execute(blob, env, recorder)
        except BaseException as error:  # SystemExit and KeyboardInterrupt too
            fault = self._describe_fault(error)
            _let_go(error)
        self.call = self.log.recorder = None
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)
        report = {**self.log.account(), "started": started, "ended": time.monotonic(), "trace": recorder.export()}
        report["details"], report["last"] = self._details(report["counts"]), self.log.last_collective()
        if fault is None:
            self._tell("ok", self.rank, call, None, report, body=body)
        else:
            self._tell("fault", self.rank, call, fault, report)
            recorder = None
            unplug()  # at once: this is what tells the peers
            self._leave()

    def _execute(self, blob, env, recorder):
        if env["folder"]:
            os.chdir(env["folder"])
        sys.path[:] = env["path"]
        linecache.cache.update(env["sources"])  # so that a traceback shows the cell's own lines
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            function, arguments, options = parcel.loads(blob)
            mesh = env["mesh"]
            if mesh is not None:
                self.links.make_groups(mesh)
            worker = Worker(self.rank, env["ranks"], self.device, self.state, self.log, recorder, self.links, mesh,
                            lambda fields: self._tell("progress", self.rank, self.call, fields))  # fmt: skip
            with self.budget:
                value = function(worker, *arguments, **options)
            return _packed(value)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _describe_fault(self, error):
        frames, core = error.__traceback__, __file__
        while frames and frames.tb_frame.f_code.co_filename == core:
            frames = frames.tb_next
        limit = None
        if isinstance(error, (Refusal, Desync)):  # the learner's own line is the last that matters
            names = [summary.filename for summary in traceback.extract_tb(frames)]
            inner = os.path.dirname(core), os.path.dirname(torch.__file__)
            limit = next((at for at, name in enumerate(names) if name.startswith(inner)), None)
        refused = self.budget.explain(error, self.rank)
        lines = traceback.format_exception(type(error), error, frames or error.__traceback__, limit=limit)
        kind = "MemoryLimit" if refused else type(error).__name__
        return {
            "type": kind,
            "message": refused or str(error),
            "text": "".join(lines).rstrip(),
            "operation": self.log.failed_in,
            "time": time.monotonic(),
        }

    def _details(self, counts):
        """What is known of the latest send of each kind, for the sentence about one that nobody collected."""
        found = {}
        for (kind, peer, tag), number in counts.items():
            if kind == "send" and (entry := self.log.last(kind, peer, tag, number)) is not None:
                found[peer, tag] = (
                    str(entry[4]).removeprefix("torch."),
                    entry[5],
                    describe(entry[7]) if entry[7] else "",
                )
        return found


def _packed(value):
    try:
        return parcel.dumps(value)
    except Exception as error:
        kind = type(value).__name__
        raise TypeError(f"what the function returned (a {kind}) cannot be sent to the notebook: {error}") from error


def _let_go(error):
    """Cuts every traceback of a chain of errors: any frame in one keeps the process group alive."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error.__traceback__, error = None, error.__cause__ or error.__context__


def unplug():
    """Shuts down this process's loopback connections: whoever waits inside gloo, here or there, comes back.

    gloo itself has no way to give up a wait: its abort() and shutdown() unblock nothing.
    """
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError, ValueError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as line:
                if line.family != socket.AF_UNIX and line.getpeername()[0] in ("127.0.0.1", "::1"):
                    line.shutdown(socket.SHUT_RDWR)

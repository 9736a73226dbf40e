"""How do worker processes come to life, how does the notebook hear from them, and how is none left behind?

    notebook ──► fork server (torch loaded once, one thread, never touches a GPU) ──► one worker a rank
             ◄── control pipe, both ways, one a rank ──►
             ◄── output pipe: whatever the rank, or C++ below it, prints ────────────

No port is opened for control. Every end of the notebook closes the pipes, and a closed pipe ends the worker.
"""

import contextlib
import multiprocessing
import os
import pickle
import re
import selectors
import signal
import sys
import threading
import time
import types
from multiprocessing import forkserver

from minipar.run.entry import worker_main

#: What the fork server loads once, so that no worker has to.
PRELOAD = ["torch", "torch.distributed", "minipar.run.child", "minipar.run.on_rank", "minipar.nn.gpt"]
METHOD = (
    "forkserver" if sys.platform == "linux" else "spawn"
)  # fork is unsafe elsewhere; spawn is the same path, slower


def prewarm():
    """Starts the fork server and returns at once: torch loads while the learner reads."""
    if METHOD == "forkserver":
        with _calm():
            multiprocessing.set_forkserver_preload(PRELOAD)
            forkserver.ensure_running()


@contextlib.contextmanager
def _calm():
    """While processes start: hides `__main__`, or an unguarded script runs again in each; one thread in the server."""
    real = sys.modules["__main__"]
    wanted = {"OPENBLAS_NUM_THREADS": "1", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
    wanted["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that wait spinning take seconds where others use the cores too
    wanted["PYTHONPATH"] = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    kept = {name: os.environ.get(name) for name in wanted}
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.environ.update(wanted)
    try:
        yield
    finally:
        sys.modules["__main__"] = real
        for name, value in kept.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


class Crew:
    """The processes of one pool and their pipes. Replaced as a whole when one of them is lost."""

    def __init__(self, size, settings):
        prewarm()
        context = multiprocessing.get_context(METHOD)
        self.size, self.gone = size, {}
        self.processes, self._controls, self._outputs = [], [], []
        self._partial, self._selector = [b""] * size, selectors.DefaultSelector()
        self._locks = [threading.Lock() for _ in range(size)]
        with _calm():
            for rank in range(size):
                (mine, theirs), (output, writer) = context.Pipe(), context.Pipe(duplex=False)
                target = context.Process(
                    target=worker_main, args=(rank, theirs, writer, settings), daemon=True, name=f"minipar-{rank}"
                )
                target.start()
                theirs.close()
                writer.close()
                os.set_blocking(output.fileno(), False)
                self.processes.append(target)
                self._controls.append(mine)
                self._outputs.append(output)
                self._selector.register(mine, selectors.EVENT_READ, (rank, self._read_control))
                self._selector.register(target.sentinel, selectors.EVENT_READ, (rank, self._read_death))
                self._selector.register(output, selectors.EVENT_READ, (rank, self._read_output))

    def alive(self):
        """Whether every process is there."""
        return not self.gone and all(process.is_alive() for process in self.processes)

    def pids(self):
        """Process ids by rank."""
        return [process.pid for process in self.processes]

    def post(self, message, ranks=None):
        """Sends one message to these ranks, or to all. A rank that is gone is noticed by `events`, not here."""
        packed = pickle.dumps(message, 5)
        for rank in range(self.size) if ranks is None else ranks:
            with contextlib.suppress(OSError, ValueError), self._locks[rank]:
                self._controls[rank].send_bytes(packed)

    def signal(self, number, ranks):
        """Sends a signal to these ranks' processes."""
        for rank in ranks:
            with contextlib.suppress(OSError):
                os.kill(self.processes[rank].pid, number)

    def events(self, seconds):
        """What happened within `seconds`: (messages, lines); a death is the message ("dead", rank, exit code)."""
        messages, lines = [], []
        if not self._selector.get_map():
            time.sleep(seconds)
            return messages, lines
        for key, _ in self._selector.select(seconds):
            rank, read = key.data
            if rank in self.gone and read != self._read_output:
                continue
            found = read(rank)
            (lines if read == self._read_output else messages).extend(found)
        return messages, lines

    def _read_control(self, rank):
        try:
            message = pickle.loads(self._controls[rank].recv_bytes())
            if message[0] == "ok":  # what the function returned follows as it is
                message = (*message[:3], self._controls[rank].recv_bytes(), *message[4:])
            return [message]
        except (EOFError, OSError):
            self._selector.unregister(self._controls[rank])  # its end is near: the sentinel tells
            self.processes[rank].join(1.0)
            if self.processes[rank].is_alive():
                _end(self.processes[rank])
            return []

    def _read_death(self, rank):
        found, control = [], self._controls[rank]
        if control in self._selector.get_map():
            while control.poll() and (message := self._read_control(rank)):
                found += message  # what it said before it died
        for pipe in (control, self.processes[rank].sentinel):
            with contextlib.suppress(KeyError):
                self._selector.unregister(pipe)
        self.processes[rank].join(1.0)
        self.gone[rank] = self.processes[rank].exitcode
        return [*found, ("dead", rank, self.gone[rank])]

    def _read_output(self, rank):
        try:
            new = os.read(self._outputs[rank].fileno(), 1 << 16)
        except BlockingIOError:
            return []
        *lines, self._partial[rank] = re.split(rb"[\r\n]+", self._partial[rank] + new)  # \r: a progress bar, as it goes
        if not new:
            self._selector.unregister(self._outputs[rank])
            self._outputs[rank].close()
            lines += self._rest_of_line(rank)
        return [(rank, line.decode(errors="replace")) for line in lines if line or new]

    def _rest_of_line(self, rank):
        rest, self._partial[rank] = self._partial[rank], b""
        return [rest] if rest else []

    def last_lines(self):
        """What is still in the output pipes: a pipe holds no more than a few reads."""
        lines = []
        for rank in range(self.size):
            for _ in range(4):
                more = [] if self._outputs[rank].closed else self._read_output(rank)
                lines += more
                if not more:
                    break
            lines += [(rank, line.decode(errors="replace")) for line in self._rest_of_line(rank)]
        return lines

    def kill(self):
        """Ends every process, grandchildren included, and closes the pipes. Can be called twice."""
        for process in self.processes:
            _end(process)
        for process in self.processes:
            process.join(5)
        self._selector.close()
        for pipe in self._controls + self._outputs:
            pipe.close()


def _end(process):
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # it may not lead a group of its own yet

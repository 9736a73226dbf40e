"""Who sees to it that there are workers, and that they stand in one process group?

lost while idle      all are replaced, and the next call says so
after a fault        a new process group; where a worker was lost, new workers
another `ranks=`     a new process group of so many, made by the call itself
otherwise            nothing: workers and group are kept from call to call
"""

import contextlib
import linecache
import os
import shutil
import sys
import tempfile
import time

from minipar.run.board import Board
from minipar.run.crew import Crew
from minipar.run.story import RemoteError, RemoteInterrupt

START = 60.0  # seconds the workers may take to come up
REGROUP = 5.0  # seconds a new process group may take


class Keeper:
    """A crew and its process group. `ready`: all stand; `stale`: the next call must take a new group.

    `stray`: lines printed while no call ran; `held`: rank -> bytes, the answers to `ask_held`.
    """

    def __init__(self, size, settings):
        self.size, self.closed, self.crew = size, False, None
        self.held, self.stray = {}, []
        self._number = 0
        self._folder = make_folder()
        self._settings = {**settings, "board": os.path.join(self._folder, "board")}
        self.restart()

    def next_number(self):
        """A number that was never used in this pool."""
        self._number += 1
        return self._number

    def make_ready(self, run=None):
        """Waits until all workers are up; those that died while idle are replaced, and `stray` says so."""
        for _ in range(3):
            if self.ready:
                self.listen_idle(0.0)
            if self.crew.gone:
                if self.ready:
                    lost = ", ".join(map(str, sorted(self.crew.gone)))
                    again = "the workers were started again, w.state is empty"
                    self.stray.append((None, f"minipar: the process of rank {lost} was gone: {again}"))
                self.restart()
            if self.ready or self._await_ready(START, run):
                return
            if run is not None and run.stops:
                text = "interrupted while the workers were starting"
                raise RemoteInterrupt(text, kind="interrupted", cause=text)
        self.crew.kill()
        said = "; ".join(line for _, line in self.stray[-4:])
        raise RemoteError(f"the workers did not start: {said}", kind="died", kept=False)

    def take_stray(self):
        """The lines that came while no call ran."""
        lines, self.stray = self.stray, []
        return lines

    def new_group(self, ranks):
        """A fresh process group for these ranks; whether all workers stand again."""
        if self.closed:
            return False
        group = self._next_group(ranks)
        self.ready, self._up = False, set()
        self.crew.post(("group", *group))
        return self._await_ready(REGROUP)

    def restart(self):
        """New workers; what the old ones kept is gone."""
        if self.crew is not None:
            self.crew.kill()
        if self.closed:
            return
        self.ready, self._up, self._sent = False, set(), set()
        Board.make(self._settings["board"], self.size)
        self.crew = Crew(self.size, self._settings)
        self.crew.post(("group", *self._next_group(self.size)))

    def surroundings(self, ranks, mesh):
        """What a call needs besides its function: the folder, the path, the cells' source lines, the group."""
        group = None
        if self.stale or ranks != self._ranks:
            group = self._next_group(ranks)
            self.crew.post(("group", *group), range(ranks, self.size))
        new = {name: entry for name, entry in linecache.cache.items() if _is_cell(entry) and name not in self._sent}
        self._sent.update(new)
        path = list(sys.path)
        return {"group": group, "folder": os.getcwd(), "path": path, "sources": new, "mesh": mesh, "ranks": ranks}

    def listen_idle(self, seconds):
        """Hears the workers while no call does."""
        messages, lines = self.crew.events(seconds)
        self.stray += lines
        for message in messages:
            self.note(message)

    def note(self, message):
        """A message that is no part of a call."""
        if message[0] == "held" and message[2] == self._asked:
            self.held[message[1]] = message[3]

    def ask_held(self):
        """Asks every worker how many bytes it holds; the answers come into `held`."""
        self.held, self._asked = {}, self.next_number()
        self.crew.post(("held", self._asked))

    def close(self):
        """Ends the workers for good."""
        self.closed = True
        self.crew.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _next_group(self, ranks):
        """(number, rendezvous file, ranks) of the next process group."""
        if self._number:
            with contextlib.suppress(OSError):
                os.unlink(self._store)
        self.group, self._ranks, self.stale = self.next_number(), ranks, False
        self._store = os.path.join(self._folder, f"store-{self.group}")  # torch's store never works twice on one file
        return self.group, self._store, ranks

    def _await_ready(self, seconds, run=None):
        """Whether all workers stand in the latest group, after so many seconds at most, or until `run` is stopped."""
        until = time.monotonic() + seconds
        while len(self._up) < self.size and time.monotonic() < until and not (run and run.stops):
            messages, lines = self.crew.events(0.05)
            self.stray += lines
            for message in messages:
                if message[0] == "ready" and message[2] == self.group:
                    self._up.add(message[1])
                elif message[0] in ("dead", "unready"):
                    self.stray.append((message[1], f"did not come up: {message[-1]}"))
                    return False
        self.ready = len(self._up) == self.size
        if self.ready:
            with contextlib.suppress(OSError):
                os.unlink(self._settings["board"])  # all have it open; nothing of it must outlive a killed notebook
        return self.ready


def _is_cell(entry):
    return len(entry) == 4 and entry[1] is None  # source that stands in no file


def make_folder():
    """A new folder for one pool, in memory where there is such a place; folders of notebooks that died are removed.

    A notebook that is killed cannot tidy up, and its workers may be killed while they do. So a folder's name says
    whose it is, and the next pool of the same user removes what belongs to a process that is no more.
    """
    parent = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
    try:
        space = os.stat("/proc/self/ns/pid").st_ino  # process numbers have a meaning only in their own name space
    except OSError:
        space = 0
    family = f"minipar-{space}-"
    for name in os.listdir(parent):
        owner = name.removeprefix(family).split("-")[0]
        if name.startswith(family) and owner.isdigit() and not _lives(int(owner)):
            shutil.rmtree(os.path.join(parent, name), ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{family}{os.getpid()}-", dir=parent)


def _lives(pid):
    if sys.platform == "win32":
        return True  # os.kill would end it there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True

"""What has this rank asked of the others, and what is it waiting for now?

A light log that is always on. Each operation is one tuple; each wait marks its thread as blocked. A second thread
reads both while the rank's own code hangs, so the pool can say who waits for whom.

    w.send, w.recv, pipeline messages     logged by minipar's own methods, no wrapper in the way
    torch.distributed called directly     logged by wrapping the methods of torch's ProcessGroup once

A collective is compared with the other ranks' (board.py) before it starts.
"""

import linecache
import os
import sys
import threading
import time
import zlib
from collections import deque

import torch

from minipar.run.board import Board

_HERE = os.path.dirname(__file__) + os.sep
_MINIPAR = os.path.dirname(os.path.dirname(__file__)) + os.sep
_CORE = ("axis", "budget", "call", "child", "collectives", "entry", "oplog", "pairs", "spmd", "transport", "watch",
         "worker")  # fmt: skip
_NOT_THEIRS = (*(f"{_HERE}{name}.py" for name in _CORE), os.path.dirname(torch.__file__), threading.__file__, "<")


class Refusal(ValueError):
    """A call that cannot mean anything; its message is one sentence."""


class Desync(RuntimeError):
    """Two ranks of one group called different collectives."""


class OperationLog:
    """Operations of one rank. `blocked` maps a thread to (operation, since) while it waits."""

    def __init__(self, rank):
        self.rank = rank
        self.board: Board | None = None
        self.recorder = None
        self.works = {}  # id of a torch Work -> (operation, when it was posted, its bill or None)
        self.announced = None  # (axis, payload, form) of the next call of torch.distributed, where an Axis makes it
        self.entries = deque(maxlen=4096)  # (time, kind, peer, tag, dtype, elements, number, where)
        self.blocked = {}
        self.new_group(0)

    def new_group(self, ticket):
        """A new process group, the pool's number `ticket`: nothing is under way any more."""
        self.generation = ticket
        self.call = 0
        self.groups = {}  # group name -> (ranks, collectives so far, running checksum)
        self.members = {}  # group name -> ranks
        self.start_call()

    def start_call(self, call=0):
        """A new call in the same group: all messages of the last one have been matched."""
        self.call = call
        self.counts = {}  # (kind, peer, tag) -> how many were posted
        self.name_of = None  # a function: what the pipeline's message of this tag is
        self.failed_in = self.announced = None
        self.entries.clear()

    def forget(self):
        """Lets go of everything that belongs to the group that was left."""
        self.works.clear()
        self.blocked.clear()

    def point(self, kind, peer, tag, dtype, elements, where=None):
        """Notes a send or a receive; returns the operation, as `blocked` and the graph know it."""
        key = (kind, peer, tag)
        number = self.counts[key] = self.counts.get(key, 0) + 1
        self.entries.append((time.monotonic(), kind, peer, tag, dtype, elements, number, where))
        return kind, peer, tag, number

    def agree(self, operation, text, where):
        """Compares what this rank says of a message ("4 float32") with what its other end has said, if it has."""
        kind, peer, tag, number = operation
        if self.board is None:
            return
        source, target = (self.rank, peer) if kind == "send" else (peer, self.rank)
        key = zlib.crc32(f"{self.call}:{source}>{target}:{tag}".encode()) + 1
        self.board.write(key, number, text, describe(where))
        theirs = self.board.read(peer, key, number)
        if theirs is not None and theirs[0] != text:
            sent, expected = (text, theirs[0]) if kind == "send" else (theirs[0], text)
            raise Desync(
                f"the ranks disagree on a message: rank {source} sends {sent}, rank {target} expects {expected} "
                f"(rank {peer} is at {theirs[1]})"
            )

    def collective(self, group, ranks, name, text, where, sends=(), receives=()):
        """Notes a collective and compares it with what the other ranks of the group wrote on the board."""
        _, number, check = self.groups.get(group, (ranks, 0, 0))
        number += 1
        self.groups[group] = ranks, number, zlib.crc32(text.encode(), check)
        self.entries.append((time.monotonic(), name, None, group, text, None, number, where))
        if self.board is not None:
            self._compare(group, ranks, number, text, where, sends, receives)
        return name, ranks, group, number

    def _compare(self, group, ranks, number, text, where, sends, receives):
        key = zlib.crc32(f"{self.generation}:{group}:{ranks}".encode()) + 1
        self.board.write(key, number, text, describe(where), sends, receives)
        me = ranks.index(self.rank)
        for place, peer in enumerate(ranks):
            theirs = self.board.read(peer, key, number) if peer != self.rank else None
            if theirs is None:
                continue
            if theirs[0] != text:
                raise Desync(
                    f"the ranks disagree on collective {number} of their group: rank {self.rank} calls {text}, "
                    f"rank {peer} calls {theirs[0]} (at {theirs[1]})"
                )
            if sends and theirs[2]:
                self._match(text, theirs[1], (self.rank, peer, sends[place], theirs[3][me]))
                self._match(text, theirs[1], (peer, self.rank, theirs[2][me], receives[place]))

    @staticmethod
    def _match(text, place, flow):
        source, target, sent, room = flow
        if sent != room:
            raise Desync(f"the ranks disagree in {text}: rank {source} sends {sent} elements to rank {target}, "
                         f"which makes room for {room} (the other rank is at {place})")  # fmt: skip

    def wait(self, operation, waiting):
        """Calls `waiting()` with this thread marked as blocked in `operation`."""
        thread = threading.get_ident()
        self.blocked[thread] = operation, time.monotonic()
        try:
            return waiting()
        except BaseException:
            self.failed_in = operation() if callable(operation) else operation
            raise
        finally:
            self.blocked.pop(thread, None)

    def now(self):
        """(operation, seconds) of the one wait this rank is blocked in, or None when it is not (or cannot be told)."""
        waits = list(self.blocked.values())
        if len(waits) != 1:
            mine = self.blocked.get(threading.main_thread().ident)
            waits = [mine] if mine else []
        if not waits:
            return None
        operation, since = waits[0]
        return (operation() if callable(operation) else operation), since

    def account(self):
        """What the pool needs to match this rank's operations with the others'."""
        now = self.now()
        named = self.name_of is not None and now is not None and isinstance(now[0][2], int)
        return {"counts": dict(self.counts), "groups": dict(self.groups), "now": now, "failed_in": self.failed_in,
                "name": self.name_of(now[0][2]) if named else ""}  # fmt: skip

    def last(self, kind, peer, tag, number):
        """The log's entry of that operation, or None when it has been forgotten."""
        for entry in reversed(self.entries):
            if (entry[1], entry[2], entry[3], entry[6]) == (kind, peer, tag, number):
                return entry
        return None

    def last_collective(self):
        """The latest collective and where it was called, in words; "" if there was none."""
        entry = next((entry for entry in reversed(self.entries) if entry[2] is None), None)
        return f"{entry[4]} at {describe(entry[7])}" if entry else ""


def where(frame=None):
    """(file, line, function) of the learner's own code on this stack: outside torch and, if possible, minipar."""
    frame, best = frame or sys._getframe(1), None
    while frame is not None:
        name = frame.f_code.co_filename
        if not (name.startswith(_NOT_THEIRS) or "multiprocessing" in name):
            if not name.startswith(_MINIPAR):
                return name, frame.f_lineno, frame.f_code.co_name
            best = best or (name, frame.f_lineno, frame.f_code.co_name)
        frame = frame.f_back
    return best


def describe(place):
    """`where()` as text; the notebook turns the file of a cell into its number."""
    if place is None:
        return "a place outside the program"
    try:
        line = linecache.getline(place[0], place[1]).strip()
    except Exception:  # another thread may be filling linecache just now; the place alone will do
        line = ""
    return f'File "{place[0]}", line {place[1]}, in {place[2]}' + (f": {line}" if line else "")

"""Who would send what to whom? A worker's program rehearsed in this process, every message written down.

    rehearse(ring, 4, x) -> Rehearsal
        results     what each rank returned
        messages    Sent(source, target, value), in the order in which they were sent
        waiting     rank -> the rank whose message it waits for, when nobody can go on any more
        offering    rank -> the rank that would have to receive its message (only with rendezvous=True)
        missing     (rank, peer): a rank that sent to, or waits for, a peer that does not exist
        left        messages that were sent and never collected
        error       (rank, exception) of the lowest rank that raised

One thread a rank, one lock, letters kept until they are collected.  A standstill is seen at once, without waiting for
a time limit: that is why a check rehearses before it runs on real processes.  With ``rendezvous=True`` a send waits
until the other side receives, as between GPUs; a program that passes so also runs where letters are kept.
"""

from __future__ import annotations

import contextvars
import copy
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from minipar.learn.safely import LIMIT, Capture, end_thread, said


class Sent(NamedTuple):
    source: int
    target: int
    value: Any


class Halt(BaseException):
    """Ends a rank's thread; a BaseException, so that a learner's ``except Exception`` lets it through."""


@dataclass
class Rehearsal:
    """What a program did on ``ranks`` ranks; whether it went well is for the check to say."""

    ranks: int
    results: list[Any] = field(default_factory=list)
    messages: list[Sent] = field(default_factory=list)
    waiting: dict[int, int] = field(default_factory=dict)
    offering: dict[int, int] = field(default_factory=dict)
    missing: tuple[int, int] | None = None
    left: list[Sent] = field(default_factory=list)
    error: tuple[int, BaseException] | None = None
    endless: bool = False

    def route(self) -> list[tuple[int, int]]:
        return [(sent.source, sent.target) for sent in self.messages]


class _Stage:
    """The state that all ranks of a rehearsal share, under one lock."""

    def __init__(self, ranks: int, rendezvous: bool = False):
        self.seen = Rehearsal(ranks, results=[None] * ranks)
        self.rendezvous = rendezvous
        self.changed = threading.Condition()
        self.letters: dict[tuple[int, int], list[Sent]] = {}
        self.waits: dict[int, int] = {}
        self.offers: dict[int, Sent] = {}
        self.playing = set(range(ranks))
        self.halted = False

    def send(self, source: int, target: int, value: Any) -> Sent:
        with self.changed:
            self._must_exist(source, target)
            sent = Sent(source, target, value)
            self.seen.messages.append(sent)
            self.letters.setdefault((source, target), []).append(sent)
            self.changed.notify_all()
            return sent

    def deliver(self, sent: Sent) -> None:
        """With rendezvous: wait until this message has been received."""
        with self.changed:
            while self.rendezvous and self._lies_there(sent):
                self.offers[sent.source] = sent
                self._look_for_a_standstill()
                if self.halted:
                    raise Halt
                self.changed.wait()
                self.offers.pop(sent.source, None)

    def _lies_there(self, sent: Sent) -> bool:
        return any(letter is sent for letter in self.letters.get((sent.source, sent.target), ()))

    def recv(self, rank: int, source: int) -> Any:
        with self.changed:
            self._must_exist(rank, source)
            while not self.letters.get((source, rank)):
                self.waits[rank] = source
                self._look_for_a_standstill()
                if self.halted:
                    raise Halt
                self.changed.wait()
                self.waits.pop(rank, None)
            self.changed.notify_all()
            return self.letters[source, rank].pop(0).value

    def leave(self, rank: int) -> None:
        with self.changed:
            self.playing.discard(rank)
            self._look_for_a_standstill()

    def _must_exist(self, rank: int, peer: Any) -> None:
        if self.halted:
            raise Halt
        if not isinstance(peer, int) or not 0 <= peer < self.seen.ranks:
            if self.seen.missing is None or rank < self.seen.missing[0]:  # not the fastest thread
                self.seen.missing = (rank, peer)
            raise Halt

    def _look_for_a_standstill(self) -> None:
        blocked = {rank: source for rank, source in self.waits.items() if not self.letters.get((source, rank))}
        offers = {rank: sent.target for rank, sent in self.offers.items() if self._lies_there(sent)}
        if self.playing and {*blocked, *offers} == self.playing and not self.halted:
            self.seen.waiting, self.seen.offering = dict(sorted(blocked.items())), dict(sorted(offers.items()))
            self.halted = True
            self.changed.notify_all()


class _Part:
    """The handle ``w`` of one rank in a rehearsal."""

    def __init__(self, stage: _Stage, rank: int):
        self._stage = stage
        self.rank = rank
        self.ranks = stage.seen.ranks
        self.device = "cpu"
        self.state: dict = {}

    def send(self, tensor, to: int) -> None:
        self._stage.deliver(self._post(tensor, to))

    def _post(self, tensor, to: int) -> Sent:
        return self._stage.send(self.rank, to, tensor.clone() if hasattr(tensor, "clone") else tensor)

    def recv(self, source: int, like=None):
        return self._stage.recv(self.rank, source)

    def exchange(self, tensor, to: int, source: int):
        sent = self._post(tensor, to)
        received = self.recv(source)
        self._stage.deliver(sent)
        return received

    def __getattr__(self, name: str):
        raise AttributeError(f"this exercise needs only w.rank, w.ranks, w.send, w.recv and w.exchange, not w.{name}")


def rehearse(
    program: Callable, ranks: int, *arguments: Any, limit: float = LIMIT, rendezvous: bool = False
) -> Rehearsal:
    """Play ``program(w, *arguments)`` on ``ranks`` ranks in this process; each gets its own copy of the arguments."""
    stage = _Stage(ranks, rendezvous)
    copies = [copy.deepcopy(arguments) for _ in range(ranks)]

    def play(rank: int) -> None:
        with Capture() as printed:
            try:
                stage.seen.results[rank] = program(_Part(stage, rank), *copies[rank])
            except Halt:
                pass
            except BaseException as error:
                if not stage.halted and (stage.seen.error is None or rank < stage.seen.error[0]):
                    stage.seen.error = (rank, error)
        said.append(printed.text())
        stage.leave(rank)

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(play, rank), daemon=True) for rank in range(ranks)
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + limit
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        stage.seen.endless = True
        with stage.changed:
            stage.halted = True
            stage.changed.notify_all()
        for thread in threads:
            end_thread(thread, patience=0.3)
    stage.seen.left = [sent for letters in stage.letters.values() for sent in letters]
    return stage.seen

"""What if the learner's code raises, never ends, exits, or prints?

    call(fn, *arguments) ── copies of the arguments go in; a thread and a time limit; Trouble carries the sentence
    Capture ─────────────── what this one thread prints, kept for a panel; other cells print as always
    story(error) ────────── one error in words, with the learner's own line, without a traceback
    stopped_ranks(error) ── the same of real ranks, as one sentence

It must end in a sentence, and the kernel must live.
"""

from __future__ import annotations

import copy
import ctypes
import inspect
import linecache
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT = 2.0  # seconds that a learner's function may take, where a lesson says nothing else
KEPT = 8_000  # characters of output that a panel keeps: the last ones
PACKAGE = str(Path(__file__).resolve().parent.parent)


class Trouble(Exception):
    """The learner's function did not give a value; the message says why, in a sentence."""

    def __init__(self, sentence: str, kind: str = "raised", error: BaseException | None = None):
        super().__init__(sentence)
        self.kind = kind  # "raised", "limit", "exit", "interrupted"
        self.error = error


class TimeLimit(BaseException):
    """Thrown into a thread whose time is up; a BaseException, so that ``except Exception`` lets it through."""


said: list[str] = []  # what learners' functions printed since the last check began


def call(fn: Callable, *arguments: Any, limit: float = LIMIT, **named: Any) -> Any:
    """``fn`` of deep copies of the arguments; Trouble (one sentence) if it gives no value within ``limit`` seconds."""
    arguments, named = copy.deepcopy((arguments, named))
    outcome: dict[str, Any] = {}

    def work() -> None:
        with Capture() as printed:
            try:
                value = fn(*arguments, **named)
                outcome["value"] = list(value) if inspect.isgenerator(value) else value
            except BaseException as error:
                outcome["error"] = error
        said.append(printed.text())

    thread = threading.Thread(target=work, name="check", daemon=True)
    thread.start()
    try:
        thread.join(limit)
    except KeyboardInterrupt:
        end_thread(thread)
        raise Trouble("You interrupted the check.", "interrupted") from None
    name = getattr(fn, "__name__", "your function")
    if thread.is_alive():
        end_thread(thread)
        raise Trouble(f"{name} had not finished after {limit:g} s. Does it loop for ever?", "limit")
    if "error" in outcome:
        raise trouble(name, outcome["error"])
    return outcome["value"]


def trouble(name: str, error: BaseException) -> Trouble:
    """The sentence for an exception that came out of the learner's function ``name``."""
    if isinstance(error, Trouble):
        return error
    if isinstance(error, SystemExit):
        return Trouble(f"{name} called exit(). Let it return its result instead.", "exit", error)
    if isinstance(error, RecursionError):
        return Trouble(f"{name} called itself too often: nothing ended the recursion.", "raised", error)
    place = where(error)
    return Trouble(f"{name} stopped with {words(error)}{f' {place}' if place else ''}", "raised", error)


def words(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else f"{type(error).__name__}."


def where(error: BaseException) -> str:
    """ "(line 3: `return x + y`)" for the deepest line that the learner wrote; empty where there is none."""
    found = ""
    trace = error.__traceback__
    while trace is not None:
        file, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        if not file.startswith(PACKAGE) and not installed(file):
            source = linecache.getline(file, line).strip()
            found = f"(line {line}: `{source}`)" if source else f"(line {line})"
        trace = trace.tb_next
    return found


def installed(file: str) -> bool:
    return "site-packages" in file or file.startswith((sys.base_prefix + "/lib", "<frozen"))


def story(error: BaseException) -> str:
    """One error in readable words. Errors of the pool tell their own story."""
    if type(error).__name__ in ("RemoteError", "RemoteInterrupt"):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted."
    place = where(error)
    return f"{words(error)}\n{place}" if place else words(error)


def stopped_ranks(error: BaseException, deadlock: str) -> str:
    """What a pool's RemoteError says, as one sentence with the learner's own line where there is one.

    deadlock: the lesson's advice where the ranks wait for each other in a circle.
    """
    what = f"{error.cause[:1].upper()}{error.cause[1:]}".rstrip(".")
    if error.kind == "deadlock":
        return f"{what}. {deadlock}"
    lines = re.findall(r"^ +(?:File \"(.+?)\"|Cell In).*, line \d+, in .+\n +(.+)$", str(error), re.MULTILINE)
    own = [line for file, line in lines if not file.startswith(PACKAGE) and "site-packages" not in file]
    return f"{what}, at `{own[-1]}`." if own else f"{what}."


def end_thread(thread: threading.Thread, patience: float = 1.0) -> bool:
    """Throw TimeLimit into a thread until it ends; False if it sits in code that cannot be interrupted."""
    for _ in range(10):
        stop_thread(thread, TimeLimit)
        thread.join(patience / 10)
        if not thread.is_alive():
            return True
    for pool in busy_pools():  # it waits for workers: these can be stopped
        pool.stop()
    thread.join(patience)
    return not thread.is_alive()


def busy_pools() -> list:
    """Open pools that run something now. A pool module that was never loaded has none."""
    module = sys.modules.get("minipar.run.pool")
    return [pool for pool in module.live_pools() if pool.current is not None] if module is not None else []


def stop_thread(thread: threading.Thread, exception: type[BaseException]) -> None:
    """Raise ``exception`` in another thread at its next line of Python."""
    if thread.ident is not None and thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(exception))


class Capture:
    """Within ``with``, what this thread prints is kept here; all other threads print as before."""

    def __init__(self):
        self._pieces: list[str] = []
        self._length = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Capture:
        _Router.install().kept[threading.get_ident()] = self
        return self

    def __exit__(self, *_error) -> None:
        _Router.forget(threading.get_ident())

    def write(self, text: str) -> None:
        with self._lock:
            self._pieces.append(text)
            self._length += len(text)
            while self._length > 2 * KEPT and len(self._pieces) > 1:
                self._length -= len(self._pieces.pop(0))

    def text(self) -> str:
        with self._lock:
            whole = "".join(self._pieces).rstrip()
        return whole if len(whole) <= KEPT else "…\n" + whole[-KEPT:]


class _Router:
    """Stands in for sys.stdout and sys.stderr while any thread captures; hands everything else on."""

    current: _Router | None = None
    lock = threading.Lock()

    def __init__(self):
        self.kept: dict[int, Capture] = {}
        self.before = (sys.stdout, sys.stderr)

    @classmethod
    def install(cls) -> _Router:
        with cls.lock:
            if cls.current is None:
                cls.current = cls()
                sys.stdout, sys.stderr = (_Stream(cls.current, stream) for stream in cls.current.before)
            return cls.current

    @classmethod
    def forget(cls, thread: int) -> None:
        with cls.lock:
            router = cls.current
            if router is None:
                return
            router.kept.pop(thread, None)
            ours = isinstance(sys.stdout, _Stream) and isinstance(sys.stderr, _Stream)
            if not router.kept and ours:  # somebody else's redirection is left alone
                sys.stdout, sys.stderr = router.before
                cls.current = None


class _Stream:
    def __init__(self, router: _Router, before):
        self._router = router
        self._before = before

    def write(self, text: str) -> int:
        kept = self._router.kept.get(threading.get_ident())
        if kept is None:
            return self._before.write(text)
        kept.write(text)
        return len(text)

    def flush(self) -> None:
        self._before.flush()

    def __getattr__(self, name: str):
        return getattr(self._before, name)

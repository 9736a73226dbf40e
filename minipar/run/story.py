"""What happened, in words that a learner can use?

    cause      one sentence, and where a rank raised, its traceback with the cell's own lines
    the rest   one line a rank: where it was, or how it ended
    the end    whether the workers and what they kept are still there

The cause is a death, else the earliest error that is not a peer's echo: when one rank fails, gloo tells all the
others "connection closed", and these are not what the learner looks for.
"""

import contextlib
import re
import signal
import sys
from typing import NamedTuple

_ECHO = re.compile(
    r"\[\S+\] (Connection|Read error|Write error|.*Broken pipe|Timed out|.*[Rr]eset)|Rank \d+ successfully reached"
    r"|.*(Connection closed by peer|Socket closed|Connection reset|Broken pipe)",
    re.DOTALL,
)


class _Told:
    """An error whose text is the whole story: notebooks show it without the pool's own frames.

    `kind`: "raised", "died", "deadlock", "timeout", "disagree", "memory limit" or "interrupted"; `rank` and `type`: who
    raised what, where somebody did; `cause`: the one sentence; `cycle`: the ranks that wait for one another; `kept`:
    whether the workers and their state were kept; `result`: what the ranks returned, where all stopped when asked to.
    `stuck`: rank -> Waiting, of every rank that could not go on; `calls`: rank -> (its latest collective, where in the
    program), of ranks that disagree.
    """

    def __init__(self, text, kind="raised", rank=None, type=None, cause="", cycle=(), kept=True, result=None,
                 stuck=None, calls=None):  # fmt: skip
        super().__init__(text)
        self.kind, self.rank, self.type, self.cause = kind, rank, type, cause
        self.cycle, self.kept, self.result = tuple(cycle), kept, result
        self.stuck, self.calls = stuck or {}, calls or {}

    def _render_traceback_(self):
        return str(self).splitlines()


class Waiting(NamedTuple):
    """A rank that could not go on: it waits for `peer` in its `number`-th send to it, or receive from it (`kind`).

    In a collective `kind` is its name and `peer` the first rank that is missing. at: the line, as the story has it.
    """

    kind: str
    peer: int
    number: int
    at: str


class RemoteError(_Told, RuntimeError):
    """A call did not work. Its text says which rank, what, and where."""


class RemoteInterrupt(_Told, KeyboardInterrupt):
    """A call was stopped, by Ctrl-C, the notebook's stop button or `pool.stop()`."""


def cause_of(got, fallback_kind, fallback):
    """(kind, rank, type, sentence, traceback) of a failed call. `got`: rank -> final message; else the fallback."""
    deaths = [(rank, message[2]) for rank, message in sorted(got.items()) if message[0] == "dead"]
    faults = sorted(
        ((message[3]["time"], rank, message[3]) for rank, message in got.items() if message[0] == "fault"),
        key=lambda f: f[:2],
    )
    own = [
        fault for fault in faults if not _ECHO.match(fault[2]["message"]) and fault[2]["type"] != "KeyboardInterrupt"
    ]
    if deaths and not (own and own[0][2]["type"] == "Desync"):
        rank, code = deaths[0]
        return "died", rank, None, f"rank {rank} died: {how(code)}", ""
    if own:
        first = own[0][2]
        alike = [each for each in own if (each[2]["type"], each[2]["message"]) == (first["type"], first["message"])]
        _, rank, fault = min(alike, key=lambda each: each[1])  # the same error on several ranks: always the same story
        return _raised(rank, fault)
    if fallback:
        return fallback_kind, None, None, fallback, ""
    return _raised(faults[0][1], faults[0][2])


def _raised(rank, fault):
    kind = {"MemoryLimit": "memory limit", "Desync": "disagree"}.get(fault["type"], "raised")
    name = {"MemoryLimit": "MemoryError"}.get(fault["type"], fault["type"])
    plain = kind != "raised" or fault["type"] == "Refusal"
    sentence = fault["message"] if plain else f"rank {rank} raised {name}: {fault['message']}"
    return kind, rank, "ValueError" if name == "Refusal" else name, sentence, fault["text"]


def how(code):
    """An exit code in words."""
    if code is None or code >= 0:
        return f"it ended itself with exit code {code}"
    name = signal.Signals(-code).name
    extra = {
        "SIGKILL": " (killed from outside; perhaps the machine ran out of memory)",
        "SIGSEGV": " (a crash in compiled code)",
    }
    return f"killed by {name}{extra.get(name, '')}"


def doing(operation):
    """An operation a rank is blocked in, in words."""
    kind, peer, _, number = operation[:4]
    if kind == "recv":
        return f"waits for a message from rank {peer}"
    if kind == "send":
        return f"waits until rank {peer} takes its message"
    if isinstance(peer, tuple):
        others = ", ".join(map(str, peer))
        return f"waits in {kind} (number {number} of the group {others})"
    return f"waits in {kind}"


def line_of(rank, message, answer, known_cause):
    """What one rank was doing, or how it ended, in a line or two; "" where the cause has said it already."""
    if answer is not None:
        at = f"\n      at {answer['at']}"
        if answer["now"] is None:
            return f"  rank {rank}: was in its own code{at}"
        operation, since = answer["now"]
        name = f" ({answer['name']})" if answer.get("name") else ""
        return f"  rank {rank}: {doing(operation)}{name}, for {answer['clock'] - since:.1f} s{at}"
    if message is None:
        return f"  rank {rank}: did not answer (compiled code holds its interpreter)"
    if message[0] == "ok":
        return f"  rank {rank}: had finished"
    if message[0] == "dead":
        return "" if known_cause == rank else f"  rank {rank}: died, {how(message[2])}"
    if known_cause == rank:
        return ""
    fault = message[3]
    if _ECHO.match(fault["message"]):
        during = doing(fault["operation"]).replace("waits", "waited", 1) if fault["operation"] else "was connected"
        return f"  rank {rank}: {during}, and lost the connection"
    return f"  rank {rank}: {fault['type']}: {fault['message'].splitlines()[0][:120] if fault['message'] else ''}"


def tell(cause, got, answers, ranks, kept):
    """The whole text. `cause`: from `cause_of`; `answers`: rank -> where it was when it was asked."""
    _, rank, _, sentence, trace = cause
    parts = [sentence] + (["", trace, ""] if trace else [])
    lines = [line_of(each, got.get(each), answers.get(each), rank) for each in range(ranks)]
    if any(lines):
        parts += ["The ranks:" if rank is None else "The other ranks:"] + [line for line in lines if line]
    parts.append("The workers, and what they keep in w.state, are still there." if kept else
                 "The workers were started again: what they kept in w.state is gone.")  # fmt: skip
    return in_cells("\n".join(parts))


def in_cells(text):
    """Names the notebook's cells by their number instead of the file IPython keeps them in."""
    with contextlib.suppress(Exception):
        for file, number in sys.modules["IPython"].get_ipython().compile._filename_map.items():
            text = text.replace(f'File "{file}"', f"Cell In[{number}]")
    return text

"""How does a trace become a file that trace viewers open?

    rank 0  ├ actions     ▇0F0▇▇0F1▇      ▇0B0▇           a process a rank, named; a thread for its actions
            ├ other            ▇wait▇                     waits, collectives, the optimizer: as many as must not overlap
            └ bytes       ▁▂▃▂▁                           a counter of each kind of memory
                 ╲                                        an arrow for each value that another rank waits for

The format is Chrome's "Trace Event Format" (JSON object form), which Perfetto and chrome://tracing open. Its times are
microseconds; a slot, which has no duration, is drawn as one millisecond.
"""

from collections.abc import Iterator

from minipar.plan.actions import Action, Op
from minipar.plan.order import say
from minipar.plan.trace import Span, Trace

_COLOURS = {Op.F: "thread_state_running", Op.B: "rail_animation", Op.I: "thread_state_iowait", Op.W: "good"}
_MICROSECONDS = {"slots": 1000.0, "s": 1e6}


def events(trace: Trace) -> dict:
    """The whole file as plain data. Times start at the step's first action."""
    scale = _MICROSECONDS[trace.unit]
    found = [*_names(trace), *_slices(trace, scale), *_arrows(trace, scale), *_counters(trace, scale)]
    told = {"name": trace.name, "source": trace.source, "unit": trace.unit, "ranks": trace.ranks}
    if trace.device:
        told["device"] = trace.device
    if trace.unit == "slots":
        told["note"] = "one slot is drawn as one millisecond"
    return {"traceEvents": found, "displayTimeUnit": "ms", "otherData": told}


def _names(trace: Trace) -> Iterator[dict]:
    for rank in range(trace.ranks):
        yield {"ph": "M", "name": "process_name", "pid": rank, "tid": 0,
               "args": {"name": f"rank {rank} ({trace.source})"}}  # fmt: skip
        yield {"ph": "M", "name": "process_sort_index", "pid": rank, "tid": 0, "args": {"sort_index": rank}}
        yield {"ph": "M", "name": "thread_name", "pid": rank, "tid": 0, "args": {"name": "actions"}}


def _slices(trace: Trace, scale: float) -> Iterator[dict]:
    """A bar for every span. Bars of one thread lie apart or within one another, or viewers draw them wrong."""
    for rank in range(trace.ranks):
        spans = sorted((span for span in trace.spans if span.rank == rank), key=lambda span: (span.start, -span.end))
        threads: list[list[float]] = [[]]  # the ends of the bars that are open on each thread but the actions'
        for span in spans:
            thread = 0 if isinstance(span.what, Action) else 1 + _free(threads, span)
            yield _slice(span, thread, trace.start, scale)
        for thread in range(len(threads) if any(threads) else 0):
            yield {"ph": "M", "name": "thread_name", "pid": rank, "tid": thread + 1,
                   "args": {"name": "other" if not thread else f"other {thread + 1}"}}  # fmt: skip


def _free(threads: list[list[float]], span: Span) -> int:
    """The first thread on which this span lies apart from the others or within them; a new one if there is none."""
    for number, ends in enumerate(threads):
        while ends and ends[-1] <= span.start:
            ends.pop()
        if not ends or span.end <= ends[-1]:
            ends.append(span.end)
            return number
    threads.append([span.end])
    return len(threads) - 1


def _slice(span: Span, thread: int, zero: float, scale: float) -> dict:
    what = span.what
    found = {"ph": "X", "pid": span.rank, "tid": thread, "ts": (span.start - zero) * scale,
             "dur": (span.end - span.start) * scale}  # fmt: skip
    if isinstance(what, Action):
        found |= {"name": str(what), "cat": "action", "cname": _COLOURS[what.op]}
        found["args"] = {"stage": what.stage, "operation": what.op.name, "microbatch": what.microbatch}
    else:
        found |= {"name": what if isinstance(what, str) else say(what), "cat": "other", "args": {}}
    if span.note:
        found["args"]["note"] = span.note
    return found


def _arrows(trace: Trace, scale: float) -> Iterator[dict]:
    """From the end of the action that made a value to the start of the one that reads it on another rank."""
    number = 0
    for span in trace.actions():
        for _, maker in trace.arrivals(span):
            if maker.rank == span.rank:
                continue
            inside = min(1.0, (maker.end - maker.start) * scale / 2)  # on the very end it would hang on the next bar
            common = {"id": number, "name": "value", "cat": "message", "tid": 0}
            yield {"ph": "s", "pid": maker.rank, "ts": (maker.end - trace.start) * scale - inside, **common}
            yield {"ph": "f", "bp": "e", "pid": span.rank, "ts": (span.start - trace.start) * scale, **common}
            number += 1


def _counters(trace: Trace, scale: float) -> Iterator[dict]:
    for rank in range(trace.ranks):
        for time, held in trace.memory(rank):
            yield {"ph": "C", "pid": rank, "tid": 0, "name": "bytes", "ts": (time - trace.start) * scale, "args": held}

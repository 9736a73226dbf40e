"""What belongs to one timeline besides its bars?

    title                                     the finding, in words
    predicted, in slots        ■ forward ...  where the numbers come from
    rank 0 │ bars                  busy 73 %
    rank 0 │ what it holds         peak 8     microbatches in flight, or bytes by kind, under a cap line
"""

import enum
import functools
from dataclasses import dataclass

from minipar.plan.actions import Op, W, keeps
from minipar.plan.trace import MEMORY_KINDS, Trace
from minipar.view import words


class Strip(enum.Enum):
    """What is drawn under the bars, rank by rank: nothing, microbatches held, or bytes held by kind.

    SHARES is for ranks with several stages: each (stage, microbatch) counts as its share of the rank, so that one
    chunk a rank and two stand on one scale.
    """

    NOTHING = "nothing"
    IN_FLIGHT = "microbatches in flight"
    SHARES = "in flight, in shares of a whole rank"
    MEMORY = "memory held"

    @property
    def counts(self) -> bool:
        """Whether it shows how many are held, and not bytes."""
        return self in (Strip.IN_FLIGHT, Strip.SHARES)


#: What a strip of microbatches is made of where backwards are split, from bottom to top.
HALVES = ("waits for I", "waits for W")


@dataclass(frozen=True)
class Panel:
    """One trace with all that is drawn about it.

    Args:
        trace: what is drawn.
        title: the finding in words; an automatic one when empty.
        ghost: another trace (the prediction) drawn as an outline under the bars, in the unit of ``trace``.
        cap: a line across the strips, in microbatches or bytes.
        strip: what the strips show; ``Strip.MEMORY`` wants a trace with a ledger.
        callouts: at most three notes, each (rank, time, text) or (rank, time, text, "memory"); the
            time is the trace's own, as in its spans.
        sentence: stands in the readout while nothing is pointed at; the bubble's readings when empty.
    """

    trace: Trace
    title: str = ""
    ghost: Trace | None = None
    cap: float | None = None
    strip: Strip = Strip.NOTHING
    callouts: tuple = ()
    sentence: str = ""

    def __post_init__(self):
        for callout in self.callouts:
            if len(callout) not in (3, 4) or not 0 <= callout[0] < self.trace.ranks:
                raise ValueError(
                    f"A callout is (rank, time, text), the rank from 0 to {self.trace.ranks - 1}; {callout!r} is not."
                )
        if self.ghost is not None and self.ghost.ranks != self.trace.ranks:
            raise ValueError(
                f"A ghost lies under its own ranks: the trace has {self.trace.ranks}, the ghost {self.ghost.ranks}."
            )

    @property
    def notes(self) -> list[tuple]:
        """The callouts with times counted from the step's start."""
        return [(rank, time - self.trace.start, *rest) for rank, time, *rest in self.callouts]

    @property
    def heading(self) -> str:
        return self.title or words.heading(self.trace)

    @property
    def origin(self) -> str:
        return words.origin(self.trace) + (f"; outline: {words.origin(self.ghost)}" if self.ghost else "")

    @property
    def summary(self) -> str:
        return words.summary(self.trace, "with its prediction" if self.ghost else "")

    @property
    def readings(self) -> tuple[str, str]:
        return (self.sentence,) * 2 if self.sentence else words.readings(self.trace)

    @property
    def end(self) -> float:
        """The end of the time axis: the latest end of any span, trace or ghost, counted from the step's start."""
        traces = [trace for trace in (self.trace, self.ghost) if trace and trace.spans]
        return max((max(span.end for span in trace.spans) - trace.start for trace in traces), default=1.0) or 1.0

    def busy(self, rank: int) -> str:
        """What stands at the right of a row of bars."""
        whole = self.trace.makespan
        return f"busy {words.share(self.trace.busy(rank) / whole)}" if whole and self.trace.microbatches else ""

    @property
    def strip_title(self) -> str:
        """What the strips show; where a rank has several stages, each (stage, microbatch) is a chunk in flight."""
        several = self.strip is Strip.IN_FLIGHT and self.trace.stages > self.trace.ranks
        return "chunks in flight" if several else self.strip.value

    def peak(self, rank: int) -> str:
        """What stands at the right of a strip."""
        most = self.peaks[rank]
        return f"peak {most:g}" if self.strip.counts else f"peak {words.amount(most)}"

    @functools.cached_property
    def peaks(self) -> tuple[float, ...]:
        """The most that each rank holds at once, in microbatches or bytes."""
        return tuple(max((sum(row[1:]) for row in rows), default=0) for rows in self.steps)

    @functools.cached_property
    def halved(self) -> bool:
        """Whether some backward of the trace is in two halves: then a strip shows what waits for I and what for W."""
        return any(span.what.op is W for span in self.trace.actions())

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The kinds stacked in the strips, bottom to top; only those that are there."""
        if self.strip.counts:
            return HALVES if self.halved else ("in flight",)
        present = {sample.kind for row in self.trace.ledger for sample in row if sample.bytes}
        return tuple(kind for kind in MEMORY_KINDS if kind in present) + tuple(sorted(present - set(MEMORY_KINDS)))

    @functools.cached_property
    def steps(self) -> list[list[tuple[float, ...]]]:
        """For each rank, (time, one number for each of ``names``): from then on that much is held; in order of time."""
        start, ranks = self.trace.start, range(self.trace.ranks)
        each = self.trace.ranks / self.trace.stages if self.strip is Strip.SHARES else 1
        if self.strip.counts and self.halved:
            rows = (halves(self.trace, rank) for rank in ranks)
            return [[(time - start, whole * each, parked * each) for time, whole, parked in row] for row in rows]
        if self.strip.counts:
            rows = (self.trace.in_flight(rank) for rank in ranks)
            return [[(time - start, count * each) for time, count in row] for row in rows]
        return [
            [(time - start, *(held.get(kind, 0) for kind in self.names)) for time, held in self.trace.memory(rank)]
            for rank in ranks
        ]

    @property
    def top(self) -> float:
        """The largest amount any rank holds, for the common height of the strips."""
        return max(self.peaks, default=0)

    @property
    def cap_label(self) -> str:
        if self.cap is None or self.strip is Strip.NOTHING:
            return ""
        return f"cap {self.cap:g}" if self.strip.counts else f"cap {words.amount(self.cap)}"


def strip_for(trace: Trace) -> Strip:
    """The most that a trace can say about memory: bytes when it has a ledger, else microbatches, else nothing."""
    if any(trace.ledger):
        return Strip.MEMORY
    return Strip.IN_FLIGHT if trace.microbatches else Strip.NOTHING


def halves(trace: Trace, rank: int) -> list[tuple[float, int, int]]:
    """(time, microbatches held whose I has not ended, those that only wait for their W) of one rank, from then on.

    The two add up to `trace.in_flight`: a weight gradient that waits keeps what it needs.
    """
    changes = []
    for span in trace.actions(rank):
        moved = {Op.I: 1, Op.W: -1}.get(span.what.op, 0)
        if moved:
            changes.append((span.end, 0, moved))
        held = keeps(span.what)
        if held:
            changes.append((span.start if held > 0 else span.end, held, 0))
    whole, parked, steps = 0, 0, []
    for time, held, moved in sorted(changes):
        whole, parked = whole + held, parked + moved
        if steps and steps[-1][0] == time:
            steps.pop()
        steps.append((time, whole - parked, parked))
    return steps

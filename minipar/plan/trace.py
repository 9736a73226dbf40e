"""What happened, or would happen, on every rank, and when?

A trace is data: spans on ranks, bytes held over time, messages. The simulator and the real worker processes produce
the same type, so whatever reads a trace is blind to where it came from; ``source`` says it, for a picture's title.

    idle / total   bubble     GPipe, P=4, M=8: 9/33
    idle / useful  overhead                    9/24
"""

import functools
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from minipar.plan.actions import Action, Step, keeps, makes, reads

#: Every byte a device holds is of exactly one kind; bottom to top of the stacked picture.
MEMORY_KINDS = ("parameter", "gradient", "optimizer", "batch", "activation", "communication")

OVERLAPPED = "at once"  # the note of two spans that are a pair: they share their time


class Span(NamedTuple):
    """Rank ``rank`` did ``what``, an action or words ("wait 0F1", "optimizer"), from ``start`` to ``end``."""

    rank: int
    what: Step | str
    start: float
    end: float
    note: str = ""


class Sample(NamedTuple):
    """From ``time`` on, ``bytes`` of ``kind`` are held."""

    time: float
    kind: str
    bytes: int


class Message(NamedTuple):
    """``bytes`` really went from rank ``source`` (handed over at ``sent``) to ``target`` (there at ``received``).

    ``collective``: the one of our own that it belongs to ("all_reduce"), or ""; ``layer``: who asked for it, or "".
    """

    source: int
    target: int
    bytes: int
    sent: float
    received: float
    what: str = ""
    collective: str = ""
    layer: str = ""


class Collective(NamedTuple):
    """Rank ``rank`` took part in ``what`` ("all_reduce") with ``ranks`` and put ``bytes`` in, for ``layer``.

    ``own``: made of our own sends and receives, whose bytes stand in the trace's messages; a backend's collective does
    not tell what it sends.
    """

    rank: int
    what: str
    axis: str
    ranks: tuple[int, ...]
    layer: str
    bytes: int
    start: float
    end: float
    own: bool


@dataclass(frozen=True)
class Trace:
    """Spans of all ranks with what is needed to read them. Times are in ``unit``: "slots", or "s" for seconds."""

    name: str
    spans: tuple[Span, ...]
    ranks: int
    source: str = "predicted"
    unit: str = "slots"
    ledger: tuple[tuple[Sample, ...], ...] = ()
    messages: tuple[Message, ...] = ()
    hop: float = 0.0
    device: str = ""
    collectives: tuple[Collective, ...] = ()
    pipelines: tuple[tuple[int, ...], ...] = ()  # ranks that run one schedule together, where several such groups do

    @functools.cached_property
    def _by_rank(self) -> tuple[tuple[Span, ...], ...]:
        rows: list[list[Span]] = [[] for _ in range(self.ranks)]
        for span in self.spans:
            if isinstance(span.what, Action):
                rows[span.rank].append(span)
        return tuple(tuple(sorted(row, key=lambda span: span.start)) for row in rows)

    @functools.cached_property
    def _all(self) -> tuple[Span, ...]:
        return tuple(itertools.chain.from_iterable(self._by_rank))

    def actions(self, rank: int | None = None) -> tuple[Span, ...]:
        """The spans that are actions, of one rank or of all, by start."""
        return self._by_rank[rank] if rank is not None else self._all

    def order(self, rank: int) -> tuple[Action, ...]:
        """The actions of a rank in the order in which they ran."""
        return tuple(span.what for span in self._by_rank[rank])

    @functools.cached_property
    def stages(self) -> int:
        return 1 + max((span.what.stage for span in self.actions()), default=-1)

    @functools.cached_property
    def microbatches(self) -> int:
        return 1 + max((span.what.microbatch for span in self.actions()), default=-1)

    @functools.cached_property
    def start(self) -> float:
        return min((span.start for span in self.actions() or self.spans), default=0.0)

    @functools.cached_property
    def end(self) -> float:
        return max((span.end for span in self.actions() or self.spans), default=0.0)

    @property
    def makespan(self) -> float:
        """From the first start of an action to the last end, on any rank."""
        return self.end - self.start

    def busy(self, rank: int) -> float:
        """Time this rank spent in actions; what two of them share counts once."""
        return self._busy[rank]

    @functools.cached_property
    def _busy(self) -> tuple[float, ...]:
        return tuple(map(_covered, self._by_rank))

    def span(self, rank: int) -> float:
        """From this rank's first start to its last end."""
        row = self._by_rank[rank]
        return max(span.end for span in row) - row[0].start if row else 0.0

    @property
    def bubble(self) -> float:
        """Idle share of all device time: idle / total."""
        total = self.makespan * self.ranks
        return (total - self._useful) / total if total else 0.0

    @property
    def span_bubble(self) -> float:
        """Idle share of the longest of the ranks' own spans, first start to last end (Qi et al., 2023, section 5.3).

        (cost - M(F + I + W)) / cost: what is idle before a rank's first action and after its last does not count.
        """
        longest = max(map(self.span, range(self.ranks)), default=0.0)
        return (longest - max(map(self.busy, range(self.ranks)))) / longest if longest else 0.0

    @property
    def overhead(self) -> float:
        """Idle time against useful time: idle / useful."""
        return (self.makespan * self.ranks - self._useful) / self._useful if self._useful else 0.0

    @functools.cached_property
    def _useful(self) -> float:
        return sum(self._busy)

    def in_flight(self, rank: int) -> list[tuple[float, int]]:
        """(time, activations held from then on): kept from the start of F to the end of B or W; I frees nothing."""
        changes = [(span.start if keeps(span.what) > 0 else span.end, keeps(span.what)) for span in self._by_rank[rank]]
        return list(_running(change for change in changes if change[1]))

    @functools.cached_property
    def peak_in_flight(self) -> tuple[int, ...]:
        """Per rank, the most (stage, microbatch) pairs held at once: follows from the order, exact on any machine."""
        return tuple(max((count for _, count in self.in_flight(rank)), default=0) for rank in range(self.ranks))

    def memory(self, rank: int) -> list[tuple[float, dict[str, int]]]:
        """(time, bytes by kind from then on) for one rank, in order of time."""
        held, steps = {}, []
        for sample in sorted(self.ledger[rank] if self.ledger else (), key=lambda sample: sample.time):
            held = {**held, sample.kind: sample.bytes}
            if steps and steps[-1][0] == sample.time:
                steps.pop()
            steps.append((sample.time, held))
        return steps

    def peak_memory(self, rank: int) -> int:
        """The most bytes this rank held at once, all kinds together."""
        return max((sum(held.values()) for _, held in self.memory(rank)), default=0)

    def _sent(self, collective: str | None, layer: str | None) -> Iterable[Message]:
        for message in self.messages:
            if (collective is None or message.collective == collective) and _within(message.layer, layer):
                yield message

    def traffic(self, collective: str | None = None, layer: str | None = None) -> tuple[tuple[int, ...], ...]:
        """Bytes really sent, as rows: ``[source][target]``. Of one collective ("" is outside of all), of one layer.

        A layer stands for all within it: "layers.3" is "layers.3.mlp" too. The backend's collectives are not in it.
        """
        table = [[0] * self.ranks for _ in range(self.ranks)]
        for message in self._sent(collective, layer):
            table[message.source][message.target] += message.bytes
        return tuple(tuple(row) for row in table)

    def sent(self, rank: int, collective: str | None = None, layer: str | None = None) -> int:
        """Bytes this rank sent in messages of its own (see ``traffic``)."""
        return sum(message.bytes for message in self._sent(collective, layer) if message.source == rank)

    def received(self, rank: int, collective: str | None = None, layer: str | None = None) -> int:
        """Bytes that came to this rank in messages (see ``traffic``)."""
        return sum(message.bytes for message in self._sent(collective, layer) if message.target == rank)

    def message_count(self, rank: int, collective: str | None = None, layer: str | None = None) -> int:
        """How many messages this rank sent, empty ones too."""
        return sum(message.source == rank for message in self._sent(collective, layer))

    def calls(self, rank: int = 0, what: str | None = None, layer: str | None = None) -> int:
        """How many collectives this rank took part in, ours and the backend's."""
        return len(self._collectives(rank, what, layer))

    def payload(self, rank: int = 0, what: str | None = None, layer: str | None = None) -> int:
        """Bytes this rank put into collectives: what it had in hand, not what went over the wire."""
        return sum(each.bytes for each in self._collectives(rank, what, layer))

    def _collectives(self, rank: int, what: str | None, layer: str | None) -> list[Collective]:
        mine = [each for each in self.collectives if each.rank == rank and _within(each.layer, layer)]
        return [each for each in mine if what is None or each.what == what]

    @functools.cached_property
    def _pipeline(self) -> dict[int, int]:
        return {rank: number for number, ranks in enumerate(self.pipelines) for rank in ranks}

    def pipeline(self, rank: int) -> int:
        """The number of the pipeline that this rank belongs to: values of one name are made once in each of them."""
        return self._pipeline.get(rank, 0)

    @functools.cached_property
    def _maker(self) -> dict:
        """(pipeline, value) -> the span that made it."""
        return {(self.pipeline(span.rank), value): span for span in self.actions() for value in makes(span.what)}

    def arrivals(self, span: Span) -> list[tuple[float, Span]]:
        """(when it could be used, the span that made it) for all that an action reads; a hop is added between ranks."""
        found = []
        for value in reads(span.what, self.stages - 1):
            maker = self._maker.get((self.pipeline(span.rank), value))
            if maker is not None:
                found.append((maker.end + (self.hop if maker.rank != span.rank else 0.0), maker))
        return found

    def readers(self, span: Span) -> list[Span]:
        """The spans that read something this one made."""
        made, pipeline = set(makes(span.what)), self.pipeline(span.rank)
        together = [other for other in self.actions() if self.pipeline(other.rank) == pipeline]
        return [other for other in together if made & set(reads(other.what, self.stages - 1))]

    def critical_path(self) -> list[Span]:
        """A chain of spans, each the last thing the next one waited for, from the start of the step to its end."""
        if not self.actions():
            return []
        span, path = max(self.actions(), key=lambda span: span.end), []
        while span is not None:
            path.append(span)
            span = self._waited_longest_for(span)
        return path[::-1]

    def _waited_longest_for(self, span: Span) -> Span | None:
        row = self._by_rank[span.rank]
        at = row.index(span)
        before = [(row[at - 1].end, row[at - 1])] if at else []
        return max(self.arrivals(span) + before, key=lambda pair: pair[0], default=(0, None))[1]

    def why_idle(self, rank: int, time: float) -> str:
        """One sentence: what rank ``rank`` was waiting for at ``time``, or what it was doing then."""
        row = self._by_rank[rank]
        for span in row:
            if span.start <= time < span.end:
                return f"Rank {rank} is busy with {span.what} until {self.say(span.end)}."
        for each in self.collectives:
            if each.rank == rank and each.start <= time < each.end:
                whom = ", ".join(str(other) for other in each.ranks if other != rank)
                why = each.layer or each.axis
                return f"Rank {rank} is in {each.what} with {whom} until {self.say(each.end)}, for {why}."
        later = next((span for span in row if span.start > time), None)
        if later is None:
            return f"Rank {rank} has finished: nothing is left for it in this step."
        arrivals = [pair for pair in self.arrivals(later) if pair[1].rank != rank]
        if not arrivals:
            return f"Rank {rank} starts {later.what} at {self.say(later.start)}."
        there, maker = max(arrivals, key=lambda pair: pair[0])
        doing = "runs" if maker.start <= time < maker.end else "will run" if time < maker.start else "has run"
        return (
            f"Rank {rank} waits for {maker.what}: rank {maker.rank} {doing} it from {self.say(maker.start)} "
            f"to {self.say(maker.end)}{f', and it arrives at {self.say(there)}' if there > maker.end else ''}. "
            f"Then {later.what} can start."
        )

    def say(self, time: float) -> str:
        """A time of this trace in words: slots plain, seconds in milliseconds, both from the start of the step."""
        shown = time - self.start
        return f"{shown:g}" if self.unit == "slots" else f"{shown * 1000:.0f} ms"


def _covered(row: Iterable[Span]) -> float:
    """The time that spans in order of their starts cover together."""
    total, until = 0.0, -math.inf
    for _, _, start, end, _ in row:
        if end > until:
            total += end - (start if start > until else until)
            until = end
    return total


def _within(layer: str, asked: str | None) -> bool:
    return asked is None or layer == asked or bool(asked) and layer.startswith(f"{asked}.")


def _running(changes: Iterable[tuple[float, int]]):
    """Sum changes over time; at one instant what is freed counts before what is taken."""
    held = 0
    for time, change in sorted(changes):
        held += change
        yield time, held

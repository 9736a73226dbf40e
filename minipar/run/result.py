"""What comes home from a call, and what do its traces say together?"""

from collections.abc import Sequence


class Result(Sequence):
    """What each rank returned, by rank. Compares equal to a list; prints as one.

    `.trace` is what was recorded, as one Trace of all ranks; `.uncollected` names letters that nobody collected
    (source, target, elements, dtype, place); `.seconds` is the time of the call as the notebook saw it.
    """

    def __init__(self, values, parts=(), uncollected=(), seconds=0.0, name="call", device=""):
        self._values, self._parts = list(values), list(parts)
        self.uncollected, self.seconds = tuple(uncollected), seconds
        self._name, self._device, self._trace = name, device, None

    @property
    def trace(self):
        """Spans, messages and memory of all ranks (a minipar Trace); time 0 is the earliest record."""
        if self._trace is None:
            self._trace = merge(self._parts, self._name, self._device)
        return self._trace

    def __getitem__(self, rank):
        return self._values[rank]

    def __len__(self):
        return len(self._values)

    def __eq__(self, other):
        if isinstance(other, Result):
            other = other._values
        return self._values == other if isinstance(other, list) else NotImplemented

    __hash__ = None

    def __repr__(self):
        return repr(self._values)


def merge(parts, name="call", device="", source="measured"):
    """Joins what the ranks' recorders exported (a list by rank) into one Trace in seconds from the earliest record."""
    from minipar.plan.trace import Collective, Message, Sample, Span, Trace
    from minipar.run.recorder import join

    spans = [Span(*span) for part in parts for span in part["spans"]]
    messages = [Message(*message) for message in join(message for part in parts for message in part["messages"])]
    collectives = [Collective(*each) for part in parts for each in part.get("collectives", ())]
    times = [span.start for span in spans] + [message.sent for message in messages]
    times += [sample[0] for part in parts for sample in part["ledger"]]
    zero = min(times, default=0.0)
    spans = [span._replace(start=span.start - zero, end=span.end - zero) for span in spans]
    messages = [message._replace(sent=message.sent - zero, received=message.received - zero) for message in messages]
    collectives = [each._replace(start=each.start - zero, end=each.end - zero) for each in collectives]
    ledger = [tuple(Sample(time - zero, kind, size) for time, kind, size in part["ledger"]) for part in parts]
    spans.sort(key=lambda span: (span.start, span.rank))
    return Trace(name=name, spans=tuple(spans), ranks=len(parts), source=source, unit="s",
                 ledger=tuple(ledger) if any(ledger) else (), messages=tuple(messages),
                 collectives=tuple(collectives), device=device)  # fmt: skip

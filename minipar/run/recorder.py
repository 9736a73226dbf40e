"""What did this rank do, and when?

One recorder a rank and a call. It only collects; `minipar.run.result` joins the ranks' parts into one Trace.
Times are `time.monotonic()` seconds: one machine has one such clock, so the ranks' times compare.

On a GPU an action returns before its work is done, so a moment is an event on the device's own stream: the recorder
notes one event together with the clock at the start, and a later moment is that clock plus the time between the events.

Who is billed:

    with recorder.layer("layers.3.mlp"):     every message and collective inside carries this layer (innermost wins)
        axis.ring.all_reduce(x)              its messages carry collective="all_reduce": bytes really sent
        axis.all_reduce(x)                   the backend's: one Collective with its payload; what it sends is not seen
"""

import math
import time

from minipar.run.ledger import Ledger, NoLedger

UNKNOWN = math.nan


class _Billed:
    """While it is open, what is sent is billed to a layer."""

    __slots__ = ("recorder", "name", "before")

    def __init__(self, recorder, name):
        self.recorder, self.name = recorder, name

    def __enter__(self):
        self.before, self.recorder.here = self.recorder.here, self.name

    def __exit__(self, *_):
        self.recorder.here = self.before


class Recorder:
    """Spans, messages and memory samples of one rank during one call.

    spans: keep spans and messages; memory: keep a ledger of bytes by kind (`recorder.memory`, a `Ledger`).
    `here` is the layer that is billed now ("" for none), `doing` the collective of our own that is under way.
    """

    def __init__(self, rank, spans=True, memory=False):
        self.rank = rank
        self.keeps_spans = spans
        self.spans = []
        self.messages = []
        self.collectives = []
        self.here = self.doing = ""
        self.ledger = []
        self.allocator = []  # (time, bytes): a GPU's own figure, at the ends of actions
        self.memory = NoLedger()
        self._anchor = None
        if memory:
            self.watch_memory()

    clock = staticmethod(time.monotonic)
    mark = clock  # a moment to hand to `add`; on a GPU `on_device` replaces it by an event

    def watch_memory(self):
        """Opens the ledger; from now on whoever holds a tensor says so there."""
        self.memory = Ledger(self.clock)

    def pause(self):
        """Records nothing more in this call; what was seen stays."""
        self.keeps_spans = False
        self.ledger = self.memory.samples()
        self.memory.close()
        self.memory = NoLedger()

    def on_device(self, device):
        """Takes moments on this GPU's stream from now on, so that a span lasts as long as the work it started."""
        import torch

        def mark():
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            return event

        torch.cuda.synchronize(device)
        self._anchor = mark(), self.clock()
        torch.cuda.synchronize(device)
        self.mark = mark

    def add(self, what, start, end, note=""):
        """Records that `what` (an Action, a Send, a Recv or a word) lasted from `start` to `end`."""
        if self.keeps_spans:
            self.spans.append((self.rank, what, start, end, note))

    def message(self, source, target, bytes, sent, received, what=""):
        """Records one message. Either end may do it: the one that does not know a time says UNKNOWN (see `join`)."""
        if self.keeps_spans:
            self.messages.append((source, target, bytes, sent, received, what, self.doing, self.here))

    def layer(self, name):
        """Bills every message and collective inside `with recorder.layer(name):` to that layer."""
        return _Billed(self, name)

    def collective(self, what, axis, ranks, bytes, start, end, own, layer=None):
        """Records one collective, and a span of its name. bytes: what this rank put in; own: not the backend's."""
        if self.keeps_spans:
            layer = self.here if layer is None else layer
            self.spans.append((self.rank, what, start, end, layer))
            self.collectives.append((self.rank, what, axis, ranks, layer, bytes, start, end, own))

    def export(self):
        """Everything recorded so far as plain data that can be pickled."""
        when = self._resolve
        spans = [(rank, what, when(start), when(end), note) for rank, what, start, end, note in self.spans]
        ledger = self.memory.samples() or list(self.ledger)
        collectives = [(*head, when(start), when(end), own) for *head, start, end, own in self.collectives]
        return {"spans": spans, "messages": list(self.messages), "collectives": collectives, "ledger": ledger,
                "allocator": list(self.allocator)}  # fmt: skip

    def _resolve(self, moment):
        if isinstance(moment, float):
            return moment
        moment.synchronize()
        event, clock = self._anchor
        return clock + event.elapsed_time(moment) / 1000


def join(messages):
    """Messages whose ends were noted by two ranks, made whole: tuples in the order of a Message's fields."""
    whole, waiting = [], {}
    for message in messages:
        source, target, size, sent, received, what, *bill = message
        if sent == sent and received == received:
            whole.append(message)
            continue
        key = source, target, what
        other = waiting.pop(key, None)
        if other is None:
            waiting[key] = sent, received
        else:
            known = [first if first == first else second for first, second in zip((sent, received), other, strict=True)]
            whole.append((source, target, size, *known, what, *bill))
    return whole

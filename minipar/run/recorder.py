"""What did this rank do, and when?

One recorder a rank and a call. It only collects; `minipar.run.result` joins the ranks' parts into one Trace.
Times are `time.monotonic()` seconds: one machine has one such clock, so the ranks' times compare.

On a GPU an action returns before its work is done, so a moment is an event on the device's own stream: the recorder
notes one event together with the clock at the start, and a later moment is that clock plus the time between the events.
"""

import math
import time

from minipar.run.ledger import Ledger, NoLedger

UNKNOWN = math.nan


class Recorder:
    """Spans, messages and memory samples of one rank during one call.

    spans: keep spans and messages; memory: keep a ledger of bytes by kind (`recorder.memory`, a `Ledger`).
    """

    def __init__(self, rank, spans=True, memory=False):
        self.rank = rank
        self.keeps_spans = spans
        self.spans = []
        self.messages = []
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
            self.messages.append((source, target, bytes, sent, received, what))

    def export(self):
        """Everything recorded so far as plain data that can be pickled."""
        when = self._resolve
        spans = [(rank, what, when(start), when(end), note) for rank, what, start, end, note in self.spans]
        ledger = self.memory.samples() or list(self.ledger)
        return {"spans": spans, "messages": list(self.messages), "ledger": ledger, "allocator": list(self.allocator)}

    def _resolve(self, moment):
        if isinstance(moment, float):
            return moment
        moment.synchronize()
        event, clock = self._anchor
        return clock + event.elapsed_time(moment) / 1000


def join(messages):
    """Messages whose ends were noted by two ranks, made whole: (source, target, bytes, sent, received, what)."""
    whole, waiting = [], {}
    for message in messages:
        source, target, size, sent, received, what = message
        if sent == sent and received == received:
            whole.append(message)
            continue
        key = source, target, what
        other = waiting.pop(key, None)
        if other is None:
            waiting[key] = sent, received
        else:
            known = [first if first == first else second for first, second in zip((sent, received), other, strict=True)]
            whole.append((source, target, size, *known, what))
    return whole

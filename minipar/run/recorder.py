"""What did this rank do, and when?

One recorder a rank and a call. It only collects; `minipar.run.result` joins the ranks' parts into one Trace.
Times are `time.monotonic()` seconds: one machine has one such clock, so the ranks' times compare.
"""

import time


class Recorder:
    """Spans, messages and memory samples of one rank during one call."""

    def __init__(self, rank, spans=True, memory=False):
        self.rank = rank
        self.keeps_spans = spans
        self.keeps_memory = memory
        self.spans = []
        self.messages = []
        self.ledger = []

    clock = staticmethod(time.monotonic)

    def add(self, what, start, end, note=""):
        """Records that `what` (an Action, a Send, a Recv or a word) lasted from `start` to `end`."""
        if self.keeps_spans:
            self.spans.append((self.rank, what, start, end, note))

    def message(self, source, target, bytes, sent, received, what=""):
        """Records one message that arrived; the receiving rank does this."""
        if self.keeps_spans:
            self.messages.append((source, target, bytes, sent, received, what))

    def export(self):
        """Everything recorded so far as plain data that can be pickled."""
        return {"spans": list(self.spans), "messages": list(self.messages), "ledger": list(self.ledger)}

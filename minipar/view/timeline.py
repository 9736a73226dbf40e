"""Who works when, who waits, and for what?

    timeline(trace)                 one trace: bars, what each rank holds under them, one line that reads them out
    timelines([...], titles=[...])  several traces over one time axis
    compare(predicted, measured)    the measured bars over the outline of the prediction

All three give a `Timeline`: a canvas in a widget when somebody is there, text and a plain plotly figure otherwise
(`.figure()`). In the browser: point, or press Tab and the arrow keys, to read a bar; click or Enter pins it and shows
what it needs and feeds, Esc lets go, wheel or + and - zoom.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import anywidget
import traitlets

from minipar.plan.trace import Span, Trace
from minipar.view import words
from minipar.view.packing import describe, pack, palette
from minipar.view.panel import Panel, Strip, strip_for
from minipar.view.presence import mime_bundle
from minipar.view.rectangles import needs, rectangles


class Timeline(anywidget.AnyWidget):
    """The live picture of one or several traces. Its text is stable: `Timeline(1F1B, ranks=8, ..., bubble=17.9%)`."""

    _esm = Path(__file__).with_name("timeline.js")
    head = traitlets.Dict().tag(sync=True)
    numbers = traitlets.Bytes(b"").tag(sync=True)
    colours = traitlets.Dict().tag(sync=True)

    def __init__(self, panels: Sequence[Panel], rows_and_strips_apart: bool = True):
        """Draw `panels` from top to bottom; with `rows_and_strips_apart` false each strip lies under its own row."""
        self._apart, self._drawn = rows_and_strips_apart, 0
        self.panels: tuple[Panel, ...] = ()
        super().__init__(colours=palette(), **self._packed(panels))
        self.on_msg(self._asked)

    def _packed(self, panels: Sequence[Panel]) -> dict:
        self.panels = tuple(panels)
        self._drawn += 1
        heads, numbers = pack(self.panels)
        summary = " ".join(describe(head) for head in heads)
        head = {"panels": heads, "summary": summary, "apart": self._apart, "serial": self._drawn}
        return {"head": head, "numbers": numbers}

    def draw(self, panels: Sequence[Panel]) -> None:
        """Replace everything that is drawn, in one message."""
        fresh = self._packed(panels)
        with self.hold_sync():
            self.head = fresh["head"]
            self.numbers = fresh["numbers"]

    def show(self, trace: Trace, **changes) -> None:
        """Replace the first trace, and with keywords its title, ghost, cap, strip, callouts or sentence too.

        A strip that was the automatic one stays automatic: bytes when the new trace has a ledger.
        """
        first = self.panels[0]
        if first.strip is strip_for(first.trace):
            changes.setdefault("strip", strip_for(trace))
        self.draw((replace(first, trace=trace, **changes), *self.panels[1:]))

    def why(self, panel: int, rank: int, time: float) -> str:
        """What `rank` waited for at `time` (counted from the step's start) in one of the panels."""
        trace = self.panels[panel].trace
        return trace.why_idle(rank, time + trace.start)

    def _asked(self, _, content: dict, __) -> None:
        """Answer what the browser asks only when somebody points: why a rank waits, what the bars of a panel need."""
        if content.get("serial") != self._drawn:
            return
        answer = {"answer": content.get("ask"), "serial": self._drawn, "panel": content["panel"]}
        if content["ask"] == "why":
            sentence = self.why(content["panel"], content["rank"], content["time"])
            self.send({**answer, "gap": content["gap"], "sentence": sentence})
        elif content["ask"] == "needs":
            trace = self.panels[content["panel"]].trace
            self.send({**answer, "pairs": [bar for pair in needs(trace, rectangles(trace)) for bar in pair]})

    def figure(self):
        """The same picture as a plain plotly figure; equal traces give equal figures."""
        from minipar.view.plain import figure

        return figure(self.panels, self._apart)

    def __repr__(self) -> str:
        if len(self.panels) == 1:
            return self.panels[0].summary
        lines = (f"  {panel.heading}: {panel.summary}" for panel in self.panels)
        return "\n".join([f"{len(self.panels)} timelines on one axis", *lines])

    __str__ = __repr__

    def _repr_mimebundle_(self, **_) -> dict:
        return mime_bundle(repr(self), super()._repr_mimebundle_, self.figure)


def timeline(
    trace: Trace,
    title: str | None = None,
    cap: float | None = None,
    ghost: Trace | None = None,
    callouts: Sequence[tuple] = (),
    strip: Strip | None = None,
) -> Timeline:
    """The picture of one trace, measured or predicted.

    Args:
        trace: from `predict`, `train_step(...).trace` or `pool.run(...).trace`.
        title: the finding in words; by default what can be said of any trace ("1F1B: 4 ranks, 8 microbatches, ...").
        cap: a line across the memory strips: bytes if the trace has a ledger, else microbatches.
        ghost: a prediction to lay under the bars (see `compare`, which also scales it).
        callouts: at most three notes (rank, time as in the trace's spans, text).
        strip: what stands under the bars; by default bytes by kind, else microbatches in flight, else nothing.
    """
    panel = Panel(trace, title or "", ghost, cap, strip or strip_for(trace), tuple(callouts))
    return Timeline([panel])


def timelines(
    traces: Sequence[Trace],
    titles: Sequence[str] | None = None,
    ghosts: Sequence[Trace | None] | None = None,
    cap: float | None = None,
    in_flight: bool = True,
    facts: Sequence[str] | None = None,
    callouts: Sequence[Sequence[tuple]] | None = None,
) -> Timeline:
    """Several traces, one under the other, over one time axis, so that longer means longer.

    Args:
        traces, titles: equally many; without titles each gets its automatic one.
        ghosts: a prediction under each, or None where there is none; scaled as in `compare`.
        cap: one line across all strips, in microbatches (in bytes when `in_flight` is false).
        in_flight: strips of microbatches held; false shows bytes by kind where a trace has a ledger.
        facts: one sentence for each trace, read while nothing is pointed at.
        callouts: for each trace its own notes.
    """
    many = len(traces)
    titles, facts = titles or [""] * many, facts or [""] * many
    ghosts, callouts = ghosts or [None] * many, callouts or [()] * many
    for name, given in (("titles", titles), ("ghosts", ghosts), ("facts", facts), ("callouts", callouts)):
        if len(given) != many:
            raise ValueError(f"{many} traces want {many} {name}, but {len(given)} are given.")
    panels = []
    for trace, title, ghost, fact, notes in zip(traces, titles, ghosts, facts, callouts, strict=True):
        strip = strip_for(trace)
        if in_flight and strip is Strip.MEMORY:
            strip = Strip.IN_FLIGHT if trace.actions() else strip
        elif not in_flight and strip is Strip.IN_FLIGHT:
            strip = Strip.NOTHING
        laid = scaled(ghost, trace) if ghost else None
        if strip is Strip.IN_FLIGHT and cap is not None and cap > 100 * max(trace.microbatches, 1):
            raise ValueError(
                f"The strips count microbatches, at most {trace.microbatches}, and a cap of {cap:g} lies far above "
                "them. Give the cap in microbatches, or in_flight=False for strips of bytes."
            )
        panels.append(Panel(trace, title, laid, cap, strip, tuple(notes), fact))
    return Timeline(panels)


def compare(predicted: Trace, measured: Trace, title: str | None = None) -> Timeline:
    """The measured bars over the outline of the prediction, rank by rank, with the error in the readout.

    A prediction in seconds (from a `Cost` in seconds, such as `step.pace`) lies there as it is. One in slots is scaled
    by the median ratio of the durations of equal actions, so that order and waiting can still be compared.
    """
    ghost = scaled(predicted, measured)
    sentence = error(ghost, measured)
    strip = Strip.IN_FLIGHT if measured.actions() else Strip.NOTHING
    return Timeline([Panel(measured, title or "", ghost, None, strip, (), sentence)])


def scaled(predicted: Trace, measured: Trace) -> Trace:
    """The prediction in the unit of the measured trace, starting at 0."""
    lengths = {span.what: span.end - span.start for span in predicted.actions()}
    ratios = [
        (span.end - span.start) / lengths[span.what] for span in measured.actions() if lengths.get(span.what)
    ]
    factor = median(ratios) if ratios and predicted.unit != measured.unit else 1.0
    if 0.5 < factor < 2:
        factor = 1.0
    start = predicted.start
    spans = tuple(
        Span(span.rank, span.what, (span.start - start) * factor, (span.end - start) * factor, span.note)
        for span in predicted.spans
    )
    return replace(predicted, spans=spans, unit=measured.unit, hop=predicted.hop * factor, ledger=())


def error(predicted: Trace, measured: Trace) -> str:
    """How far the measured step is from its prediction, in one sentence with the largest single delay."""
    if not (predicted.makespan and measured.actions()):
        return ""
    unit = measured.unit
    off = measured.makespan / predicted.makespan - 1
    planned = {(span.rank, span.what): span.end - predicted.start for span in predicted.actions()}
    late = [
        (span.end - measured.start - planned[span.rank, span.what], span)
        for span in measured.actions()
        if (span.rank, span.what) in planned
    ]
    sentence = (
        f"Measured {words.duration(measured.makespan, unit)}, predicted {words.duration(predicted.makespan, unit)}: "
        f"{words.share(abs(off))} {'longer' if off >= 0 else 'shorter'}."
    )
    if late:
        delay, span = max(late, key=lambda pair: pair[0])
        sentence += f" Furthest behind: {span.what} on rank {span.rank}, {words.duration(max(delay, 0.0), unit)} late."
    return sentence

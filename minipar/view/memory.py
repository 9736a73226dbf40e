"""What does each device hold, of what kind, and when?

    memory(trace)             bytes by kind over time, each rank's under its own row of work, with the cap
    memory_bars({case: ...})  one stacked bar for each case, bytes written in it
"""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from minipar.plan.trace import MEMORY_KINDS, Trace
from minipar.view import words
from minipar.view.panel import Panel, Strip, strip_for
from minipar.view.presence import plain_bundle
from minipar.view.theme import PALETTE, darker
from minipar.view.timeline import Timeline


def memory(
    trace: Trace, cap: float | None = None, title: str | None = None, callouts: Sequence[tuple] = ()
) -> Timeline:
    """Memory of every rank over time, stacked by kind, under what the rank does.

    Args:
        trace: with a ledger it shows bytes; without one, microbatches in flight.
        cap: a line across, in bytes (in microbatches when there is no ledger).
        title: the finding in words; by default where the largest peak is.
        callouts: at most three notes (rank, time as in the trace's spans, text, "memory").

    Raises:
        ValueError: when the trace has neither a ledger nor actions.
    """
    strip = strip_for(trace)
    if strip is Strip.NOTHING:
        raise ValueError("This trace says nothing about memory: it has no ledger and no pipeline actions.")
    title, sentence = title or finding(trace, strip), peaks(trace, strip)
    return Memory([Panel(trace, title, None, cap, strip, tuple(callouts), sentence)], rows_and_strips_apart=False)


class Memory(Timeline):
    """The timeline's picture with memory as the subject."""

    def __repr__(self) -> str:
        panel = self.panels[0]
        parts = [panel.trace.name or "trace", f"ranks={panel.trace.ranks}"]
        if panel.strip is Strip.IN_FLIGHT:
            parts.append("peaks in flight=" + " ".join(map(str, panel.trace.peak_in_flight)))
        else:
            parts.append("kinds=" + "+".join(panel.names))
        return f"Memory({', '.join([*parts, panel.trace.source])})"

    __str__ = __repr__


def finding(trace: Trace, strip: Strip) -> str:
    """The automatic title: which rank holds most, and how much."""
    if strip is Strip.IN_FLIGHT:
        most = max(trace.peak_in_flight)
        return f"{trace.name}: rank {trace.peak_in_flight.index(most)} holds most, {words.microbatches(most)}"
    held = [trace.peak_memory(rank) for rank in range(trace.ranks)]
    if trace.ranks == 1:
        return f"{trace.name}: {words.amount(held[0])} at the peak".lstrip(": ")
    return f"{trace.name}: rank {held.index(max(held))} holds most, {words.amount(max(held))} at its peak".lstrip(": ")


def peaks(trace: Trace, strip: Strip) -> str:
    """The readout while nothing is pointed at: the peaks of all ranks."""
    if strip is Strip.IN_FLIGHT:
        return "Peaks in flight, rank 0 first: " + ", ".join(map(str, trace.peak_in_flight)) + "."
    held = (words.amount(trace.peak_memory(rank)) for rank in range(trace.ranks))
    return f"Peaks, rank 0 first: {', '.join(held)}."


class MemoryBars:
    """One stacked bar for each case; `.figure()` is the plotly figure, the text gives each case's total."""

    def __init__(self, cases: Mapping[str, Mapping[str, float]], cap: float | None, title: str):
        self.cases = {name: dict(held) for name, held in cases.items()}
        self.cap, self.title = cap, title

    def figure(self) -> go.Figure:
        drawn = go.Figure(layout=_bars_layout(self.title, self.cases, self.cap))
        named = list(MEMORY_KINDS) + sorted({kind for held in self.cases.values() for kind in held} - set(MEMORY_KINDS))
        for kind in named:
            if any(held.get(kind) for held in self.cases.values()):
                drawn.add_trace(_layer(kind, self.cases))
        return drawn

    def __repr__(self) -> str:
        totals = (f"{name}: {words.amount(sum(held.values()))}" for name, held in self.cases.items())
        return f"MemoryBars({', '.join(totals)})"

    def _repr_mimebundle_(self, **_) -> dict:
        return plain_bundle(repr(self), self.figure())


def memory_bars(cases: Mapping[str, Mapping[str, float]], cap: float | None = None, title: str = "") -> MemoryBars:
    """Stacked bars, one a case, with the bytes of every kind written in it and the total on top.

    Args:
        cases: {"batch 4": {"parameter": bytes, "activation": bytes, ...}, ...}, kinds as in `MEMORY_KINDS`.
        cap: a dashed line across, in bytes.
        title: the finding in words.
    """
    if not cases:
        raise ValueError("There is no case to draw: give {name: {kind: bytes}} with at least one name.")
    return MemoryBars(cases, cap, title)


def _layer(kind: str, cases: Mapping[str, Mapping[str, float]]) -> go.Bar:
    """One kind across all cases. What is too thin to be written in is said by the hover text."""
    paint = PALETTE.memory.get(kind, PALETTE.memory["parameter"])
    highest = max(sum(held.values()) for held in cases.values())
    sizes = [held.get(kind, 0) for held in cases.values()]
    return go.Bar(
        x=list(cases), y=sizes, name=kind, width=[0.56] * len(cases), textposition="inside", insidetextanchor="middle",
        text=[f"{kind} {words.amount(size)}" if size > 0.055 * highest else "" for size in sizes], textangle=0,
        marker={"color": paint.fill, "line": {"color": darker(paint.fill), "width": 1}}, hoverinfo="text",
        hovertext=[f"{name}: {kind} {words.amount(size)}" for name, size in zip(cases, sizes, strict=True)],
        textfont={"size": 12, "color": paint.ink}, constraintext="none",
    )  # fmt: skip


def _bars_layout(title: str, cases: Mapping[str, Mapping[str, float]], cap: float | None) -> dict:
    font = {"family": PALETTE.font, "size": 13, "color": PALETTE.ink}
    totals = {name: sum(held.values()) for name, held in cases.items()}
    over = [
        {"x": name, "y": total, "text": f"<b>{words.amount(total)}</b>", "showarrow": False, "yshift": 12, "font": font}
        for name, total in totals.items()
    ]
    highest = max([*totals.values(), cap or 0]) or 1
    layout = {
        "template": {}, "font": font, "paper_bgcolor": PALETTE.paper, "plot_bgcolor": PALETTE.paper, "barmode": "stack",
        "height": 420, "width": 240 + 200 * len(cases), "margin": {"l": 24, "r": 150, "t": 52, "b": 40},
        "title": {"text": f"<b>{title}</b>", "x": 0, "xanchor": "left", "xref": "paper", "font": {"size": 15}},
        "xaxis": {"type": "category", "showline": True, "linecolor": PALETTE.quiet}, "annotations": over,
        "yaxis": {"visible": False, "range": [0, 1.1 * highest], "fixedrange": True},
        "legend": {"traceorder": "reversed", "itemclick": False, "itemdoubleclick": False, "x": 1.02, "y": 1},
    }  # fmt: skip
    if cap is not None:
        line = {"color": PALETTE.cap, "width": 1.5, "dash": "dash"}
        layout["shapes"] = [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": cap, "y1": cap, "line": line}]
        note = {"xref": "paper", "x": 0, "xanchor": "left", "y": cap, "yanchor": "bottom", "showarrow": False}
        over.append({**note, "text": f"cap {words.amount(cap)}", "font": {**font, "color": PALETTE.cap}})
    return layout

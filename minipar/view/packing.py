"""How do a thousand bars travel to the browser in one message?

As one run of 32-bit floats and one small dictionary that says what lies where. No text is sent for a bar that is an
action: the browser writes "F3" from the kind's letter and the microbatch.

    floats   panel 0: bars, needs, messages, ghost, strips    panel 1: ...
    bars     8 each: rank, start, end, kind, stage, microbatch, lane, name
    needs    2 each: from bar, to bar               messages 4 each: source, target, sent, received
    ghost    6 each, as bars up to the microbatch
    strips   for each rank: rows of (time, one number a kind)
"""

import sys
from array import array

from minipar.plan.actions import Action
from minipar.plan.simulate import uncollected
from minipar.view.panel import Panel, Strip
from minipar.view.rectangles import Rectangle, needs, rectangles
from minipar.view.theme import PALETTE, Kind, darker

#: With more bars than this the pairs of needs are sent when a bar is pinned, not with every picture.
FEW = 500

KINDS = {kind: number for number, kind in enumerate(Kind)}


def palette() -> dict:
    """The colours as the browser wants them."""
    bars = [
        {"name": kind.value, "fill": paint.fill, "ink": paint.ink, "letter": paint.letter,
         "edge": darker(paint.fill) if paint.fill else ""}
        for kind, paint in PALETTE.bars.items()
    ]  # fmt: skip
    memory = {name: {"fill": paint.fill, "edge": darker(paint.fill)} for name, paint in PALETTE.memory.items()}
    return {"bars": bars, "memory": memory, "idle": KINDS[Kind.IDLE], "wait": KINDS[Kind.WAIT]}


def pack(panels: list[Panel], floats: array | None = None) -> tuple[list[dict], bytes]:
    """(what each panel says, all numbers of all panels)."""
    floats = array("f") if floats is None else floats
    with uncollected():  # a search for cycles goes through all that the kernel holds, while a slider waits
        heads = [_panel(panel, floats) for panel in panels]
    if sys.byteorder == "big":
        floats.byteswap()
    return heads, floats.tobytes()


def _panel(panel: Panel, floats: array) -> dict:
    trace = panel.trace
    bars = rectangles(trace)
    names: dict[str, int] = {}
    floats.fromlist([number for bar in bars for number in _numbers(bar, names)])
    pairs = needs(trace, bars) if len(bars) <= FEW else []
    floats.extend([bar for pair in pairs for bar in pair])
    for message in trace.messages:
        floats.extend((message.source, message.target, message.sent - trace.start, message.received - trace.start))
    return {
        "title": panel.heading,
        "origin": panel.origin,
        "summary": panel.summary,
        "readings": panel.readings,
        "ranks": trace.ranks,
        "several": trace.stages > trace.ranks,
        "unit": trace.unit,
        "end": panel.end,
        "whole": trace.makespan,
        "bars": len(bars),
        "needs": len(pairs),
        "needsLater": len(bars) > FEW,
        "messages": len(trace.messages),
        "names": list(names),
        "ghost": _ghost(panel, floats),
        "busy": [panel.busy(rank) for rank in range(trace.ranks)],
        "strip": _strip(panel, floats),
        "callouts": [list(note) for note in panel.notes],
    }


def _numbers(bar: Rectangle, names: dict[str, int]) -> tuple:
    rank, start, end, kind, label, _, what, lane, note = bar
    if isinstance(what, Action):
        name = names.setdefault(note, len(names)) if note else -1
        return rank, start, end, KINDS[kind], what[0], what[2], lane, name
    if kind is Kind.IDLE:
        return rank, start, end, KINDS[kind], -1, -1, lane, -1
    text = f"{label} ({note})" if note else label
    return rank, start, end, KINDS[kind], -1, -1, lane, names.setdefault(text, len(names))


def _ghost(panel: Panel, floats: array) -> int:
    bars = rectangles(panel.ghost) if panel.ghost else []
    drawn = [bar for bar in bars if isinstance(bar.what, Action)]
    for rank, start, end, kind, _, _, what, _, _ in drawn:
        floats.extend((rank, start, end, KINDS[kind], what.stage, what.microbatch))
    return len(drawn)


def _strip(panel: Panel, floats: array) -> dict | None:
    if panel.strip is Strip.NOTHING:
        return None
    rows = []
    for steps in panel.steps:
        rows.append(len(steps))
        floats.fromlist([number for step in steps for number in step])
    return {
        "title": panel.strip_title,
        "counts": panel.strip.counts,
        "names": panel.names,
        "rows": rows,
        "top": panel.top,
        "cap": panel.cap,
        "capLabel": panel.cap_label,
        "peaks": [panel.peak(rank) for rank in range(panel.trace.ranks)],
    }


def describe(head: dict) -> str:
    """The summary of a panel with its title: what a screen reader says about the whole picture."""
    return f"{head['title']}. {head['origin']}. {head['readings'][0]}"

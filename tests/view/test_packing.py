"""Does everything arrive at the place in the bytes where the browser looks for it?"""

import gc
import json
from array import array

from minipar.plan.schedules import gpipe, one_f_one_b
from minipar.plan.simulate import predict
from minipar.plan.trace import Message, Span, Trace
from minipar.view.packing import FEW, KINDS, describe, pack, palette
from minipar.view.panel import Panel, Strip, strip_for
from minipar.view.rectangles import rectangles
from minipar.view.theme import Kind


def unpacked(heads, numbers):
    """The same walk as in timeline.js."""
    floats, at, panels = array("f", numbers), 0, []
    for head in heads:
        panel = {}
        for name, width in (
            ("bars", 8), ("needs", 2), ("messages", 4), ("ghost", 6),
        ):  # fmt: skip
            rows = head[name]
            panel[name] = [tuple(floats[at + width * row : at + width * (row + 1)]) for row in range(rows)]
            at += rows * width
        strip = head["strip"]
        width = 1 + len(strip["names"]) if strip else 0
        panel["steps"] = []
        for rows in strip["rows"] if strip else ():
            panel["steps"].append([tuple(floats[at + width * row : at + width * (row + 1)]) for row in range(rows)])
            at += rows * width
        panels.append(panel)
    assert at == len(floats), "something is left over"
    return panels


def test_two_panels_with_all_parts():
    trace, ghost = predict(gpipe(2, 2)), predict(one_f_one_b(2, 2))
    messages = (Message(0, 1, 4, 1.0, 1.5),)
    ring = Trace("ring", (Span(0, "send to 1", 0, 1, "4 B"), Span(1, "recv from 0", 0, 1.5)), 2, messages=messages)
    heads, numbers = pack([Panel(trace, ghost=ghost, strip=Strip.IN_FLIGHT), Panel(ring)])
    first, second = unpacked(heads, numbers)
    assert first["bars"][0] == (0, 0, 1, KINDS[Kind.FORWARD], 0, 0, 0, -1)
    assert len(first["bars"]) == len(rectangles(trace))
    assert len(first["ghost"]) == 8
    assert first["steps"][1] == [(1, 1), (2, 2), (5, 1), (7, 0)]
    assert second["messages"] == [(0, 1, 1, 1.5)]
    assert [heads[1]["names"][int(bar[7])] for bar in second["bars"]] == ["send to 1 (4 B)", "recv from 0"]


def test_the_words_are_plain_json():
    heads, _ = pack([Panel(predict(gpipe(2, 2)), strip=Strip.IN_FLIGHT, cap=2, callouts=((0, 1, "here"),))])
    assert json.loads(json.dumps(heads))[0]["callouts"] == [[0, 1, "here"]]
    assert json.loads(json.dumps(palette()))["bars"][0]["letter"] == "F"


def test_many_bars_leave_their_needs_for_later():
    few, many = predict(gpipe(4, 8)), predict(gpipe(8, 96))
    assert [pack([Panel(trace)])[0][0]["needsLater"] for trace in (few, many)] == [False, True]
    assert len(rectangles(few)) <= FEW < len(rectangles(many))


def test_a_thousand_bars_are_one_small_message_of_bytes():
    trace = predict(one_f_one_b(8, 96))
    heads, numbers = pack([Panel(trace, strip=strip_for(trace))])
    assert len(numbers) < 80_000
    assert len(json.dumps(heads)) < 2_000


def test_no_search_for_cycles_while_thousands_of_bars_are_packed():
    trace, searches = predict(one_f_one_b(8, 96)), []
    gc.callbacks.append(lambda phase, found: searches.append(phase))
    try:
        pack([Panel(trace, strip=strip_for(trace))])
    finally:
        gc.callbacks.pop()
    assert searches.count("start") <= 1, "one may come right after"
    assert gc.isenabled()


def test_the_description_says_title_origin_and_reading():
    heads, _ = pack([Panel(predict(gpipe(4, 8)), title="Work overlaps")])
    assert describe(heads[0]) == (
        "Work overlaps. predicted, in slots. Idle 9 of 33 slots a rank: 27 % of all device time."
    )

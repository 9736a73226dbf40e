"""Does a trace in Chrome's form say what the trace says, in a shape that viewers draw rightly?"""

import json

import minipar
from minipar.plan import chrome
from minipar.plan.actions import Action
from minipar.plan.trace import Span, Trace


def test_a_bar_for_every_action_an_arrow_for_every_message_and_bytes():
    s = minipar.one_f_one_b(4, 8)
    trace = minipar.predict(s, minipar.Cost(F=1, B=2, hop=0.5, activation_bytes=10))
    told = chrome.events(trace)
    json.dumps(told, allow_nan=False)
    bars = [event for event in told["traceEvents"] if event["ph"] == "X"]
    assert len(bars) == s.actions and {bar["pid"] for bar in bars} == {0, 1, 2, 3}
    last = max(bars, key=lambda bar: bar["ts"] + bar["dur"])
    assert last["name"] == "0B7" and last["ts"] + last["dur"] == 1000 * trace.makespan
    starts, ends = ([event for event in told["traceEvents"] if event["ph"] == letter] for letter in "sf")
    assert len(starts) == len(ends) == minipar.lower(s).messages
    assert {event["id"] for event in starts} == {event["id"] for event in ends}
    for event in (*starts, *ends):  # an arrow hangs on the bar that is there
        assert any(bar["pid"] == event["pid"] and bar["ts"] <= event["ts"] < bar["ts"] + bar["dur"] for bar in bars)
    counters = [event for event in told["traceEvents"] if event["ph"] == "C" and event["pid"] == 0]
    assert max(event["args"]["activation"] for event in counters) == 40
    assert told["otherData"]["source"] == "predicted" and "slot" in told["otherData"]["note"]


def test_bars_of_one_thread_lie_apart_or_within_one_another():
    words = [(0, 4, "step"), (1, 2, "all_reduce"), (1, 5, "weight gradient"), (6, 7, "optimizer"), (2, 3, "wait")]
    spans = [Span(0, word, start, end) for start, end, word in words]
    spans.append(Span(0, Action.parse("0F0"), 0, 6, "overran"))
    told = chrome.events(Trace("mine", tuple(spans), 1, "measured", "s"))["traceEvents"]
    threads = {event["name"]: event["tid"] for event in told if event["ph"] == "X"}
    assert threads == {"0F0": 0, "step": 1, "all_reduce": 1, "wait": 1, "weight gradient": 2, "optimizer": 1}
    names = [event["args"]["name"] for event in told if event["name"] == "thread_name"]
    assert names == ["actions", "other", "other 2"]
    assert next(event for event in told if event["name"] == "0F0")["args"]["note"] == "overran"

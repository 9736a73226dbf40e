"""Does a panel say and hold what stands on the picture?"""

from dataclasses import replace

import pytest

from minipar.plan.schedules import gpipe, interleaved_1f1b, one_f_one_b, zb_h1
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Sample, Span, Trace
from minipar.view.panel import Panel, Strip, strip_for

STEPS = (Sample(0, "parameter", 40), *(Sample(time, "activation", held) for time, held in ((1, 10), (2, 30), (3, 0))))
HOLDS = Trace("step", (Span(0, "forward", 0, 2), Span(0, "backward", 2, 4)), 1, unit="s", ledger=(STEPS,))


def test_the_strip_is_the_most_a_trace_can_say():
    assert strip_for(HOLDS) is Strip.MEMORY
    assert strip_for(predict(gpipe(2, 2))) is Strip.IN_FLIGHT
    assert strip_for(predict(gpipe(2, 2), Cost(activation_bytes=8))) is Strip.MEMORY
    assert strip_for(Trace("x", (), 1)) is Strip.NOTHING


def test_shares_put_one_chunk_a_rank_and_two_on_one_scale():
    one, two = predict(one_f_one_b(4, 8)), predict(interleaved_1f1b(4, 8, chunks=2))
    assert Panel(one, strip=Strip.SHARES).peaks == (4, 3, 2, 1)
    assert Panel(two, strip=Strip.IN_FLIGHT).peaks == (11, 9, 7, 5)
    assert [Panel(trace, strip=Strip.IN_FLIGHT).strip_title for trace in (one, two)] == [
        "microbatches in flight",
        "chunks in flight",
    ]
    panel = Panel(two, strip=Strip.SHARES)
    assert [panel.peak(rank) for rank in range(4)] == ["peak 5.5", "peak 4.5", "peak 3.5", "peak 2.5"]


def test_peaks_in_flight_beside_the_strips():
    panel = Panel(predict(one_f_one_b(4, 8)), strip=Strip.IN_FLIGHT, cap=6)
    assert [panel.peak(rank) for rank in range(4)] == ["peak 4", "peak 3", "peak 2", "peak 1"]
    assert panel.top == 4
    assert panel.cap_label == "cap 6"
    assert panel.busy(0) == "busy 73 %"


def test_a_split_backward_shows_what_waits_for_i_and_what_for_w():
    trace = predict(zb_h1(4, 8))
    panel = Panel(trace, strip=Strip.IN_FLIGHT)
    assert panel.names == ("waits for I", "waits for W")
    assert [panel.peak(rank) for rank in range(4)] == ["peak 4"] * 4
    assert [max(row[2] for row in rows) for rows in panel.steps] == [1, 2, 3, 4]
    for rank, rows in enumerate(panel.steps):
        held = dict(trace.in_flight(rank))
        assert [held.get(time, a + b) for time, a, b in rows] == [a + b for _, a, b in rows]


def test_bytes_by_kind_bottom_to_top():
    panel = Panel(HOLDS, strip=Strip.MEMORY, cap=65)
    assert panel.names == ("parameter", "activation")
    assert panel.steps[0] == [(0, 40, 0), (1, 40, 10), (2, 40, 30), (3, 40, 0)]
    assert panel.peaks == (70,)
    assert panel.cap_label == "cap 65 B"


def test_the_axis_reaches_the_end_of_what_comes_after_the_actions():
    trace = predict(gpipe(2, 2))
    longer = replace(trace, spans=(*trace.spans, Span(0, "optimizer", 9, 12)))
    assert (Panel(trace).end, Panel(longer).end, Panel(trace, ghost=longer).end) == (9, 12, 12)


def test_callouts_are_given_in_the_times_of_the_trace():
    late = Trace("x", (Span(0, "a", 100, 101),), 1)
    assert Panel(late, callouts=((0, 100.5, "here"),)).notes == [(0, 0.5, "here")]


def test_a_callout_on_no_rank_is_refused():
    with pytest.raises(ValueError, match=r"the rank from 0 to 0; \(3, 1, 'x'\) is not"):
        Panel(HOLDS, callouts=((3, 1, "x"),))


def test_a_ghost_with_other_ranks_is_refused():
    with pytest.raises(ValueError, match="the trace has 2, the ghost 4"):
        Panel(predict(gpipe(2, 2)), ghost=predict(gpipe(4, 2)))

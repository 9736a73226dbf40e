"""Does a trace become the right rectangles?"""

from dataclasses import replace

import pytest

from minipar.plan.actions import Action, B, F, Recv, Send, Value
from minipar.plan.actions import Kind as Kind_of_value
from minipar.plan.layout import Plan
from minipar.plan.mesh import Mesh
from minipar.plan.schedule import Schedule
from minipar.plan.schedules import gpipe, naive, one_f_one_b
from minipar.plan.simulate import predict
from minipar.plan.trace import Collective, Span, Trace
from minipar.view.rectangles import idle, kind_of, needs, rectangles
from minipar.view.theme import Kind


def picture(trace, step=1):
    """The rectangles as text, one letter a slot; idle is a dot."""
    rows = [[" "] * round(trace.makespan / step) for _ in range(trace.ranks)]
    for bar in rectangles(trace):
        for slot in range(round(bar.start / step), round(bar.end / step)):
            assert rows[bar.rank][slot] == " ", "two rectangles of one lane overlap"
            rows[bar.rank][slot] = "." if bar.kind is Kind.IDLE else bar.label[0]
    return "\n".join("".join(row) for row in rows)


def test_the_staircase_of_gpipe():
    assert picture(predict(gpipe(3, 2))).splitlines() == [
        "FF......BBBB",
        ".FF...BBBB..",
        "..FFBBBB....",
    ]


@pytest.mark.parametrize("trace", [predict(gpipe(4, 8)), predict(one_f_one_b(3, 7)), predict(naive(4))])
def test_rectangles_fill_every_row_exactly(trace):
    assert " " not in picture(trace)
    empty = sum(gap.end - gap.start for gap in idle(trace))
    assert empty == pytest.approx(trace.bubble * trace.makespan * trace.ranks)


def test_labels_name_the_stage_only_where_a_rank_has_several():
    several = Schedule.parse("0F0 2F0 2B0 0B0\n1F0 3F0 3B0 1B0")
    assert [bar.label for bar in rectangles(predict(gpipe(2, 2))) if bar.rank == 0 and bar.label] == [
        "F0", "F1", "B0", "B1",
    ]  # fmt: skip
    assert [bar.label for bar in rectangles(trace_of(several)) if bar.label][:2] == ["0F0", "2F0"]


def trace_of(schedule):
    spans = [
        Span(rank, action, 2 * at, 2 * at + 1)
        for rank, program in enumerate(schedule.programs)
        for at, action in enumerate(program)
    ]
    return Trace("several", tuple(spans), schedule.ranks)


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (Action(0, F, 1), Kind.FORWARD),
        (Action(0, B, 1), Kind.BACKWARD),
        ("optimizer", Kind.OPTIMIZER),
        ("all_reduce 4 kB", Kind.COMMUNICATION),
        ("send to 3", Kind.COMMUNICATION),
        ("wait 0F1", Kind.WAIT),
        ("forward", Kind.FORWARD),
        ("add one", Kind.OTHER),
    ],
)
def test_kinds(what, kind):
    assert kind_of(what) is kind


def test_why_stands_on_the_gap_and_on_the_bar_after_it():
    trace = predict(gpipe(2, 1))
    said = {(bar.rank, bar.label): bar.why for bar in rectangles(trace, why=True)}
    sentence = "Rank 1 waits for 0F0: rank 0 runs it from 0 to 1. Then 1F0 can start."
    assert said[1, "F0"] == sentence
    assert sentence in [gap.why for gap in rectangles(trace, why=True) if gap.kind is Kind.IDLE]
    assert said[0, "F0"] == ""


def test_times_count_from_the_start_of_the_step():
    trace = predict(gpipe(2, 2))
    late = replace(trace, spans=tuple(span._replace(start=span.start + 5, end=span.end + 5) for span in trace.spans))
    assert rectangles(late, why=True)[0][:3] == (0, 0, 1)
    assert [bar[:5] for bar in rectangles(late)] == [bar[:5] for bar in rectangles(trace)]


def test_jitter_of_a_measured_trace_is_no_idleness():
    spans = (Span(0, Action(0, F, 0), 0, 0.4999), Span(0, Action(0, B, 0), 0.5, 1))
    assert idle(Trace("x", spans, 1, source="measured", unit="s")) == []
    assert len(idle(Trace("x", spans, 1))) == 1


def test_what_overlaps_lies_in_the_lower_lane():
    spans = (
        Span(0, "step", 0, 10), Span(0, "forward", 1, 4), Span(0, "send to 1", 2, 3), Span(0, "recv from 1", 11, 12),
    )  # fmt: skip
    assert {bar.label: bar.lane for bar in rectangles(Trace("x", spans, 1))} == {
        "step": 0, "forward": 1, "send to 1": 1, "recv from 1": 0,
    }  # fmt: skip


def test_waits_are_drawn_as_gaps_where_there_are_actions():
    spans = (Span(0, Action(0, F, 0), 0, 1), Span(0, "wait 1B0", 1, 3), Span(0, Action(0, B, 0), 3, 5))
    assert [bar.kind for bar in rectangles(Trace("x", spans, 1))] == [Kind.FORWARD, Kind.BACKWARD, Kind.IDLE]
    assert [bar.kind for bar in rectangles(Trace("x", spans[1:2], 1))] == [Kind.WAIT]


def test_needs_follow_the_table_of_reads_and_makes():
    trace = predict(gpipe(2, 1))
    bars = rectangles(trace)
    named = {(str(bars[a].what), str(bars[b].what)) for a, b in needs(trace, bars)}
    assert named == {("0F0", "1F0"), ("1F0", "1B0"), ("0F0", "0B0"), ("1B0", "0B0")}


def test_on_a_mesh_every_replica_needs_its_own():
    trace = Plan(Mesh(data=2, pipe=2), gpipe(2, 1)).predict()
    bars = rectangles(trace)
    pairs = [(bars[a].rank, bars[b].rank) for a, b in needs(trace, bars)]
    assert sorted(pairs) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (2, 3), (3, 2), (3, 3)]


def test_in_a_collective_a_rank_is_not_idle():
    spans = (Span(0, Action(0, F, 0), 0, 1), Span(1, Action(0, F, 0), 0, 4), Span(0, "all_reduce", 2, 5, "gradients"))
    together = Collective(0, "all_reduce", "data", (0, 1), "gradients over data", 8, 2, 5, False)
    trace = Trace("x", spans, 2, collectives=(together,))
    assert [(gap.rank, gap.start, gap.end) for gap in idle(trace)] == [(0, 1, 2)]
    assert trace.why_idle(0, 3) == "Rank 0 is in all_reduce with 1 until 5, for gradients over data."


def test_an_empty_trace_has_none():
    assert rectangles(Trace("nothing", (), 2)) == []


def test_a_receipt_in_a_pipeline_is_a_gap_and_a_send_lies_under_the_action():
    value = Value(Kind_of_value.ACTIVATION, 0, 0)
    spans = (
        Span(0, Action(0, F, 0), 0, 1), Span(0, Send(value, 1), 1, 1.5), Span(0, Recv(value, 1), 1.2, 3),
        Span(0, Action(0, B, 0), 1.4, 5),
    )  # fmt: skip
    found = [(bar.kind, bar.lane) for bar in rectangles(Trace("x", spans, 1)) if bar.kind is not Kind.IDLE]
    assert found == [(Kind.FORWARD, 0), (Kind.COMMUNICATION, 1), (Kind.BACKWARD, 0)]

"""What is drawn of a schedule: bars, arrows, chains, and the circle of one that gets stuck."""

from array import array

import minipar
from minipar.plan.actions import Action, B, F
from minipar.plan.schedule import Schedule
from minipar.plan.schedules import gpipe, one_f_one_b
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Span, Trace
from minipar.view.board import Board, Lookup, about, board, numbers
from minipar.view.packing import KINDS
from minipar.view.theme import Kind

ONE = Cost(F=1, B=1)


def place(trace, word):
    return [span.what for span in trace.spans].index(Action.parse(word))


def named(trace, places):
    return " ".join(str(trace.spans[at].what) for at in places)


def test_a_bar_is_nine_numbers():
    trace = predict(Schedule.parse("0F0 0B0"))
    forward, backward = KINDS[Kind.FORWARD], KINDS[Kind.BACKWARD]
    assert numbers(trace.spans) == array("f", [0, 0, 1, forward, 0, 0, 1, 0, 0, 0, 1, 3, backward, 0, 0, -1, 0, 0])
    split = numbers(predict(Schedule.parse("0F0 0I0 0W0")).spans)
    assert (split[6::9].tolist(), split[7::9].tolist()) == ([1, 0, -1], [0, 1, -1])


def test_two_at_once_share_a_row():
    once = [Span(0, F(0, 1), 2, 5), Span(0, B(0, 0), 2, 5), Span(0, B(0, 1), 5, 7)]
    assert numbers(once)[8::9].tolist() == [1, 2, 0]
    lookup = Lookup(Trace("pair", (Span(0, F(0, 0), 0, 2), *once), 1))
    assert lookup.before == {1: 0, 2: 0, 3: 2} and lookup.chain(2) == [0, 2]


def test_arrows_are_the_values_that_cross():
    trace = predict(gpipe(2, 2))
    crossing = {named(trace, pair) for pair in Lookup(trace).crossing()}
    assert crossing == {"0F0 1F0", "0F1 1F1", "1B0 0B0", "1B1 0B1"}


def test_the_chain_of_the_last_action_is_the_critical_path():
    trace = predict(one_f_one_b(3, 4), ONE)
    last = max(range(len(trace.spans)), key=lambda at: trace.spans[at].end)
    assert [trace.spans[at] for at in Lookup(trace).chain(last)] == trace.critical_path()
    assert named(trace, Lookup(trace).chain(place(trace, "1F0"))) == "0F0 1F0"


def test_what_is_told_of_a_bar():
    trace = predict(gpipe(2, 2), ONE)
    told = about(Lookup(trace), place(trace, "0B0"))
    assert told["words"] == (
        "0B0: backward of microbatch 0 through stage 0, on rank 0, from 4 to 5. "
        "Rank 0 waits for 1B0: rank 1 runs it from 3 to 4. Then 0B0 can start."
    )
    assert named(trace, told["path"]) == "0F0 0F1 1F1 1B0 0B0"
    pairs = list(zip(told["pairs"][::2], told["pairs"][1::2], strict=True))
    assert {named(trace, pair) for pair in pairs} == {"0F0 0B0", "1B0 0B0"}
    assert "critical path" in about(Lookup(trace), place(trace, "0B1"))["words"]


def test_a_sound_schedule():
    drawn = board(one_f_one_b(4, 8))
    assert isinstance(drawn, Board) and minipar.board is board
    assert repr(drawn) == "Board(1F1B, ranks=4, microbatches=8, T=33 slots)"
    assert drawn.title == "1F1B: 33 slots, 27 % idle"
    assert drawn.waits == () and drawn.circle == ()
    assert len(drawn.view.head["arrows"]) == 2 * 48


def test_a_deadlock_names_the_circle_and_who_stands_behind():
    drawn = board(one_f_one_b(4, 4), unbuffered=True)
    assert drawn.circle == (2, 3)
    assert repr(drawn) == "Board(1F1B, ranks=4, microbatches=4, Stuck in a circle: 2 → 3 → 2; behind it: 0, 1)"
    assert [(wait["label"], wait["peer"], wait["ring"]) for wait in drawn.view.head["waits"]] == [
        ("send 0F3", 1, False), ("send 1F2", 2, False), ("send 2F1", 3, True), ("send 3B0", 2, True),
    ]  # fmt: skip
    assert drawn.trace.order(3) == (Action.parse("3F0"), Action.parse("3B0"))


def test_a_schedule_with_a_lost_value_is_drawn_as_far_as_it_runs():
    drawn = board(Schedule.parse("0F0 0B0\n1F1 1B0"))
    assert drawn.trace.order(0) == (Action.parse("0F0"),) and drawn.title == "Stuck: 2 ranks cannot go on"
    assert [wait["peer"] for wait in drawn.view.head["waits"]] == [1, None]
    drawn.figure()


def test_the_plain_form_has_lines_and_waits_and_is_the_same_each_time():
    sound, stuck = board(gpipe(3, 3)).figure(), board(one_f_one_b(4, 4), unbuffered=True).figure()
    assert "value" in {trace.name for trace in sound.data}
    texts = [note.text for note in stuck.layout.annotations]
    assert "waits for rank 3" in texts and texts.count("waits for rank 2") == 2
    assert board(gpipe(3, 3)).figure().to_json() == sound.to_json()


def test_another_schedule_in_the_same_place():
    drawn = board(gpipe(2, 2))
    drawn.show(one_f_one_b(4, 4), unbuffered=True)
    assert drawn.circle == (2, 3) and drawn.view.head["bars"] == len(drawn.trace.spans) == 11


def test_pointing_is_answered():
    drawn, sent = board(gpipe(2, 2)), []
    drawn.view.send = sent.append
    drawn._asked(None, {"do": "about", "bar": 0, "key": "bar 0"}, None)
    drawn._asked(None, {"do": "why", "rank": 1, "time": 0.5, "key": "gap"}, None)
    assert [answer["key"] for answer in sent] == ["bar 0", "gap"]
    assert sent[1]["words"] == "Rank 1 waits for 0F0: rank 0 runs it from 0 to 1. Then 1F0 can start."

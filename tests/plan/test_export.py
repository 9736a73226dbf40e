"""Does what is written come back equal, and is a file that says something else refused with the place?"""

import json
import math

import pytest

import minipar
from minipar import export
from minipar.plan.actions import Kind, Recv, Send, Value
from minipar.plan.schedules import CATALOGUE, OVERLAPPING
from minipar.plan.trace import Collective, Message, Sample, Span, Trace

EVERY = {**CATALOGUE, **OVERLAPPING}
VALUE = Value(Kind.GRADIENT, 1, 0)
TRACE = Trace(
    "mine",
    (Span(0, minipar.Action.parse("0F0"), 0.0, 1.5, "overran"), Span(0, "0F0", 1.5, 2.0), Span(1, Send(VALUE, 0), 2, 3),
     Span(0, Recv(VALUE, 1), 2.0, 3.0)),
    2, "measured, paced", "s", ((Sample(0.0, "activation", 8),), ()),
    (Message(1, 0, 8, 2.0, 3.0, "gradient 1 m0", "", "layers.3"),), 0.5, "processes on this CPU, gloo",
    (Collective(0, "all_reduce", "tensor", (0, 1), "head", 16, 1.0, 2.0, False),), ((0,), (1,)),
)  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_schedules_come_back(name, tmp_path):
    s = EVERY[name](3, 6)
    assert export.from_json(export.to_json(s, tmp_path / "s.json")) == s
    for communication in (False, True):
        path = export.torch_csv(s, tmp_path / "mine.csv", communication)
        assert export.read_torch_csv(path, s.name) == s
    assert export.read_torch_csv(str(path)).name == "mine"


def test_traces_come_back(tmp_path):
    for trace in (TRACE, minipar.predict(minipar.zb_v(2, 4), minipar.Cost(hop=0.25, activation_bytes=3))):
        assert export.from_json(export.to_json(trace, tmp_path / "t.json")) == trace
        assert json.loads(export.chrome(trace, tmp_path / "c.json").read_text())["traceEvents"]


def test_a_time_that_nobody_knows_comes_back_unknown(tmp_path):
    trace = Trace("mine", (), 2, messages=(Message(0, 1, 4, 1.0, math.nan),))
    path = export.to_json(trace, tmp_path / "t.json")
    assert "NaN" not in path.read_text()
    (message,) = export.from_json(path).messages
    assert message.sent == 1.0 and math.isnan(message.received)


def test_an_unsound_schedule_may_be_kept(tmp_path):
    s = minipar.Schedule.parse("0F0 0F0")
    assert export.from_json(export.to_json(s, tmp_path / "s.json")) == s


def test_what_is_neither_is_not_written(tmp_path):
    with pytest.raises(TypeError, match="^a list is neither a schedule nor a trace: nothing to write$"):
        export.to_json([1], tmp_path / "x.json")


SCHEDULE = {"minipar": "schedule", "version": 1, "name": "mine", "programs": [["0F0", "0B0"]]}


def changed(whole, *path):
    """A copy of JSON data with the last of `path` put at the place that the others name."""
    whole = json.loads(json.dumps(whole))
    *keys, last, new = path
    at = whole
    for key in keys:
        at = at[key]
    at[last] = new
    return json.dumps(whole)


def trace_with(*path):
    """TRACE as JSON with one thing changed."""
    return lambda folder: changed(json.loads(export.to_json(TRACE, folder / "t.json").read_text()), *path)


NO_ACTION = "is no action: write stage, letter, microbatch, as in 2F0 (letters F, B, I or W)"


@pytest.mark.parametrize(("text", "sentence"), [
    ("", "row 1, column 1: this is no JSON (Expecting value)"),
    ('{"minipar":\n "schedule",]', "row 2, column 13: this is no JSON (Expecting property name enclosed in double "
                                   "quotes)"),
    ("[" * 100_000, "row 1, column 1: this JSON is nested too deeply for a schedule or a trace"),
    ("[1]", 'row 1, column 1: the file does not say "minipar": "schedule" or "minipar": "trace"'),
    (changed(SCHEDULE, "version", 2), "version 2: this minipar reads version 1"),
    (changed(SCHEDULE, "name", None), '"name" must be a str, and is None'),
    (changed(SCHEDULE, "programs", 0, "0F0 0B0"), "row 1 of programs: '0F0 0B0' is no list of actions"),
    (changed(SCHEDULE, "programs", 0, 1, "0B"), f"row 1, column 2: '0B' {NO_ACTION}"),
    (changed(SCHEDULE, "programs", 0, 1, 7), 'row 1, column 2: 7 is no action: write one as a string, as in "2F0"'),
    (trace_with("unit", "hours"), '"unit" must be "slots" or "s", and is \'hours\''),
    (trace_with("ranks", True), '"ranks" must be a int, and is True'),
    (trace_with("spans", 1, [0, 1]), "row 2 of spans: [0, 1] should have 5 columns"),
    (trace_with("spans", 0, 1, ["action", "0F"]), f"row 1 of spans, column 2: '0F' {NO_ACTION}"),
    (trace_with("spans", 0, 1, ["walk"]), "row 1 of spans, column 2: ['walk'] is neither [\"action\", \"2F0\"] nor a "
                                          'message nor ["words", …]'),
    (trace_with("spans", 0, 2, "soon"), "row 1 of spans, column 3: 'soon' is not a number"),
    (trace_with("spans", 0, 0, 2), "row 1 of spans, column 1: there is no rank 2 among 2"),
    (trace_with("messages", 0, 1, 9), "row 1 of messages, column 2: there is no rank 9 among 2"),
    (trace_with("ledger", [[]]), '"ledger" has 1 rows, and there are 2 ranks'),
    (trace_with("ledger", 0, 0, [0, "activation", -1]), "row 1 of ledger, sample 1, column 3: -1 is not a whole number "
                                                        "from 0"),
], ids=range(19))  # fmt: skip
def test_malformed_json_is_refused_with_the_place(text, sentence, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(text if isinstance(text, str) else text(tmp_path))
    with pytest.raises(ValueError) as refusal:
        export.from_json(path)
    assert str(refusal.value) == f"x.json, {sentence}"


def test_the_file_is_named_with_the_cell(tmp_path):
    path = tmp_path / "order.csv"
    path.write_text("0F0,0G0\n")
    with pytest.raises(ValueError, match="^order.csv, row 1, column 2: '0G0' is neither an action"):
        export.read_torch_csv(path)
    path.write_bytes(b"0F0,\xff")
    with pytest.raises(ValueError, match="^order.csv, byte 5: this is no text file$"):
        export.read_torch_csv(path)

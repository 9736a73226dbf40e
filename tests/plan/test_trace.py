"""Reading a trace: shares, peaks, the critical path, and why a rank waited."""

import pytest

import minipar
from minipar import Cost, F, Span, Trace, predict
from minipar.plan.trace import Collective, Message, Sample


@pytest.fixture(scope="module")
def gpipe():
    return predict(minipar.gpipe(ranks=4, microbatches=8), Cost(F=1, B=2))


def test_the_two_readings_of_idle(gpipe):
    assert gpipe.bubble == pytest.approx(9 / 33)
    assert gpipe.overhead == pytest.approx(9 / 24)
    assert [gpipe.span(rank) for rank in range(4)] == [33, 30, 27, 24]
    assert gpipe.busy(2) == 24


def test_interleaved_chunks_count_one_each():
    # two chunks a rank, both in flight at once: (stage, microbatch) pairs
    s = minipar.Schedule.parse("0F0 2F0 2B0 0B0\n1F0 3F0 3B0 1B0")
    assert predict(s).peak_in_flight == (2, 2)


def test_a_split_backward_frees_at_w():
    s = minipar.Schedule.parse("0F0 0F1 0I0 0I1 0W0 0W1")
    assert predict(s).in_flight(0)[-1][1] == 0
    assert predict(s).peak_in_flight == (2,)


def test_why_idle_names_the_maker_and_the_time(gpipe):
    assert gpipe.why_idle(3, 0.5) == "Rank 3 waits for 2F0: rank 2 will run it from 2 to 3. Then 3F0 can start."
    assert gpipe.why_idle(0, 8.5) == "Rank 0 waits for 1B0: rank 1 will run it from 15 to 17. Then 0B0 can start."
    assert gpipe.why_idle(0, 15.5) == "Rank 0 waits for 1B0: rank 1 runs it from 15 to 17. Then 0B0 can start."
    assert gpipe.why_idle(0, 0) == "Rank 0 is busy with 0F0 until 1."
    assert gpipe.why_idle(3, 30) == "Rank 3 has finished: nothing is left for it in this step."


def test_why_idle_tells_of_the_hop():
    t = predict(minipar.naive(2), Cost(hop=0.5))
    assert (
        t.why_idle(1, 1.2)
        == "Rank 1 waits for 0F0: rank 0 has run it from 0 to 1, and it arrives at 1.5. Then 1F0 can start."
    )


def test_the_critical_path_is_as_long_as_the_step(gpipe):
    path = gpipe.critical_path()
    assert path[0].start == 0 and path[-1].end == 33
    assert all(before.end == after.start for before, after in zip(path, path[1:], strict=False))


def test_times_of_a_measured_trace_are_told_in_milliseconds_from_its_start():
    t = Trace("x", (Span(0, F(0, 0), 100.0, 100.25), Span(0, "wait 0F1", 99.0, 100.0)), 1, "measured", "s")
    assert (t.makespan, t.why_idle(0, 100.1)) == (0.25, "Rank 0 is busy with 0F0 until 250 ms.")


def test_memory_by_kind_over_time():
    rows = (
        (Sample(0, "parameter", 5), Sample(1, "activation", 3), Sample(2, "activation", 0), Sample(2, "gradient", 5)),
    )
    t = Trace("x", (), 1, ledger=rows)
    assert t.memory(0) == [
        (0, {"parameter": 5}),
        (1, {"parameter": 5, "activation": 3}),
        (2, {"parameter": 5, "activation": 0, "gradient": 5}),
    ]
    assert t.peak_memory(0) == 10


def test_an_empty_trace_has_no_length():
    t = Trace("nothing", (), 2)
    assert (t.makespan, t.bubble, t.overhead, t.peak_in_flight, t.critical_path()) == (0, 0, 0, (0, 0), [])


def test_bytes_by_collective_and_layer():
    message = Message(0, 1, 100, 0.0, 1.0, "", "all_reduce", "layers.3.mlp")
    others = [message._replace(source=1, target=0, bytes=60, layer="layers.3"), message._replace(layer="layers.31"),
              Message(0, 1, 7, 0.0, 1.0, "activation 0 m0")]  # fmt: skip
    trace = Trace("x", (), 2, messages=(message, *others))
    assert trace.traffic() == ((0, 207), (60, 0))
    assert trace.traffic("all_reduce", "layers.3") == ((0, 100), (60, 0))
    assert trace.traffic("") == ((0, 7), (0, 0))
    assert (trace.sent(0), trace.sent(0, "all_reduce", "layers.3.mlp")) == (207, 100)
    assert trace.received(0, "all_reduce") == 60
    assert [trace.message_count(rank, "all_reduce") for rank in (0, 1)] == [2, 1]
    assert trace.sent(0, layer="") == 7


def test_collectives_are_counted_by_rank_name_and_layer():
    one = Collective(0, "all_reduce", "tensor", (0, 1), "layers.0", 64, 0.0, 1.0, True)
    calls = (one, one._replace(rank=1), one._replace(what="all_gather", bytes=8, layer="layers.0.attention"))
    trace = Trace("x", (), 2, collectives=calls)
    assert (trace.calls(), trace.calls(1), trace.calls(0, "all_reduce")) == (2, 1, 1)
    assert trace.calls(0, layer="layers.1") == 0
    assert (trace.payload(), trace.payload(1), trace.payload(0, "all_gather")) == (72, 64, 8)
    assert trace.payload(0, layer="layers.0") == 72 and trace.traffic() == ((0, 0), (0, 0))

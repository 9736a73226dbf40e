"""Is a timeline's text stable, and does it change as one piece?"""

from dataclasses import replace

import pytest

from minipar.plan.schedules import gpipe, naive, one_f_one_b
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Sample, Span, Trace
from minipar.view.panel import Strip
from minipar.view.timeline import Timeline, compare, error, scaled, timeline, timelines

SECONDS = Cost(F=0.05, B=0.1, unit="s")


def measured(schedule, stretch=1.0, late=0.0):
    """What a clock would have taken: every action longer, the whole step later."""
    trace = predict(schedule, SECONDS)
    spans = tuple(
        Span(span.rank, span.what, late + span.start * stretch, late + span.end * stretch) for span in trace.spans
    )
    return replace(trace, spans=spans, source="measured, paced", device="gloo, CPU")


def test_text_of_predicted_and_measured():
    assert repr(timeline(predict(one_f_one_b(8, 32)))) == (
        "Timeline(1F1B, ranks=8, microbatches=32, T=117 slots, bubble=17.9%)"
    )
    assert repr(timeline(measured(gpipe(4, 8)))) == "Timeline(GPipe, ranks=4, microbatches=8, measured, paced)"
    assert str(timeline(predict(naive(4)))) == "Timeline(naive, ranks=4, microbatches=1, T=12 slots, bubble=75.0%)"


def test_text_of_several_has_a_line_for_each():
    traces = [predict(gpipe(4, 8)), measured(one_f_one_b(4, 8))]
    assert repr(timelines(traces, titles=["one", "two"])).splitlines() == [
        "2 timelines on one axis",
        "  one: Timeline(GPipe, ranks=4, microbatches=8, T=33 slots, bubble=27.3%)",
        "  two: Timeline(1F1B, ranks=4, microbatches=8, measured, paced)",
    ]


def test_a_measured_text_is_the_same_at_any_speed():
    one, other = (repr(timeline(measured(gpipe(4, 8), stretch=stretch, late=7))) for stretch in (1, 1.3))
    assert one == other


def test_title_source_and_device_stand_on_the_picture():
    head = timeline(measured(gpipe(4, 8)), title="Work overlaps").head["panels"][0]
    assert head["title"] == "Work overlaps"
    assert head["origin"] == "measured, paced; gloo, CPU"
    assert timeline(predict(gpipe(4, 8))).head["panels"][0]["title"] == "GPipe: 4 ranks, 8 microbatches, 27 % idle"


def test_show_replaces_everything_in_one_message():
    drawn = timeline(predict(gpipe(4, 8)), title="before")
    sent = []
    drawn.send_state = lambda key=None: sent.append(set(key) if key else None)
    drawn.show(predict(one_f_one_b(4, 8)), title="after")
    assert sent == [{"head", "numbers"}]
    assert drawn.head["panels"][0]["title"] == "after"
    assert repr(drawn).startswith("Timeline(1F1B")


def test_an_automatic_strip_stays_automatic_and_a_chosen_one_stays():
    drawn = timeline(Trace("nothing yet", (), 1))
    assert drawn.panels[0].strip is Strip.NOTHING
    drawn.show(predict(gpipe(2, 2)))
    assert drawn.panels[0].strip is Strip.IN_FLIGHT
    drawn.show(predict(gpipe(2, 2), Cost(activation_bytes=8)))
    assert drawn.panels[0].strip is Strip.MEMORY
    drawn.show(predict(gpipe(2, 2), Cost(activation_bytes=8)), strip=Strip.IN_FLIGHT)
    drawn.show(predict(gpipe(2, 3), Cost(activation_bytes=8)))
    assert drawn.panels[0].strip is Strip.IN_FLIGHT


def asked(drawn, **question):
    """The answers to one question of the browser."""
    answers = []
    drawn.send = answers.append
    drawn._asked(drawn, question, [])
    return answers


def test_why_is_answered_when_asked():
    drawn = timeline(measured(gpipe(2, 1), late=100.0))
    (answer,) = asked(drawn, ask="why", serial=drawn.head["serial"], panel=0, rank=1, time=0.02, gap=5)
    assert answer["sentence"] == "Rank 1 waits for 0F0: rank 0 runs it from 0 ms to 50 ms. Then 1F0 can start."
    assert answer["gap"] == 5


def test_needs_of_a_large_picture_are_answered_when_asked():
    drawn = timeline(predict(gpipe(8, 96)))
    (answer,) = asked(drawn, ask="needs", serial=drawn.head["serial"], panel=0)
    assert len(answer["pairs"]) == 2 * (7 * 96 + 8 * 96 + 7 * 96)


def test_a_question_about_an_older_picture_is_dropped():
    drawn = timeline(predict(gpipe(8, 96)))
    old = drawn.head["serial"]
    drawn.show(predict(gpipe(2, 2)))
    assert asked(drawn, ask="needs", serial=old, panel=0) == []


def test_strips_of_several_traces():
    with_bytes = predict(gpipe(4, 8), Cost(activation_bytes=1_000))
    kinds = [timelines([with_bytes, predict(gpipe(4, 8))], in_flight=wanted).panels for wanted in (True, False)]
    assert [[panel.strip for panel in panels] for panels in kinds] == [
        [Strip.IN_FLIGHT, Strip.IN_FLIGHT], [Strip.MEMORY, Strip.NOTHING],
    ]  # fmt: skip


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="2 traces want 2 titles, but 1 are given"):
        timelines([predict(gpipe(2, 2))] * 2, titles=["one"])


def test_a_cap_in_bytes_over_strips_of_microbatches_is_refused():
    with pytest.raises(ValueError, match="The strips count microbatches, at most 8, and a cap of 1.6e"):
        timelines([predict(gpipe(4, 8))], cap=16e6)


def test_compare_lays_a_prediction_in_seconds_as_it_is():
    prediction = predict(gpipe(4, 8), SECONDS)
    drawn = compare(prediction, measured(gpipe(4, 8), stretch=1.04))
    assert drawn.panels[0].ghost.makespan == pytest.approx(1.65)
    assert drawn.panels[0].readings[0].startswith("Measured 1.72 s, predicted 1.65 s: 4.0 % longer. Furthest behind: ")
    assert repr(drawn) == "Timeline(GPipe, ranks=4, microbatches=8, measured, paced, with its prediction)"


def test_compare_scales_slots_by_the_durations_of_equal_actions():
    ghost = scaled(predict(gpipe(4, 8)), measured(gpipe(4, 8), late=3.0))
    assert (ghost.start, ghost.unit) == (0, "s")
    assert ghost.makespan == pytest.approx(1.65)


def test_the_error_names_the_action_furthest_behind():
    prediction = predict(gpipe(2, 1), SECONDS)
    spans = [*measured(gpipe(2, 1)).spans]
    at = next(i for i, span in enumerate(spans) if str(span.what) == "1F0")
    spans[at] = spans[at]._replace(end=spans[at].end + 0.03)
    late = replace(prediction, spans=tuple(spans), source="measured")
    assert error(prediction, late) == (
        "Measured 300 ms, predicted 300 ms: 0 % longer. Furthest behind: 1F0 on rank 1, 30 ms late."
    )


def test_it_is_a_timeline_with_a_ledger_too():
    ledger = tuple((Sample(0, "parameter", 4),) for _ in range(2))
    drawn = timeline(replace(measured(gpipe(2, 2)), ledger=ledger), cap=5)
    assert isinstance(drawn, Timeline)
    assert drawn.head["panels"][0]["strip"]["names"] == ("parameter",)


def test_nobody_there_gets_text_and_a_plain_figure(monkeypatch):
    drawn = timeline(predict(gpipe(4, 8)))
    bundle = drawn._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "application/vnd.plotly.v1+json"}
    monkeypatch.setattr("minipar.view.presence.somebody_there", lambda: True)
    assert set(drawn._repr_mimebundle_()) == {"text/plain", "application/vnd.jupyter.widget-view+json"}
    assert drawn._repr_mimebundle_()["text/plain"] == repr(drawn)

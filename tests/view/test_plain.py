"""Is the plain figure readable, complete, and the same each time?"""

import json
from dataclasses import replace

import pytest

from minipar.plan.schedules import gpipe, interleaved_1f1b, one_f_one_b, zb_h1
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Span, Trace
from minipar.view.timeline import timeline, timelines


def named(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def texts(figure):
    return [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "text"]


def test_equal_traces_give_equal_figures():
    one, other = (timeline(predict(one_f_one_b(4, 8)), cap=6).figure().to_json() for _ in range(2))
    assert one == other
    assert "uid" not in one


def test_no_template_and_a_set_height():
    figure = timeline(predict(gpipe(4, 8))).figure()
    assert figure.layout.height > 200
    assert "layout" not in figure.layout.template.to_plotly_json()


def test_every_action_is_a_bar_with_its_label():
    figure = timeline(predict(gpipe(4, 8))).figure()
    assert [len(named(figure, name)[0].x) for name in ("forward", "backward")] == [32, 32]
    written = [text for trace in texts(figure) for text in trace.text]
    assert sorted(written) == sorted(4 * [f"{letter}{m}" for letter in "FB" for m in range(8)])
    assert sum(named(figure, "idle")[0].x) == 36


def test_hover_says_when_and_why():
    figure = timeline(predict(gpipe(2, 1))).figure()
    assert named(figure, "forward")[0].hovertext[1] == (
        "F0, rank 1: 1 to 2 slots<br>Rank 1 waits for 0F0: rank 0 runs it from 0 to 1. Then 1F0 can start."
    )


def test_the_notes_stand_beside_the_rows():
    figure = timeline(predict(one_f_one_b(4, 8)), title="Four in the drawer").figure()
    notes = [note.text for note in figure.layout.annotations]
    assert notes[:2] == ["<b>Four in the drawer</b>", "predicted, in slots"]
    assert notes.count("busy 73 %") == 4
    assert notes[-4:] == ["peak 4", "peak 3", "peak 2", "peak 1"]


def test_a_large_page_says_nothing_when_pointed_at():
    few, many = (timelines([predict(zb_h1(4, 8))] * count).figure() for count in (3, 4))
    assert [{bar.hoverinfo for bar in figure.data if bar.type == "bar"} for figure in (few, many)] == [
        {"text"}, {"skip"},
    ]  # fmt: skip
    assert all(bar.hovertext is None for bar in many.data)


def test_a_split_backward_has_two_layers_in_its_strips():
    figure = timeline(predict(zb_h1(4, 8))).figure()
    assert len(named(figure, "waits for I")) == len(named(figure, "waits for W")) == 1
    assert any("waits for W" in note.text for note in figure.layout.annotations)


def test_several_panels_do_not_overlap_and_name_each_kind_once():
    figure = timelines([predict(gpipe(4, 8)), predict(one_f_one_b(4, 8))], cap=6).figure()
    domains = sorted(figure.layout[f"yaxis{n}"].domain for n in ("", "2", "3", "4"))
    assert all(low[1] <= high[0] for low, high in zip(domains, domains[1:], strict=False))
    assert sum(bool(trace.showlegend) for trace in named(figure, "forward")) == 1
    assert len(named(figure, "cap 6")) == 2


def test_memory_by_kind_is_stacked():
    figure = timeline(predict(gpipe(2, 2), Cost(activation_bytes=1_000_000)), cap=2_000_000).figure()
    assert named(figure, "activation")
    assert any("cap 2.0 MB" in note.text for note in figure.layout.annotations)


def test_a_ghost_is_an_outline_under_the_bars():
    trace = predict(gpipe(2, 2))
    figure = timeline(replace(trace, source="measured"), ghost=trace).figure()
    assert figure.data[0].name == "prediction"
    assert len(figure.data[0].x) == 8


@pytest.mark.parametrize("many", [predict(gpipe(12, 20)), predict(gpipe(4, 8))])
def test_no_text_is_smaller_than_twelve(many):
    sizes = []

    def walk(part, inside=""):
        for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
            if key == "size" and "font" in inside:
                sizes.append(value)
            walk(value, str(key))

    walk(json.loads(timeline(many, callouts=[(0, 1, "here")]).figure().to_json()))
    assert sizes
    assert min(sizes) >= 12


def test_thousands_of_bars_carry_no_text():
    figure = timeline(predict(gpipe(8, 96))).figure()
    assert not texts(figure)


def test_an_empty_trace_is_drawn_too():
    assert timeline(Trace("nothing", (), 2)).figure().layout.height > 0


def test_what_runs_beside_something_lies_on_top_of_it():
    spans = (Span(0, "work", 0.0, 4.0), Span(0, "all_reduce", 1.0, 5.0), Span(0, "weight gradient", 5.0, 8.0),
             Span(0, "all_gather", 6.0, 9.0))  # fmt: skip
    drawn = timeline(Trace("x", spans, 1, source="measured", unit="s")).figure()
    bars = [bar for bar in drawn.data if bar.type == "bar"]
    assert [bar.name for bar in bars] == ["weight gradient", "own program", "communication"]
    assert list(bars[-1].y) == [0.3, 0.3]


def test_the_second_chunk_of_a_rank_has_a_stripe():
    """White on forwards, black on backwards, one for each chunk after the first; none where stages equal ranks."""

    def stripes(schedule):
        bars = [trace for trace in timeline(predict(schedule)).figure().data if trace.type == "bar"]
        return [(bar.marker.color, len(bar.x)) for bar in bars if bar.width[0] == 0.06]

    assert stripes(one_f_one_b(2, 4)) == []
    assert stripes(interleaved_1f1b(2, 4, chunks=2)) == [("#FFFFFF", 8), ("#000000", 8)]
    assert stripes(interleaved_1f1b(2, 4, chunks=3)) == [("#FFFFFF", 24), ("#000000", 24)]

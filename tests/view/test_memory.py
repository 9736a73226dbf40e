"""Do the memory pictures say how much, of what, and when?"""

import pytest

from minipar.plan.schedules import one_f_one_b
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Sample, Span, Trace
from minipar.view.memory import memory, memory_bars
from minipar.view.panel import Strip

STEP = Trace(
    "one step",
    (Span(0, "forward", 0, 1), Span(0, "backward", 1, 3), Span(0, "optimizer", 3, 4)),
    1, source="measured", unit="s",
    ledger=((Sample(0, "parameter", 4_000_000), Sample(0.5, "activation", 6_000_000), Sample(2, "gradient", 4e6)),),
)  # fmt: skip
CASES = {
    "batch 4": {"parameter": 4e6, "gradient": 4e6, "optimizer": 8e6, "activation": 3e6},
    "batch 8": {"parameter": 4e6, "gradient": 4e6, "optimizer": 8e6, "activation": 6e6},
}


def test_text_has_kinds_but_no_measured_numbers():
    assert repr(memory(STEP)) == "Memory(one step, ranks=1, kinds=parameter+gradient+activation, measured)"
    assert repr(memory(predict(one_f_one_b(4, 8)))) == (
        "Memory(1F1B, ranks=4, peaks in flight=4 3 2 1, predicted)"
    )


def test_the_title_is_the_largest_peak():
    assert memory(STEP).panels[0].heading == "one step: 14.0 MB at the peak"
    traced = predict(one_f_one_b(4, 8), Cost(activation_bytes=1_000_000))
    assert memory(traced).panels[0].heading == "1F1B: rank 0 holds most, 4.0 MB at its peak"
    assert memory(predict(one_f_one_b(4, 8))).panels[0].heading == "1F1B: rank 0 holds most, 4 microbatches"
    assert memory(STEP, title="Activations climb").panels[0].heading == "Activations climb"


def test_strips_lie_under_their_own_rows():
    drawn = memory(STEP, cap=16_000_000)
    assert drawn.head["apart"] is False
    assert drawn.panels[0].strip is Strip.MEMORY
    assert drawn.panels[0].readings[0] == "Peaks, rank 0 first: 14.0 MB."
    assert drawn.figure().layout.height > 100


def test_a_trace_that_knows_nothing_of_memory_is_refused():
    with pytest.raises(ValueError, match="This trace says nothing about memory"):
        memory(Trace("ring", (Span(0, "send", 0, 1),), 1))


def test_bars_carry_their_bytes_and_their_total():
    drawn = memory_bars(CASES, cap=20e6, title="Only activations grow")
    assert repr(drawn) == "MemoryBars(batch 4: 19.0 MB, batch 8: 22.0 MB)"
    figure = drawn.figure()
    assert [trace.name for trace in figure.data] == ["parameter", "gradient", "optimizer", "activation"]
    assert list(figure.data[3].text) == ["activation 3.0 MB", "activation 6.0 MB"]
    assert [note.text for note in figure.layout.annotations] == ["<b>19.0 MB</b>", "<b>22.0 MB</b>", "cap 20.0 MB"]
    assert figure.to_json() == memory_bars(CASES, cap=20e6, title="Only activations grow").figure().to_json()


def test_bars_are_a_plain_figure_for_everybody(monkeypatch):
    wanted = {"text/plain", "application/vnd.plotly.v1+json"}
    assert set(memory_bars(CASES)._repr_mimebundle_()) == wanted
    monkeypatch.setattr("minipar.view.presence.somebody_there", lambda: True)
    assert set(memory_bars(CASES)._repr_mimebundle_()) == wanted


def test_no_case_is_refused():
    with pytest.raises(ValueError, match="There is no case to draw"):
        memory_bars({})

"""Do the tables say what was sent, and do assumed ones say that they are assumed?"""

import pytest

from minipar.cost import comm
from minipar.plan.trace import Collective, Message, Trace
from minipar.view.theme import BLACK, contrast
from minipar.view.traffic import LEAST, PURPLE, matrices, traffic

RING = ((0, 6_000_000, 0, 0), (0, 0, 6_000_000, 0), (0, 0, 0, 6_000_000), (6_000_000, 0, 0, 0))


def trace(*tables, collectives=()):
    messages = [
        Message(source, target, size, 0, 1, "", name)
        for name, table in tables
        for source, row in enumerate(table)
        for target, size in enumerate(row)
        if size
    ]
    return Trace("x", (), 4, messages=tuple(messages), collectives=tuple(collectives))


def backends(what, bytes, ranks=(0, 1, 2, 3), source=None):
    return [Collective(rank, what, "tensor", ranks, "", bytes if source in (None, rank) else 0, 0, 1, False)
            for rank in ranks]  # fmt: skip


def written(figure, at):
    return list(figure.data[2 * at + 1].text)


def test_one_collective_needs_no_button():
    drawn = traffic(trace(("all_reduce", RING)))
    assert repr(drawn) == "Traffic(4 messages; all_reduce 24,000,000 B)"
    figure = drawn.figure()
    assert not figure.layout.updatemenus
    assert [note.text for note in figure.layout.annotations] == [
        "<b>all_reduce: each rank sends 6.0 MB, 24.0 MB together</b>",
        "rows send, columns receive, at the right what each rank sends; bytes really sent",
        *["<b>6.0 MB</b>"] * 4,
    ]
    assert written(figure, 0) == ["6.0 MB", "·", "·", "·", "6.0 MB", "·", "·", "·", "6.0 MB", "6.0 MB", "·", "·"]
    assert figure.data[0].hovertext[3][0] == "rank 3 to rank 0: 6,000,000 B"


def test_buttons_split_by_collective():
    zero = comm.traffic("all_reduce", "through_zero", 4, 4_000_000)
    drawn = traffic(trace(("all_reduce", RING), ("through_zero", zero), ("", ((0, 1000, 0, 0),) + ((0,) * 4,) * 3)))
    figure = drawn.figure()
    buttons = figure.layout.updatemenus[0].buttons
    assert [button.label for button in buttons] == [
        "all messages", "all_reduce", "through_zero", "outside of collectives"]  # fmt: skip
    assert [trace.visible for trace in figure.data] == [True] * 2 + [False] * 6
    assert buttons[2].args[0]["visible"] == [False] * 4 + [True] * 2 + [False] * 2
    assert buttons[2].args[1]["annotations"][0]["text"] == "<b>through_zero: rank 0 sends most, 12.0 MB of 24.0 MB</b>"
    assert repr(traffic(trace(("a", RING), ("b", zero)), "b")) == "Traffic(6 messages; b 24,000,000 B)"


def test_the_backends_collectives_say_what_is_assumed():
    pairs = backends("all_reduce", 4_000_000, (0, 2)) + backends("all_reduce", 4_000_000, (1, 3))
    drawn = traffic(trace(collectives=pairs + backends("reduce", 8) + backends("barrier", 0)))
    (face,) = drawn.faces
    assert face.name == "all_reduce, ring assumed"
    assert face.origin == "the backend's: payload recorded, ring assumed"
    assert [list(row) for row in face.table] == [
        [0, 0, 4_000_000, 0], [0, 0, 0, 4_000_000], [4_000_000, 0, 0, 0], [0, 4_000_000, 0, 0]]  # fmt: skip
    ((gather,), (broadcast,), (swap,)) = (
        traffic(trace(collectives=backends(*each))).faces
        for each in (("all_gather", 100), ("broadcast", 100, (0, 1, 2, 3), 3), ("all_to_all", 400))
    )
    assert [sum(row) for row in gather.table] == [300] * 4
    assert [sum(row) for row in broadcast.table] == [100, 100, 0, 100]
    assert (swap.name, swap.table[1]) == ("all_to_all, even parts assumed", [100, 0, 100, 100])


def test_ours_are_never_counted_twice():
    own = [each._replace(own=True) for each in backends("all_reduce", 4_000_000)]
    assert [face.name for face in traffic(trace(("all_reduce", RING), collectives=own)).faces] == ["all_reduce"]


def test_nothing_sent_is_refused_in_words():
    with pytest.raises(ValueError, match="This trace saw nothing sent between ranks."):
        traffic(trace())
    with pytest.raises(ValueError, match="nothing sent in all_gather: its collectives are reduce."):
        traffic(trace(("all_reduce", RING), collectives=backends("reduce", 8)), "all_gather")


def test_tables_side_by_side_share_one_scale():
    ways = {"through rank 0": "through_zero", "everyone to everyone": "everyone", "ring": "ring"}
    figure = matrices({name: comm.traffic("all_reduce", way, 4, 4_000_000) for name, way in ways.items()}, "A finding")
    assert [cells.zmax for cells in figure.data if cells.type == "heatmap"] == [6_000_000] * 3
    texts = [note.text for note in figure.layout.annotations]
    assert texts[0] == "<b>A finding</b>" and all(f"<b>{name}</b>" in texts for name in ways)
    assert texts.count("<b>12.0 MB</b>") == 5 and texts.count("<b>6.0 MB</b>") == 4
    assert figure.layout.width == 900 and figure.layout.xaxis3.domain[1] < 1


def test_many_ranks_keep_their_bytes_in_the_hover():
    many = Trace("x", (), 32, collectives=tuple(backends("all_to_all", 32_000, tuple(range(32)))))
    figure = traffic(many).figure()
    assert [each.type for each in figure.data] == ["heatmap"]
    assert figure.data[0].hovertext[0][1] == "rank 0 to rank 1: 1,000 B"


def test_letters_can_be_read_on_every_cell_and_equal_traces_give_equal_figures(monkeypatch):
    assert min(contrast(BLACK, PURPLE), contrast(BLACK, LEAST)) >= 4.5
    assert traffic(trace(("a", RING))).figure() == traffic(trace(("a", RING))).figure()
    monkeypatch.setenv("MINIPAR_UNATTENDED", "1")
    bundle = traffic(trace(("a", RING)))._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "application/vnd.plotly.v1+json"}

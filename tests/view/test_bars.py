"""Bars: rows of stacked parts against lines, live and plain."""

from minipar.view.bars import GAP, Bars, Line, Part, Row, figure, reach, total

ROWS = [
    Row("now", (Part("a", 2, "two", "#0072B2", "#FFFFFF"), Part("b", 1, "one", "#E69F00", "#000000")), "3 in all"),
    GAP,
    Row("then", (Part("a", 4, "four", "#0072B2", "#FFFFFF"),), "4 in all", hint="source: nobody"),
]


def test_both_forms_show_the_same_rows():
    live, plain = Bars(), figure("title", ROWS, [Line(3.5, "cap 3.5")])
    live.show(ROWS, [Line(3.5, "cap 3.5")])
    assert [row["label"] for row in live.rows] == ["now", "", "then"]
    assert live.lines == [{"value": 3.5, "text": "cap 3.5"}]
    drawn = {(bar.y[0], bar.name): bar.x[0] for bar in plain.data}
    assert drawn == {("now", "a"): 2, ("now", "b"): 1, ("then", "a"): 4}
    assert {note.text for note in plain.layout.annotations} == {"3 in all", "4 in all", "cap 3.5"}


def test_each_kind_stands_once_in_the_legend():
    live = Bars()
    live.show(ROWS)
    assert live.legend == [["a", "#0072B2"], ["b", "#E69F00"]]
    assert [bar.name for bar in figure("title", ROWS).data if bar.showlegend] == ["a", "b"]


def test_there_is_room_for_the_longest_bar_and_the_furthest_line():
    assert total(ROWS[0]) == 3 and reach(ROWS, []) > 4 and reach(ROWS, [Line(9, "")]) > 9


def test_a_line_beyond_the_edge_is_left_out_of_the_plain_form():
    assert all(note.text != "far" for note in figure("title", ROWS, [Line(100, "far")], scale=5).layout.annotations)

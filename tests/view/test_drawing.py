"""Shapes and words on a sheet: live and saved."""

import pytest

from minipar.view.drawing import PAPER, Drawing, Shape, Text, arrow, figure, tile
from minipar.view.theme import BLUE, PURPLE, VERMILION

PARTS = (
    tile(10, 10, 40, 20, BLUE, tip="rank 0"),
    tile(60, 10, 40, 20, PAPER, hatch=VERMILION, edge="ink"),
    arrow((10, 50), (90, 50), 6, PURPLE),
    Text(30, 20, "0", ink="#FFFFFF"),
    Text(80, 20, "wrong", plate=True, bold=True),
)


def test_an_arrow_is_as_wide_as_it_says_and_ends_where_it_points():
    points = arrow((0, 0), (100, 0), 10, PURPLE).points
    assert len(points) == 7 and (100, 0) in points
    shaft = [y for x, y in points if x == 0]
    assert max(shaft) - min(shaft) == 10


@pytest.mark.parametrize("end", [(0, 100), (-100, 0), (60, 80)])
def test_an_arrow_points_anywhere(end):
    points = arrow((0, 0), end, 4, PURPLE).points
    assert any(abs(x - end[0]) < 1e-9 and abs(y - end[1]) < 1e-9 for x, y in points)


def test_the_live_form_gets_points_as_text_and_words_as_words():
    drawing = Drawing("Title", (120, 80), PARTS, "Picture(two tiles)")
    assert drawing.sheet == [120, 80] and repr(drawing) == "Picture(two tiles)"
    assert drawing.shapes[0]["points"] == "10,10 50,10 50,30 10,30" and drawing.shapes[0]["tip"] == "rank 0"
    assert [word["words"] for word in drawing.words] == ["0", "wrong"]


def test_other_parts_in_the_same_place():
    drawing = Drawing("Title", (120, 80), PARTS, "before")
    drawing.show("Other", (50, 40), PARTS[:1], "after")
    assert (drawing.title, drawing.sheet, len(drawing.shapes), drawing.words) == ("Other", [50, 40], 1, [])
    assert repr(drawing) == "after" and drawing.figure().layout.title.text == "Other"


def test_the_saved_form_has_one_trace_for_each_look():
    chart = figure("Title", (120, 80), PARTS)
    assert len(chart.data) == 3 and chart.layout.width == 140
    assert chart.data[1].fillpattern.fgcolor == VERMILION
    assert [note.text for note in chart.layout.annotations] == ["0", "<b>wrong</b>"]
    assert chart == figure("Title", (120, 80), PARTS)


def test_nobody_there_text_and_a_figure(monkeypatch):
    monkeypatch.setenv("MINIPAR_UNATTENDED", "1")
    bundle = Drawing("Title", (120, 80), (Shape(((0, 0), (1, 1))),), "Picture()")._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "application/vnd.plotly.v1+json"} and bundle["text/plain"] == "Picture()"


def test_many_shapes_are_saved_as_paths_below_what_is_hatched():
    plain, light = figure("Title", (120, 80), PARTS), figure("Title", (120, 80), PARTS, paths=True)
    assert len(plain.data) == 3 and not plain.layout.shapes
    assert [shape.path for shape in light.layout.shapes][0] == "M10,10L50,10L50,30L10,30Z"
    assert {shape.layer for shape in light.layout.shapes} == {"below"} and len(light.layout.shapes) == 2
    assert [trace.fillpattern.shape for trace in light.data] == ["/", None]

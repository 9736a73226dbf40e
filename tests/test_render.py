"""Does rendering keep what it should, and write only what may be committed?

The running in a real Lab is tests/browser/test_render.py's; here are the rules that decide what is saved.
"""

import copy
import struct
import zlib

import nbformat
import numpy
import pytest

from minipar import _render
from minipar._picture import palette_png
from minipar._python import Refusal
from minipar._render import IGNORED, PLOTLY, WIDGET, faults, settle


def figure(value, picture="PICTURE"):
    data = {PLOTLY: {"data": [{"y": [value]}]}, "text/plain": f"Figure({value})", "image/png": picture}
    return nbformat.v4.new_output("execute_result", data=data, execution_count=7, metadata={"scroll": 1})


def notebook(measured=1, picture="PICTURE", setup="x = 1"):
    cells = [
        nbformat.v4.new_markdown_cell("# Title", id="head"),
        nbformat.v4.new_code_cell(setup, id="setup"),
        nbformat.v4.new_code_cell("plan()", id="plan", outputs=[figure(1, picture)], execution_count=9),
        nbformat.v4.new_code_cell("run()", id="run", outputs=[figure(measured, picture)], metadata={"tags": [IGNORED]}),
    ]
    return nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {}})


def shown(made, cell):
    return next(one for one in made.cells if one.id == cell).outputs[0].data


@pytest.fixture
def stored():
    return settle(notebook(), notebook())[0]


def test_the_committed_form(stored):
    assert [cell.execution_count for cell in stored.cells[1:]] == [1, 2, 3]
    assert stored.cells[2].outputs[0].execution_count == 2 and stored.cells[2].outputs[0].metadata == {}
    assert set(stored.metadata) == {"kernelspec", "language_info", "minipar"}
    assert list(stored.metadata.minipar.rendered) == ["run"]


def test_rendering_twice_changes_nothing(stored):
    again, kept = settle(stored, notebook(measured=2, picture="ANOTHER PICTURE"))
    assert again == stored and kept == ["run"]


def test_a_changed_figure_gets_its_new_picture(stored):
    drawn = notebook(picture="ANOTHER PICTURE")
    drawn.cells[2].outputs = [figure(5, "ANOTHER PICTURE")]
    assert shown(settle(stored, drawn)[0], "plan")["image/png"] == "ANOTHER PICTURE"


@pytest.mark.parametrize("change", ["the cell", "a cell above", "asked for"])
def test_a_measured_output_is_renewed_when_its_source_is_or_on_demand(stored, change):
    edited = copy.deepcopy(stored)
    if change != "asked for":
        edited.cells[{"the cell": 3, "a cell above": 1}[change]].source += "  # edited"
    settled, kept = settle(edited, notebook(measured=2), again=change == "asked for")
    assert shown(settled, "run")["text/plain"] == "Figure(2)" and kept == []


def test_sources_are_left_untouched(stored):
    drawn = notebook(setup="x = 'what a person typed in Lab'")
    assert settle(stored, drawn)[0].cells[1].source == "x = 1"


def test_errors_warnings_and_widgets_are_not_saved():
    made = notebook()
    made.cells[1].outputs = [
        nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[]),
        nbformat.v4.new_output("stream", name="stderr", text="a\nUserWarning: b\n"),
        nbformat.v4.new_output("display_data", data={WIDGET: {}}),
    ]
    assert faults(made) == [
        "cell setup ended in ValueError: no",
        "cell setup wrote to stderr: UserWarning: b",
        "cell setup shows a widget though nobody is there",
    ]


def test_an_unknown_lesson_is_refused_with_those_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(_render, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "04_gpipe.ipynb").touch()
    for word in ("04", "04_gpipe", "notebooks/04_gpipe.ipynb"):
        assert [path.stem for path in _render.chosen([word])] == ["04_gpipe"]
    (tmp_path / "notebooks" / "04b_aside.ipynb").touch()
    for word, found in (("04", "04_gpipe"), ("04b", "04b_aside"), ("04b_aside", "04b_aside")):
        assert [path.stem for path in _render.chosen([word])] == [found]
    with pytest.raises(Refusal, match="there is no notebook 77; there are: 04_gpipe"):
        _render.chosen(["77"])


def decoded(png):
    """The pixels of a PNG that palette_png wrote."""
    at, parts = 8, {}
    while at < len(png):
        length = struct.unpack(">I", png[at : at + 4])[0]
        parts[png[at + 4 : at + 8]] = png[at + 8 : at + 8 + length]
        at += length + 12
    width, height = struct.unpack(">II", parts[b"IHDR"][:8])
    palette = numpy.frombuffer(parts[b"PLTE"], numpy.uint8).reshape(-1, 3)
    rows = numpy.frombuffer(zlib.decompress(parts[b"IDAT"]), numpy.uint8).reshape(height, width + 1)
    return palette[rows[:, 1:]]


def test_few_colours_survive_exactly():
    pixels = numpy.full((20, 30, 3), 255, numpy.uint8)
    pixels[5:9, 3:20], pixels[12:, :7] = (0, 114, 178), (230, 159, 0)
    assert (decoded(palette_png(pixels)) == pixels).all()


def test_many_colours_come_out_near_and_small():
    across, down = numpy.meshgrid(numpy.arange(256), numpy.arange(100))
    pixels = numpy.stack([across, down, 255 - across], axis=2).astype(numpy.uint8)
    png = palette_png(pixels)
    error = numpy.abs(decoded(png).astype(int) - pixels).mean()
    assert error < 12 and len(png) < pixels.size / 3 and png == palette_png(pixels)

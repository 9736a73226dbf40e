"""Does each notebook keep to the pattern of all lessons, and hold only outputs that may be committed?

Fast: nothing is run. Each guard is also shown a notebook with the fault planted in it.
"""

import nbformat
import pytest

from tests.lessons import shape
from tests.lessons.splice import LESSONS, NOTEBOOKS, read

# How many cells nbval compares: an author may raise a number, never lower it.
COMPARED = {
    "index": 3, "00_devices": 8, "01_memory": 8, "02_messages": 8, "03_layer_split": 8, "04_gpipe": 8,
    "05_one_f_one_b": 8, "06_interleaved": 8, "07_zero_bubble": 8, "07b_hangs": 9,
    "08_columns_rows": 8, "09_heads_vocabulary": 8, "10_along_the_sequence": 8,
    "11_experts": 8, "11b_balance": 8,
}  # fmt: skip
ALL = ["index", *LESSONS]
TEXTS = {"head", "idea", "explain", "build", "close"}


@pytest.fixture(scope="module")
def map_anchors():
    return shape.anchors(read("index"))


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_beats_stand_in_their_order(lesson):
    assert shape.beats(read(lesson)) == []


@pytest.mark.parametrize("lesson", LESSONS)
def test_nothing_is_too_long(lesson):
    assert shape.lengths(read(lesson)) == []


@pytest.mark.parametrize("name", ALL)
def test_links_lead_somewhere(name, map_anchors):
    assert shape.links(read(name), NOTEBOOKS, map_anchors) == []


@pytest.mark.parametrize("name", ALL)
def test_only_plain_outputs_are_committed(name):
    assert shape.outputs(read(name), (NOTEBOOKS / f"{name}.ipynb").stat().st_size) == []


@pytest.mark.parametrize("name", ALL)
def test_no_fewer_cells_are_compared(name):
    assert shape.compared(read(name)) >= COMPARED[name]


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_lesson_is_told_where_it_stands(lesson):
    head = read(lesson).cells[0].source
    at = LESSONS.index(lesson)
    neighbours = [LESSONS[place] for place in (at - 1, at + 1) if 0 <= place < len(LESSONS)]
    for name in (*neighbours, "index"):
        assert f"({name}.ipynb)" in head.split("\n\n")[0]
    assert "minutes" in head and head.count("](index.ipynb#") == 3


def test_the_map_explains_what_the_lessons_need(map_anchors):
    words = [cell.source.count("\n#### ") for cell in read("index").cells if cell.cell_type == "markdown"]
    assert 25 <= sum(words) <= 80


# ---- each guard is seen to object --------------------------------------------------------------------------------


@pytest.fixture
def spoilt():
    """A notebook without a fault, for a test to plant one."""
    made = []
    for name in shape.CELLS:
        made.append(nbformat.v4.new_code_cell("1", id=name, execution_count=0))
        if name in TEXTS:
            made[-1] = nbformat.v4.new_markdown_cell("word " * 130, id=name)
    for at, heading in (("explain", "Explain"), ("build", "Build")):
        next(one for one in made if one.id == at).source = f"## {heading}\n" + "word " * 130
    made[0].source = "[map](index.ipynb)\n\n# Title\n\n" + "word " * 100
    made[2].source += "\n## Predict\n"
    for before, heading in (("run", "Run"), ("see", "See"), ("transfer", "Transfer")):
        at = next(number for number, one in enumerate(made) if one.id == before)
        made.insert(at, nbformat.v4.new_markdown_cell(f"## {heading}", id=f"{before}-heading"))
    notebook = nbformat.v4.new_notebook(cells=made)
    for number, one in enumerate(shape.code(notebook), start=1):
        one.execution_count = number
        one.outputs = [nbformat.v4.new_output("stream", text="1\n")]
    return notebook


def test_the_faultless_notebook_has_no_fault(spoilt, map_anchors):
    assert shape.beats(spoilt) + shape.lengths(spoilt) + shape.outputs(spoilt, 1000) == []
    assert shape.links(spoilt, NOTEBOOKS, map_anchors) == []


def cell(notebook, name):
    return next(one for one in notebook.cells if one.id == name)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda nb: nb.cells.remove(cell(nb, "facts")), "there is no cell 'facts'"),
        (lambda nb: nb.cells.insert(2, nb.cells.pop()), "the cells stand in the order head, setup, close"),
        (lambda nb: cell(nb, "explain").update(source="## Why\n"), "the headings are Predict, Run, See, Why"),
    ],
)
def test_a_broken_pattern_is_seen(spoilt, spoil, fault):
    spoil(spoilt)
    assert any(found.startswith(fault) for found in shape.beats(spoilt))


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda nb: cell(nb, "run").update(source="x = 1\n" * 13), "cell run has 13 lines"),
        (lambda nb: cell(nb, "explain").update(source="word " * 400), "400 words before cell formula"),
        (lambda nb: nb.cells.extend([nbformat.v4.new_code_cell("1")] * 3), "13 cells with code"),
    ],
)
def test_too_much_is_seen(spoilt, spoil, fault):
    spoil(spoilt)
    assert fault in shape.lengths(spoilt)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[on](06_nowhere.ipynb)", "cell head links to 06_nowhere.ipynb, which is not there"),
        ("[x](index.ipynb#nonsense)", "cell head links to the word 'nonsense', which the course map does not have"),
        ("![two words](index.ipynb)", "cell head has a drawing without words for who cannot see it"),
    ],
)
def test_a_link_to_nowhere_is_seen(spoilt, map_anchors, text, fault):
    spoilt.cells[0].source = text
    assert shape.links(spoilt, NOTEBOOKS, map_anchors) == [fault]


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ({"data": {"application/vnd.jupyter.widget-view+json": {}}}, "shows a widget"),
        ({"data": {"text/plain": "<Thing at 0x7f00aa00bb00>"}}, "shows an address"),
        ({"data": {"text/plain": "/tmp/x.py"}}, "shows a path of this machine"),
        ({"data": {"text/plain": "100%|█████| 3/3 [00:01, 2it/s]"}}, "shows a progress bar's text"),
        ({"data": {shape.PLOTLY: {"data": []}}}, "has a figure without its picture"),
        ({"data": {}, "transient": {"display_id": "x"}}, "shows a display id"),
        ({"output_type": "stream", "name": "stderr", "text": "Warning"}, "shows an error or a warning"),
    ],
)
def test_an_output_that_may_not_be_committed_is_seen(spoilt, output, fault):
    given = {"output_type": "display_data", "metadata": {}, **output}
    cell(spoilt, "setup").outputs = [nbformat.from_dict(given)]
    assert shape.outputs(spoilt, 0).count(f"cell setup {fault}") == 1


def test_unrun_cells_large_files_and_stored_widgets_are_seen(spoilt):
    cell(spoilt, "check").execution_count = None
    spoilt.metadata.widgets = {}
    assert shape.outputs(spoilt, 300_001) == [
        "the file has 300,001 bytes",
        "the notebook keeps widgets in its metadata",
        "cell check was not run by `minipar render`",
    ]


def test_an_ignored_cell_is_not_counted_as_compared(spoilt):
    before = shape.compared(spoilt)
    cell(spoilt, "facts").metadata["tags"] = ["nbval-ignore-output"]
    assert shape.compared(spoilt) == before - 1

"""Is a notebook that is rendered in a real Lab saved in the committed form, and the same a second time?"""

import nbformat
import pytest

from minipar import _render
from minipar._lab import LabServer
from minipar._render import IGNORED, PLOTLY
from tests.browser.lab import notebook
from tests.lessons import shape

CELLS = [
    ("setup", "import minipar\nfrom minipar import learn\nlearn.somebody_there()"),
    ("drawn", "minipar.timeline(minipar.predict(minipar.gpipe(ranks=2, microbatches=2), minipar.Cost(F=1, B=2)))"),
    ("moved", "import time\nprint(time.perf_counter())\nminipar.explore.pipeline(ranks=2, microbatches=3)"),
]


@pytest.fixture(scope="module")
def server(browser, tmp_path_factory):
    """A Lab with nobody there, on a folder with one small notebook."""
    folder = tmp_path_factory.mktemp("rendered")
    (folder / "notebooks").mkdir()
    made = notebook(CELLS)
    made.cells[2].metadata.tags = [IGNORED]
    nbformat.write(made, folder / "notebooks" / "77_small.ipynb")
    with LabServer(folder, {"MINIPAR_UNATTENDED": "1", "MINIPAR_STATE": str(folder / "state")}) as running:
        yield running


def test_saved_as_it_may_be_committed_and_the_same_twice(server, browser, capsys):
    file = server.root / "notebooks" / "77_small.ipynb"
    assert _render.render(file, server, browser, again=False)
    first = file.read_text()
    made = nbformat.reads(first, 4)
    assert shape.outputs(made, len(first)) == []
    setup, drawn, moved = (cell.outputs for cell in made.cells)
    assert setup[0].data == {"text/plain": "False"}
    assert set(drawn[0].data) == {"text/plain", PLOTLY, "image/png"} == set(moved[-1].data)
    assert len(drawn[0].data["image/png"]) < 30_000
    assert _render.render(file, server, browser, again=False) and file.read_text() == first
    assert capsys.readouterr().out.count("kept as they were (--again renews them): moved") == 1


def test_an_error_is_not_saved(server, browser, capsys):
    file = server.root / "notebooks" / "78_wrong.ipynb"
    nbformat.write(notebook([("wrong", "1 / 0")]), file)
    before = file.read_text()
    assert not _render.render(file, server, browser, again=False) and file.read_text() == before
    assert "78_wrong: not saved: cell wrong ended in ZeroDivisionError: division by zero" in capsys.readouterr().out

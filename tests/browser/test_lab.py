"""Does the harness see what a learner would see? It is tried on notebooks with known faults."""

import nbformat
import pytest

from minipar._browser import find_browser
from tests.browser.lab import LearnerPage, require_browser

TEXT = nbformat.v4.new_markdown_cell("![elsewhere](https://example.com/picture.png)", id="text")
FAULTS = [
    ("slider", "import ipywidgets\nipywidgets.IntSlider(description='m', min=0, max=9)"),
    ("figure", "import plotly.graph_objects as go\ngo.Figure(go.Scatter(y=[1, 3, 2]))"),
    ("bare", "import IPython.display\nIPython.display.display({'text/plain': 'IntSlider(value=3)'}, raw=True)"),
    ("error", "1 / 0"),
    TEXT,
]


def test_each_fault_is_seen(open_notebook):
    page = open_notebook(FAULTS)
    page.run_all()
    assert page.cell_errors() == ["error: ZeroDivisionError: division by zero"]
    assert page.broken() == ["IntSlider(value=3)"]
    assert page.outside == ["https://example.com/picture.png"]
    assert page.drawn() == ["figure", "text"]
    assert "division by zero" in page.text("error")


def test_a_slider_moves_by_keys_and_the_page_survives_a_reload(open_notebook):
    page = open_notebook(FAULTS[:2])
    page.run_all()
    before = page.fingerprint("slider")
    page.press("m", "ArrowRight", times=2)
    page.until(lambda: page.text("slider").split() == ["m", "2"])
    assert page.fingerprint("slider") != before
    page.reload()
    page.wait_drawn()
    assert page.drawn() == ["figure"]
    page.assert_sound()


def test_pictures_are_light_and_dark(open_notebook):
    page = open_notebook(FAULTS[:2])
    page.run_all()
    files = page.pictures("harness")
    assert [file.name for file in files] == ["harness_figure_light.png", "harness_figure_dark.png"]
    assert all(file.stat().st_size > 5_000 for file in files)
    page.assert_sound()


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_a_browser_a_laptop_skips_and_ci_fails(monkeypatch, ci, outcome):
    monkeypatch.setenv("MINIPAR_BROWSER", "no-such-browser")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="apt install chromium"):
        require_browser()


def test_the_chosen_browser_comes_first(monkeypatch, tmp_path):
    mine = tmp_path / "my-browser"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv("MINIPAR_BROWSER", str(mine))
    assert find_browser() == str(mine)


def test_reopened_another_day_the_pictures_are_still_there(open_notebook, browser, lab):
    page = open_notebook([("play", "import minipar\nminipar.explore.pipeline()")])
    page.run_all()
    page.save()
    page.close()
    again = browser.open(lab, page.path, LearnerPage)
    again.page.wait_for_selector("canvas[data-rev]", state="attached")
    assert again.broken() == []
    assert "33 slots" in again.text("play")
    again.close()

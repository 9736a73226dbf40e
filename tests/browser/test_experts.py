"""The pictures of experts in JupyterLab: tokens light, tiles move by mouse and by keys, both themes can be read."""

import nbformat
import pytest

from tests.browser.lab import LearnerPage, notebook

SETUP = """import minipar
from minipar import explore
from minipar.plan.balance import leaning, taught
found = minipar.route(leaning(128, 8), 8, 2, ranks=4, nodes=2)"""
CELLS = [
    ("imports", SETUP),
    ("experts", "explore.experts(task=explore.no_bytes_then_twice())"),
    ("board", "explore.placement(found, task=explore.then_the_fewest(found))"),
    ("flow", "way = minipar.flow(found)\nway"),
    ("waits", "minipar.stragglers(found)"),
    ("loads", "minipar.loads(taught(41))"),
    ("resident", "minipar.resident(found, 65_536)"),
    ("bytes", "minipar.byte_tables(found, once=('choice', 'rank', 'node'))"),
]
DRAWN = [name for name, _ in CELLS[1:]]


@pytest.fixture(scope="module")
def page(lab, browser):
    """The notebook with all of them, run."""
    nbformat.write(notebook(CELLS), lab.root / "experts.ipynb")
    page = browser.open(lab, "experts.ipynb", LearnerPage)
    page.run_all()
    page.wait_drawn()
    yield page
    page.close()


def readout(page, cell: str) -> str:
    """What the readout of an explorer says now."""
    return page.cell(cell).locator(".minipar-words").last.inner_text()


def test_all_draw_in_both_themes_and_ask_for_nothing_outside(page):
    files = page.pictures("experts", DRAWN)
    assert all(file.stat().st_size > 3_000 for file in files)
    page.assert_sound()


def test_no_words_are_faint_in_either_theme(page):
    for theme in ("light", "dark"):
        page.theme(theme)
        assert page.faint(4.5) == [], theme
    page.theme("light")


def test_the_lean_moves_picture_and_readout(page):
    before, words = page.fingerprint("experts"), readout(page, "experts")
    page.cell("experts").get_by_role("slider", name="lean, expert 0", exact=True).press("ArrowLeft")
    page.until(lambda: readout(page, "experts") != words, what="the readout follows")
    assert page.fingerprint("experts") != before


def test_a_token_is_lit_by_keys_and_by_pointing(page):
    told = page.cell("flow").locator(".minipar-flow-told")
    assert told.inner_text().startswith("Point at a token")
    drawing = page.cell("flow").locator("svg.minipar-flow")
    drawing.focus()
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowRight")
    page.until(lambda: told.inner_text().startswith("token 1 of rank 0: expert"), what="the second token in words")
    assert page.cell("flow").locator(".minipar-flow-lit").count() == 2 + 2 * 2
    page.page.keyboard.press("Escape")
    page.until(lambda: told.inner_text().startswith("Point at a token"))
    cell = page.cell("flow").locator(".minipar-flow-cell").nth(2 * 37)
    cell.hover()
    page.until(lambda: told.inner_text() == "token 37 of rank 1: expert 1 on rank 0 and expert 3 on rank 1")


def piece(page, expert: int, rank: int):
    """The tile of an expert on a rank."""
    return page.cell("board").locator(f"[data-place='{expert} {rank}']")


def test_experts_move_by_keys_and_by_mouse_and_everything_moves_along(page):
    assert readout(page, "board").startswith("156\n")
    piece(page, 1, 0).focus()
    page.page.keyboard.press("ArrowRight")
    page.until(lambda: "Rank 1 holds 3 experts and has room for 2." in readout(page, "board"), what="a rank too full")
    assert piece(page, 1, 1).evaluate("node => node === document.activeElement"), "the tile keeps the focus"
    start, end = piece(page, 3, 1).bounding_box(), piece(page, 0, 0).bounding_box()
    page.page.mouse.move(start["x"] + 20, start["y"] + 5)
    page.page.mouse.down()
    page.page.mouse.move(end["x"] + 40, end["y"] + 30, steps=6)
    page.page.mouse.up()
    page.until(lambda: readout(page, "board").startswith("107\n"), what="91 and 16 on rank 0")
    assert "holds 3" not in readout(page, "board") and "moving pays after" in readout(page, "board")
    words = readout(page, "board")
    piece(page, 0, 0).focus()
    page.page.keyboard.press("c")
    page.until(lambda: readout(page, "board") != words, what="a copy on the next rank shortens the queue")
    page.until(lambda: piece(page, 0, 1).evaluate("node => node === document.activeElement"), what="it has the focus")
    page.page.keyboard.press("Delete")
    page.until(lambda: readout(page, "board") == words, what="the copy is gone")


def test_after_a_reload_the_board_is_there_and_alive(page):
    words = readout(page, "board")
    page.save()
    page.reload()
    page.wait_drawn()
    page.until(lambda: page.cell("board").locator(".minipar-piece").count() == 8, what="eight tiles")
    page.until(lambda: readout(page, "board") == words, what="the readout is restored")
    piece(page, 7, 3).focus()
    page.page.keyboard.press("ArrowLeft")
    page.until(lambda: readout(page, "board") != words, what="a tile still moves")
    page.assert_sound()

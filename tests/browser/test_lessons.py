"""Can a learner walk each lesson from top to bottom? In a real JupyterLab, on a copy as `minipar lab` makes it.

as given    Run All: no error, nothing given away, nothing asked for beyond this machine
answered    choose, lock, Run: the picture, the facts and the score appear
solved      the stubs replaced by the solution: the check says right, the lesson is ticked
reloaded    the picture is still there
dark        nothing is white on white; light and dark pictures of every drawing in tests/output
"""

import json

import pytest

from minipar.learn import hints
from minipar.learn.lesson import lesson
from tests.lessons.splice import LESSONS, blocks_of, read

WAIT = "Press Run above: this fills in by itself"
FILLED = ("see", "facts", "formula")


def everything(page) -> str:
    """All that is written below the cells."""
    return "\n".join(page.text(cell.id) for cell in read(page.path.removesuffix(".ipynb")).cells if cell.id in SHOWING)


SHOWING = ("predict", "run", "see", "facts", "formula", "check")


def state(page) -> str:
    return page.cell("run").locator(".minipar-panel").first.get_attribute("data-state")


def verdict(page) -> list[str]:
    return page.cell("check").locator(".verdict p").all_inner_texts()


def type_and_run(page, sources: dict[str, str]) -> None:
    """Replace cells by sources and run them, in order; then the check."""
    page.page.evaluate(
        """async sources => {
             const app = window.jupyterapp || window.jupyterlab, content = app.shell.currentWidget.content;
             for (const [id, source] of sources) {
               content.activeCellIndex = content.widgets.findIndex(cell => cell.model.id === id);
               if (source) content.activeCell.model.sharedModel.setSource(source);
               await app.commands.execute('notebook:run-cell');
             } }""",
        [*sources.items(), ("check", "")],
    )
    page.wait_idle()


def as_given(page, of, lab):
    page.run_all()
    page.until(lambda: state(page) == "locked", what="a grey Run")
    page.assert_sound()
    assert "Lock your answer first" in page.text("run")
    for cell in FILLED:
        assert page.text(cell).strip() == WAIT
    shown = everything(page)
    secrets = [option.answer for question in of.questions for option in question.options]
    secrets += [*of.hints, *blocks_of(of.file)[0].values()]
    assert [secret for secret in secrets if secret in shown] == []
    assert verdict(page) == ["Not started yet."]
    assert not (lab.state / "progress.json").exists()


def answered(page, of):
    questions = page.cell("predict").locator("fieldset")
    for number, question in enumerate(of.questions):
        wrong = (question.right + 1) % len(question.options)  # the first question wrong, a second one right
        questions.nth(number).locator("label.option").nth(question.right if number else wrong).click()
    page.click("predict", "Lock my answer")
    page.until(lambda: state(page) == "ready", what="a lit Run")
    assert page.cell("predict").locator("fieldset:disabled").count() == len(of.questions)
    page.click("run", "Run")
    page.until(lambda: state(page) in ("done", "failed"), 180, what="the end of the run")
    assert state(page) == "done", page.text("run")
    page.until(lambda: not any(WAIT in page.text(cell) for cell in FILLED), what="the results below")
    page.until(lambda: "see" in page.drawn(), what="the picture")
    first = of.questions[0]
    chosen = first.options[(first.right + 1) % len(first.options)]
    assert "Not as you predicted." in page.text("run") and chosen.answer in page.text("run")


def solved(page, of, lab):
    for name in hints.names(of):
        page.click("check", f"Show {name}")
        page.until(lambda name=name: name.capitalize() in page.text("check"), what=name)
    type_and_run(page, blocks_of(of.file)[0])
    page.until(lambda: verdict(page)[:1] not in ([], ["Not started yet."]), 60, what="a verdict")
    assert verdict(page)[0] == "Right."
    entry = json.loads((lab.state / "progress.json").read_text())["lessons"][of.id]
    assert entry["passed"] and entry["measured"] and entry["right"] == [bool(n) for n in range(len(of.questions))]
    page.assert_sound()


def reloaded(page):
    page.reload()
    page.wait_drawn()
    page.until(lambda: "see" in page.drawn() and state(page) == "done", what="the picture after a reload")
    assert not page.broken()


def test_the_map_says_where_to_go_on(open_notebook, lab):
    page = open_notebook("index.ipynb")
    lab.state.mkdir(exist_ok=True)
    (lab.state / "progress.json").write_text(json.dumps({"version": 1, "lessons": {"00": {"passed": "2026-01-31"}}}))
    page.run_all()
    ticked = page.cell("map").locator("tr", has_text="✓")
    assert ticked.count() == 1 and "00 Devices" in ticked.inner_text()
    assert "Continue here: 01 Memory" in page.text("map")
    links = page.cell("map").locator("td a").evaluate_all("links => links.map(link => link.href.split('?')[0])")
    assert [link.split("/")[-1] for link in links] == [f"{name}.ipynb" for name in LESSONS]
    page.pictures("index", ["map", "needs", "progress"])
    page.theme("dark")
    assert page.faint() == []
    page.assert_sound()


@pytest.mark.slow
@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_walked_from_top_to_bottom(open_notebook, lab, name):
    of = lesson(name.split("_")[0])
    page = open_notebook(f"{name}.ipynb")
    as_given(page, of, lab)
    answered(page, of)
    solved(page, of, lab)
    cells = list(dict.fromkeys([*page.drawn(), "play", "transfer"]))
    assert {"idea", "see"} <= set(cells)
    page.pictures(name, cells)
    for theme in ("light", "dark"):
        page.theme(theme)
        assert page.faint() == [], theme
    reloaded(page)

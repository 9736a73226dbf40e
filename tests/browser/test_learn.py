"""The course engine in JupyterLab: what a learner sees before, while and after a run; by mouse and by keys."""

import json

WAIT = "Press Run above: this fills in by itself"
SET_UP = "import minipar, time\nfrom minipar import learn\npool = minipar.WorkerPool(2)\nprint(pool)"


def answer(page, option: int) -> None:
    page.cell("predict").locator("label.option").nth(option).click()
    page.click("predict", "Lock my answer")


def run_state(page) -> str:
    return page.cell("run").locator(".minipar-panel").get_attribute("data-state")


def verdict(page) -> list[str]:
    return page.cell("check").locator(".verdict p").all_inner_texts()


def put(page, cell: str, source: str) -> None:
    """Type over a cell and run it, and then the check."""
    page.page.evaluate(
        """async ([ids, source]) => {
             const app = window.jupyterapp || window.jupyterlab, content = app.shell.currentWidget.content;
             for (const id of ids) {
               content.activeCellIndex = content.widgets.findIndex(cell => cell.model.id === id);
               if (source !== null && id === ids[0]) content.activeCell.model.sharedModel.setSource(source);
               await app.commands.execute('notebook:run-cell');
             } }""",
        [[cell, "check"] if cell == "stub" else [cell], source],
    )
    page.wait_idle()


def test_somebody_is_there_in_lab(open_notebook):
    page = open_notebook([("c", "from minipar import learn\nprint(learn.somebody_there())")])
    page.run_all()
    assert page.text("c").strip() == "True"


def test_before_an_answer_is_locked_nothing_is_given_away(open_notebook, lab):
    page = open_notebook("00_devices.ipynb")
    page.run_all()
    page.until(lambda: run_state(page) == "locked")
    assert "Lock your answer first" in page.text("run")
    assert page.cell("run").get_by_role("button", name="Run: lock your answer first").is_disabled()
    for cell in ("see", "facts", "formula"):
        assert page.text(cell).strip() == WAIT
    everything = " ".join(page.text(cell) for cell in ("predict", "run", "see", "facts", "formula", "check"))
    assert "4,000,000" not in everything and "Nothing arrives" not in everything
    assert not (lab.state / "progress.json").exists()
    page.assert_sound()


def test_answer_lock_and_run_by_keys_alone_and_it_survives_a_reload(open_notebook, lab):
    page = open_notebook(lab.root / "00_devices.ipynb")  # a copy of its own: this test saves it
    page.run_all()
    page.until(lambda: run_state(page) == "locked")
    page.cell("predict").locator("input[type=radio]").first.focus()
    page.page.keyboard.press("ArrowDown")  # the second option
    page.page.keyboard.press("Tab")
    page.page.keyboard.press("Enter")
    page.until(lambda: run_state(page) == "ready")
    assert json.loads((lab.state / "progress.json").read_text())["lessons"]["00"]["answers"] == [1]
    page.cell("run").get_by_role("button", name="Run: the experiment above").press("Enter")
    page.until(lambda: run_state(page) == "done", 60)
    page.until(lambda: "sum 2,000,000" in page.text("see"))
    assert "As you predicted." in page.text("run") and "You said: b) the notebook only" in page.text("run")
    assert WAIT not in page.text("facts") + page.text("formula")
    page.save()
    page.reload()
    page.until(lambda: run_state(page) == "done", 60)
    page.until(lambda: "sum 2,000,000" in page.text("see"), what="the picture after a reload")
    page.assert_sound()


def test_stop_ends_the_run_and_the_kernel_was_free_all_the_time(open_notebook):
    experiment = """
def rounds(w):
    print("at work")
    for number in range(100_000):
        w.progress(step=number, steps=100_000)
        time.sleep(0.05)

run = learn.run("00", lambda: {"out": pool.run(rounds)})"""
    cells = [("set-up", SET_UP), ("predict", 'learn.ask("00")'), ("run", experiment), ("other", "print(6 * 7)")]
    page = open_notebook(cells)
    page.run_all()
    answer(page, 0)
    page.until(lambda: run_state(page) == "ready")
    page.click("run", "Run")
    page.until(lambda: "of 100000" in page.text("run") and "[0] at work" in page.text("run"))
    put(page, "other", "print(7 * 8)")
    assert page.text("other").strip() == "56" and run_state(page) == "running"
    page.click("run", "Stop")
    page.until(lambda: run_state(page) == "stopped")
    assert "Stopped. Press Run again to start anew." in page.text("run")
    put(page, "other", "print(pool.run(lambda w: w.rank))")
    assert page.text("other").strip() == "[0, 1]"


def test_an_error_of_a_worker_reads_well_in_the_panel(open_notebook):
    experiment = """
def fails(w):
    if w.rank == 1:
        return 1 / 0
    w.recv(source=1)

run = learn.run("00", lambda: {"out": pool.run(fails)})"""
    page = open_notebook([("set-up", SET_UP), ("predict", 'learn.ask("00")'), ("run", experiment)])
    page.run_all()
    answer(page, 0)
    page.until(lambda: run_state(page) == "ready")
    page.click("run", "Run")
    page.until(lambda: run_state(page) == "failed")
    assert "rank 1" in page.text("run") and "ZeroDivisionError" in page.text("run")
    assert "runner.py" not in page.text("run")

"""Four ranks wait for each other, for ever. Does the learner get out, and are they told what happened?

Once by the square button (Interrupt), once by Stop in the panel of a run; each time the kernel and the pool live on.
"""

IMPORTS = """
import minipar, time
from minipar import learn
from minipar.run import call
call.QUIET = 600  # else the pool notices this deadlock by itself, in less than a second
pool = minipar.WorkerPool(4)

def all_receive(w):
    print("rank", w.rank, "waits")
    return w.recv(source=(w.rank + 1) % w.ranks)
"""
STORY = [f"rank {rank}: waits for a message from rank {(rank + 1) % 4}" for rank in range(4)]

AFTER = "pool.run(lambda w: w.rank)"


def type_and_run(page, cell: str) -> None:
    page.page.evaluate(
        """async id => {
             const app = window.jupyterapp || window.jupyterlab, content = app.shell.currentWidget.content;
             content.activeCellIndex = content.widgets.findIndex(cell => cell.model.id === id);
             await app.commands.execute('notebook:run-cell'); }""",
        cell,
    )


def test_interrupt_ends_a_deadlock_and_the_kernel_lives(open_notebook):
    page = open_notebook(
        [("setup", IMPORTS), ("stuck", "pool.run(all_receive)"), ("after", "pool.run(lambda w: w.rank)")]
    )
    page.run_all(wait=False)
    page.until(lambda: page.text("stuck").count("waits") == 4, what="four waiting ranks")
    page.interrupt()
    page.wait_idle()
    assert [error.split(":")[:2] for error in page.cell_errors()] == [["stuck", " RemoteInterrupt"]]
    said = page.text("stuck")
    assert all(line in said for line in STORY) and "Cell In[" in said, said
    type_and_run(page, "after")
    page.wait_idle()
    assert page.text("after").strip() == "[0, 1, 2, 3]"


def test_stop_ends_a_deadlock_and_says_so(open_notebook):
    run = 'run = learn.run("00", lambda: {"out": pool.run(all_receive)})'
    cells = [("setup", IMPORTS), ("predict", 'learn.ask("00")'), ("run", run), ("after", AFTER)]
    page = open_notebook(cells)
    page.run_all()
    panel = page.cell("run").locator(".minipar-panel").first
    page.cell("predict").locator("label.option").first.click()
    page.click("predict", "Lock my answer")
    page.until(lambda: panel.get_attribute("data-state") == "ready")
    page.click("run", "Run")
    page.until(lambda: page.text("run").count("waits") == 4, what="four waiting ranks")
    page.click("run", "Stop")
    page.until(lambda: panel.get_attribute("data-state") == "stopped", what="the panel to say that it stopped")
    assert all(line in page.text("run") for line in STORY), page.text("run")
    type_and_run(page, "after")
    page.wait_idle()
    assert page.text("after").strip() == "[0, 1, 2, 3]"
    page.assert_sound()

"""Four ranks wait for each other, or train for hours. Does the learner get out, and are they told what happened?

Once by the square button (Interrupt), once by Stop in the panel of a run; each time the kernel and the pool live on,
and a training keeps the weights of its last full step.
"""

import re

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


TRAINING = """
import minipar
from minipar import learn
pool = minipar.WorkerPool(4)
model = minipar.GPT(layers=4, hidden=32, context=32)
plan = minipar.Plan(mesh=minipar.Mesh(pipe=4), schedule=minipar.one_f_one_b(ranks=4, microbatches=4))
batch = minipar.text_batch(batch=8, context=32)

def training(steps, resume=False):
    return minipar.train(pool, plan, model, batch, steps=steps, resume=resume,
                         progress=lambda word: print("step", word["step"]))
"""
GO_ON = "print(training(3, resume=True).step)"


def steps_kept(page, cell: str) -> int:
    """The step that the story of a stopped training names."""
    found = re.search(r"Stopped after step (\d+): the weights of that step are kept in the workers.", page.text(cell))
    assert found, page.text(cell)
    return int(found[1])


def test_interrupt_ends_a_training_after_a_full_step(open_notebook):
    page = open_notebook([("setup", TRAINING), ("train", "training(100_000)"), ("after", GO_ON)])
    page.run_all(wait=False)
    page.until(lambda: "step" in page.text("train"), what="a training under way")
    page.interrupt()
    page.wait_idle()
    kept = steps_kept(page, "train")
    type_and_run(page, "after")
    page.wait_idle()
    assert page.text("after").split()[-1] == str(kept + 3)


def test_stop_ends_a_training_in_mid_run(open_notebook):
    run = 'run = learn.run("00", lambda: {"out": training(100_000)})'
    page = open_notebook([("setup", TRAINING), ("predict", 'learn.ask("00")'), ("run", run), ("after", GO_ON)])
    page.run_all()
    panel = page.cell("run").locator(".minipar-panel").first
    page.cell("predict").locator("label.option").first.click()
    page.click("predict", "Lock my answer")
    page.until(lambda: panel.get_attribute("data-state") == "ready")
    page.click("run", "Run")
    page.until(lambda: re.search(r"step \d+ of 100000, loss", page.text("run")), what="progress with the loss")
    page.click("run", "Stop")
    page.until(lambda: panel.get_attribute("data-state") == "stopped", what="the panel to say that it stopped")
    kept = steps_kept(page, "run")
    type_and_run(page, "after")
    page.wait_idle()
    assert page.text("after").split()[-1] == str(kept + 3)
    page.assert_sound()

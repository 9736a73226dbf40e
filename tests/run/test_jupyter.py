"""A real Jupyter kernel: its interrupt, its restart, its cells' own lines in the story."""

import os
import queue
import time

import psutil
import pytest

jupyter_client = pytest.importorskip("jupyter_client")

START = """
import torch, minipar
pool = minipar.WorkerPool(4)
print(pool)
print("pids", *pool._crew.pids())
"""
DEADLOCK = """
def all_receive(w):
    return w.recv(source=(w.rank - 1) % w.ranks)
"""


class Notebook:
    """Cells run one after the other in a kernel of their own."""

    def __init__(self, folder):
        self.manager = jupyter_client.KernelManager(kernel_name="python3")
        self.manager.start_kernel(env={**os.environ, "PYTHONPATH": folder}, cwd=folder)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code, interrupt_after=None):
        """(what the cell printed, the lines of its error)."""
        asked = self.client.execute(code)
        printed, error, until = "", [], time.monotonic() + 60
        due = time.monotonic() + interrupt_after if interrupt_after else None
        while time.monotonic() < until:
            if due and time.monotonic() > due:
                due = self.manager.interrupt_kernel()
            try:
                message = self.client.get_iopub_msg(timeout=0.1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                printed += content["text"]
            elif kind == "error":
                error = content["traceback"]
            elif kind == "status" and content["execution_state"] == "idle":
                return printed, "\n".join(error)
        raise TimeoutError(code)

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def notebook():
    made = Notebook(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    yield made
    made.close()


def workers_of(notebook):
    printed, error = notebook.run(START)
    assert not error
    assert printed.startswith("4 workers ready: processes on this CPU, talking through gloo\n")
    return [int(pid) for pid in printed.splitlines()[1].split()[1:]]


def test_a_story_names_the_cell(notebook):
    workers_of(notebook)
    printed, error = notebook.run("def fails(w):\n    print('here')\n    return [1][w.rank]\npool.run(fails)")
    assert printed.count("here") == 4
    lines = error.splitlines()
    assert lines[0] == "rank 1 raised IndexError: list index out of range"
    assert "Cell In[2], line 3, in fails" in error
    assert "    return [1][w.rank]" in error
    assert "call.py" not in error
    assert notebook.run("pool.run(lambda w: w.rank) == [0, 1, 2, 3], print('well')") == ("well\n", "")


def test_a_deadlock_names_the_cycle_and_the_cell_line(notebook):
    workers_of(notebook)
    _, error = notebook.run(DEADLOCK + "pool.run(all_receive)")
    assert error.startswith("deadlock: rank 0 waits for rank 3, 3 for 2, 2 for 1, 1 for 0\n")
    assert "in all_receive: return w.recv(source=(w.rank - 1) % w.ranks)" in error
    assert "Cell In[" in error


def test_the_interrupt_button_while_ranks_wait(notebook):
    workers_of(notebook)
    cell = "import time\ndef hang(w):\n    time.sleep(600) if w.rank == 2 else w.recv(source=2)\npool.run(hang)"
    _, error = notebook.run(cell, interrupt_after=1.5)
    assert error.startswith("interrupted after ")
    assert "rank 2: was in its own code" in error
    assert "rank 0: waits for a message from rank 2" in error
    assert notebook.run("print(pool.run(lambda w: w.rank))") == ("[0, 1, 2, 3]\n", "")


def test_a_cell_that_runs_again_replaces_its_pool(notebook):
    first = workers_of(notebook)
    second = workers_of(notebook)
    assert not set(first) & set(second)
    assert psutil.wait_procs([psutil.Process(pid) for pid in first if psutil.pid_exists(pid)], timeout=5)[1] == []


def test_a_restart_leaves_nothing(notebook):
    workers_of(notebook)
    family = psutil.Process(notebook.manager.provisioner.pid).children(recursive=True)
    assert len(family) >= 5
    notebook.client.execute(
        DEADLOCK + "pool.run(lambda w: w.recv(source=0) if w.rank else __import__('time').sleep(600))"
    )
    time.sleep(0.5)
    notebook.manager.restart_kernel(now=True)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    notebook.client.wait_for_ready(timeout=60)
    assert notebook.run("print(1)") == ("1\n", "")

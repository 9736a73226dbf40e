"""The same program on a local pool and under torchrun."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import torch
import minipar
from minipar.run.pool import WorkerPool

def program(w, x):
    axis = w.axis("pipe")
    w.state["calls"] = w.state.get("calls", 0) + 1
    with w.span("work"):
        w.send(x * w.rank, to=axis.next)
        came = w.recv(source=axis.previous)
    buffer = torch.empty(2)
    arriving = w.post_recv(buffer, axis.previous, 3)
    w.post_send(torch.full((2,), float(w.rank)), axis.next, 3).wait()
    arriving.wait()
    if w.rank == 1:
        print("inside")
    return came.tolist(), buffer.tolist(), axis.all_reduce(came).tolist(), w.state["calls"]

with WorkerPool(2) as pool:
    mesh = minipar.Mesh(pipe=2)
    out = pool.run(program, torch.ones(2), mesh=mesh)
    out = pool.run(program, torch.ones(2), mesh=mesh)
    print("outside", out)
    one = pool.run(lambda w: w.ranks, ranks=1)
    print("one", one, [(m.source, m.target) for m in out.trace.messages], out.trace.ranks)
"""
FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
LINES = {"[1] inside", "one [1] [(1, 0), (0, 1)] 2", "one [1] [(0, 1), (1, 0)] 2",
         "outside [([1.0, 1.0], [1.0, 1.0], [1.0, 1.0], 2), ([0.0, 0.0], [0.0, 0.0], [1.0, 1.0], 2)]"}  # fmt: skip


@pytest.mark.parametrize(
    "how", [[], ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]], ids=["pool", "torchrun"]
)
def test_one_program_two_ways(tmp_path, how):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": FOLDER, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *how, str(script)], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines.count("[1] inside") == 2
    assert set(lines) <= LINES
    assert len(lines) == 4


def test_torchrun_with_another_number_of_processes_is_refused(tmp_path):
    script = tmp_path / "program.py"
    script.write_text("from minipar.run.pool import WorkerPool\nWorkerPool(3)\n")
    how = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]
    environment = {**os.environ, "PYTHONPATH": FOLDER, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *how, str(script)], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode != 0
    assert "the program asks for 3 workers, and torchrun started 1 processes" in done.stderr

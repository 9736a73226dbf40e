"""Is the order that was written the order that runs, on both kinds of transport, for any list of modules?"""

import os
import pathlib
import re
import subprocess
import sys

import pytest
import torch
from torch.nn.functional import mse_loss

import minipar
from minipar.nn.gpt import GPT
from minipar.nn.stack import Stack
from minipar.nn.text import Batch, text_batch
from minipar.run.pool import WorkerPool
from minipar.run.training import train_step

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ordered():
    """Workers whose messages follow NCCL's rules: untagged, in order per pair, a send waits for its receive."""
    with WorkerPool(4, backend="gloo-ordered") as pool:
        yield pool


def mlp(width=6):
    torch.manual_seed(0)
    layers = [torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.Tanh()).double() for _ in range(8)]
    return Stack(layers, loss=mse_loss)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("build", "ranks", "microbatches"), [
    (minipar.gpipe, 4, 8), (minipar.one_f_one_b, 4, 8), (minipar.one_f_one_b, 3, 2), (minipar.gpipe, 2, 3),
])  # fmt: skip
def test_in_nccls_order(ordered, build, ranks, microbatches, tied):
    model = GPT(layers=3, hidden=16, heads=2, context=8, tied=tied, dtype="float64")
    plan = minipar.Plan(minipar.Mesh(pipe=ranks), build(ranks, microbatches))
    step = train_step(ordered, plan, model, text_batch(9, 8))
    assert minipar.same_gradients(model, step, tolerance=1e-10)
    assert step.trace.peak_in_flight == minipar.predict(plan.schedule).peak_in_flight


@pytest.mark.parametrize(("mesh", "options"), [
    (minipar.Mesh(pipe=2, tensor=2), {"sequence_parallel": True}),
    (minipar.Mesh(data=2, pipe=2), {}),
    (minipar.Mesh(pipe=2, context=2), {"collectives": "ring"}),
], ids=repr)  # fmt: skip
def test_in_nccls_order_on_two_axes(ordered, mesh, options):
    model = GPT(layers=3, hidden=16, heads=2, context=8, tied=True, dtype="float64")
    plan = minipar.Plan(mesh, minipar.one_f_one_b(2, 3), **options)
    assert minipar.same_gradients(model, train_step(ordered, plan, model, text_batch(6, 8)), tolerance=1e-10)


def test_any_list_of_modules(pool):
    model, rows = mlp(), torch.randn(12, 6, dtype=torch.float64)
    plan = minipar.Plan(minipar.Mesh(pipe=4), minipar.one_f_one_b(4, 5))
    step = train_step(pool, plan, model, Batch(rows, rows.flip(0)))
    assert minipar.same_gradients(model, step, tolerance=1e-10)


def test_an_order_written_by_hand_is_the_order_that_runs(pool):
    schedule = minipar.Schedule.parse("0F1 0F0 0B0 0B1\n1F1 1B1 1F0 1B0")
    model, rows = mlp(), torch.randn(4, 6, dtype=torch.float64)
    step = train_step(pool, minipar.Plan(minipar.Mesh(pipe=2), schedule), model, Batch(rows, rows.flip(0)))
    assert minipar.same_gradients(model, step, tolerance=1e-10)
    assert [step.trace.order(rank) for rank in range(2)] == list(schedule.programs)


def test_messages_say_who_sent_what_to_whom(pool):
    model = GPT(layers=2, hidden=16, heads=2, context=8)
    plan = minipar.Plan(minipar.Mesh(pipe=2), minipar.gpipe(2, 2))
    trace = train_step(pool, plan, model, text_batch(4, 8)).trace
    told = sorted((m.source, m.target, m.what, m.bytes) for m in trace.messages)
    size = 2 * 8 * 16 * 4
    assert told == [(0, 1, f"activation 0 m{m}", size) for m in range(2)] + [
        (1, 0, f"gradient 1 m{m}", size) for m in range(2)
    ]
    assert all(message.sent <= message.received for message in trace.messages)


def losses(command, folder):
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return re.findall(r"step +\d+  loss \d+\.\d+", done.stdout)


def test_the_example_prints_the_same_losses_under_torchrun_and_on_a_local_pool(tmp_path):
    example = [str(ROOT / "examples" / "pipeline.py"), "--steps", "4", "--tied"]
    local = losses([sys.executable, *example], tmp_path)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4"]
    assert len(local) == 4
    assert losses([*torchrun, *example], tmp_path) == local

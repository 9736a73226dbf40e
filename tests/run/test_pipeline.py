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
from minipar.nn.text import Batch, Text, text_batch
from minipar.plan.actions import halves
from minipar.plan.schedules import CATALOGUE, OVERLAPPING
from minipar.run.pool import WorkerPool
from minipar.run.training import train_step

EVERY = {**CATALOGUE, **OVERLAPPING}
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


# ---- the whole catalogue, where backwards are in halves and ranks hold several stages


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("name", EVERY)
def test_every_schedule_trains_the_one_process_model(pool, ordered, name, ranks, tied):
    model = GPT(layers=6, hidden=16, heads=2, context=8, tied=tied, recompute=not tied, dtype="float64")
    plan = minipar.Plan(minipar.Mesh(pipe=ranks), EVERY[name](ranks, 8 if name in OVERLAPPING else 5))
    for workers in (pool, ordered):
        step = train_step(workers, plan, model, text_batch(9, 8))
        assert minipar.same_gradients(model, step, tolerance=1e-10)
        one_by_one = [tuple(half for step in program for half in halves(step)) for program in plan.schedule.programs]
        assert [step.trace.order(rank) for rank in range(ranks)] == one_by_one
        assert step.trace.peak_in_flight == minipar.predict(plan.schedule).peak_in_flight
        held = [step.trace.memory(rank)[-1][1] for rank in range(ranks)]
        assert all(end["activation"] == end.get("communication", 0) == 0 for end in held)


HALVED_MESHES = [
    (minipar.Mesh(pipe=2, tensor=2), {}),
    (minipar.Mesh(pipe=2, tensor=2), {"sequence_parallel": True, "collectives": "ring"}),
    (minipar.Mesh(tensor=2, pipe=2), {"overlap": True}),
    (minipar.Mesh(pipe=2, context=2), {}),
    (minipar.Mesh(data=2, pipe=2), {}),
]


@pytest.mark.parametrize("name", ["zb_h2", "zb_v", "interleaved_zero_bubble"])
@pytest.mark.parametrize(("mesh", "options"), HALVED_MESHES, ids=map(repr, HALVED_MESHES))
def test_halves_of_sliced_layers(pool, mesh, options, name):
    model = GPT(layers=4, hidden=16, heads=4, kv_heads=2, context=8, tied=True, dtype="float64")
    plan = minipar.Plan(mesh, CATALOGUE[name](2, 3), **options)
    assert minipar.same_gradients(model, train_step(pool, plan, model, text_batch(6, 8)), tolerance=1e-10)


def test_many_steps_of_a_schedule_in_halves(pool):
    """The weights of twenty steps, and with them whatever a step might leave for the next one."""
    model, data = GPT(layers=4, hidden=16, heads=2, context=8, tied=True, dtype="float64"), Text(6, 8)
    losses = [
        minipar.train(pool, minipar.Plan(minipar.Mesh(pipe=2), build(2, 4)), model, data, steps=20).losses
        for build in (minipar.gpipe, minipar.zb_v)
    ]
    assert losses[1] == pytest.approx(losses[0], abs=1e-10)


@pytest.mark.parametrize("split", [False, True])
def test_what_i_leaves_for_w_is_on_the_ledger(pool, split):
    """A forward holds the same either way; after I some of it is left, after W none."""
    model = GPT(layers=2, hidden=16, heads=2, context=8)
    plan = minipar.Plan(minipar.Mesh(pipe=1), minipar.Schedule.parse("0F0 0I0 0W0" if split else "0F0 0B0"))
    trace = train_step(pool, plan, model, text_batch(4, 8)).trace
    f, *rest = trace.actions(0)
    held = {time: kinds.get("activation", 0) for time, kinds in trace.memory(0)}
    assert max(held.values()) == pytest.approx(model.activation_bytes(range(4), 4), rel=0.2)
    at = lambda moment: [size for time, size in held.items() if time <= moment][-1]  # noqa: E731
    assert at(f.end) > 0 and at(rest[-1].end) == 0
    if split:
        assert 0 < at(rest[0].end) < max(held.values())


def test_any_list_of_modules(pool):
    model, rows = mlp(), torch.randn(12, 6, dtype=torch.float64)
    for build in (minipar.one_f_one_b, minipar.zb_v):
        plan = minipar.Plan(minipar.Mesh(pipe=4), build(4, 5))
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

"""On any mesh of pipe, data, tensor and context axes: is it still exactly the model that one process trains?"""

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
from minipar.plan.mesh import Mesh
from minipar.run.part import Part
from minipar.run.pool import RemoteError

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "mesh.py"
SMALL = {"layers": 3, "hidden": 16, "heads": 4, "context": 8, "dtype": "float64"}
MESHES = [
    (Mesh(data=2), {}),
    (Mesh(data=4), {}),
    (Mesh(data=2, pipe=2), {}),
    (Mesh(pipe=2, data=2), {}),
    (Mesh(tensor=2), {}),
    (Mesh(tensor=4), {}),
    (Mesh(tensor=2), {"sequence_parallel": True}),
    (Mesh(tensor=4), {"sequence_parallel": True}),
    (Mesh(tensor=2), {"overlap": True}),
    (Mesh(pipe=2, tensor=2), {}),
    (Mesh(tensor=2, pipe=2), {"sequence_parallel": True}),
    (Mesh(pipe=2, tensor=2), {"sequence_parallel": True, "collectives": "ring"}),
    (Mesh(data=2, tensor=2), {}),
    (Mesh(data=2, tensor=2), {"sequence_parallel": True}),
    (Mesh(context=2), {}),
    (Mesh(context=4), {"deal": "striped"}),
    (Mesh(context=2, tensor=2), {"sequence_parallel": True}),
    (Mesh(pipe=2, context=2), {"deal": "contiguous"}),
    (Mesh(data=2, context=2), {"collectives": "ring"}),
]


def plan_of(mesh, options, microbatches=2):
    ranks = mesh.axes.get("pipe", 1)
    return minipar.Plan(mesh, minipar.one_f_one_b(ranks, microbatches), **options)


def say(value):
    if not isinstance(value, dict):
        return str(value)
    return " ".join(f"{name}={option}" for name, option in value.items()) or "plain"


def one_process(model, data, steps, rate=1e-2, clip=1.0):
    """The same training in plain torch: losses and norms."""
    whole, losses, norms = model.whole(), [], []
    optimizer = torch.optim.AdamW(whole.parameters(), lr=rate)
    for step in range(steps):
        batch = data(step)
        loss = model.loss(whole.at(step)(batch.inputs), batch.targets)
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(whole.parameters(), clip).item())
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("mesh", "options"), MESHES, ids=say)
def test_one_step_equals_one_process(pool, mesh, options, tied):
    model, plan = GPT(**SMALL, tied=tied), plan_of(mesh, options)
    step = minipar.train_step(pool, plan, model, text_batch(8, 8))
    assert minipar.same_gradients(model, step, tolerance=1e-10)
    whole = model.whole()
    assert step.loss == pytest.approx(model.loss(whole(step.batch.inputs), step.batch.targets).item(), abs=1e-12)
    assert list(step.gradients) == [name for name, _ in whole.named_parameters()]
    for rank in range(plan.ranks):
        assert step.trace.order(rank) == plan.schedule.programs[plan.place(rank)["pipe"]]


@pytest.mark.parametrize(("mesh", "options"), MESHES, ids=say)
def test_twenty_steps_equal_one_process(pool, mesh, options):
    model, data = GPT(**SMALL, tied=True), Text(8, 8)
    run = minipar.train(pool, plan_of(mesh, options), model, data, steps=20, learning_rate=1e-2)
    losses, norms = one_process(model, data, 20)
    assert run.losses == pytest.approx(losses, abs=1e-10)
    assert run.norms == pytest.approx(norms, rel=1e-9)
    assert max(norms) > 1  # some step was clipped


ODD = [
    ({"heads": 4, "kv_heads": 2}, Mesh(tensor=4), {}),
    ({"heads": 4, "kv_heads": 2}, Mesh(tensor=4), {"sequence_parallel": True}),
    ({"heads": 4, "kv_heads": 1}, Mesh(pipe=2, tensor=2), {"sequence_parallel": True}),
    ({"heads": 4, "kv_heads": 2}, Mesh(context=2, tensor=2), {}),
    ({"vocabulary": 255, "tied": True}, Mesh(tensor=4), {}),
    ({"vocabulary": 255, "tied": True}, Mesh(pipe=2, tensor=2), {}),
    ({"recompute": True, "tied": True}, Mesh(pipe=2, tensor=2), {"sequence_parallel": True}),
    ({"recompute": True}, Mesh(pipe=2, context=2), {}),
    ({"dropout": 0.3}, Mesh(pipe=2), {}),
    ({"dropout": 0.3}, Mesh(data=2, pipe=2), {}),
    ({"dropout": 0.3, "recompute": True}, Mesh(pipe=2, tensor=2), {"sequence_parallel": True}),
    ({"dropout": 0.3}, Mesh(data=2, tensor=2), {}),
]


@pytest.mark.parametrize(("fields", "mesh", "options"), ODD, ids=say)
def test_other_models_train_alike_too(pool, fields, mesh, options):
    model, data = GPT(**{**SMALL, **fields}), Text(8, 8)
    plan = plan_of(mesh, options, microbatches=3 if "data" not in mesh.axes else 2)
    assert minipar.same_gradients(model, minipar.train_step(pool, plan, model, data(0)), tolerance=1e-10)
    run = minipar.train(pool, plan, model, data, steps=4, learning_rate=1e-2)
    losses, norms = one_process(model, data, 4)
    assert run.losses == pytest.approx(losses, abs=1e-10)
    assert run.norms == pytest.approx(norms, rel=1e-9)


@pytest.mark.parametrize(("mesh", "options"), [
    (Mesh(data=2, context=2), {"collectives": "ring"}),
    (Mesh(pipe=2, tensor=2), {"sequence_parallel": True}),
], ids=say)  # fmt: skip
def test_resuming_on_a_mesh_goes_on_where_it_stopped(pool, mesh, options):
    model, data, plan = GPT(**SMALL, tied=True), Text(8, 8), plan_of(mesh, options)
    straight = minipar.train(pool, plan, model, data, steps=6)
    minipar.train(pool, plan, model, data, steps=3)
    assert minipar.train(pool, plan, model, data, steps=3, resume=True).losses == pytest.approx(straight.losses[3:])


@pytest.mark.parametrize("text", [
    "0F0 0F1 2F0 2F1 2B0 2B1 0B0 0B1\n1F0 1F1 3F0 3F1 3B0 3B1 1B0 1B1",
    "0F0 2F0 2B0 0B0\n1F0 1B0",
    "1F0 1F1 1B0 1B1\n0F0 0F1 0B0 0B1",
])  # fmt: skip
def test_any_schedule_may_run_on_a_mesh(pool, text):
    model, schedule = GPT(**SMALL, tied=True), minipar.Schedule.parse(text)
    sliced = {"overlap": True, "collectives": "ring"}
    for mesh, options in ((Mesh(pipe=2, tensor=2), sliced), (Mesh(data=2, pipe=2), {})):
        plan = minipar.Plan(mesh, schedule, **options)
        step = minipar.train_step(pool, plan, model, text_batch(6, 8))
        assert minipar.same_gradients(model, step, tolerance=1e-10)


def test_each_rank_holds_its_slices_and_no_more(pool):
    model = GPT(**SMALL)
    trace = minipar.train(pool, minipar.Plan(Mesh(tensor=4)), model, text_batch(4, 8), steps=1).trace
    cuts, whole = model.cuts(4), dict(model.whole().named_parameters())
    for rank in range(4):
        size = 0
        for name, parameter in whole.items():
            cut = cuts.get(name)
            size += parameter.nbytes if cut is None else parameter.nbytes * len(cut.parts[rank]) // cut.size
        peaks = {kind: max(held.get(kind, 0) for _, held in trace.memory(rank)) for kind in ("parameter", "gradient")}
        assert peaks == {"parameter": size, "gradient": size}
        assert trace.memory(rank)[-1][1]["gradient"] == 0
        assert trace.memory(rank)[-1][1].get("communication", 0) == 0


def test_any_list_of_modules_on_two_axes(pool):
    torch.manual_seed(0)
    layers = [torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.Tanh()).double() for _ in range(4)]
    model, rows = Stack(layers, loss=mse_loss), torch.randn(12, 6, dtype=torch.float64)
    plan = minipar.Plan(Mesh(data=2, pipe=2), minipar.gpipe(2, 3))
    step = minipar.train_step(pool, plan, model, Batch(rows, rows.flip(0)))
    assert minipar.same_gradients(model, step, tolerance=1e-10)


def test_replicas_wait_for_their_own_pipeline(pool):
    plan = minipar.Plan(Mesh(data=2, pipe=2), minipar.gpipe(2, 2))
    trace = minipar.train_step(pool, plan, GPT(**SMALL), text_batch(4, 8)).trace
    assert trace.pipelines == ((0, 1), (2, 3))
    for ranks in trace.pipelines:
        for span in trace.actions(ranks[1]):
            assert all(maker.rank in ranks for _, maker in trace.arrivals(span))
        assert {span.rank for span in trace.readers(trace.actions(ranks[0])[0])} == {ranks[1], ranks[0]}
    assert len({span.rank in (0, 1) for span in trace.critical_path()}) == 1


def test_a_paced_step_on_a_mesh_can_be_laid_over_its_prediction(pool):
    cost = minipar.Cost(F=0.004, B=0.008, hop=0.002)
    plan = plan_of(Mesh(pipe=2, tensor=2), {"sequence_parallel": True})
    step = minipar.train_step(pool, plan, GPT(**SMALL), text_batch(8, 8), pace=cost)
    assert minipar.same_gradients(GPT(**SMALL), step)
    assert step.trace.source == "measured, paced"
    over = minipar.compare(plan.predict(cost), step.trace)
    assert "ranks=4" in repr(over)


def count_replicas_too(w, *arguments):
    """As `train_on_rank`, with the mistake of counting a parameter on every data rank."""
    from minipar.run.on_rank import train_on_rank

    honest = Part.is_first_replica
    Part.is_first_replica = True
    try:
        return train_on_rank(w, *arguments)
    finally:
        Part.is_first_replica = honest


def test_a_double_count_of_replicas_is_seen(pool, monkeypatch):
    model, data, plan = GPT(**SMALL), Text(8, 8), plan_of(*MESHES[2])
    monkeypatch.setattr("minipar.run.training.train_on_rank", count_replicas_too)
    run = minipar.train(pool, plan, model, data, steps=2, learning_rate=1e-2)
    assert run.norms != pytest.approx(one_process(model, data, 2)[1], rel=1e-3)


def test_the_step_says_its_mesh(pool):
    step = minipar.train_step(pool, plan_of(*MESHES[2]), GPT(**SMALL), text_batch(8, 8))
    assert repr(step).startswith("Step(1F1B, Mesh(data=2, pipe=2), microbatches=2, loss=")


REFUSED = [
    (Mesh(tensor=3), {}, (4, 8), "heads=4 cannot be cut in 3 equal parts: 3 or 6 can."),
    (Mesh(tensor=8), {}, (4, 8), "heads=4 cannot be cut in 8 equal parts: 8 can."),
    (
        Mesh(data=2, tensor=4), {}, (4, 8),
        "Mesh(data=2, tensor=4) has data 2 · tensor 4 = 8 ranks, and this pool has 4 workers",
    ),
    (Mesh(data=2), {}, (7, 8), "a batch of 7 texts cannot be shared by data=2 ranks: each takes as many"),
    (
        Mesh(tensor=4), {"sequence_parallel": True}, (4, 6),
        "sequence_parallel cuts 6 positions into tensor=4 equal parts, and 6 / 4 is not whole",
    ),
    (Mesh(context=4), {}, (4, 4), "4 positions cannot be dealt zigzag in 8 equal chunks"),
]  # fmt: skip


@pytest.mark.parametrize(("mesh", "options", "batch", "sentence"), REFUSED, ids=say)
def test_what_cannot_be_shared_is_refused_before_anything_runs(pool, mesh, options, batch, sentence):
    plan = plan_of(mesh, options)
    for act in (minipar.train_step, minipar.train):
        with pytest.raises(ValueError) as refusal:
            act(pool, plan, GPT(**SMALL), text_batch(*batch), **({"steps": 1} if act is minipar.train else {}))
        assert str(refusal.value).startswith(sentence)


def test_a_later_batch_that_cannot_be_shared_is_refused_where_it_happens(pool):
    model, plan = GPT(**SMALL), plan_of(Mesh(data=2, pipe=2), {})
    with pytest.raises(RemoteError, match="a batch of 9 texts cannot be shared by data=2 ranks"):
        minipar.train(pool, plan, model, lambda step: text_batch(8 + step, 8), steps=3)


def losses(*command):
    settings = {**os.environ, "PYTHONPATH": str(EXAMPLE.parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command], env=settings, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return re.findall(r"step +\d+  loss \d+\.\d+", done.stdout)


def test_the_example_prints_one_processs_losses_on_a_local_pool_and_under_torchrun():
    alone = losses(str(EXAMPLE), "--steps", "3")
    axes = [str(EXAMPLE), "--steps", "3", "--tensor", "2", "--pipe", "2", "--order", "pp-tp"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4"]
    assert len(alone) == 3
    assert losses(*axes) == losses(*torchrun, *axes, "--sequence-parallel") == alone

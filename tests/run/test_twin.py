"""With layers of experts on any mesh: is it still what one process trains, microbatch by microbatch?"""

import pytest
import torch

import minipar
from minipar.nn.gpt import GPT
from minipar.nn.text import Text, text_batch
from minipar.plan.mesh import Mesh
from minipar.run import twin
from minipar.run.part import Part

SMALL = {"layers": 2, "hidden": 16, "heads": 4, "context": 8, "dtype": "float64", "experts": 8}
ALL = {"capacity": 1.0, "balance_loss": 0.05, "z_loss": 0.01, "bias_rate": 0.02, "shared_experts": 1}
MESHES = [
    (Mesh(pipe=1), {}, {}),
    (Mesh(data=2, expert=2), {}, {}),
    (Mesh(data=4, expert=4), {}, {"expert_every": 1}),
    (Mesh(data=4, expert=2), {}, {"router": "sigmoid"}),
    (Mesh(data=2), {}, {"top": 1}),
    (Mesh(data=4, expert=2, expert_tensor=2), {}, {}),
    (Mesh(data=2, pipe=2, expert=2), {}, {"tied": True}),
    (Mesh(pipe=2, data=2, expert=2), {}, {"expert_every": 1, "recompute": True}),
    (Mesh(tensor=2, expert=2), {"sequence_parallel": True}, {}),
    (Mesh(tensor=4, expert=2, expert_tensor=2), {"sequence_parallel": True}, {"drop": "position"}),
    (Mesh(data=2, tensor=2, expert=4), {"sequence_parallel": True}, {"capacity_per_rank": True}),
    (Mesh(context=2, data=2, expert=2), {}, {"capacity_per_rank": True, "drop": "position"}),
    (Mesh(pipe=2, tensor=2, expert=2), {"sequence_parallel": True, "collectives": "ring"}, {"dropout": 0.2}),
]


def plan_of(mesh, options, microbatches=2):
    return minipar.Plan(mesh, minipar.one_f_one_b(mesh.axes.get("pipe", 1), microbatches), **options)


def one_process(model, plan, data, steps, rate=1e-2, clip=1.0):
    """The same training in plain torch: losses, norms, loads and drops by step."""
    whole, found = model.whole(), []
    optimizer = torch.optim.AdamW(whole.parameters(), lr=rate)
    layers = {index: whole.layers[str(index)].mlp for index in model.expert_layers}
    for step in range(steps):
        optimizer.zero_grad()
        loss = twin.backward(model, whole, plan, data(step), step)
        norm = torch.nn.utils.clip_grad_norm_(whole.parameters(), clip).item()
        optimizer.step()
        loads = {index: tuple(mlp.tally.wanted.tolist()) for index, mlp in layers.items()}
        found.append((loss, norm, loads, sum(mlp.tally.dropped for mlp in layers.values()),
                      sum(mlp.tally.loss for mlp in layers.values())))  # fmt: skip
        for mlp in layers.values():
            mlp.teach(mlp.tally.wanted)
            mlp.tally.clear()
    return [list(each) for each in zip(*found, strict=True)]


def say(value):
    if isinstance(value, str):
        return "sentence"
    return repr(value) if isinstance(value, Mesh) else " ".join(f"{name}={one}" for name, one in value.items()) or "-"


@pytest.mark.parametrize(("mesh", "options", "fields"), MESHES, ids=say)
def test_one_step_equals_one_process(pool, mesh, options, fields):
    model, plan = GPT(**{**SMALL, **ALL, **fields}), plan_of(mesh, options)
    step = minipar.train_step(pool, plan, model, text_batch(8, 8))
    assert minipar.same_gradients(model, step, tolerance=1e-10)
    assert set(step.gradients) == {name for name, _ in model.whole().named_parameters()}
    assert step.experts.dropped > 0 and step.experts.loss > 0
    choices = 8 * 8 * model.top
    assert [sum(loads) for loads in step.experts.loads.values()] == [choices] * len(model.expert_layers)


LONG = [MESHES[1], MESHES[5], MESHES[6], MESHES[10]]


@pytest.mark.parametrize(("mesh", "options", "fields"), LONG, ids=say)
def test_twenty_steps_equal_one_process(pool, mesh, options, fields):
    model, data, plan = GPT(**{**SMALL, **ALL, **fields}), Text(8, 8), plan_of(mesh, options)
    run = minipar.train(pool, plan, model, data, steps=20, learning_rate=1e-2)
    losses, norms, loads, dropped, added = one_process(model, plan, data, 20)
    assert run.losses == pytest.approx(losses, abs=1e-10)
    assert run.norms == pytest.approx(norms, rel=1e-9)
    assert [told.loads for told in run.experts] == loads
    assert [told.dropped for told in run.experts] == dropped
    assert [told.loss for told in run.experts] == pytest.approx(added, abs=1e-10)


def test_a_microbatch_and_its_drops_are_the_same_on_any_number_of_ranks(pool):
    model = GPT(**SMALL, capacity=1.0)
    found = [
        minipar.train_step(pool, plan_of(mesh, {}), model, text_batch(8, 8))
        for mesh in (Mesh(pipe=1), Mesh(data=2, expert=2), Mesh(data=4, expert=4))
    ]
    assert len({step.experts.dropped for step in found}) == 1
    assert [step.loss for step in found] == pytest.approx([found[0].loss] * 3, abs=1e-12)


def test_experts_are_on_their_ranks_alone_and_the_model_writes(pool):
    model, plan = GPT(**SMALL, capacity=1.0), plan_of(Mesh(data=4, expert=4), {})
    run = minipar.train(pool, plan, model, Text(8, 8), steps=2)
    assert len(run.losses) == 2
    assert len(minipar.generate(pool, plan, model, "The ", tokens=4).encode()) >= 4
    trace = minipar.train_step(pool, plan, model, text_batch(8, 8)).trace
    one = 2 * 4 * 16 * 16 * 8  # bytes of an expert
    held = max(kinds.get("parameter", 0) for _, kinds in trace.memory(0))
    assert held == model.parameter_bytes() - 6 * one
    assert {"dispatch", "experts", "combine"} <= {span.what for span in trace.spans if isinstance(span.what, str)}


def forget_own_replicas(w, *arguments):
    """As `train_on_rank`, with the mistake of summing an expert's gradient over all data ranks."""
    from minipar.run.on_rank import train_on_rank

    honest = Part.__init__

    def broken(self, *given):
        honest(self, *given)
        for parameter in self.parameters.values():
            parameter.expert, parameter.sum_over = False, ()

    Part.__init__ = broken
    try:
        return train_on_rank(w, *arguments)
    finally:
        Part.__init__ = honest


def test_experts_summed_over_strangers_are_seen(pool, monkeypatch):
    model, data, plan = GPT(**SMALL), Text(8, 8), plan_of(Mesh(data=2, expert=2), {})
    monkeypatch.setattr("minipar.run.training.train_on_rank", forget_own_replicas)
    run = minipar.train(pool, plan, model, data, steps=2, learning_rate=1e-2)
    assert run.norms != pytest.approx(one_process(model, plan, data, 2)[1], rel=1e-3)


REFUSED = [
    (Mesh(data=2, expert=2), {}, {"experts": 7}, "experts=7 cannot be cut in 2 equal parts: 6 or 8 can."),
    (Mesh(data=2, expert=2), {}, {"experts": 0}, "Mesh(data=2, expert=2) has ranks for different experts, and this "
     "model has none"),
    (Mesh(tensor=2, expert=2), {}, {}, "experts beside tensor=2 need sequence_parallel=True: without it all 2 tensor "
     "ranks hold the same tokens, and each token would travel 2 times"),
]  # fmt: skip


@pytest.mark.parametrize(("mesh", "options", "fields", "sentence"), REFUSED, ids=say)
def test_what_cannot_lie_on_a_mesh_is_refused_before_anything_runs(pool, mesh, options, fields, sentence):
    with pytest.raises(ValueError) as refusal:
        minipar.train_step(pool, plan_of(mesh, options), GPT(**{**SMALL, **fields}), text_batch(8, 8))
    assert str(refusal.value) == sentence

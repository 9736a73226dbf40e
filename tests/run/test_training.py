"""Do several processes train exactly the model that one process would train?"""

import pytest
import torch

import minipar
from minipar.nn.gpt import GPT
from minipar.nn.text import Text, text_batch, unigram_entropy
from minipar.run import training
from minipar.run.part import Part
from minipar.run.pool import RemoteError, WorkerPool

SMALL = {"layers": 3, "hidden": 16, "heads": 2, "context": 8}
BUILDERS = {"naive": lambda p, m: minipar.naive(p), "GPipe": minipar.gpipe, "1F1B": minipar.one_f_one_b}


def plan_of(builder, ranks, microbatches):
    return minipar.Plan(minipar.Mesh(pipe=ranks), BUILDERS[builder](ranks, microbatches))


# ---- one step


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize(("builder", "microbatches", "texts"), [
    ("naive", 1, 4), ("GPipe", 4, 4), ("GPipe", 3, 7), ("1F1B", 4, 4), ("1F1B", 3, 7), ("1F1B", 8, 9),
])  # fmt: skip
def test_gradients_equal_the_unsplit_models(pool, builder, microbatches, texts, ranks, tied):
    model = GPT(**SMALL, tied=tied, dtype="float64")
    plan = plan_of(builder, ranks, microbatches)
    step = minipar.train_step(pool, plan, model, text_batch(texts, 8))
    assert minipar.same_gradients(model, step, tolerance=1e-10)
    whole = model.whole()
    assert step.loss == pytest.approx(model.loss(whole(step.batch.inputs), step.batch.targets).item(), abs=1e-12)
    assert list(step.gradients) == [name for name, _ in whole.named_parameters()]
    for rank in range(ranks):
        assert step.trace.order(rank) == plan.schedule.programs[rank]
    assert step.trace.peak_in_flight == minipar.predict(plan.schedule).peak_in_flight
    crossing = minipar.lower(plan.schedule).messages
    assert len(step.trace.messages) == crossing + (2 if tied and ranks > 1 else 0)


def test_several_stages_a_rank(pool):
    model = GPT(**SMALL, tied=True, dtype="float64")
    chunks = minipar.Schedule.parse("0F0 0F1 2F0 2F1 2B0 2B1 0B0 0B1\n1F0 1F1 3F0 3F1 3B0 3B1 1B0 1B1", name="chunks")
    step = minipar.train_step(pool, minipar.Plan(minipar.Mesh(pipe=2), chunks), model, text_batch(3, 8))
    assert minipar.same_gradients(model, step, tolerance=1e-10)
    there_and_back = minipar.Schedule.parse("0F0 2F0 2B0 0B0\n1F0 1B0", name="the tied ends on one rank")
    step = minipar.train_step(pool, minipar.Plan(minipar.Mesh(pipe=2), there_and_back), model, text_batch(3, 8))
    assert minipar.same_gradients(model, step, tolerance=1e-10)


def test_a_plan_may_use_other_ranks_for_its_ends(pool):
    model = GPT(**SMALL, dtype="float64")
    backwards = minipar.Schedule.parse("1F0 1F1 1B0 1B1\n0F0 0F1 0B0 0B1", name="rank 1 first")
    step = minipar.train_step(pool, minipar.Plan(minipar.Mesh(pipe=2), backwards), model, text_batch(3, 8))
    assert minipar.same_gradients(model, step, tolerance=1e-10)


def test_more_microbatches_than_texts_are_refused(pool):
    with pytest.raises(ValueError) as refusal:
        minipar.train_step(pool, plan_of("GPipe", 2, 5), GPT(**SMALL), text_batch(4, 8))
    assert str(refusal.value) == "5 microbatches cannot be cut from a batch of 4: each needs at least one text."


def test_same_gradients_names_the_first_that_differs(pool):
    model = GPT(**SMALL)
    step = minipar.train_step(pool, plan_of("GPipe", 2, 2), model, text_batch(4, 8))
    name = "layers.2.mlp.up.weight"
    step.gradients[name] *= 1.01
    with pytest.raises(AssertionError, match=f"^{name} differs by 1.0e-02 of its largest gradient; 1e-04 is allowed$"):
        minipar.same_gradients(model, step)
    del step.gradients[name]
    with pytest.raises(AssertionError, match=f"^{name} has no gradient in this step.$"):
        minipar.same_gradients(model, step)


def test_a_paced_step_says_so_and_keeps_its_mathematics(pool):
    model, cost = GPT(**SMALL, dtype="float64"), minipar.Cost(F=0.004, B=0.008, hop=0.002)
    step = minipar.train_step(pool, plan_of("1F1B", 4, 4), model, text_batch(4, 8), pace=cost)
    assert minipar.same_gradients(model, step, tolerance=1e-10)
    assert (step.trace.source, step.trace.hop, step.trace.name) == ("measured, paced", 0.002, "1F1B")
    for span in step.trace.actions():
        assert span.end - span.start >= cost.duration(span.what) - 1e-4
    for message in step.trace.messages:
        assert message.received >= message.sent + 0.002 - 1e-4


def test_spans_and_memory_can_be_off(pool):
    step = minipar.train_step(pool, plan_of("GPipe", 2, 2), GPT(**SMALL), text_batch(4, 8), spans=False, memory=False)
    assert (step.trace.spans, step.trace.messages, step.trace.ledger) == ((), (), ())


# ---- training


def one_process(model, data, steps, rate=1e-2, clip=1.0):
    """The same training in plain torch: losses and norms."""
    whole, losses, norms = model.whole(), [], []
    optimizer = torch.optim.AdamW(whole.parameters(), lr=rate)
    for step in range(steps):
        batch = data(step)
        loss = model.loss(whole(batch.inputs), batch.targets)
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(whole.parameters(), clip).item())
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


@pytest.mark.parametrize(("dtype", "allowed"), [("float64", 1e-10), ("float32", 1e-4)])
@pytest.mark.parametrize(("builder", "ranks", "tied"), [("GPipe", 4, True), ("1F1B", 4, False), ("1F1B", 3, True)])
def test_twenty_steps_equal_one_process(pool, builder, ranks, tied, dtype, allowed):
    model, data = GPT(**SMALL, tied=tied, dtype=dtype), Text(7, 8)
    run = minipar.train(pool, plan_of(builder, ranks, 4), model, data, steps=20, learning_rate=1e-2)
    losses, norms = one_process(model, data, 20)
    assert run.losses == pytest.approx(losses, abs=allowed)
    assert run.norms == pytest.approx(norms, rel=10 * allowed)
    assert min(norms) > 1 or max(norms) > 1  # some step was clipped


def count_tied_twice(w, *arguments):
    """As `train_on_rank`, with the mistake of counting a tied gradient on both ranks that hold it."""
    honest = Part.squared_norm
    Part.squared_norm = lambda part: sum(p.grad.double().square().sum().item() for p in part.parameters.values())
    try:
        return training.train_on_rank(w, *arguments)
    finally:
        Part.squared_norm = honest


def test_a_double_count_of_tied_gradients_is_seen(pool, monkeypatch):
    model, data = GPT(**SMALL, tied=True, dtype="float64"), Text(7, 8)
    monkeypatch.setattr("minipar.run.training.train_on_rank", count_tied_twice)
    run = minipar.train(pool, plan_of("GPipe", 4, 4), model, data, steps=3, learning_rate=1e-2)
    assert run.norms != pytest.approx(one_process(model, data, 3)[1], rel=1e-3)


def test_loss_on_real_text_falls_a_tenth_below_the_unigram_entropy(pool):
    model = GPT(layers=4, hidden=64, context=32)
    run = minipar.train(pool, plan_of("1F1B", 4, 4), model, Text(16, 32), steps=150, learning_rate=3e-3)
    assert sum(run.losses[-10:]) / 10 < 0.9 * unigram_entropy()
    assert run.step == 150 and run.tokens_per_second > 0


def test_one_step_on_one_worker_shows_all_that_fills_a_device(pool):
    model = GPT(**SMALL)
    trace = minipar.train(pool, plan_of("naive", 1, 1), model, text_batch(4, 8), steps=1).trace
    size = model.parameter_bytes()
    peaks = {kind: max(held.get(kind, 0) for _, held in trace.memory(0)) for kind in minipar.plan.trace.MEMORY_KINDS}
    assert (peaks["parameter"], peaks["gradient"], peaks["optimizer"]) == (size, size, 2 * size)
    assert peaks["activation"] == model.activation_bytes(range(5), 4)
    assert any(span.what == "optimizer" for span in trace.spans)
    assert trace.memory(0)[-1][1]["gradient"] == 0


def test_data_may_be_one_batch_a_list_or_a_function(pool):
    model, plan = GPT(**SMALL, dtype="float64"), plan_of("GPipe", 2, 2)
    batches = [text_batch(4, 8, seed=seed) for seed in (0, 1)]
    listed = minipar.train(pool, plan, model, batches, steps=3)
    called = minipar.train(pool, plan, model, lambda step: batches[step % 2], steps=3)
    assert listed.losses == called.losses
    assert minipar.train(pool, plan, model, batches[0], steps=1).losses == listed.losses[:1]


def test_an_unknown_optimizer_is_refused(pool):
    with pytest.raises(ValueError, match="'adam' is no optimizer here; there are SGD, momentum, AdamW."):
        minipar.train(pool, plan_of("naive", 1, 1), GPT(**SMALL), text_batch(4, 8), steps=1, optimizer="adam")


def test_32_layers_do_not_fit_on_one_worker_and_train_on_four():
    model, batch, limit = GPT(layers=32, hidden=128, heads=4, context=32), text_batch(8, 32), 40_000_000
    assert model.parameter_bytes() / 4 < limit < 2 * model.parameter_bytes()
    with WorkerPool(1, memory_limit=limit) as alone, pytest.raises(RemoteError) as refusal:
        minipar.train_step(alone, plan_of("naive", 1, 1), model, batch)
    first = str(refusal.value).splitlines()[0]
    assert "rank 0 asked for" in first and "its limit is 40.0 MB" in first
    with WorkerPool(4, memory_limit=limit) as four:
        run = minipar.train(four, plan_of("1F1B", 4, 8), model, batch, steps=2, optimizer="SGD")
    assert run.losses[1] < run.losses[0]

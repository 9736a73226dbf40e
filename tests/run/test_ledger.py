"""Is every byte on the ledger, under one kind, and gone when it is freed?"""

import gc

import pytest
import torch

import minipar
from minipar.nn.gpt import GPT
from minipar.nn.text import text_batch
from minipar.run.ledger import ACTIVATION, BATCH, COMMUNICATION, GRADIENT, PARAMETER, Ledger
from minipar.run.parcel import loads
from minipar.run.part import Part
from minipar.run.pipeline import Pipeline
from minipar.run.training import _for_ends

SMALL = {"layers": 3, "hidden": 16, "heads": 2, "context": 8}


def held(ledger):
    return {kind: size for kind, size in enumerate(ledger.bytes) if size}


# ---- one storage, one kind


def test_the_strongest_claim_is_billed():
    ledger, x = Ledger(), torch.zeros(10)
    ledger.hold(x, COMMUNICATION)
    assert held(ledger) == {COMMUNICATION: 40}
    ledger.hold(x[2:4], ACTIVATION)  # a view: the same storage
    assert held(ledger) == {ACTIVATION: 40}
    ledger.hold(x, BATCH)
    ledger.release(x, ACTIVATION)
    assert held(ledger) == {BATCH: 40}
    ledger.release(x, BATCH)
    assert held(ledger) == {COMMUNICATION: 40}
    ledger.release(x, COMMUNICATION)
    assert held(ledger) == {}


def test_two_holders_of_one_kind_count_once_until_both_let_go():
    ledger, x = Ledger(), torch.zeros(10)
    ledger.hold(x, ACTIVATION)
    ledger.hold(x, ACTIVATION)
    ledger.release(x, ACTIVATION)
    assert held(ledger) == {ACTIVATION: 40}
    ledger.release(x, ACTIVATION)
    assert held(ledger) == {}


def test_what_autograd_saves_is_an_activation_until_the_graph_frees_it():
    ledger, x = Ledger(), torch.ones(3, requires_grad=True)
    with ledger.saving():
        y = (x.exp() * 2).sum()  # exp saves its own output
    assert held(ledger) == {ACTIVATION: 12}
    y.backward()
    assert held(ledger) == {}
    with ledger.saving():
        y = x.exp().sum()
    del y
    assert held(ledger) == {}


def test_a_saved_weight_stays_a_parameter_and_gradients_appear_with_the_backward():
    ledger, layer = Ledger(), torch.nn.Linear(2, 2, bias=False)
    ledger.watch(layer)
    x = torch.ones(1, 2, requires_grad=True)
    with ledger.saving():
        y = layer(x).sum()
    assert held(ledger) == {PARAMETER: 16, ACTIVATION: 8}
    y.backward()
    assert held(ledger) == {PARAMETER: 16, GRADIENT: 16}
    ledger.drop_gradient(layer.weight)
    layer.weight.grad = None
    assert held(ledger) == {PARAMETER: 16}


def test_samples_are_bytes_held_from_a_time_on():
    moments = iter(range(10))
    ledger, x = Ledger(clock=lambda: float(next(moments))), torch.zeros(10)
    ledger.hold(x, COMMUNICATION)
    ledger.hold(x, ACTIVATION)
    ledger.release(x, ACTIVATION)
    assert ledger.samples() == [
        (0.0, "communication", 40),
        (1.0, "communication", 0),
        (1.0, "activation", 40),
        (2.0, "activation", 0),
        (2.0, "communication", 40),
    ]


# ---- against the formula


def peaks(trace, rank):
    kinds = minipar.plan.trace.MEMORY_KINDS
    return {kind: max(sample.get(kind, 0) for _, sample in trace.memory(rank)) for kind in kinds}


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("build", [minipar.gpipe, minipar.one_f_one_b])
def test_bytes_equal_the_formula(pool, build, ranks):
    model, texts = GPT(**SMALL), 2
    plan = minipar.Plan(minipar.Mesh(pipe=ranks), build(ranks, 4))
    step = minipar.train_step(pool, plan, model, text_batch(4 * texts, 8), optimizer="AdamW")
    for rank, cut in enumerate(plan.cut(model)):
        found, size = peaks(step.trace, rank), model.parameter_bytes(cut)
        in_flight = step.trace.peak_in_flight[rank]
        assert (found["parameter"], found["gradient"], found["optimizer"]) == (size, size, 2 * size)
        assert found["activation"] == in_flight * model.activation_bytes(cut, texts)
        assert step.trace.memory(rank)[-1][1]["activation"] == 0
        ends = (rank == 0) + (rank == ranks - 1)
        assert found["batch"] == ends * 4 * texts * 8 * 8 + (4 if rank == ranks - 1 else 0)  # and the sum of the losses


@pytest.mark.parametrize(("optimizer", "averages"), [("SGD", 0), ("momentum", 1), ("AdamW", 2)])
def test_what_an_optimizer_remembers(pool, optimizer, averages):
    model, plan = GPT(**SMALL), minipar.Plan(minipar.Mesh(pipe=1), minipar.naive(1))
    step = minipar.train_step(pool, plan, model, text_batch(2, 8), optimizer=optimizer)
    assert peaks(step.trace, 0)["optimizer"] == averages * model.parameter_bytes()


def test_recomputing_blocks_keep_their_input_alone(pool):
    model = GPT(layers=6, hidden=16, heads=2, context=8, recompute=True)
    plan = minipar.Plan(minipar.Mesh(pipe=2), minipar.gpipe(2, 4))
    step = minipar.train_step(pool, plan, model, text_batch(8, 8))
    assert minipar.same_gradients(model, step)
    cut = plan.cut(model)[0]
    at_the_turn = max(span.end for span in step.trace.actions(0) if span.what.op is minipar.F)
    before = [sample for time, sample in step.trace.memory(0) if time <= at_the_turn]
    assert before[-1]["activation"] == 4 * model.activation_bytes(cut, 2)


# ---- against an independent walk


def storages():
    """address -> bytes of every tensor alive in this process: those Python knows, and those a graph has saved."""
    found, nodes = {}, []

    def add(tensor):
        a_number = tensor.dim() == 0 and tensor.dtype is torch.float64  # torch wraps the 8 of x / 8 into one, 8 bytes
        if tensor.layout is torch.strided and not a_number:
            storage = tensor.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
            if tensor.grad_fn is not None:
                nodes.append(tensor.grad_fn)

    for thing in gc.get_objects():
        if issubclass(type(thing), torch.Tensor):
            add(thing)
    seen = set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        nodes += [before for before, _ in node.next_functions]
        for name in dir(node):
            if name.startswith("_saved_"):
                try:
                    saved = getattr(node, name)
                except RuntimeError:  # freed
                    continue
                for tensor in saved if isinstance(saved, tuple | list) else (saved,):
                    if isinstance(tensor, torch.Tensor):
                        add(tensor)
    return found


def walked(w, plan, model, parcels, planted=0):
    """One step; at the end of every action the ledger's sum beside the bytes of all storages alive.

    planted: bytes that are held from the start of the step and that nobody told the ledger of.
    """
    gc.collect()
    before = set(storages())
    w.recorder.watch_memory()
    part = Part(w, plan, model)
    part.watch()
    batch = loads(parcels[w.rank])
    part.prepare(batch)
    pairs, act, secret = [], Pipeline._act, torch.zeros(planted, dtype=torch.uint8)

    def act_and_walk(pipeline, action, needs, gives):
        act(pipeline, action, needs, gives)
        alive = sum(size for address, size in storages().items() if address not in before)
        pairs.append((str(action), sum(w.recorder.memory.bytes), alive))

    Pipeline._act = act_and_walk
    try:
        part.run(batch)
    finally:
        Pipeline._act = act
        w.recorder.memory.close()
        del secret
    return pairs


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("build", [minipar.gpipe, minipar.one_f_one_b])
def test_the_sum_is_all_that_is_alive(pool, build, recompute):
    model, plan = GPT(**SMALL, recompute=recompute), minipar.Plan(minipar.Mesh(pipe=4), build(4, 4))
    batch = text_batch(8, 8)
    for pairs in pool.run(walked, plan, model, _for_ends(plan, batch), mesh=plan.mesh):
        assert len(pairs) == 8
        for action, ledger, alive in pairs:
            assert ledger == alive, action


def test_the_walk_sees_what_the_ledger_was_not_told(pool):
    model, plan = GPT(**SMALL), minipar.Plan(minipar.Mesh(pipe=2), minipar.gpipe(2, 2))
    parcels = _for_ends(plan, text_batch(4, 8))
    for pairs in pool.run(walked, plan, model, parcels, planted=100, mesh=plan.mesh):
        assert [alive - ledger for _, ledger, alive in pairs] == [100] * 4

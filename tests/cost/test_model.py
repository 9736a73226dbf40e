"""Closed forms of bytes, compared with what the ledger sees when the real model runs."""

import pytest
import torch

from minipar.cost.model import (
    NUMBER,
    Optimizer,
    Shape,
    activations,
    block_activations,
    head_activations,
    layer_parameters,
    parameters,
    step_bytes,
)
from minipar.nn.axes import Axes
from minipar.nn.gpt import GPT
from minipar.nn.text import text_batch
from minipar.plan.mesh import Mesh
from minipar.plan.trace import MEMORY_KINDS
from minipar.run.ledger import BATCH, Ledger
from minipar.run.stage import Stage

MODELS = {
    "as it comes": GPT(layers=3, hidden=32, context=32),
    "wide": GPT(layers=1, hidden=96, heads=8, context=32),
    "large vocabulary": GPT(layers=2, hidden=32, vocabulary=1024, context=32),
    "float64": GPT(layers=2, hidden=32, context=32, dtype="float64"),
    "tied": GPT(layers=3, hidden=32, context=32, tied=True),
    "2 kv heads": GPT(layers=2, hidden=32, context=32, kv_heads=2),
    "dropout": GPT(layers=2, hidden=32, context=32, dropout=0.1),
    "recompute": GPT(layers=3, hidden=32, context=32, recompute=True),
    "recompute, head decides": GPT(layers=1, hidden=32, vocabulary=2048, context=32, recompute=True),
}


@pytest.mark.parametrize("batch, sequence", [(2, 32), (8, 16), (3, 7)])
@pytest.mark.parametrize("name", MODELS)
def test_bytes_of_a_step_are_those_on_the_ledger_to_the_last_one(name, batch, sequence):
    model = MODELS[name]
    seen, expected = ledger_peaks(model, batch, sequence), step_bytes(model, batch, sequence)
    assert seen["activation"] == expected.activation
    assert (seen["parameter"], seen["gradient"]) == (expected.parameter, expected.gradient)
    assert seen["batch"] == expected.batch


def ledger_peaks(model, batch, sequence) -> dict[str, int]:
    """The most bytes of each kind that one forward and backward of the whole model holds."""
    ledger, whole, text = Ledger(), model.whole(), text_batch(batch, sequence)
    stage = Stage(whole, model.loss)
    ledger.watch(whole)
    for tensor in (text.inputs, text.targets):
        ledger.hold(tensor, BATCH)
    stage.feed([text.inputs], [text.targets], ledger)
    stage.forward(0)
    stage.backward(0)
    peaks = dict.fromkeys(MEMORY_KINDS, 0)
    for _, kind, size in ledger.samples():
        peaks[kind] = max(peaks[kind], size)
    return peaks


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_parameters_layer_by_layer_are_those_of_the_model(model):
    assert parameters(model) * NUMBER[model.dtype] == model.parameter_bytes()
    if not model.tied:
        assert layer_parameters(model) == model.parameter_counts()


def test_training_takes_8_12_or_16_bytes_a_parameter():
    for name, each in (("SGD", 8), ("momentum", 12), ("AdamW", 16)):
        found = step_bytes(Shape(), 1, 8, name)
        assert found.parameter + found.gradient + found.optimizer == each * parameters(Shape())


def test_batch_doubles_activations_and_nothing_else_of_weight():
    one, two = step_bytes(Shape(), 4, 64), step_bytes(Shape(), 8, 64)
    assert (two.activation - 8) / (one.activation - 8) == 2  # two numbers belong to the loss, whatever the batch
    assert (one.parameter, one.gradient, one.optimizer) == (two.parameter, two.gradient, two.optimizer)


def test_recompute_holds_less():
    assert activations(Shape(recompute=True), 8, 64) < activations(Shape(), 8, 64) / 4


def test_total_is_the_sum_of_the_kinds():
    found = step_bytes(Shape(), 2, 16, Optimizer.MOMENTUM)
    kinds = (found.parameter, found.gradient, found.optimizer, found.batch, found.activation)
    assert found.total == sum(kinds)


def test_an_optimizer_that_is_none_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="'Adam' is no optimizer here; there are SGD, momentum, AdamW."):
        step_bytes(Shape(), 1, 8, "Adam")


# ---- one rank of several that share every layer


def peaks_of_a_slice(w, model, batch, sequence, sequence_parallel, layers):
    """On a rank: the most bytes of weights and of activations, and the bytes that its first forward left."""
    axes = Axes(w.axis("tensor"), sequence_parallel=sequence_parallel)
    last = model.layers + 1 in layers
    module = model.build(layers, "cpu", axes)
    stage = Stage(module, (lambda y, targets: model.loss(y, targets, axes)) if last else None)
    stream = sequence // axes.tensor.size if sequence_parallel else sequence
    x, targets = torch.zeros(batch, stream, model.hidden), torch.zeros(batch, sequence, dtype=torch.long)
    ledger = Ledger()
    ledger.watch(module)
    ledger.hold(targets, BATCH)
    stage.feed((), [targets] if last else (), ledger)
    y = stage.forward(0, x)
    left = dict(zip(MEMORY_KINDS, ledger.bytes, strict=True))
    stage.weights = ()
    return left["parameter"], left["activation"] - (0 if last else y.nbytes)


@pytest.mark.parametrize("sequence_parallel", [False, True])
@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("name", ["as it comes", "2 kv heads", "33 words"])
def test_a_slice_holds_what_the_closed_form_says(pool, name, ranks, sequence_parallel):
    model = {"as it comes": GPT(layers=2, hidden=32, context=32), "33 words": GPT(2, 32, vocabulary=33, context=32),
             "2 kv heads": GPT(layers=2, hidden=32, context=32, kv_heads=2)}[name]  # fmt: skip
    mesh, block = Mesh(tensor=ranks), block_activations(model, 3, 16, ranks, sequence_parallel)
    for layers, numbers in (
        ([1], block),
        ([1, 2], 2 * block),
        ([2, 3], block + head_activations(model, 3, 16, ranks, sequence_parallel)),
    ):
        held, left = pool.run(peaks_of_a_slice, model, 3, 16, sequence_parallel, layers, mesh=mesh)[0]
        assert held == 4 * sum(layer_parameters(model, ranks)[layer] for layer in layers)
        assert left == 4 * numbers, (layers, left / 4, numbers)


def test_slices_and_sequence_slices_hold_less_by_hand():
    shape = Shape(layers=1, hidden=64, heads=8, context=32)
    assert block_activations(shape, 4, 32) == 16 * 128 * 64 + 4 * 128 + 8 * 4 * 32**2
    assert block_activations(shape, 4, 32, tensor=4) == (4 + 12 / 4) * 128 * 64 + 4 * 128 + 8 * 4 * 32**2 / 4
    assert block_activations(shape, 4, 32, 4, True) == (2 + 14 / 4) * 128 * 64 + 128 + 8 * 4 * 32**2 / 4
    assert step_bytes(shape, 4, 32, tensor=4).parameter < step_bytes(shape, 4, 32).parameter / 3

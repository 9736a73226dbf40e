"""Does the split model write what the whole one would?"""

import pytest
import torch

import minipar
from minipar.nn.gpt import GPT
from minipar.nn.text import Text, text_batch

MODEL = GPT(layers=3, hidden=16, heads=2, context=8, dtype="float64")


def plan_of(ranks):
    return minipar.Plan(minipar.Mesh(pipe=ranks), minipar.gpipe(ranks, 2))


def test_without_sampling_it_writes_the_likeliest_bytes_of_the_whole_model(pool):
    whole, text = MODEL.whole(), list(b"The ")
    with torch.no_grad():
        for _ in range(10):
            text.append(int(whole(torch.tensor([text[-8:]]))[0, -1].argmax()))
    for ranks in (1, 3):
        written = minipar.generate(pool, plan_of(ranks), MODEL, "The ", tokens=10, temperature=0)
        assert written == bytes(text).decode(errors="replace")


MESHES = [
    (minipar.Mesh(tensor=2), {}),
    (minipar.Mesh(tensor=4), {"sequence_parallel": True}),
    (minipar.Mesh(context=2), {}),
    (minipar.Mesh(data=2, pipe=2), {}),
    (minipar.Mesh(pipe=2, tensor=2), {}),
    (minipar.Mesh(context=2, tensor=2), {"sequence_parallel": True, "deal": "striped"}),
]


@pytest.mark.parametrize(("mesh", "options"), MESHES, ids=repr)
def test_on_any_mesh_it_writes_the_same_before_training_and_after(pool, mesh, options):
    model = GPT(layers=2, hidden=16, heads=4, vocabulary=255, context=8, dtype="float64")
    ranks = mesh.axes.get("pipe", 1)
    plan, alone = minipar.Plan(mesh, minipar.gpipe(ranks, 2), **options), plan_of(1)
    data = [text_batch(4, 8, seed=seed) for seed in range(3)]
    written = {}
    for chosen in (alone, plan):
        first = minipar.generate(pool, chosen, model, "The ", tokens=6, seed=3)
        minipar.train(pool, chosen, model, data, steps=3, learning_rate=1e-2)
        written[chosen] = first, minipar.generate(pool, chosen, model, "The ", tokens=6, seed=3)
    assert written[plan] == written[alone]
    assert written[plan][0] != written[plan][1]


def test_a_context_that_cannot_be_cut_is_refused(pool):
    model = GPT(layers=1, hidden=16, heads=4, context=6)
    with pytest.raises(ValueError) as refusal:
        minipar.generate(pool, minipar.Plan(minipar.Mesh(context=4)), model, "The ")
    assert str(refusal.value) == "a context of 6 positions cannot be cut on Mesh(context=4): it takes 8"


def test_the_same_seed_writes_the_same_and_training_changes_it(pool):
    plan = plan_of(3)
    before = minipar.generate(pool, plan, MODEL, tokens=12, seed=1)
    assert before == minipar.generate(pool, plan, MODEL, tokens=12, seed=1)
    minipar.train(pool, plan, MODEL, Text(4, 8), steps=30, learning_rate=1e-2)
    after = minipar.generate(pool, plan, MODEL, tokens=12, seed=1)
    assert after != before and after.startswith("The ")


def test_an_empty_prompt_is_refused(pool):
    with pytest.raises(ValueError, match="the prompt is empty"):
        minipar.generate(pool, plan_of(1), MODEL, "")

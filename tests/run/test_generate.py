"""Does the split model write what the whole one would?"""

import pytest
import torch

import minipar
from minipar.nn.gpt import GPT
from minipar.nn.text import Text

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

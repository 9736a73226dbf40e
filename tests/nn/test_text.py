"""Is there enough real text, and does every rank read the same of it?"""

import math

import torch

from minipar.nn.text import Text, text_batch, text_bytes, unigram_entropy


def test_there_is_a_lot_of_it():
    assert len(text_bytes()) > 300_000


def test_targets_are_the_inputs_one_byte_on():
    batch = text_batch(3, 10)
    assert batch.inputs.shape == batch.targets.shape == (3, 10)
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    assert bytes(batch.inputs[0].tolist()) in text_bytes()


def test_the_same_seed_is_the_same_batch():
    assert torch.equal(text_batch(2, 8, seed=3).inputs, text_batch(2, 8, seed=3).inputs)
    assert not torch.equal(text_batch(2, 8, seed=3).inputs, text_batch(2, 8, seed=4).inputs)
    assert torch.equal(Text(2, 8)(5).inputs, text_batch(2, 8, seed=5).inputs)
    assert not torch.equal(Text(2, 8, seed=1)(0).inputs, Text(2, 8)(1).inputs)


def test_entropy_lies_between_knowing_something_and_knowing_nothing():
    assert 2 < unigram_entropy() < math.log(256)

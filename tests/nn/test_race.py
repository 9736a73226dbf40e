"""Races run the same work alone and together, and answer with two times a rank; what they are is nobody's promise."""

import torch

import minipar
from minipar.nn import race


def test_attention_alone_and_in_a_ring(pool):
    times = pool.run(race.attention, torch.randn(4, 1, 1, 16, 4), rounds=2)
    assert all(alone > 0 and together > 0 for alone, together in times)


def test_a_loss_alone_and_in_slices(pool):
    out = pool.run(race.loss, 4, 8, rounds=2, mesh=minipar.Mesh(tensor=4))
    assert len(out) == 4 and all(alone > 0 and together > 0 for alone, together in out)
    assert out.trace.message_count(0, "all_reduce") == 2 * 12  # two all-reduces of 6 messages, each round

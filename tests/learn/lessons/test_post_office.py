"""The tokens of lesson 11, its pace and its dense loop, without any process."""

import time

import pytest
import torch

from minipar.learn.lessons import post_office
from minipar.nn.experts import DenseMoE


def test_who_wants_whom():
    assert post_office.routing("even").load == (14,) * 8
    assert post_office.routing("skewed").load == (56, *[8] * 7)
    assert post_office.routing("skewed").rank_loads == (64, 16, 16, 16)
    assert post_office.routing("seeded").load == (91, 65, 17, 16, 15, 13, 20, 19)


@pytest.mark.parametrize(("name", "count", "top"), [("even", 112, 1), ("skewed", 112, 1), ("seeded", 128, 2)])
def test_tokens_weigh_their_answers_to_one(name, count, top):
    x, choice, weight = post_office.tokens(name)
    assert x.shape == (count, 64) and choice.shape == weight.shape == (count, top)
    assert torch.allclose(weight.sum(1), torch.ones(count))
    assert (weight[:, 0] >= weight[:, -1]).all()


def test_the_dense_loop_is_that_of_the_package():
    torch.manual_seed(0)
    whole = DenseMoE(64, 128, 8, top=2)
    for parameter in whole.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x = torch.randn(20, 64)
    routes = whole.router(x)
    got = post_office.dense(x, routes.choice, routes.weight, whole.experts.up, whole.experts.down)
    assert torch.allclose(got, whole(x), atol=1e-6)


def test_a_pace_is_kept_and_not_added():
    start = time.monotonic()
    with post_office.lasting(0.02):
        time.sleep(0.01)
    assert time.monotonic() - start >= 0.02
    with post_office.lasting(0):
        pass

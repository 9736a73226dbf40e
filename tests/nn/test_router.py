"""Does the router choose, drop and balance as the plan's plain counts and the papers' equations say?"""

import random

import pytest
import torch

from minipar.nn.router import (
    TopKRouter,
    WithLoss,
    chosen,
    counted,
    limit,
    load_balancing_loss,
    router_z_loss,
    together,
    update_bias,
    within,
)
from minipar.plan.balance import leaning
from minipar.plan.balance import update_bias as plain_rule
from minipar.plan.routing import route


def router(**options):
    torch.manual_seed(1)
    made = TopKRouter(6, 4, 2, **options).double()
    torch.nn.init.normal_(made.weight)
    return made, torch.randn(10, 6, dtype=torch.float64)


@pytest.mark.parametrize("drop", ["probability", "position"])
@pytest.mark.parametrize("capacity", [0.3, 1.0, 1.1, 4.0])
def test_choice_and_drops_are_those_of_the_plan(drop, capacity):
    scores = leaning(40, 8, (0.6, 0.3))
    plan = route(scores, 8, 2, capacity, drop=drop)
    scores = torch.tensor(scores, dtype=torch.float64)
    choice = chosen(scores, 2)
    assert choice.tolist() == list(map(list, plan.choice))
    assert counted(choice, 8).tolist() == list(plan.wanted)
    kept = within(choice, plan.capacity[0], scores.gather(1, choice) if drop == "probability" else None)
    assert torch.where(kept, choice, -1).tolist() == list(map(list, plan.kept))


def test_who_is_dropped_does_not_depend_on_the_order_in_which_tokens_lie():
    scores = torch.tensor(leaning(40, 8), dtype=torch.float64).round(decimals=1)  # many ties
    choice = chosen(scores, 2)
    kept = within(choice, 7, scores.gather(1, choice))
    order = torch.tensor(random.Random(3).sample(range(40), 40))
    shuffled = within(choice[order], 7, scores[order].gather(1, choice[order]), index=order)
    assert torch.equal(shuffled, kept[order])


def test_equal_scores_go_to_the_smaller_expert_and_a_bias_chooses_without_weighing():
    assert chosen(torch.ones(2, 4), 2).tolist() == [[0, 1], [0, 1]]
    plain, x = router()
    biased, _ = router(bias=True)
    biased.bias += torch.tensor([0.0, 0.0, 0.0, 9.0])
    routes = biased(x)
    assert (routes.choice[:, 0] == 3).all()
    scores = plain(x).scores
    assert torch.equal(routes.scores, scores)
    weight = scores.gather(1, routes.choice)
    assert torch.allclose(routes.weight, weight / weight.sum(1, keepdim=True))


def test_scores_are_softmax_or_sigmoid_and_weights_are_normalised_or_not():
    for options, expected in (({}, torch.softmax), ({"scores": "sigmoid"}, lambda x, dim: x.sigmoid())):
        made, x = router(**options, normalise=False)
        routes = made(x)
        assert torch.allclose(routes.scores, expected(x @ made.weight.t(), -1))
        assert torch.equal(routes.weight, routes.scores.gather(1, routes.choice))


def test_the_losses_are_the_papers_equations():
    made, x = router()
    routes = made(x)
    share = torch.stack([(routes.choice == expert).sum() / routes.choice.numel() for expert in range(4)])
    expected = 4 * (share * routes.scores.mean(0)).sum()
    assert torch.allclose(load_balancing_loss(routes), expected)
    assert torch.allclose(router_z_loss(routes), (routes.logits.exp().sum(1).log() ** 2).mean())
    even = routes._replace(scores=torch.full((10, 4), 0.25), wanted=torch.full((4,), 5))
    assert load_balancing_loss(even).item() == pytest.approx(1)
    one = routes._replace(scores=torch.eye(4)[[0] * 10], wanted=torch.tensor([20, 0, 0, 0]))
    assert load_balancing_loss(one).item() == pytest.approx(4)


def test_shares_of_a_group_add_up_to_its_loss():
    made, x = router()
    whole = together(made(x))
    for loss in (load_balancing_loss, router_z_loss):
        parts = [loss(made(part), whole) for part in (x[:3], x[3:3], x[3:])]
        assert torch.allclose(sum(parts), loss(made(x)))


def test_the_bias_rule_is_the_plans():
    bias, loads = torch.zeros(4, dtype=torch.float64), [5, 1, 3, 3]
    update_bias(bias, torch.tensor(loads), 0.02)
    assert bias.tolist() == list(plain_rule((0.0,) * 4, loads, 0.02)) == [-0.02, 0.02, 0.0, 0.0]


def test_a_loss_rides_on_y_and_changes_nothing_else():
    y, x = torch.ones(3, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    out = WithLoss.apply(y, 5 * x)
    (out * 7).sum().backward()
    assert torch.equal(out, y) and y.grad.tolist() == [7, 7, 7] and x.grad.item() == 5


def test_dropless_capacity_drops_nobody_and_one_place_drops_all_but_one():
    made, x = router()
    assert (limit(made(x), 4.0).choice >= 0).all()
    assert counted(limit(made(x), 0.1).choice, 4).max() == 1


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda: TopKRouter(4, 2, 3), "top=3 of 2 experts: a token takes 1 to 2 different ones"),
        (lambda: TopKRouter(4, 0, 1), "tokens need 1 or more experts, not 0"),
        (lambda: TopKRouter(4, 2, 1, "max"), "scores='max': choose 'softmax' or 'sigmoid'."),
        (
            lambda: chosen(torch.tensor([[0.0, 1.0], [1.0, torch.nan]]), 1),
            "token 1 has no score for expert 1: it is not a number (NaN)",
        ),
        (lambda: limit(router()[0](router()[1]), 1.0, "luck"),
         "choices are dropped by probability or position, not 'luck'"),
    ],
)  # fmt: skip
def test_refusals(act, sentence):
    with pytest.raises(ValueError) as refusal:
        act()
    assert str(refusal.value) == sentence

"""What lesson 11b answers to a bias that weighs, or that teaches the wrong thing."""

import pytest
import torch

from minipar.learn.lessons import bias_steps
from minipar.learn.verdict import judge_one
from tests.lessons.splice import blocks_of

CODE, MISTAKES = blocks_of("11b_balance")
CHECKS = {"choose": bias_steps.check_choose, "update_bias": bias_steps.check_update}


def judged(source):
    """The first verdict of a cell's functions that is not right, else the last one."""
    space = {"torch": torch, "__name__": "__main__"}
    exec(source, space)
    verdicts = [judge_one(check, space[name]) for name, check in CHECKS.items() if name in space]
    return next((one for one in verdicts if not one.good), verdicts[-1])


def choose(body):
    return judged(f"def choose(scores, bias, top):\n    {body}")


def update(body):
    return judged(f"def update_bias(bias, loads, rate):\n    {body}")


def test_the_solution_and_its_picture():
    verdict = judged(CODE["stub-2"])
    assert verdict.good and verdict.sentence == (
        "Busiest expert / mean: 2.84 at first, 2.16 after 10 steps, 1.38 after 20, 1.16 after 40. Then it wobbles, "
        "1.30 on average: 128 tokens are few."
    )
    assert repr(verdict.picture()).startswith("Loads(41 steps, 8 experts: busiest / mean 2.84 at first, 1.16 at last;")


@pytest.mark.parametrize("mistake", [one for one in MISTAKES if one.cell == "stub-2"], ids=lambda one: one.name)
def test_listed_mistakes(mistake):
    verdict = judged(mistake.code)
    assert not verdict.good and verdict.sentence == mistake.sentence


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("c = scores.topk(top).indices; return c, scores.gather(1, c)",
         "Chosen by the scores alone: so the bias can teach nothing. Choose by score + bias."),
        ("c = (scores - 2 * bias).topk(top).indices; return c, scores.gather(1, c)",
         "Chosen by the scores alone: so the bias can teach nothing. Choose by score + bias."),
        ("c = bias.expand_as(scores).topk(top).indices; return c, scores.gather(1, c)",
         "Token 0 takes experts 5 and 7; by score + bias it takes 0 and 1."),
        ("c = (scores + bias).topk(top).indices; w = scores.gather(1, c); return c, w / w.sum(1, keepdim=True)",
         "Experts 2 and 1 weigh [0.25, 0.75]; their scores are [0.1, 0.3], and a weight is the score as it was."),
        ("return (scores + bias).topk(top).indices", "choose returned a Tensor; return two tensors: the experts, and "
         "their weights."),
        ("c = (scores + bias).topk(1).indices; return c, scores.gather(1, c)",
         "The experts have shape [1, 1], expected [1, 2]: tokens × top."),
    ],
)  # fmt: skip
def test_other_ways_to_choose(body, said):
    verdict = choose(body)
    assert not verdict.good and verdict.sentence == said


def test_the_order_of_a_tokens_experts_is_free():
    assert choose("c = (scores + bias).topk(top).indices.sort(dim=1).values; return c, scores.gather(1, c)").good


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return bias + rate / 100 * torch.sign(loads.mean() - loads)",
         "Busiest / mean 3.19 after 40 steps, as at first: the bias hardly moves."),
        ("return bias + rate * (loads.mean() - loads) / loads.mean()",
         "It is even in the end, but a step is not the rule's: the rate as it is, up or down, however far the load."),
        ("return torch.where(loads > loads.mean(), bias - rate, bias + rate)",
         "An expert with the mean load exactly is neither busy nor idle: its bias stays."),
        ("bias.add_(rate)", "update_bias returned nothing; return the new bias: a number an expert, 8 here."),
        ("return bias.sum()", "update_bias returned shape []; return the new bias: a number an expert, 8 here."),
        ("return bias / torch.zeros(8)",
         "The new bias is not a number (nan or inf) somewhere: was something divided by 0?"),
    ],
)  # fmt: skip
def test_other_ways_to_teach(body, said):
    verdict = update(body)
    assert not verdict.good and verdict.sentence == said

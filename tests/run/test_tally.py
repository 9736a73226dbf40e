"""Do all ranks hear of a step what each has said of it?"""

from types import SimpleNamespace

import torch

from minipar.nn.gpt import GPT
from minipar.run.tally import Tallies, Told

MODEL = GPT(layers=4, hidden=8, heads=2, context=4, experts=3, top=1, bias_rate=0.5)


def part(indices):
    return Tallies(MODEL, [SimpleNamespace(module=MODEL.build(indices))])


def test_sums_over_ranks_are_the_step_and_teach_the_bias():
    ranks = [part(range(3)), part(range(3, 6))]
    for rank, (layer, wanted) in zip(ranks, ((2, [4, 0, 2]), (4, [1, 5, 0])), strict=True):
        tally = rank.mine[layer].tally
        tally.wanted, tally.dropped, tally.loss = torch.tensor(wanted), 1, 0.25
    said = [rank.said() for rank in ranks]
    told = ranks[0].heard([sum(numbers) for numbers in zip(*said, strict=True)])
    assert told == Told({2: (4, 0, 2), 4: (1, 5, 0)}, 2, 0.5)
    assert ranks[0].said() == [0.0] * 8  # it has been said
    ranks[1].teach(told)
    assert ranks[1].mine[4].router.bias.tolist() == [0.5, -0.5, 0.5]


def test_a_model_without_experts_says_nothing():
    dense = GPT(layers=1, hidden=8, heads=2, context=4)
    nothing = Tallies(dense, [SimpleNamespace(module=dense.whole())])
    assert nothing.said() == [] and nothing.heard([]) == Told({})

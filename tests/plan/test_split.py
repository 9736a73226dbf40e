"""Layer splitting is exact: compared with every possible cut."""

from itertools import combinations
from random import Random

import pytest

from minipar import split


def every_cut(costs, parts):
    for inner in combinations(range(1, len(costs)), parts - 1):
        edges = (0, *inner, len(costs))
        yield max(sum(costs[a:b]) for a, b in zip(edges, edges[1:], strict=False))


def test_the_examples_of_the_lesson():
    slowest = lambda costs, parts: max(sum(costs[i] for i in part) for part in split(costs, parts))  # noqa: E731
    assert slowest([2, 3, 3, 3, 3, 3, 3, 3, 3, 7], 4) == 9
    assert slowest([4, 2, 2, 2, 2, 2, 2, 2, 2, 9], 4) == 9


def test_the_slowest_part_is_the_smallest_possible_one():
    random = Random(0)
    for _ in range(60):
        costs = [random.randint(0, 9) for _ in range(random.randint(1, 9))]
        parts = random.randint(1, len(costs))
        cut = split(costs, parts)
        assert [i for part in cut for i in part] == list(range(len(costs)))
        assert all(len(part) for part in cut)
        assert max(sum(costs[i] for i in part) for part in cut) == min(every_cut(costs, parts))


def test_equal_layers_are_shared_evenly():
    assert [len(part) for part in split([1] * 34, 4)] in ([9, 9, 8, 8], [8, 8, 9, 9], [9, 8, 8, 9], [8, 9, 9, 8])


@pytest.mark.parametrize(
    ("costs", "parts", "sentence"),
    [
        ([1, 2], 3, "2 layers cannot fill 3 parts: each part needs a layer"),
        ([1, 2], 0, "parts must be a whole number, 1 or more, not 0"),
        ([1, -2], 1, "layer 1 costs -2: a cost is a number, 0 or more"),
        ([1, float("nan")], 1, "layer 1 costs nan: a cost is a number, 0 or more"),
    ],
)
def test_refusals(costs, parts, sentence):
    with pytest.raises(ValueError) as refused:
        split(costs, parts)
    assert str(refused.value) == sentence

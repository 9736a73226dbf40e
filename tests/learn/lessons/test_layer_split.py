"""What lesson 03 answers to wrong cuts, word for word; no processes are needed for any of them."""

import itertools

import pytest

import minipar
from minipar.learn.lessons import layer_split
from minipar.learn.verdict import judge_one


def said(split_layers):
    verdict = judge_one(layer_split.check_split_layers, split_layers)
    assert not verdict.good
    return verdict.sentence


def equal_numbers(costs, parts):
    edges = [part * len(costs) // parts for part in range(parts + 1)]
    return [list(range(a, b)) for a, b in itertools.pairwise(edges)]


def fill_to_average(costs, parts):
    average, made, held = sum(costs) / parts, [[]], 0
    for layer, cost in enumerate(costs):
        if made[-1] and held + cost > average and len(made) < parts:
            made.append([])
            held = 0
        made[-1].append(layer)
        held += cost
    return made


def best(costs, parts):
    return [list(part) for part in minipar.split(costs, parts)]


def every_cut(costs, parts):
    if parts > len(costs):
        raise ValueError("more parts than layers")
    found = min(
        itertools.combinations(range(1, len(costs)), parts - 1),
        key=lambda inner: max(sum(costs[a:b]) for a, b in itertools.pairwise((0, *inner, len(costs)))),
    )
    return [list(range(a, b)) for a, b in itertools.pairwise((0, *found, len(costs)))]


def lost(costs, parts):
    return [[layer for layer in part if layer != 6] for part in best(costs, parts)]


def doubled(costs, parts):
    made = best(costs, parts)
    return [*made[:1], [*made[1], made[2][0]], *made[2:]]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            equal_numbers,
            "Equal numbers are not equal work: your slowest part takes 13, 9 is possible (`[2, 3×8, 7]` in 4).",
        ),
        (
            fill_to_average,
            "Good for the first parts, and the rest lands on the last: on `[4, 2×8, 9]` in 4 your slowest part takes "
            "11, 9 is possible.",
        ),
        (lost, "Layer 6 is in no part."),
        (doubled, "Layer 6 is in part 1 and part 2."),
        (every_cut, "Right, but 60 layers in 8 parts took longer than 2 s. See hint 1."),
        (lambda costs, parts: best(costs, parts)[::-1], "The layers are out of order: a part is a run of neighbouring "
         "layers, and the parts follow each other."),
        (lambda costs, parts: [*best(costs, parts), []], "You made 5 parts; 4 were asked for."),
        (lambda costs, parts: 9, "Answer a list of parts, each a list of layers."),
        (lambda costs, parts: [*best(costs, parts)[:-1], [9, 10]],
         "Layer 10 does not exist: 10 layers are numbered 0 to 9."),
    ],
)  # fmt: skip
def test_each_wrong_cut(wrong, sentence):
    assert said(wrong) == sentence


def test_too_many_parts_must_be_refused():
    def forgiving(costs, parts):
        return best(costs, min(parts, len(costs)))

    assert said(forgiving) == "Two layers cannot fill three parts: raise a ValueError."


def test_a_part_that_is_empty():
    assert layer_split.not_a_cut([[0], [], [1]], 2, 3) == "Part 1 is empty: each device needs a layer."


def test_short_writes_runs_once():
    assert layer_split.short([2, 3, 3, 3, 7]) == "[2, 3×3, 7]"

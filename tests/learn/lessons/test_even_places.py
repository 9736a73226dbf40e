"""What lesson 11b answers to placements that are none, or not even enough."""

import pytest

from minipar.learn.lessons import even_places
from minipar.learn.verdict import judge_one
from minipar.plan import placement
from tests.lessons.splice import blocks_of

CODE, MISTAKES = blocks_of("11b_balance")
LOADS, RANKS = even_places.SHOWN


def made(source, name="place_experts"):
    """What a cell defines, as in a notebook."""
    space = {"__name__": "__main__"}
    exec(source, space)
    return space[name]


def judged(body):
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return judge_one(even_places.check_place, made(f"def place_experts(loads, ranks):\n{lines}"))


def test_the_solution_and_its_picture():
    verdict = judge_one(even_places.check_place, made(CODE["stub"]))
    assert verdict.good and verdict.sentence == (
        "Busiest rank 42: no placement is better. On 4 other loads within 10 % of the best."
    )
    picture = repr(verdict.picture())
    assert "in a row: rows 64 36 20 8" in picture and "yours: rows 42 30 28 28" in picture


@pytest.mark.parametrize("mistake", [one for one in MISTAKES if one.cell == "stub"], ids=lambda one: one.name)
def test_listed_mistakes(mistake):
    verdict = judge_one(even_places.check_place, made(mistake.code))
    assert not verdict.good and verdict.sentence == mistake.sentence


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return [[0, 7], [1, 6], [2, 5]]", "4 ranks, and you returned 3 lists: one for each rank."),
        ("return [[0, 7], [1, 6], [2, 5], [3, 8]]", "Expert 8 does not exist: 8 experts are numbered 0 to 7."),
        ("return [[0, 7], [1, 6], [2, 5], [3, 3]]", "Expert 3 is on rank 3 twice: no copies here."),
        ("return [[0, 7], [1, 6], [2, 5], [3, 2]]", "Expert 2 is on ranks 2 and 3: no copies here."),
        ("return [[0, 7], [1, 6], [2, 5], [3]]", "Expert 4 is on no rank: its tokens would have nowhere to go."),
        ("loads.copy()", "place_experts returned nothing; return a list for each rank: [[0, 7], [1, 6], …]."),
        ("return [loads.index(40), 3]",
         "place_experts returned [0, 3]; return a list for each rank: [[0, 7], [1, 6], …]."),
        ("while True: loads.count(40)", "place_experts had not finished after 2 s. Does it loop for ever?"),
    ],
)  # fmt: skip
def test_what_is_no_placement(body, said):
    verdict = judged(body)
    assert not verdict.good and verdict.sentence == said


def test_a_sorted_list_of_the_learners_own():
    verdict = judge_one(even_places.check_place, made(CODE["stub"].replace("return held", "loads.sort(); return held")))
    assert verdict.sentence == "The placement is right, but your loads are 2 6 8 12 16 20 24 40 now: sort a copy."


def test_pairing_largest_with_smallest_is_not_enough_for_three_a_rank():
    verdict = judged(
        "order = sorted(range(len(loads)), key=lambda expert: -loads[expert])\n"
        "every = range(len(loads) // ranks)\n"
        "return [[order[j * ranks + (r if j % 2 == 0 else ranks - 1 - r)] for j in every] for r in range(ranks)]"
    )
    assert verdict.sentence.startswith("Busiest rank 59, 49 is possible: 44, 8 and 7 on rank 0.")


def test_greedy_is_within_ten_percent_on_all_loads():
    for loads, ranks in (even_places.SHOWN, *even_places.HIDDEN):
        best = max(placement.optimum(loads, ranks).rank_loads(loads))
        assert max(placement.packed(loads, ranks).rank_loads(loads)) <= even_places.NEAR * best

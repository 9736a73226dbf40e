"""Is every expert somewhere, is packing DeepSeek's, is the optimum one, and is moving charged right?"""

import random
from itertools import permutations

import pytest

from minipar.plan import placement as plan
from minipar.plan.placement import Move, Placement

LOADS = (91, 65, 17, 16, 15, 13, 20, 19)
LESSON = (40, 24, 20, 16, 12, 8, 6, 2)


def busiest(placement, loads):
    return max(placement.rank_loads(loads))


def test_pictures():
    assert str(plan.linear(8, 4, 2)) == "0 1 | 2 3 || 4 5 | 6 7"
    assert str(plan.round_robin(8, 4)) == "0 4 | 1 5 | 2 6 | 3 7"
    assert str(plan.packed(LOADS, 4, nodes=2)) == "0 5 | 1 4 || 6 3 | 7 2"
    assert str(plan.packed(LOADS, 4, 12)) == "0 1 5 | 0 6 4 | 0 7 3 | 1 1 2"


def test_the_lessons_figures():
    assert [busiest(each(8, 4), LOADS) for each in (plan.linear, plan.round_robin)] == [156, 106]
    assert plan.packed(LOADS, 4).rank_loads(LOADS) == (104, 80, 36, 36)
    assert plan.place_experts(LOADS, 4).rank_loads(LOADS) == (104, 80, 36, 36)
    assert plan.bound(LOADS, 4) == 91 and plan.bound((10, 10, 10, 10), 2) == 20
    copied = plan.packed(LOADS, 4, 12)
    assert copied.copies == (3, 3, 1, 1, 1, 1, 1, 1) and copied.added == 4
    assert [round(load, 1) for load in copied.rank_loads(LOADS)] == [65, 65.3, 65.3, 60.3]
    assert [busiest(each(8, 4), LESSON) for each in (plan.linear, plan.round_robin)] == [64, 52]
    assert busiest(plan.place_experts(LESSON, 4), LESSON) == 42


def test_deepseeks_published_example():
    """README of deepseek-ai/EPLB: two layers of 12 experts, 16 slots, 4 groups, 2 nodes, 8 ranks."""
    layers = [
        ([90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86], [5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1]),
        ([20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27], [7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1]),
    ]
    for loads, published in layers:
        found = plan.balanced(loads, ranks=8, nodes=2, groups=4, slots=16)
        assert [expert for held in found.slots for expert in held] == published
        assert found == plan.hierarchical(loads, 8, 2, 4, 16)


def test_where_nodes_do_not_divide_groups_all_ranks_are_packed_at_once():
    found = plan.balanced(LOADS, ranks=4, nodes=2, groups=1, slots=12)
    assert found.slots == plan.packed(LOADS, 4, 12).slots and found.nodes == 2


@pytest.mark.parametrize("seed", range(6))
def test_groups_stay_in_one_node_and_every_expert_has_a_slot(seed):
    draw = random.Random(seed)
    nodes, per_node, groups = draw.choice([(2, 2, 4), (4, 2, 4), (2, 4, 2), (1, 4, 2)])
    experts, slots = groups * 4, groups * 4 + nodes * per_node * draw.randrange(3)
    slots += -slots % (nodes * per_node)
    loads = [draw.randrange(100) for _ in range(experts)]
    found = plan.hierarchical(loads, nodes * per_node, nodes, groups, slots)
    assert set(found.copies) and min(found.copies) >= 1 and sum(found.copies) == slots
    assert {len(held) for held in found.slots} == {slots // found.ranks}
    for group in range(groups):
        where = {found.node(rank) for expert in range(group * 4, group * 4 + 4) for rank in found.holders[expert]}
        assert len(where) == 1
    assert sum(found.rank_loads(loads)) == pytest.approx(sum(loads))


def test_packing_and_replicating_by_hand():
    assert plan.pack([1, 1, 1, 1], 2) == ((0, 2), (1, 3))
    assert plan.pack([3, 1, 2], 3) == ((0,), (1,), (2,))  # one a pack: each stays in its place
    assert plan.replicate([91, 65, 17], 6) == (0, 1, 2, 0, 1, 0)
    assert plan.replicate([5, 5], 3) == (0, 1, 0)


def every_busiest(loads, ranks):
    """The smallest busiest rank by trying all orders."""
    room = len(loads) // ranks
    return min(
        max(sum(order[start : start + room]) for start in range(0, len(order), room)) for order in permutations(loads)
    )


@pytest.mark.parametrize("ranks", [2, 3])
def test_the_optimum_is_one(ranks):
    draw = random.Random(ranks)
    for _ in range(8):
        loads = [draw.randrange(30) for _ in range(6)]
        assert busiest(plan.optimum(loads, ranks), loads) == every_busiest(loads, ranks)


@pytest.mark.parametrize(("experts", "ranks"), [(8, 4), (12, 4), (16, 2), (4, 4), (5, 1)])
def test_the_optimum_is_between_its_bound_and_packing_with_equal_counts(experts, ranks):
    draw = random.Random(experts)
    for _ in range(6):
        loads = [draw.randrange(100) for _ in range(experts)]
        found = plan.place_experts(loads, ranks)
        assert {len(held) for held in found.slots} == {experts // ranks} and found.added == 0
        assert plan.bound(loads, ranks) <= busiest(found, loads) <= busiest(plan.packed(loads, ranks), loads)


def test_no_load_and_many_experts_are_placed_too():
    assert plan.place_experts([0] * 8, 4).rank_loads([0] * 8) == (0, 0, 0, 0)
    many = [1.0 / (1 + expert) for expert in range(256)]
    assert plan.place_experts(many, 64).ranks == 64
    assert plan.unevenness(plan.packed(many, 64, 320), many) < plan.unevenness(plan.packed(many, 64), many)


def test_a_placement_reads_what_it_writes():
    for one in (plan.linear(8, 4, 2), plan.packed(LOADS, 4, 12), plan.round_robin(6, 3)):
        assert Placement.parse(str(one)) == one
    assert plan.packed(LOADS, 4, 12).holders[1] == (0, 3, 3)


def test_moving_takes_from_the_nearest_holder():
    before, after = plan.linear(8, 4, 2), Placement.parse("0 5 | 1 4 || 6 3 | 7 2")
    moved = plan.moves(before, after)
    assert moved == (Move(5, 2, 0), Move(1, 0, 1), Move(4, 2, 1), Move(6, 3, 2), Move(3, 1, 2), Move(2, 1, 3))
    assert plan.moves(before, before) == () == plan.moves(before, Placement.parse("1 0 | 3 2 || 5 4 | 7 6"))
    held = Placement.parse("0 | 1 || 0 | 1")
    assert plan.moves(held, Placement.parse("0 | 1 || 1 | 0")) == (Move(1, 3, 2), Move(0, 2, 3))


def test_break_even():
    assert plan.break_even(6.0, 1.56, 1.04) == 12
    assert plan.break_even(1.0, 0.3, 0.2) == 10  # 0.3 - 0.2 is a little less than 0.1
    assert plan.break_even(1.0, 1.0, 1.0) is None and plan.break_even(1.0, 1.0, 2.0) is None
    assert plan.break_even(0.0, 1.0, 2.0) == 0
    with pytest.raises(ValueError, match="moving takes 0 seconds or more, not -1"):
        plan.break_even(-1, 2, 1)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: plan.linear(8, 3), "8 experts cannot lie on 3 ranks in equal numbers: 6 or 9 can"),
        (lambda: plan.round_robin(2, 4), "2 experts cannot lie on 4 ranks in equal numbers: 4 can"),
        (lambda: plan.linear(8, 0), "8 experts need 1 or more ranks, not 0"),
        (lambda: plan.linear(6, 3, nodes=2), "3 ranks cannot stand in 2 nodes of equal size"),
        (lambda: plan.packed(LOADS, 4, 10), "10 slots cannot lie on 4 ranks in equal numbers: 8 or 12 can"),
        (lambda: plan.packed([1] * 256, 64, 288),
         "288 slots cannot lie on 64 ranks in equal numbers: 256 or 320 can"),
        (lambda: plan.packed(LOADS, 4, 4), "4 slots are fewer than 8 experts: each needs one"),
        (lambda: plan.hierarchical(LOADS, 4, 2, 3), "8 experts cannot lie on 3 groups in equal numbers: 6 or 9 can"),
        (lambda: plan.hierarchical(LOADS, 4, 4, 2), "2 groups cannot lie on 4 nodes in equal numbers: 4 can"),
        (lambda: plan.packed([1, -2], 2), "expert 1 has load -2: a load is a number, 0 or more"),
        (lambda: plan.packed([1, float("nan")], 2), "expert 1 has load nan: a load is a number, 0 or more"),
        (lambda: plan.linear(8, 4).rank_loads([1]), "1 loads for 8 experts: one for each"),
        (lambda: plan.optimum([1] * 18, 2), "18 experts are too many to try all placements: 16 at most"),
        (lambda: Placement(((0, 1), (3,)), experts=8),
         "expert 2 is on no rank, nor are 4 others: 2 ranks hold 3 of 8 experts"),
        (lambda: Placement(((0,), (2,))), "expert 1 is on no rank: 2 ranks hold 2 of 3 experts"),
        (lambda: Placement(((0, 1), (2, 8)), experts=3), "expert 8 does not exist: there are 3, numbered from 0"),
        (lambda: Placement.parse("0 1 | 1 2").require_single(),
         "expert 1 is placed 2 times, on ranks 0 and 1: once is right here"),
        (lambda: Placement.parse("0 | 1 || 2"), "the nodes in '0 | 1 || 2' have 2, 1 ranks: each has the same number"),
        (lambda: Placement.parse("0 | x"), "'x' is no expert: write numbers, ranks apart by |, as in 0 1 | 2 3"),
        (lambda: plan.moves(plan.linear(8, 4), plan.linear(8, 2)),
         "8 experts on 4 ranks do not become 8 on 2 by moving experts"),
    ],
)  # fmt: skip
def test_what_cannot_be_placed_is_refused(make, sentence):
    with pytest.raises(ValueError) as refusal:
        make()
    assert str(refusal.value) == sentence

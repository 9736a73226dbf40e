"""Does every choice go somewhere once, is who is dropped the same on any ranks, and are bytes those of the lesson?"""

import random

import pytest

from minipar.plan.balance import leaning
from minipar.plan.placement import Placement, packed
from minipar.plan.routing import DROPPED, Drop, Once, follow, route

SCORES = leaning(128, 8)


@pytest.fixture(scope="module")
def seeded():
    return route(SCORES, 8, 2, ranks=4, nodes=2)


def test_the_lessons_routing(seeded):
    assert seeded.load == (91, 65, 17, 16, 15, 13, 20, 19) == seeded.wanted
    assert seeded.rank_loads == (156, 33, 28, 39) and seeded.max_over_mean == pytest.approx(2.4375)
    assert seeded.mean_over_max == pytest.approx(64 / 156)
    assert seeded.rows == ((36, 13, 6, 9), (42, 7, 5, 10), (39, 7, 6, 12), (39, 6, 11, 8))
    assert seeded.carried().total == 199 and seeded.dispatch(64).total == 50_944 == seeded.combine(64).total
    assert seeded.carried("rank").total == 158 and seeded.dispatch(64, once="rank").total == 40_448
    assert seeded.everybody(64).total == 98_304
    assert (seeded.dropped, seeded.lost, seeded.capacity) == (0, 0, ())


def test_without_a_lean_bytes_hardly_change():
    even = route(leaning(128, 8, ()), 8, 2, ranks=4)
    assert even.rank_loads == (64, 63, 59, 70) and even.dispatch(64).total == 49_408


def test_top_1_even_and_skewed():
    for choice, loads, ratio in (
        ([(token % 8,) for token in range(112)], (28, 28, 28, 28), 1.0),
        ([(0,)] * 56 + [(1 + token % 7,) for token in range(56)], (64, 16, 16, 16), 64 / 28),
    ):
        found = follow(choice, 8, ranks=4)
        assert found.rank_loads == loads and found.max_over_mean == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("factor", "room", "dropped", "on_rank_0", "lost"),
    [(1.0, 32, 92, 64, (12, 26)), (1.25, 40, 76, 80, (7, 19)), (2, 64, 28, 128, (0, 1))],
)
def test_capacity_of_the_lesson(factor, room, dropped, on_rank_0, lost):
    for drop, losers in zip(Drop, lost, strict=True):
        found = route(SCORES, 8, 2, factor, drop=drop, ranks=4)
        assert found.capacity == (room,) and found.dropped == dropped and found.rank_loads[0] == on_rank_0
        assert found.lost == losers and max(found.load) == room
        assert found.drops == tuple(max(want - room, 0) for want in found.wanted)


def test_even_chance_alone_drops_some():
    assert route(leaning(128, 8, ()), 8, 2, 1.0).dropped == 24


def test_copies_share_whole_rows(seeded):
    copied = route(SCORES, 8, 2, placement=packed(seeded.load, 4, 12))
    assert copied.rank_loads == (66, 65, 65, 60)


def test_who_is_dropped_does_not_depend_on_the_ranks():
    for drop in Drop:
        kept = {route(SCORES, 8, 2, 1.0, drop=drop, ranks=ranks).kept for ranks in (1, 2, 4, 8)}
        assert len(kept) == 1


def test_who_stays_is_the_best_or_the_first():
    scores = [[0.5, 0.0], [0.9, 0.0], [0.9, 0.0], [0.7, 0.0]]
    best = route(scores, 2, 1, 1.0, drop="probability")
    first = route(scores, 2, 1, 1.0, drop="position")
    assert best.kept == ((DROPPED,), (0,), (0,), (DROPPED,))
    assert first.kept == ((0,), (0,), (DROPPED,), (DROPPED,))
    other = [[1.0, 0.0], [0.1, 0.0], [0.2, 0.0], [0.8, 0.0]]
    assert route(scores, 2, 1, 1.0, probabilities=other).kept == ((0,), (DROPPED,), (DROPPED,), (0,))


def test_a_bias_chooses_and_does_not_rank():
    scores = [[0.5, 0.4], [0.9, 0.1]]
    found = route(scores, 2, 1, bias=(0.0, 0.2))
    assert found.choice == ((1,), (0,))


def test_capacity_by_rank_counts_each_ranks_own_tokens():
    found = route([[1.0, 0.0]] * 8, 2, 1, 1.0, group="rank", ranks=2, sources=(6, 2))
    assert found.capacity == (3, 1) and found.load == (4, 0)
    assert [row[0] for row in found.kept] == [0, 0, 0, DROPPED, DROPPED, DROPPED, 0, DROPPED]


def test_padding_is_computed_and_travels_only_by_rank():
    batch = route(SCORES, 8, 2, 1.0, pad=True, ranks=4)
    assert batch.computed == (64,) * 4 and batch.rank_loads == (64, 33, 28, 39) and batch.max_over_mean == 1
    assert sum(map(sum, batch.rows)) == 164
    by_rank = route(SCORES, 8, 2, 1.0, pad=True, group="rank", ranks=4)
    assert by_rank.capacity == (8,) * 4 and by_rank.computed == (64,) * 4
    assert by_rank.rows == ((16,) * 4,) * 4


@pytest.mark.parametrize("seed", range(12))
def test_laws_over_many_sizes(seed):
    draw = random.Random(seed)
    nodes, ranks = draw.choice([(1, 1), (1, 2), (2, 4), (4, 8), (2, 6)])
    experts = ranks * draw.randrange(1, 4)
    top, tokens = draw.randrange(1, min(experts, 5) + 1), draw.randrange(0, 60)
    scores = [[draw.choice([draw.random(), 0.5]) for _ in range(experts)] for _ in range(tokens)]
    factor = draw.choice([None, 0.5, 1.0, 1.5])
    found = route(scores, experts, top, factor, ranks=ranks, nodes=nodes, drop=draw.choice(list(Drop)))
    assert sum(found.sources) == tokens and max(found.sources) - min(found.sources) <= 1
    assert sum(found.load) + found.dropped == tokens * top == sum(found.wanted)
    assert sum(map(sum, found.rows)) == sum(found.load) == sum(found.rank_loads)
    assert tuple(map(sum, zip(*found.rows, strict=True))) == found.rank_loads
    for token, (want, kept) in enumerate(zip(found.choice, found.kept, strict=True)):
        assert len(set(want)) == top and all(one in (other, DROPPED) for one, other in zip(kept, want, strict=True))
        worst = min(scores[token][expert] for expert in want)
        assert all(scores[token][expert] <= worst for expert in set(range(experts)) - set(want))
    often, by_rank, by_node = (found.carried(once) for once in Once)
    assert often.total >= by_rank.total and often.between_nodes >= by_rank.between_nodes >= by_node.between_nodes
    for wire in (often, by_rank, by_node):
        assert all(wire.table[rank][rank] == 0 for rank in range(ranks))
        assert wire.total == wire.within_nodes + wire.between_nodes
        assert found.combine(3, 2, by_rank and "rank").table == found.dispatch(3, 2, "rank").back.table
    arrived = [len({rank for rank in row if rank != DROPPED}) for row in found.targets]
    assert by_rank.total == sum(arrived) - sum(home in row for home, row in zip(found.home, found.targets, strict=True))


def test_once_to_each_node_goes_through_the_door():
    """2 nodes of 2 ranks; a token of rank 1 wants ranks 2 and 3: it crosses once, to rank 3, and on to rank 2."""
    found = follow([(), (), (2, 3)][2:], 4, placement=Placement.parse("0 | 1 || 2 | 3"), sources=(0, 1, 0, 0))
    wire = found.carried("node")
    assert wire.table == ((0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0), (0, 0, 1, 0))
    assert (wire.between_nodes, wire.within_nodes) == (1, 1)
    assert found.carried("rank").between_nodes == 2


def test_an_expert_or_a_rank_without_a_token_counts_nought():
    found = follow([(0,), (0,)], 4, ranks=2, sources=(2, 0))
    assert found.load == (2, 0, 0, 0) and found.rank_loads == (2, 0) and found.rows == ((2, 0), (0, 0))
    none = route([], 4, 2, 1.0, ranks=2)
    assert (none.tokens, none.load, none.dropped, none.max_over_mean) == (0, (0, 0, 0, 0), 0, 1.0)


def test_infinite_scores_are_scores():
    hidden = float("-inf")
    assert route([[hidden, 1.0, float("inf")]], 3, 2).choice == ((2, 1),)


NAN = float("nan")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: route([[1, 2]] * 3 + [[1, NAN]], 2, 1, ranks=2),
         "token 3 on rank 1 has no score for expert 1: it is not a number (NaN)"),
        (lambda: route([[1, 2]], 2, 1, 1.0, probabilities=[[NAN, 1]]),
         "token 0 on rank 0 has no probability for expert 0: it is not a number (NaN)"),
        (lambda: route([[1, 2]], 2, 3), "top=3 of 2 experts: a token takes 1 to 2 different ones"),
        (lambda: route([[1, 2]], 2, 0), "top=0 of 2 experts: a token takes 1 to 2 different ones"),
        (lambda: follow([(0, 1, 2)], 2), "top=3 of 2 experts: a token takes 1 to 2 different ones"),
        (lambda: route([[1, 2, 3]], 2, 1), "token 0 has 3 scores, and there are 2 experts"),
        (lambda: route(SCORES, 8, 2, 0),
         "capacity factor 0 leaves no place at any of 8 experts: all 256 choices would be dropped"),
        (lambda: route(SCORES, 8, 2, ranks=3), "8 experts cannot lie on 3 ranks in equal numbers: 6 or 9 can"),
        (lambda: route(SCORES, 8, 2, placement=Placement.parse("0 | 1")),
         "the placement has 2 experts, and tokens choose among 8"),
        (lambda: route(SCORES, 8, 2, 1.0, drop="luck"), "choices are dropped by probability or position, not 'luck'"),
        (lambda: route(SCORES, 8, 2, 1.0, group="node"), "capacity is counted by batch or rank, not 'node'"),
        (lambda: route(SCORES, 8, 2).carried("twice"),
         "a token travels once for each choice or rank or node, not 'twice'"),
        (lambda: route(SCORES, 8, 2, pad=True), "padding needs a capacity: give a factor, as in capacity=1.0"),
        (lambda: follow([(0,)], 2, 1.0, drop="probability"),
         "dropping by probability needs probabilities: give them, or drop by position"),
        (lambda: route(SCORES, 8, 2, ranks=2, sources=(100, 20)),
         "sources 100 20 must say where 128 tokens start on 2 ranks"),
        (lambda: follow([(0, 1), (1, 1)], 2), "token 1 takes an expert twice: 1 1"),
        (lambda: follow([(0, 1), (1,)], 2), "token 1 takes 1 experts, and token 0 takes 2"),
        (lambda: follow([(0,), (2,)], 2),
         "token 1 chooses 2: experts are numbered 0 to 1, and -1 is a dropped choice"),
        (lambda: route([], 0, 1), "tokens need 1 or more experts, not 0"),
        (lambda: route(SCORES, 8, 2, 1.0, pad=True, group="rank", placement=packed((9, *[1] * 7), 2, 10)),
         "padding by rank sends equal parts to every expert, and 2 of them are copies: pad over the batch, or place "
         "each expert once"),
        (lambda: route(SCORES, 8, 2, 1.0, pad=True, group="rank", ranks=2).carried("node"),
         "rows padded by rank all travel: a token cannot share a row here"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make, sentence):
    with pytest.raises(ValueError) as refusal:
        make()
    assert str(refusal.value) == sentence


def test_4096_tokens_and_64_experts_are_counted_while_a_slider_moves():
    found = route(leaning(4096, 64), 64, 8, 1.0, ranks=16, nodes=4)
    assert found.dispatch(64, once="node").between_nodes < found.dispatch(64).between_nodes

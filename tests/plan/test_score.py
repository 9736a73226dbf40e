"""What is a full board worth, what is it called, and which time can nobody beat?"""

import itertools

import pytest

from minipar.plan.puzzle import Rules, arranged, parse, start
from minipar.plan.schedules import gpipe, interleaved_1f1b, one_f_one_b, recognised, zb_h1, zb_h2
from minipar.plan.score import Level, bound, early, own_gaps, score
from minipar.plan.simulate import Cost

ONE = Cost(F=1, B=1)
THIRDS = Cost(F=1, B=2, I=1, W=1)
TWO = Level(
    "several", Rules((0, 1, 2), 4, cost=ONE), 12, "", "", "", gpipe(3, 4), ((gpipe(3, 4), "All F, then all B"),),
    peaks=(4, 4, 4),
)  # fmt: skip
NO_GAP = Level(
    "no gap", Rules((0, 1, 2), 5, (5, 5, 5), THIRDS, split=True), 17, "", "", "", zb_h2(3, 5), peaks=(5, 5, 5),
    spans=True,
)  # fmt: skip


def one_by_one(ranks, microbatches):
    return "\n".join(" ".join(f"{rank}F{m} {rank}B{m}" for m in range(microbatches)) for rank in range(ranks))


def test_a_board_that_is_not_full_has_no_verdict():
    assert score(TWO, start(TWO.rules)) == (False, False, "0 of 24 actions placed.")


def test_slow_but_legal_names_what_could_start_earlier():
    found = score(TWO, parse(TWO.rules, one_by_one(3, 4)))
    assert found == (False, False, "Legal: 24 slots, par is 12: 0F1 could start at 1 and starts at 6.")


def test_par_is_told_by_its_name():
    found = score(TWO, arranged(TWO.rules, gpipe(3, 4).programs))
    assert found == (True, False, "Solved in 12 slots, par is 12. All F, then all B.")


def test_less_in_the_drawers_than_par_is_a_credit():
    found = score(TWO, arranged(TWO.rules, one_f_one_b(3, 4).programs))
    assert found.solved and found.credit
    assert found.words == (
        "Solved in 12 slots, par is 12. This is 1F1B. With a credit: 3 2 1 in the drawers, par is 4 4 4."
    )


def test_an_order_of_ones_own_is_said_to_be_that():
    own = parse(TWO.rules, "0F0 0F1 0F2 0F3 0B1 0B0 0B2 0B3\n1F0 1F1 1F2 1F3 1B1 1B0 1B2 1B3\n"
                           "2F0 2F1 2F2 2F3 2B1 2B0 2B2 2B3")  # fmt: skip
    assert recognised(own.schedule) == ""
    assert score(TWO, own).words == "Solved in 12 slots, par is 12. This one is yours: peaks 4 4 4."


def test_gaps_inside_a_rank_may_be_what_counts():
    found = score(NO_GAP, arranged(NO_GAP.rules, zb_h1(3, 5).programs))
    assert found == (False, False, "17 slots, in time, but gaps inside the own spans: 2 1 0. Wanted: 0 0 0.")
    good = arranged(NO_GAP.rules, zb_h2(3, 5).programs)
    assert own_gaps(good) == (0, 0, 0) and score(NO_GAP, good).solved


def test_a_time_under_par_is_possible_on_a_free_board():
    easy = Level("free", Rules((0, 1), 2, cost=ONE), 7, "", "", "", gpipe(2, 2))
    found = score(easy, arranged(easy.rules, gpipe(2, 2).programs))
    assert found.words == "Solved in 6 slots, 1 under par, par is 7. This is GPipe."


@pytest.mark.parametrize("build, rules", [
    (gpipe(3, 4), Rules((0, 1, 2), 4, cost=ONE)),
    (one_f_one_b(4, 6), Rules((0, 1, 2, 3), 6, cost=ONE)),
    (interleaved_1f1b(2, 4, chunks=2), Rules((0, 1, 0, 1), 4, cost=ONE)),
    (zb_h1(3, 4), Rules((0, 1, 2), 4, cost=THIRDS, split=True)),
], ids=lambda given: getattr(given, "name", ""))  # fmt: skip
def test_the_catalogue_is_known_by_its_order(build, rules):
    assert recognised(arranged(rules, build.programs).schedule) == build.name


def test_nothing_can_be_pulled_forward_in_par():
    assert early(arranged(TWO.rules, gpipe(3, 4).programs)) is None


@pytest.mark.parametrize("split", [False, True])
def test_no_order_of_a_tiny_board_beats_the_bound(split):
    rules = Rules((0, 1), 2, cost=THIRDS, split=split)
    letters = "IW" if split else "B"
    rows = [
        [" ".join(row) for row in itertools.permutations([f"{rank}{op}{m}" for op in f"F{letters}" for m in (0, 1)])]
        for rank in (0, 1)
    ]
    first = [row for row in rows[0] if row.index("0F0") < row.index("0F1")]
    few, some = (first[::7], rows[1][::5]) if split else (first, rows[1])
    best = min(_time(rules, f"{one}\n{other}") for one in few for other in some)
    assert best >= bound(rules)


def _time(rules, text):
    try:
        return parse(rules, text).makespan
    except Exception:
        return float("inf")


def test_the_bound_counts_hops_and_both_ways():
    assert bound(Rules((0, 1, 2), 4, cost=ONE)) == 12
    assert bound(Rules((0, 1, 2), 4, cost=Cost(F=1, B=2, hop=0.5))) == 20
    assert bound(Rules((0, 1, 2), 4, cost=THIRDS, split=True)) == 14
    assert bound(Rules((0, 1, 1, 0), 4, cost=THIRDS, split=True)) == 25

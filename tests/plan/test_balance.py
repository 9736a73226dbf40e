"""Are the ratios, capacities and the bias rule what their formulas say? The lesson's figures come out."""

import pytest

from minipar.plan import balance


def test_two_ratios_say_the_same():
    loads = (156, 33, 28, 39)
    assert balance.max_over_mean(loads) == pytest.approx(2.4375)
    assert balance.mean_over_max(loads) == pytest.approx(64 / 156)
    assert balance.max_over_mean((28, 28)) == balance.mean_over_max((28, 28)) == 1
    assert balance.max_over_mean((5, 0, 0, 0)) == 4 and balance.mean_over_max((5, 0, 0, 0)) == 0.25
    assert balance.max_over_mean((0, 0)) == balance.mean_over_max((0, 0)) == 1


def test_places_round_up_and_read_the_factor_as_it_is_written():
    assert [balance.places(128, 2, 8, factor) for factor in (1.0, 1.25, 2)] == [32, 40, 64]
    assert balance.places(10, 1, 4, 1.0) == 3
    assert balance.places(40, 1, 4, 1.1) == 11  # 1.1 * 10 is 11.000000000000002 in floating point
    assert balance.places(0, 2, 8, 1.0) == 0


@pytest.mark.parametrize(
    ("factor", "sentence"),
    [
        (0, "capacity factor 0 leaves no place at any of 8 experts: all 256 choices would be dropped"),
        (-1, "a capacity factor is a number above 0, not -1"),
        (float("nan"), "a capacity factor is a number above 0, not nan"),
        (float("inf"), "a capacity factor is a number above 0, not inf"),
        ("1.0", "a capacity factor is a number above 0, not '1.0'"),
        (True, "a capacity factor is a number above 0, not True"),
    ],
)
def test_a_factor_that_is_none_is_refused(factor, sentence):
    with pytest.raises(ValueError) as refusal:
        balance.places(128, 2, 8, factor)
    assert str(refusal.value) == sentence


def test_leaning_scores_are_the_same_everywhere():
    scores = balance.leaning(128, 8)
    assert len(scores) == 128 and scores[0][0] == pytest.approx(0.32383276483316237 + 0.6)
    assert balance.counted(balance.chosen(scores, 2), 8) == (91, 65, 17, 16, 15, 13, 20, 19)
    assert balance.counted(balance.chosen(balance.leaning(128, 8, ()), 2), 8) == (20, 44, 38, 25, 30, 29, 36, 34)
    with pytest.raises(ValueError, match="3 leans for 2 experts: one for each of the first experts at most"):
        balance.leaning(1, 2, (1, 2, 3))


def test_equal_scores_go_to_the_smaller_expert_and_a_bias_chooses():
    assert balance.chosen([[1, 1, 1], [0, 2, 2]], 2) == ((0, 1), (1, 2))
    assert balance.chosen([[1, 1, 1]], 1, bias=(0, 0, 0.1)) == ((2,),)
    assert balance.chosen([], 2) == () and balance.counted(((-1, 2), (2, -1)), 3) == (0, 0, 2)


def test_the_bias_goes_down_where_it_is_busy():
    assert balance.update_bias((0.0, 0.0, 0.0), (3, 2, 1), 0.5) == (-0.5, 0.0, 0.5)


def uneven(steps):
    return [round(balance.max_over_mean(step.load), 2) for step in steps]


def test_the_rule_evens_the_loads_and_a_large_rate_overshoots():
    found = uneven(balance.taught(60))
    assert [found[step] for step in (0, 10, 20, 40)] == [2.84, 2.16, 1.38, 1.16]
    assert sum(found[40:]) / 20 == pytest.approx(1.30, abs=0.005)
    assert uneven(balance.taught(41, rate=0.2))[40] == 1.78
    assert min(uneven(balance.taught(41, rate=0.0))) > 2


def test_the_sign_turned_sends_every_token_to_two_experts():
    assert balance.taught(21, rate=-0.02)[20].load == (128, 128, 0, 0, 0, 0, 0, 0)

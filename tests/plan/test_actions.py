"""The table of reads and makes, and the words of actions."""

import pytest

from minipar.plan.actions import Action, B, F, I, Kind, Op, Value, W, keeps, makes, reads


def test_an_op_builds_its_action_and_prints_it():
    assert str(F(2, 0)) == "2F0"
    assert B(11, 7) == Action(11, Op.B, 7)
    assert Action.parse("12W34") == W(12, 34)


@pytest.mark.parametrize("word", ["2F0x", "0FOO", "F1", "2 F0", "2F", "-1F0", "2f0", "", "3F1garbage", "٢F0", "2F0\n"])
def test_what_is_no_action_is_refused_with_the_learners_own_word(word):
    with pytest.raises(ValueError) as refused:
        Action.parse(word)
    assert str(refused.value) == (
        f"'{word}' is no action: write stage, letter, microbatch, as in 2F0 (letters F, B, I or W)"
    )


def test_the_table_line_by_line():
    a, g, w = Kind.ACTIVATION, Kind.GRADIENT, Kind.WEIGHT_GRADIENT
    assert reads(F(0, 5), 3) == ()
    assert reads(F(2, 5), 3) == (Value(a, 1, 5),)
    assert makes(F(2, 5)) == (Value(a, 2, 5),)
    assert reads(B(2, 5), 3) == (Value(a, 2, 5), Value(g, 3, 5))
    assert reads(B(3, 5), 3) == (Value(a, 3, 5),)
    assert makes(B(2, 5)) == (Value(g, 2, 5), Value(w, 2, 5))
    assert reads(I(2, 5), 3) == reads(B(2, 5), 3)
    assert makes(I(2, 5)) == (Value(g, 2, 5),)
    assert reads(W(2, 5), 3) == (Value(a, 2, 5), Value(g, 2, 5))
    assert makes(W(2, 5)) == (Value(w, 2, 5),)


def test_an_activation_is_kept_by_f_and_let_go_by_b_or_w():
    assert [keeps(op(0, 0)) for op in (F, B, I, W)] == [1, -1, 0, -1]

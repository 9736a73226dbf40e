"""The table of reads and makes, and the words of actions."""

import pytest

from minipar.plan.actions import Action, B, F, I, Kind, Op, Overlap, Value, W, halves, keeps, makes, parse, reads


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


def test_a_pair_at_once_is_one_row_of_the_table():
    pair = Overlap(F(7, 4), B(0, 0))
    assert str(pair) == "(7F4;0B0)OVERLAP_F_B" and parse(str(pair)) == pair and parse("2F0") == F(2, 0)
    assert halves(pair) == (F(7, 4), B(0, 0)) and halves(F(2, 0)) == (F(2, 0),)
    assert reads(pair, 7) == reads(F(7, 4), 7) + reads(B(0, 0), 7)
    assert makes(pair) == makes(F(7, 4)) + makes(B(0, 0))


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        (
            "(0B0;7F4)OVERLAP_F_B",
            "'(0B0;7F4)OVERLAP_F_B' pairs 0B0 with 7F4: what overlaps is an F and a B, in this order",
        ),
        (
            "(7F4;0X0)OVERLAP_F_B",
            "'0X0' is no action: write stage, letter, microbatch, as in 2F0 (letters F, B, I or W)",
        ),
    ],
)
def test_pairs_that_are_none(word, sentence):
    with pytest.raises(ValueError) as error:
        parse(word)
    assert str(error.value) == sentence

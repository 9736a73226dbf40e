"""A schedule prints, parses, derives its sizes, and refuses what is no schedule."""

import pytest

import minipar
from minipar import B, F, Schedule


def test_sizes_are_derived():
    s = Schedule.parse("0F0 0B0 0F1 0B1\n1F0 1F1 1B0 1B1")
    assert (s.ranks, s.stages, s.microbatches, s.placement, s.actions) == (2, 2, 2, (0, 1), 8)


def test_two_stages_on_a_rank_and_a_gap():
    s = Schedule.parse("0F0 3F0 3B0 0B0\n1F0 1B0")
    assert (s.stages, s.placement) == (4, (0, 1, None, 0))


def test_parse_undoes_str_and_ignores_indentation():
    s = minipar.one_f_one_b(ranks=3, microbatches=4)
    assert Schedule.parse(str(s), s.name) == s
    assert Schedule.parse("\n    0F0 0B0\n    ") == Schedule("by hand", ((F(0, 0), B(0, 0)),))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the text is empty: write one line a rank, as in 0F0 0B0"),
        ("0F0 0B0\n\n2F0", "line 2 is empty: rank 1 has no action, write one line a rank"),
        (
            "0F0 0B0\n1F0 1X0",
            "rank 1, word 2: '1X0' is no action: write stage, letter, microbatch, as in 2F0 (letters F, B, I or W)",
        ),
    ],
)
def test_text_that_is_no_schedule(text, sentence):
    with pytest.raises(ValueError) as refused:
        Schedule.parse(text)
    assert str(refused.value) == sentence


def test_a_program_of_something_else_is_refused():
    with pytest.raises(TypeError, match=r"rank 0 holds '0F0', which is no action: yield F\(stage, microbatch\)"):
        Schedule("mine", (("0F0",),))


@pytest.mark.parametrize("wrong", [0, -1, 2.0, "4", True])
def test_sizes_must_be_whole_numbers_from_one(wrong):
    with pytest.raises(ValueError, match="ranks must be a whole number, 1 or more"):
        minipar.gpipe(ranks=wrong, microbatches=4)
    with pytest.raises(ValueError, match="microbatches must be a whole number, 1 or more"):
        minipar.one_f_one_b(ranks=4, microbatches=wrong)


def test_a_learners_generator_becomes_a_builder():
    @minipar.schedule
    def mine(rank, ranks, microbatches):
        for m in range(microbatches):
            yield F(rank, m)
            yield B(rank, m)

    s = mine(ranks=2, microbatches=2)
    assert (s.name, str(s)) == ("mine", "0F0 0B0 0F1 0B1\n1F0 1B0 1F1 1B1")


def test_a_stub_that_yields_nothing_is_an_empty_program():
    @minipar.schedule
    def stub(rank, ranks, microbatches): ...

    assert stub(ranks=2, microbatches=3).programs == ((), ())

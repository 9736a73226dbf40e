"""Each validator is seen to fail, with the exact sentence."""

import pytest

import minipar
from minipar import Schedule, problems


def sentences(text):
    return [str(problem) for problem in problems(Schedule.parse(text))]


@pytest.mark.parametrize("builder", [minipar.gpipe, minipar.one_f_one_b])
def test_sound_schedules_have_no_problems(builder):
    assert problems(builder(ranks=4, microbatches=8)) == []


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        ("0F0 0B0 0F0", "doubled", "0F0 stands twice on rank 0: each action runs once."),
        ("0F0", "missing", "0B0 is missing: rank 0 never runs microbatch 0 backward."),
        ("0F1 0B1 0B0", "missing", "0F0 is missing: rank 0 never runs microbatch 0 forward."),
        ("0F0 0I0", "missing", "0W0 is missing: a split backward needs both I and W."),
        ("0F0 0W0", "missing", "0I0 is missing: a split backward needs both I and W."),
        ("0F0 0B0 0W0", "doubled", "0B0 and 0W0 both run: a backward is either whole (B) or split (I and W)."),
        (
            "0F0 0B0\n0F0 0B0\n1F0 1B0",
            "stage on two ranks",
            "Row 1 says 0F0, but stage 0 stands on rank 0.",
        ),
        (
            "0F0 0B0\n0F0 0B0",
            "stage on two ranks",
            "Row 1 says 0F0, but stage 0 stands on rank 0. Rank 1 runs stage 1: 1F0.",
        ),
        (
            "0F0 0B0\n2F0 2B0",
            "missing stage",
            "Stage 1 is on no rank: stages are numbered 0 to 2 without a gap.",
        ),
        (
            "0B0 0F0",
            "order",
            "Rank 0 runs 0B0 before 0F0, which makes the activation of stage 0, microbatch 0 that it needs.",
        ),
        (
            "0F0 0B0 0F1 0B1\n1F1 1F0 1B1 1B0",
            "deadlock",
            "Stuck: rank 0 waits at 0B0 for 1B0; rank 1 waits at 1F1 for 0F1; 0F1 stands behind 0B0.",
        ),
    ],
)
def test_each_fault_and_its_sentence(text, code, sentence):
    found = problems(Schedule.parse(text))
    assert (found[0].code, str(found[0])) == (code, sentence)


def test_a_rank_without_a_stage_and_no_rank_at_all():
    s = Schedule("mine", (*minipar.naive(1).programs, ()))
    assert [str(p) for p in problems(s)] == ["Rank 1 has no action, so no stage: give it one or use 1 rank."]
    assert [str(p) for p in problems(Schedule("mine", ()))] == ["The schedule has no ranks: write one line a rank."]


def test_a_fault_is_told_once_and_where():
    found = problems(Schedule.parse("0F0 0F1 0B0 0B1\n0F0 0F1 0B0 0B1"))
    assert [(p.code, p.rank, p.position) for p in found] == [("stage on two ranks", 1, 0)]

"""Lowering: every message twice, once to send and once to receive; the ordered form needs no buffers."""

import pytest

import minipar
from minipar import Deadlock, Schedule, lower, walk
from minipar.plan.actions import Recv, Send


def text(program):
    marks = {Send: "+", Recv: "-"}
    return " ".join(
        f"{marks[type(s)]}{s.value.kind.value[0]}{s.value.stage}.{s.value.microbatch}" if type(s) in marks else str(s)
        for s in program
    )


def test_the_tagged_form_sends_at_once_and_receives_at_the_last_moment():
    programs = lower(minipar.gpipe(ranks=2, microbatches=2)).programs
    assert [text(p) for p in programs] == [
        "0F0 +a0.0 0F1 +a0.1 -g1.0 0B0 -g1.1 0B1",
        "-a0.0 1F0 -a0.1 1F1 1B0 +g1.0 1B1 +g1.1",
    ]


def test_the_ordered_form_has_one_global_order():
    programs = lower(minipar.one_f_one_b(ranks=2, microbatches=2), ordered=True).programs
    pairs = [
        [(s.value, isinstance(s, Send) == (rank == 0)) for s in p if isinstance(s, (Send, Recv))]
        for rank, p in enumerate(programs)
    ]
    assert pairs[0] == pairs[1]


def test_unbuffered_sends_deadlock_tagged_1f1b_and_not_the_ordered_one():
    s = minipar.one_f_one_b(ranks=4, microbatches=8)
    with pytest.raises(Deadlock):
        list(walk(lower(s).programs, unbuffered=True))
    assert len(list(walk(lower(s, ordered=True).programs, unbuffered=True))) == 64 + 2 * 48


def test_values_that_stay_on_their_rank_need_no_message():
    assert lower(Schedule.parse("0F0 1F0 1B0 0B0")).messages == 0


@pytest.mark.parametrize("ordered", [False, True])
def test_a_schedule_that_cannot_end_is_not_lowered(ordered):
    with pytest.raises(Deadlock, match="Stuck: rank 0"):
        lower(Schedule.parse("0F0 0B0 0F1 0B1\n1F1 1F0 1B1 1B0"), ordered=ordered)


def test_the_same_programs_for_other_ranks_of_a_larger_call():
    lowered = lower(minipar.one_f_one_b(ranks=2, microbatches=2))
    assert lowered.on((0, 1)) is lowered
    moved = lowered.on((1, 3))
    assert moved.programs[0] == moved.programs[2] == ()
    assert [text(moved.programs[rank]) for rank in (1, 3)] == [text(program) for program in lowered.programs]
    assert {step.peer for step in moved.programs[1] if isinstance(step, Send | Recv)} == {3}
    assert moved.messages == lowered.messages

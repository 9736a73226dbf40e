"""Walking all programs: one order that works, or the chain of who waits for whom."""

import pytest

import minipar
from minipar import B, Deadlock, F, Schedule, walk
from minipar.plan.actions import Kind, Recv, Send, Value


def warmups(count):
    """One forward one backward with ``count(rank)`` warm-up forwards, 4 ranks and 8 microbatches."""

    @minipar.schedule
    def program(rank, ranks, microbatches):
        first = min(count(rank), microbatches)
        for m in range(first):
            yield F(rank, m)
        for m in range(microbatches - first):
            yield F(rank, first + m)
            yield B(rank, m)
        for m in range(microbatches - first, microbatches):
            yield B(rank, m)

    return program(ranks=4, microbatches=8)


def test_every_step_comes_after_what_it_reads():
    s = minipar.one_f_one_b(ranks=3, microbatches=5)
    order = list(walk(s.programs))
    assert sorted(map(str, (step for _, step in order))) == sorted(str(a) for p in s.programs for a in p)
    place = {step: at for at, (_, step) in enumerate(order)}
    for _, step in order:
        for value in minipar.plan.actions.reads(step, 2):
            maker = (
                F(value.stage, value.microbatch) if value.kind is Kind.ACTIVATION else B(value.stage, value.microbatch)
            )
            assert place[maker] < place[step]


def test_the_chain_names_who_is_stuck_at_what_and_what_stands_in_the_way():
    with pytest.raises(Deadlock) as stuck:
        list(walk(warmups(lambda rank: rank).programs))
    assert str(stuck.value) == (
        "Stuck: rank 0 waits at 0B0 for 1B0; rank 1 waits at 1F1 for 0F1; 0F1 stands behind 0B0."
    )


def test_a_value_that_no_rank_makes():
    with pytest.raises(
        Deadlock, match="rank 0 waits at 1F0 for the activation of stage 0, microbatch 0, which no rank makes"
    ):
        list(walk(Schedule.parse("1F0").programs))


def test_unbuffered_sends_that_face_each_other_are_a_deadlock():
    a, b = Value(Kind.ACTIVATION, 0, 0), Value(Kind.ACTIVATION, 0, 1)
    programs = ((F(0, 0), Send(a, 1), Recv(b, 1)), (F(0, 1), Send(b, 0), Recv(a, 0)))
    assert len(list(walk(programs))) == 6
    with pytest.raises(Deadlock) as stuck:
        list(walk(programs, unbuffered=True))
    assert str(stuck.value) == (
        "Stuck: rank 0 waits at sending the activation of stage 0, microbatch 0 to rank 1 for receiving the activation "
        "of stage 0, microbatch 0 from rank 0; rank 1 waits at sending the activation of stage 0, microbatch 1 to rank "
        "0 for receiving the activation of stage 0, microbatch 1 from rank 1; receiving the activation of stage 0, "
        "microbatch 1 from rank 1 stands behind sending the activation of stage 0, microbatch 0 to rank 1."
    )

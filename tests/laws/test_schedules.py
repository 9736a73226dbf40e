"""Laws that every catalogue entry keeps, over ranks 1-6 and microbatches 1-13."""

from itertools import product

import pytest

import minipar
from minipar import Cost, Schedule, lower, predict, problems, walk
from minipar.plan.actions import Recv, Send
from minipar.plan.schedules import CATALOGUE

SIZES = list(product(range(1, 7), range(1, 14)))
ENTRIES = {**CATALOGUE, "naive": lambda ranks, microbatches: minipar.naive(ranks)}


@pytest.fixture(params=ENTRIES, scope="module")
def entries(request):
    """All sizes of one catalogue entry."""
    return [ENTRIES[request.param](ranks=p, microbatches=m) for p, m in SIZES]


def test_sound_and_complete(entries):
    for s in entries:
        assert problems(s) == []
        assert s.actions == 2 * s.stages * s.microbatches


def test_parse_undoes_str(entries):
    for s in entries:
        assert Schedule.parse(str(s), s.name) == s


def test_lowered_messages_pair_up(entries):
    for s in entries:
        for ordered in (False, True):
            lowered = lower(s, ordered=ordered)
            sends = {
                (r, step.peer, step.value)
                for r, p in enumerate(lowered.programs)
                for step in p
                if isinstance(step, Send)
            }
            recvs = {
                (step.peer, r, step.value)
                for r, p in enumerate(lowered.programs)
                for step in p
                if isinstance(step, Recv)
            }
            assert sends == recvs
            assert lowered.messages == 2 * (s.ranks - 1) * s.microbatches
            kept = tuple(tuple(step for step in p if not isinstance(step, (Send, Recv))) for p in lowered.programs)
            assert kept == s.programs


def test_the_ordered_form_ends_without_buffers(entries):
    for s in entries:
        lowered = lower(s, ordered=True)
        assert len(list(walk(lowered.programs, unbuffered=True))) == s.actions + 2 * lowered.messages


def test_the_triangle_closed_form(entries):
    """Every entry here takes (P + M - 1)(F + B): GPipe's paper, and PipeDream-Flush's."""
    for s in entries:
        t = predict(s, Cost(F=1, B=2))
        assert t.makespan == (s.ranks + s.microbatches - 1) * 3
        assert t.bubble == pytest.approx((s.ranks - 1) / (s.microbatches + s.ranks - 1))
        assert t.overhead == pytest.approx((s.ranks - 1) / s.microbatches)


def test_activations_held():
    for p, m in SIZES:
        assert predict(minipar.gpipe(ranks=p, microbatches=m)).peak_in_flight == (m,) * p
        assert predict(minipar.one_f_one_b(ranks=p, microbatches=m)).peak_in_flight == tuple(
            min(m, p - r) for r in range(p)
        )


def test_a_longer_hop_never_makes_a_step_shorter(entries):
    for s in entries[::7]:
        lengths = [predict(s, Cost(F=1, B=2, hop=hop)).makespan for hop in (0, 0.25, 1, 4)]
        assert lengths == sorted(lengths)


def test_the_critical_path_spans_the_step(entries):
    for s in entries[::5]:
        t = predict(s, Cost(F=1, B=2, hop=0.5))
        path = t.critical_path()
        assert (path[0].start, path[-1].end) == (0, t.makespan)

"""Laws that every catalogue entry keeps, over ranks 1-8, microbatches 1-24 and chunks 1-3 (messages: 1-6 and 1-13)."""

import functools
from itertools import pairwise, product

import pytest

import minipar
from minipar import Cost, Schedule, lower, predict, problems, walk
from minipar.plan.actions import I, Recv, Send
from minipar.plan.schedules import CATALOGUE, CHUNKED, SIMPLE, V_SHAPED

SIZES = list(product(range(1, 7), range(1, 14)))
LARGE = list(product(range(1, 9), range(1, 25)))
ENTRIES = {name: build for name, build in CATALOGUE.items() if name not in CHUNKED}
ENTRIES["naive"] = lambda ranks, microbatches: minipar.naive(ranks)
for name in CHUNKED:
    for chunks in (1, 2, 3):
        ENTRIES[f"{name} {chunks}"] = functools.partial(CATALOGUE[name], chunks=chunks)


@pytest.fixture(params=ENTRIES, scope="module")
def entries(request):
    """All sizes of one catalogue entry."""
    return [ENTRIES[request.param](ranks=p, microbatches=m) for p, m in SIZES]


@pytest.mark.parametrize("entry", ENTRIES)
def test_sound_and_complete(entry):
    for p, m in LARGE:
        s = ENTRIES[entry](ranks=p, microbatches=m)
        assert problems(s) == []
        split = any(action.op is I for action in s.programs[0])
        assert s.actions == (3 if split else 2) * s.stages * s.microbatches


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
            borders = sum(here != there for here, there in pairwise(s.placement))
            assert lowered.messages == 2 * borders * s.microbatches
            kept = tuple(tuple(step for step in p if not isinstance(step, (Send, Recv))) for p in lowered.programs)
            assert kept == s.programs


def test_the_ordered_form_ends_without_buffers(entries):
    for s in entries:
        lowered = lower(s, ordered=True)
        assert len(list(walk(lowered.programs, unbuffered=True))) == s.actions + 2 * lowered.messages


@pytest.mark.parametrize("entry", [*SIMPLE, "naive"])
def test_the_triangle_closed_form(entry):
    """These take (P + M - 1)(F + B): GPipe's paper, and PipeDream-Flush's."""
    for p, m in SIZES:
        s = ENTRIES[entry](ranks=p, microbatches=m)
        t = predict(s, Cost(F=1, B=2))
        assert t.makespan == (s.ranks + s.microbatches - 1) * 3
        assert t.bubble == pytest.approx((s.ranks - 1) / (s.microbatches + s.ranks - 1))
        assert t.overhead == pytest.approx((s.ranks - 1) / s.microbatches)


def test_chunks_divide_the_triangle():
    """Narayanan et al., 2021: with V chunks the step takes M(F + B) + (P - 1)(F + B)/V, for M a multiple of P."""
    for p, rounds, chunks in product(range(1, 7), (1, 2, 3), (1, 2, 3, 4)):
        s = minipar.interleaved_1f1b(p, p * rounds, chunks=chunks)
        t = predict(s, Cost(F=1 / chunks, B=2 / chunks))
        assert t.makespan == pytest.approx(3 * p * rounds + 3 * (p - 1) / chunks)
        assert lower(s).messages == 2 * p * rounds * (p * chunks - 1) * (p > 1)
        if p > 1 and rounds > 1:
            assert t.peak_in_flight == tuple((chunks - 1) * p + 2 * (p - 1 - r) + 1 for r in range(p))


def test_a_split_backward_fills_the_gaps():
    """Qi et al., 2023, F = I = W: ZB-H1 idles (P - 1)F inside a rank in 1F1B's memory, H2 and V not at all."""
    for p in range(1, 9):
        m = 4 * p
        work, cost = 3 * m, Cost(F=1, B=2)
        h1, h2 = (predict(build(p, m), cost) for build in (minipar.zb_h1, minipar.zb_h2))
        v = predict(minipar.zb_v(p, m), Cost(F=0.5, B=1))
        assert [max(t.span(r) for r in range(p)) for t in (h1, h2, v)] == [work + p - 1, work, work]
        assert h1.peak_in_flight[0] == p and max(h1.peak_in_flight) == p
        assert max(h2.peak_in_flight) == 2 * p - 1
        assert max(v.peak_in_flight) == 2 * p  # half stages: one share of a microbatch less than 1F1B at most


def test_a_shorter_way_needs_less_memory():
    """Qi et al., 2024, F = I = W: V-Half holds (P + 2)//2 microbatches and idles near P/2M, V-Min (P + 4)//3, 2P/3M."""
    for p in range(2, 13):
        for m in (2 * p, 4 * p, 8 * p):
            v, half, least = (predict(build(p, m), Cost(F=1, B=2)) for build in V_SHAPED.values())
            peaks = [max(t.peak_in_flight) for t in (v, half, least)]  # of half a rank's layers each
            assert peaks == [2 * p, 2 * ((p + 2) // 2), 2 * ((p + 4) // 3)]
            spans = [max(t.span(r) for r in range(p)) for t in (v, half, least)]
            assert spans == sorted(spans) and spans[0] == 6 * m
            assert half.span_bubble <= p / (2 * m) and least.span_bubble <= 2 * p / (3 * m)
            plain = predict(minipar.one_f_one_b(p, m), Cost(F=2, B=4))
            assert spans[2] <= max(plain.span(r) for r in range(p))


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


def test_pairs_at_once():
    """DualPipeV (from 2P microbatches on): sound, parses back, its messages pair up, and a cheaper pair pays."""
    for p, m in [(ranks, 2 * ranks + more) for ranks in range(1, 9) for more in range(8)]:
        s = minipar.dualpipe_v(p, m)
        assert problems(s) == []
        assert Schedule.parse(str(s), s.name) == s
        for ordered in (False, True):
            lowered = lower(s, ordered=ordered)
            assert lowered.messages == 2 * m * (2 * p - 2)
            actions = [step for row in lowered.programs for step in row if not isinstance(step, (Send, Recv))]
            assert len(actions) == s.actions and all(isinstance(action, minipar.Action) for action in actions)
        assert len(list(walk(lowered.programs, unbuffered=True))) == s.actions + 2 * lowered.messages
        one_by_one, at_once = predict(s, Cost(F=1, B=2)), predict(s, Cost(F=1, B=2, overlap=2.5))
        assert one_by_one.busy(0) == 6 * m
        pairs = sum(isinstance(step, minipar.Overlap) for step in s.programs[0])
        assert at_once.busy(0) == 6 * m - 0.5 * pairs and at_once.makespan <= one_by_one.makespan
        assert at_once.peak_in_flight == one_by_one.peak_in_flight


def test_the_rates_of_the_zero_bubble_paper():
    """Idle in the longest own span, F = I = W, no hop: (P-1)(F+B) of 1F1B, (P-1)F of H1, none of H2."""
    for p in range(1, 9):
        m = 3 * p
        plain, h1, h2 = (
            predict(build(p, m), Cost(F=1, I=1, W=1)) for build in (minipar.one_f_one_b, minipar.zb_h1, minipar.zb_h2)
        )
        assert plain.span_bubble == pytest.approx(3 * (p - 1) / (3 * m + 3 * (p - 1)))
        assert h1.span_bubble == pytest.approx((p - 1) / (3 * m + p - 1))
        assert h2.span_bubble == 0
    measured = Cost(F=18.522, I=18.086, W=9.337, hop=0.601)  # their 1.5B model on 8 devices, ms; 24 microbatches
    printed = {minipar.one_f_one_b: "0.2431", minipar.zb_h1: "0.1585", minipar.zb_h2: "0.1083"}
    for build, rate in printed.items():
        assert f"{predict(build(8, 24), measured).span_bubble:.4f}" == rate

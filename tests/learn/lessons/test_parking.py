"""What lesson 07 answers to a split schedule, word for word: legal, in time, under the cap, no more gaps than 1F1B."""

import linecache

import pytest

import minipar
from minipar import F, I, W
from minipar.learn.lessons import parking
from minipar.learn.lessons.orders import SLOTS
from minipar.learn.verdict import judge_one, right
from tests.lessons.splice import blocks_of

SOLVED, MISTAKES = blocks_of("07_zero_bubble")


def defined(code):
    file = f"<cell {hash(code)}>"
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    world = {"minipar": minipar, "F": F, "I": I, "W": W}
    exec(compile(code, file, "exec"), world)
    return world["mine"]


@pytest.fixture
def not_run(monkeypatch):
    monkeypatch.setattr(parking, "for_real", lambda work: right("as planned"))


def test_the_solution_and_the_catalogue_are_right(not_run):
    assert judge_one(parking.check_mine, defined(SOLVED["stub-2"])).good
    assert judge_one(parking.check_mine, minipar.zb_h1).good


def test_the_exercise_shows_how_its_answer_begins():
    made = defined(SOLVED["stub-2"])
    row = made(ranks=4, microbatches=8).programs[3]
    assert " ".join(map(str, row[:9])) == "3F0 3I0 3F1 3I1 3F2 3I2 3F3 3I3 3W0"
    assert " ".join(map(str, made(ranks=1, microbatches=2).programs[0])) == "0F0 0I0 0W0 0F1 0I1 0W1"


@pytest.mark.parametrize("mistake", [one for one in MISTAKES if one.cell == "stub-2"], ids=lambda one: one.name)
def test_each_listed_mistake_meets_its_sentence(mistake):
    said = judge_one(parking.check_mine, defined(mistake.code))
    assert not said.good and said.sentence == mistake.sentence


def other(program):
    return judge_one(parking.check_mine, minipar.schedule(program)).sentence


def test_a_whole_backward_is_told():
    assert judge_one(parking.check_mine, minipar.one_f_one_b).sentence == (
        "3B0 is a whole backward: 3I0 now, and 3W0 when it suits."
    )


def test_the_larger_drawer_of_h2_is_told():
    assert judge_one(parking.check_mine, minipar.zb_h2).sentence == "27 slots, par, but peaks 7 7 7 7: the cap is 4."


def test_a_forgotten_w_and_a_slow_order_are_told():
    def forgets(rank, ranks, microbatches):
        for m in range(microbatches):
            yield from (F(rank, m), I(rank, m))

    def one_by_one(rank, ranks, microbatches):
        for m in range(microbatches):
            yield from (F(rank, m), I(rank, m), W(rank, m))

    assert other(forgets).startswith("0W0 is missing")
    assert other(one_by_one) == "Legal, 72 slots: each W right behind its I. Par is 27: let r of them wait on rank r."


def test_own_idle_and_what_waits():
    builds = minipar.one_f_one_b, minipar.zb_h1, minipar.zb_h2
    traces = [minipar.predict(build(4, 8), SLOTS) for build in builds]
    assert [parking.own_idle(trace) for trace in traces] == [(9, 6, 3, 0), (3, 2, 1, 0), (0, 0, 0, 0)]
    assert [parking.most_parked(trace) for trace in traces] == [(0, 0, 0, 0), (1, 2, 3, 4), (1, 3, 5, 7)]


def test_no_order_of_split_backwards_in_par_has_more_gaps_than_1f1b(not_run):
    for ranks, microbatches in parking.HIDDEN:
        t = minipar.predict(minipar.zb_h1(ranks, microbatches), SLOTS)
        assert t.makespan == 3 * microbatches + ranks - 1 and max(t.peak_in_flight) <= ranks


def test_a_real_run_that_differs_is_told():
    class Step:
        trace = minipar.predict(minipar.zb_h1(3, 6))

    assert parking.differs(minipar.zb_h2(3, 6), Step, None) == "Rank 0 ran another order than the one you wrote."

"""Lesson 07b's exercise: each wrong answer meets its sentence, other right answers pass, real processes swap."""

import time

import pytest
import torch

from minipar.learn.lessons import circle_swap
from minipar.learn.lessons.circle_swap import check_cycle, check_swap
from minipar.learn.verdict import judge_one, right
from minipar.plan.waits import circle
from minipar.run.pool import WorkerPool
from tests.lessons.splice import blocks_of

SOLUTIONS, MISTAKES = blocks_of("07b_hangs")


def defined(source):
    names = {"__name__": "__main__"}  # as in a notebook: functions travel to workers by value
    exec(source, names)
    return names


SOLVED = defined(SOLUTIONS["stub"])
cycle, swap = SOLVED["cycle"], SOLVED["swap"]


@pytest.fixture
def no_processes(monkeypatch):
    monkeypatch.setattr(circle_swap, "for_real", lambda work: right("for real"))


def said(check, work):
    verdict = judge_one(check, work)
    assert not verdict.good
    return verdict.lines()


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_each_listed_wrong_answer_gets_its_sentence(mistake, no_processes):
    names = defined(mistake.code)
    check, work = (check_cycle, names["cycle"]) if "cycle" in names else (check_swap, names["swap"])
    assert said(check, work).count(mistake.sentence) == 1


def test_the_six_mistakes_of_the_storyboard_are_listed():
    assert len(MISTAKES) == 6


def test_the_solutions_pass(no_processes):
    assert check_cycle(cycle).good and check_swap(swap).good


def test_the_reference_is_right_on_small_graphs_by_brute_force():
    def slow(waits):
        found = []
        for start in range(len(waits)):
            rank, path = start, []
            for _ in range(len(waits)):
                if rank is None:
                    break
                path.append(rank)
                rank = waits[rank]
                if rank == start:
                    found.append(tuple(path))
                    break
        return min(found, default=())

    assert all(circle(waits) == slow(waits) == tuple(cycle(waits)) for waits in circle_swap.graphs())


def test_graphs_hold_the_corner_cases():
    graphs = circle_swap.graphs()
    assert [1, 2, 3, 2] in graphs and [1, None] in graphs and [0] in graphs and [] in graphs
    assert max(map(len, graphs)) == 64
    assert any(circle_swap.rings(waits) > 1 for waits in graphs)


def all_from(pick):
    """The solution, spoilt: `pick` makes the answer of the true circle and the graph."""
    return lambda waits: pick(cycle(waits), waits)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (all_from(lambda ring, _: ring[1:] + ring[:1]), "The right circle, from the wrong place: begin with its "
         "smallest rank, 2."),
        (all_from(lambda ring, _: sorted(ring)), "The right ranks in the wrong order: each waits for the one written "
         "behind it."),
        (all_from(lambda ring, waits: [1, *ring] if len(waits) == 4 and ring == [2, 3] else ring), "The way into the "
         "circle is not part of it: 2 to 3 alone wait for each other."),
        (all_from(lambda ring, waits: [2, 3] if waits == [1, 0, 3, 2] else ring), "There are several circles: the one "
         "with the smallest rank is asked for, that of rank 0."),
        (lambda waits: None, "cycle returns a list: the ranks of the circle, or [] where there is none."),
        (all_from(lambda ring, waits: ring or [0]), "Rank 1 waits for nobody in `[1, None]`: a chain that ends is no "
         "circle."),
        (lambda waits: [2, 2], "Each rank of the circle waits for the next one written, and the last for the first."),
        (lambda waits: 1 / 0, "<lambda> stopped with ZeroDivisionError: division by zero"),
    ],
)  # fmt: skip
def test_other_wrong_circles_are_told_what_they_are(wrong, line):
    assert any(told.startswith(line) for told in said(check_cycle, wrong)), said(check_cycle, wrong)


def test_a_tuple_is_fine_and_a_long_graph_is_written_short():
    assert check_cycle(lambda waits: tuple(cycle(waits))).good
    assert circle_swap.short(list(range(64))) == "[0, 1, 2, 3, 4, …, 61, 62, 63] (64 ranks)"


# -- swap --------------------------------------------------------------------------------------------------------


def larger_sends_first(w, x, peer):
    if w.rank > peer:
        w.send(x, to=peer)
        return w.recv(source=peer)
    came = w.recv(source=peer)
    w.send(x, to=peer)
    return came


def test_the_other_order_passes_too(no_processes):
    assert check_swap(larger_sends_first).good


def odd_ranks_send_first(w, x, peer):
    if w.rank % 2:
        w.send(x, to=peer)
        return w.recv(source=peer)
    came = w.recv(source=peer)
    w.send(x, to=peer)
    return came


def sends_twice(w, x, peer):
    if w.rank < peer:
        w.send(x, to=peer)
        w.recv(source=peer)
    else:
        w.recv(source=peer)
        w.send(x, to=peer)
    return swap(w, x, peer)


def one_only_receives(w, x, peer):
    if w.rank < peer:
        w.send(x, to=peer)
        return w.recv(source=peer)
    return w.recv(source=peer)


def neighbours(w, x, peer):
    return swap(w, x, w.rank ^ 1)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (odd_ranks_send_first, "Works for 0 and 1; 0 and 2 are both even and both wait in recv. Compare with `peer`, "
         "not with two."),
        (sends_twice, "The values are right, but rank 0 sent 2 messages: one each is enough."),
        (one_only_receives, "Not yet: rank 0 waits in recv for rank 1, which does not come."),
        (neighbours, "Rank 0 returned [10.0, 11.0, 12.0]; rank 2 had [20.0, 21.0, 22.0]."),
        (lambda w, x, peer: x, "Rank 0 returned its own x: both return the other's tensor."),
        (lambda w, x, peer: None, "Rank 0 returned nothing: both return the other's tensor."),
        (lambda w, x, peer: 3, "Rank 0 returned int, not a tensor."),
        (lambda w, x, peer: w.exchange(x, to=peer, source=peer), "`exchange` is a cure too, ready-made. Here: with "
         "`send` and `recv` alone."),
        (lambda w, x, peer: w.recv(source=7), "Rank 0 names rank 7; its partner is `peer`."),
    ],
)  # fmt: skip
def test_other_wrong_swaps_are_told_what_they_are(wrong, line, no_processes):
    assert any(told.startswith(line) for told in said(check_swap, wrong)), said(check_swap, wrong)


@pytest.fixture(scope="module")
def ordered():
    with WorkerPool(4, backend="gloo-ordered") as pool:
        yield pool


def test_the_solution_swaps_on_real_processes(ordered, monkeypatch):
    monkeypatch.setattr(circle_swap, "workers", lambda count, backend: ordered)
    assert check_swap(swap).sentence == (
        "Six pairs of real processes swapped from hand to hand: one send and one receive each, nobody waits."
    )


def test_who_hangs_only_on_real_processes_is_told_and_the_pool_lives(ordered, monkeypatch):
    monkeypatch.setattr(circle_swap, "workers", lambda count, backend: ordered)

    def hangs(w, x, peer):
        if hasattr(w, "recorder"):  # a rehearsal's handle has none
            w.send(x, to=peer)
            return w.recv(source=peer)
        return swap(w, x, peer)

    started = time.monotonic()
    with pytest.raises(circle_swap.Trouble, match="Right in the rehearsal, but not on four real processes: deadlock"):
        check_swap(hangs)
    assert time.monotonic() - started < 60
    assert ordered.run(lambda w: torch.tensor(w.rank).item()) == [0, 1, 2, 3]

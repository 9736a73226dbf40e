"""Lesson 00: every listed wrong answer is met by its sentence, and the ring's check looks at the route too."""

import pytest
import torch

from minipar.learn.lessons import devices
from minipar.learn.rehearse import rehearse
from minipar.learn.verdict import right


def solution(w, x):
    following, before = (w.rank + 1) % w.ranks, (w.rank - 1) % w.ranks
    if w.rank == 0:
        w.send(x + 1, to=following)
        return w.recv(source=before)
    w.send(w.recv(source=before) + 1, to=following)


def everyone_receives_first(w, x):
    arrived = w.recv(source=(w.rank - 1) % w.ranks)
    w.send(arrived + 1, to=(w.rank + 1) % w.ranks)
    return arrived


def next_is_rank_plus_one(w, x):
    if w.rank > 0:
        x = w.recv(source=w.rank - 1)
    w.send(x + 1, to=w.rank + 1)
    if w.rank == 0:
        return w.recv(source=w.ranks - 1)


def rank_0_never_receives(w, x):
    if w.rank > 0:
        x = w.recv(source=w.rank - 1)
    w.send(x + 1, to=(w.rank + 1) % w.ranks)
    return x + w.ranks


def rank_0_sends_to_each(w, x):
    if w.rank == 0:
        for rank in range(1, w.ranks):
            w.send(x + 1, to=rank)
        return x + w.ranks
    w.recv(source=0)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            everyone_receives_first,
            "Not yet: all wait. Rank 0 waits for rank 3, 3 for 2, 2 for 1, 1 for 0. One rank has to send before it "
            "receives.",
        ),
        (
            next_is_rank_plus_one,
            "Not yet: rank 3 sent to rank 4, but four ranks are numbered 0 to 3. After the last comes 0: use the "
            "remainder.",
        ),
        (
            rank_0_never_receives,
            "Not yet: rank 3's message to rank 0 was sent and never collected. The ring closes at rank 0.",
        ),
        (rank_0_sends_to_each, "The value is right, the route is not: 0→1, 0→2, 0→3. Expected 0→1→2→3→0."),
    ],
)
def test_each_listed_wrong_answer_gets_its_sentence(wrong, sentence):
    verdict = devices.check_ring(wrong)
    assert not verdict.good and verdict.sentence == sentence
    assert verdict.lines().count(sentence) == 1


def test_the_solution_passes_and_is_run_for_real(monkeypatch):
    monkeypatch.setattr(devices, "check_for_real", lambda ring, x: right("for real"))
    assert devices.check_ring(solution).good


def made_for_four(w, x):
    if w.rank == 0:
        w.send(x + 1, to=1)
        return w.recv(source=3)
    w.send(w.recv(source=w.rank - 1) + 1, to=(w.rank + 1) % 4)


def numbers_only(w, x):
    home = solution(w, torch.tensor(x.flatten()[0].item()))
    return home


def forgets_its_own(w, x):
    if w.rank == 0:
        w.send(x, to=1)
        return w.recv(source=w.ranks - 1)
    w.send(w.recv(source=w.rank - 1) + 1, to=(w.rank + 1) % w.ranks)


def knows_the_answer(w, x):
    return x + w.ranks


def raises(w, x):
    return w.rank.ring


@pytest.mark.parametrize(
    ("wrong", "lines"),
    [
        (made_for_four, ["Not yet: rank 0 names rank 3, but two ranks are numbered 0 to 1.", "Tried: 2 ranks, x = 10"]),
        (forgets_its_own, ["Not yet.", "Tried: 4 ranks, x = 10", "Expected: 14 on rank 0", "Got: 13"]),
        (numbers_only, ["Not yet.", "Tried: 3 ranks, x = a 3 × 5 tensor"]),
        (
            knows_the_answer,
            [
                "Not yet.",
                "Tried: 4 ranks, x = 10",
                "The value is right, the route is not: no message at all.",
            ],
        ),
        (
            raises,
            ["Not yet.", "Tried: 4 ranks, x = 10", "On rank 0 ring stopped with AttributeError: 'int' object"],
        ),
    ],
)
def test_hidden_sizes_and_other_mistakes(wrong, lines):
    told = devices.check_ring(wrong).lines()
    assert [got[: len(line)] for got, line in zip(told, lines, strict=False)] == lines


def test_a_rehearsal_writes_everything_down():
    seen = rehearse(solution, 3, torch.tensor(1))
    assert seen.route() == [(0, 1), (1, 2), (2, 0)]
    assert [sent.value.item() for sent in seen.messages] == [2, 3, 4]
    assert seen.results[0].item() == 4 and seen.results[1:] == [None, None] and not seen.left
    assert rehearse(everyone_receives_first, 3, torch.tensor(1)).waiting == {0: 2, 1: 0, 2: 1}


def test_copies_go_in_and_out():
    x = torch.tensor([1.0])

    def spoils(w, x):
        if w.rank == 0:
            w.send(x, to=1)
            x += 100
        else:
            return w.recv(source=0)

    seen = rehearse(spoils, 2, x)
    assert x.item() == 1 and seen.results[1].item() == 1


def test_an_endless_rank_ends():
    def endless(w, x):
        while True:
            x = x + 1

    assert rehearse(endless, 2, 1, limit=0.2).endless

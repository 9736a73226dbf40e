"""Lesson 02's exercise: each wrong answer meets its sentence; a ring is told from what only looks like one."""

import pytest
import torch

from minipar.learn.lessons import ring_sum
from minipar.learn.rehearse import rehearse
from minipar.learn.verdict import judge_one, right
from tests.lessons.splice import blocks_of

SOLUTIONS, MISTAKES = blocks_of("02_messages")


def program(source):
    names = {}
    exec(source, names)
    return names["ring_sum"]


solution = program(SOLUTIONS["stub"])


def said(wrong):
    verdict = judge_one(ring_sum.check_ring_sum, wrong)
    assert not verdict.good
    return verdict.lines()


@pytest.fixture(autouse=True)
def no_processes(monkeypatch):
    monkeypatch.setattr(ring_sum, "for_real", lambda work: right("for real"))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_each_listed_wrong_answer_gets_its_sentence(mistake):
    assert said(program(mistake.code)).count(mistake.sentence) == 1


def test_the_six_mistakes_of_the_storyboard_are_listed():
    assert len(MISTAKES) == 6


def test_the_solution_passes():
    assert ring_sum.check_ring_sum(solution).good


def odd_ranks_receive_first(w, x):
    """The solution without `exchange`: on an odd number of ranks rank 0 sends while its neighbours do otherwise."""

    def swap(piece):
        if w.rank % 2 == 0:
            w.send(piece, to=(w.rank + 1) % w.ranks)
            return w.recv(source=(w.rank - 1) % w.ranks)
        came = w.recv(source=(w.rank - 1) % w.ranks)
        w.send(piece, to=(w.rank + 1) % w.ranks)
        return came

    return ring(w, x, swap)


def ring(w, x, swap, split=None, shift=0):
    pieces = list(split(x) if split else x.flatten().tensor_split(w.ranks))
    for step in range(w.ranks - 1):
        at = (w.rank - step - 1 + shift) % w.ranks
        pieces[at] = pieces[at] + swap(pieces[(at + 1) % w.ranks])
    for step in range(w.ranks - 1):
        pieces[(w.rank - step + shift) % w.ranks] = swap(pieces[(w.rank + 1 - step + shift) % w.ranks])
    return torch.cat(pieces).reshape(x.shape)


def exchanging(w):
    return lambda piece: w.exchange(piece, to=(w.rank + 1) % w.ranks, source=(w.rank - 1) % w.ranks)


def skips_empty(w, x):
    """A ring that sends nothing where there is nothing to send: both sides know the sizes."""
    sizes = [len(piece) for piece in x.flatten().tensor_split(w.ranks)]
    pieces = list(x.flatten().tensor_split(w.ranks))
    steps = [(-step, -step - 1, True) for step in range(w.ranks - 1)]
    steps += [(1 - step, -step, False) for step in range(w.ranks - 1)]
    for mine, theirs, adds in steps:
        mine, theirs = (w.rank + mine) % w.ranks, (w.rank + theirs) % w.ranks
        to, source = (w.rank + 1) % w.ranks, (w.rank - 1) % w.ranks
        if sizes[mine] and sizes[theirs]:
            came = w.exchange(pieces[mine], to=to, source=source)
        elif sizes[mine]:
            w.send(pieces[mine], to=to)
        elif sizes[theirs]:
            came = w.recv(source=source)
        if sizes[theirs]:
            pieces[theirs] = pieces[theirs] + came if adds else came
    return torch.cat(pieces).reshape(x.shape)


@pytest.mark.parametrize(
    "good",
    [
        odd_ranks_receive_first,
        skips_empty,
        lambda w, x: ring(w, x, exchanging(w), shift=2),
    ],
)
def test_other_rings_pass_too(good):
    assert ring_sum.check_ring_sum(good).good


def everyone_receives_first(w, x):
    return x + w.recv(source=(w.rank - 1) % w.ranks)


def rank_0_leaves(w, x):
    return x if w.rank == 0 else x + w.recv(source=(w.rank - 1) % w.ranks)


def through_zero(w, x):
    if w.rank:
        w.send(x, to=0)
        return w.recv(source=0)
    total = sum((w.recv(source=rank) for rank in range(1, w.ranks)), x)
    for rank in range(1, w.ranks):
        w.send(total, to=rank)
    return total


def knows_the_answer(w, x):
    return w.ranks * (x - 10 * w.rank) + 10 * sum(range(w.ranks))


def by_chunks(w, x):
    return ring(w, x, exchanging(w), split=lambda x: x.flatten().chunk(w.ranks))


def in_place(w, x):
    x.copy_(solution(w, x))
    return x


def padded(w, x):
    more = -x.numel() % w.ranks
    long = torch.cat([x.flatten(), x.new_zeros(more)])
    return solution(w, long)[: x.numel()].reshape(x.shape)


def one_by_one(w, x):
    """The ring, with each piece sent as single numbers."""

    def swap(piece):
        return torch.cat([exchanging(w)(number) for number in piece.split(1)])

    return ring(w, x, swap)


@pytest.mark.parametrize(
    ("wrong", "lines"),
    [
        (
            everyone_receives_first,
            "Not yet: all wait. Rank 0 waits for 3, 1 for 0, 2 for 1, 3 for 2, and none sends. Use `exchange`, or let "
            "one rank send first.",
        ),
        (rank_0_leaves, "Not yet: rank 1 waits for a message from rank 0, which has finished."),
        (lambda w, x: w.send(x, to=w.rank + 1), "Not yet: rank 3 names rank 4, but four ranks are numbered 0 to 3. "
         "After the last comes 0: use the remainder."),
        (through_zero, "The sum is right, but rank 0 sent to rank 2. In a ring r sends only to r + 1."),
        (knows_the_answer, "The sum is right, but 0 B were sent in all, and 192 B is the least. Where is the rest "
         "from?"),
        (by_chunks, "The sum is right, but pieces of 1 to 3 elements are not even: 10 on 4 ranks is 3 3 2 2 "
         "(`tensor_split`)."),
        (padded, "The sum is right; the ranks sent 288 B in all, 240 B suffice. Send pieces."),
        (one_by_one, "The sum is right; a rank sent 12 messages, 6 suffice. Each message pays its wait."),
        (in_place, "The sum is right, but rank 0's `x` is not what it was: work on `x.clone()`."),
        (lambda w, x: None, "Rank 0 returned nothing: every rank has to return the sum."),
        (lambda w, x: 3, "Rank 0 returned int, not a tensor."),
        (lambda w, x: solution(w, x).double(), "Rank 0 returned float64; x is float32."),
        (lambda w, x: solution(w, x).flatten(), "Rank 0 returned the shape (15,); x has the shape (3, 5)."),
        (lambda w, x: x, "Rank 0's first is 0, expected 60."),
        (lambda w, x: w.axis(), "On rank 0 ring_sum stopped with AttributeError: this exercise needs only w.rank, "
         "w.ranks, w.send, w.recv and w.exchange, not w.axis"),
    ],
)  # fmt: skip
def test_other_answers_are_told_what_they_are(wrong, lines):
    assert any(line.startswith(lines) for line in said(wrong)), said(wrong)


def test_bytes_of_uneven_pieces_are_those_of_the_storyboard():
    case = next(case for case in ring_sum.CASES if case.words == "0 … 9")
    seen = rehearse(ring_sum.playing(solution), 4, case.inputs(), rendezvous=True)
    assert [sum(sent.value.nbytes for sent in by) for by in ring_sum.letters(seen)] == [60, 64, 60, 56]
    shown = rehearse(ring_sum.playing(solution), 4, ring_sum.CASES[0].inputs(), rendezvous=True)
    assert [[sent.value.nbytes for sent in by] for by in ring_sum.letters(shown)] == [[8] * 6] * 4
    assert shown.results[0][0].tolist() == [60, 64, 68, 72, 76, 80, 84, 88]


def test_a_send_waits_in_the_rehearsal_only_where_asked():
    stuck = program(next(mistake.code for mistake in MISTAKES if mistake.name.startswith("all send")))
    inputs = ring_sum.CASES[0].inputs()
    kept = rehearse(ring_sum.playing(stuck), 4, inputs)
    assert kept.results[3][0].tolist() == [60, 64, 68, 72, 76, 80, 84, 88] and not kept.offering
    assert rehearse(ring_sum.playing(stuck), 4, inputs, rendezvous=True).offering == {0: 1, 1: 2, 2: 3, 3: 0}

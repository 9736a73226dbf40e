"""The ring step by step is the ring that runs; the matrices say what was sent."""

import pytest
import torch

from minipar.learn.rehearse import rehearse
from minipar.view import ring as view
from minipar.view.explorer import Explorer
from minipar.view.ring import holdings, matrices, moves, places, ring


def test_four_ranks_make_six_steps_and_every_link_is_busy_in_each():
    steps = moves(4)
    assert [step[0].adds for step in steps] == [True] * 3 + [False] * 3
    for step in steps:
        assert [(move.source, move.target) for move in step] == [(0, 1), (1, 2), (2, 3), (3, 0)]
        assert sorted(move.piece for move in step) == [0, 1, 2, 3]
    assert [move.piece for move in steps[0]] == [0, 1, 2, 3]
    assert [move.piece for move in steps[3]] == [1, 2, 3, 0]


@pytest.mark.parametrize("ranks", [2, 3, 4, 5, 8])
def test_after_lap_one_rank_r_has_finished_piece_r_plus_one_and_in_the_end_all_have_all(ranks):
    seen = holdings(ranks)
    assert len(seen) == 2 * ranks - 1
    whole = [[len(inside) == ranks for inside in pieces] for pieces in seen[ranks - 1]]
    assert whole == [[piece == (rank + 1) % ranks for piece in range(ranks)] for rank in range(ranks)]
    assert all(sorted(inside) == list(range(ranks)) for pieces in seen[-1] for inside in pieces)


def test_what_is_drawn_is_what_our_collective_sends():
    collectives = pytest.importorskip("minipar.run.collectives")

    def program(w, inputs):
        w.size, w.next, w.previous = w.ranks, (w.rank + 1) % w.ranks, (w.rank - 1) % w.ranks
        return collectives.ring_all_reduce.__wrapped__(w, inputs[w.rank])

    inputs = [torch.eye(4)[rank].repeat_interleave(4) * 0 + 2.0**rank for rank in range(4)]  # a sum says who is in it
    seen = rehearse(program, 4, [one[:4] for one in inputs])
    for rank in range(4):
        sent = [message.value.item() for message in seen.messages if message.source == rank]
        drawn = []
        for step, before in zip(moves(4), holdings(4), strict=False):
            piece = step[rank].piece
            drawn.append(sum(2.0**inside for inside in before[rank][piece]))
        assert sent == drawn


def test_the_slider_steps_through_it_and_says_what_happens(monkeypatch):
    monkeypatch.setattr(Explorer, "strict", True)
    ex = ring(4)
    assert repr(ex) == "Ring(ranks=4, step 1 of 6, 0 finished pieces)"
    assert ex.readout.facts[1] == ["links busy in this step", "4 of 4"]
    assert ex.view.words == ["step 1 of 6", "lap one: add"]
    assert [(arrow["from"], arrow["to"], arrow["text"]) for arrow in ex.view.arrows][:2] == [
        (0, 1, "piece 0"), (1, 2, "piece 1"),
    ]  # fmt: skip
    assert [box["callout"] for box in ex.view.boxes] == ["", "sum grows", "", ""]
    assert [tile["text"] for tile in ex.view.boxes[1]["tiles"]] == ["0+1", "1", "1", "1"]
    ex.controls["step"].value = 3
    assert ex.view.boxes[1]["callout"] == "finished piece" and ex.view.boxes[1]["tiles"][2]["done"]
    ex.set(step=6)
    assert ex.readout.facts == [
        ["messages so far, each rank", "6"], ["links busy in this step", "4 of 4"], ["finished pieces", "16 of 16"],
    ]  # fmt: skip
    ex.set(step=0)
    assert ex.view.arrows == [] and "Move the step" in ex.readout.sentence


def test_the_saved_figure_shows_all_seven_moments():
    figure = ring(4).figure()
    assert len(figure.data) == 7 and [title.text for title in figure.layout.annotations][:2] == ["start", "step 1"]
    assert list(figure.data[3].text[1]) == ["2", "1", "sum", "3"]


def test_ranks_stand_in_a_circle_clockwise_four_in_the_corners():
    assert [(round(x), round(y)) for x, y in places(4)] == [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    assert places(2)[0][1] == -1 and all(abs(x) <= 1 and abs(y) <= 1 for n in range(2, 9) for x, y in places(n))


@pytest.mark.parametrize("ranks", [1, 9])
def test_other_numbers_of_ranks_are_refused(ranks):
    with pytest.raises(ValueError, match=f"The ring is drawn for 2 to 8 ranks, not for {ranks}."):
        ring(ranks)


def test_matrices_share_one_scale_and_name_the_busiest_row():
    zero = [[0, 4, 4, 4], [4, 0, 0, 0], [4, 0, 0, 0], [4, 0, 0, 0]]
    even = [[0, 6, 0, 0], [0, 0, 6, 0], [0, 0, 0, 6], [6, 0, 0, 0]]
    figure = matrices(
        {name: [[size * 10**6 for size in row] for row in table] for name, table in (("zero", zero), ("even", even))},
        "finding",
    )
    assert [trace.zmax for trace in figure.data] == [6_000_000] * 2
    words = [note.text for note in figure.layout.annotations]
    assert words[:2] == ["zero<br>24 MB in all", "even<br>24 MB in all"]
    assert words.count("rank 0's row: 12 MB") == 1 and words.count("6 MB") == 4 and "<b>12 MB</b>" in words
    assert list(figure.data[0].text[0]) == ["", "4 MB", "4 MB", "4 MB"]


def test_pieces_carry_black_letters_that_can_be_read():
    from minipar.view.theme import contrast

    assert all(contrast(fill, "#000000") >= 4.5 for fill in view.PIECES)

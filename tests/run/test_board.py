"""The board on which ranks write the collective they are about to call."""

import pytest

from minipar.run.board import SLOTS, Board
from minipar.run.oplog import Desync, OperationLog


@pytest.fixture
def boards(tmp_path):
    path = str(tmp_path / "board")
    Board.make(path, 3)
    return [Board(path, 3, rank) for rank in range(3)]


def test_what_one_writes_the_others_read(boards):
    assert boards[1].read(0, 77, 1) is None
    boards[0].write(77, 1, "all_reduce sum of 4 float32", "cell, line 3")
    assert boards[1].read(0, 77, 1) == ("all_reduce sum of 4 float32", "cell, line 3", (), ())
    assert boards[1].read(0, 77, 2) is None
    boards[0].write(77, 2, "all_to_all float32", "x" * 500, (1, 2, 3), (4, 5, 6))
    text, where, sends, receives = boards[2].read(0, 77, 2)
    assert (text, len(where), sends, receives) == ("all_to_all float32", 240, (1, 2, 3), (4, 5, 6))


def test_a_rank_far_ahead_overwrites_only_what_is_old(boards):
    for number in range(1, SLOTS + 2):
        boards[0].write(5, number, f"barrier {number}", "")
    assert boards[1].read(0, 5, 1) is None
    assert boards[1].read(0, 5, 2)[0] == "barrier 2"
    assert boards[1].read(0, 5, SLOTS + 1)[0] == f"barrier {SLOTS + 1}"


def test_letters_are_counted(boards):
    boards[1].collect(0)
    boards[1].collect(0)
    assert (boards[0].collected(1, 0), boards[0].collected(1, 2), boards[2].collected(0, 1)) == (2, 0, 0)
    boards[1].start_counting()
    assert boards[0].collected(1, 0) == 0


def test_whoever_comes_second_refuses(boards):
    first, second = OperationLog(0), OperationLog(2)
    first.board, second.board = boards[0], boards[2]
    first.collective("g", (0, 2), "all_reduce", "all_reduce sum of 4 float32", None)
    with pytest.raises(Desync) as caught:
        second.collective("g", (0, 2), "broadcast", "broadcast from 0 of 4 float32", None)
    assert str(caught.value).startswith(
        "the ranks disagree on collective 1 of their group: rank 2 calls broadcast from 0 of 4 float32, "
        "rank 0 calls all_reduce sum of 4 float32"
    )


def test_an_all_to_all_matches_pair_by_pair(boards):
    first, second = OperationLog(0), OperationLog(1)
    first.board, second.board = boards[0], boards[1]
    first.collective("g", (0, 1), "all_to_all", "all_to_all float32", None, [1, 5], [1, 2])
    second.collective("g", (0, 1), "all_to_all", "all_to_all float32", None, [2, 0], [5, 0])
    first.collective("g", (0, 1), "all_to_all", "all_to_all float32", None, [1, 5], [1, 2])
    with pytest.raises(Desync, match="rank 1 sends 3 elements to rank 0, which makes room for 2"):
        second.collective("g", (0, 1), "all_to_all", "all_to_all float32", None, [3, 0], [5, 0])

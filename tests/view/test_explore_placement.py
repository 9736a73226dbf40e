"""Does moving an expert move the busiest rank, the bytes, the step's time and the break-even?"""

import pytest

from minipar.plan.balance import leaning
from minipar.plan.placement import Placement
from minipar.plan.routing import follow, route
from minipar.view import explore
from minipar.view.explore_placement import WAYS, fewest_between
from minipar.view.explorer import Explorer

SEEDED = route(leaning(128, 8), 8, 2, ranks=4, nodes=2)


@pytest.fixture
def board(monkeypatch):
    monkeypatch.setattr(Explorer, "strict", True)
    return explore.placement(SEEDED, task=explore.then_the_fewest(SEEDED))


def test_it_opens_with_the_experts_in_a_row(board):
    assert repr(board) == (
        "Placement(0 1 | 2 3 || 4 5 | 6 7: busiest 156 rows, 121 between nodes, step 195 slots)"
    )
    assert board.readout.facts[:2] == [["rows of the busiest rank", "156"], ["between nodes", "121 rows, 31.0 kB"]]
    assert board.readout.sentence.startswith("All wait for rank 0: drag one of its experts away")
    assert board.board.slots == [[0, 1], [2, 3], [4, 5], [6, 7]] and board.met == [False, False]
    assert board.board.lines == [[64.0, "mean 64"], [104, "104 is possible"]]


def test_the_known_ways_stand_under_the_board(board):
    names = {row[0]: row[1] for row in board.board.table}
    assert names == {"in a row": "156", "round robin": "106", "packed": "104", "hierarchical": "104",
                     "best possible": "104", "on the board": "156"}  # fmt: skip
    assert [row[4] for row in board.board.table] == [False] * len(WAYS) + [True]


def test_a_way_places_and_moving_is_charged(board):
    board.set(way="packed")
    assert board.state.slots == "0 5 | 1 4 || 6 3 | 7 2" and board.result.busiest == 104 and board.result.moved == 6
    assert board.readout.facts[3] == ["moving pays after", "2 steps"]
    assert board.readout.sentence == "6 experts moved, 128 slots once; each step is 64 slots shorter."
    assert board.met == [True, False]
    board.set(way="in a row")
    assert board.readout.facts[3] == ["moving pays after", "nothing moved"]


def test_copies_pack_and_a_row_takes_none(board):
    board.set(copies=4)
    assert board.state.way == "packed" and board.result.busiest == 66 and board.room == 3
    assert board.board.lines == [[64.0, "mean 64, 66 is possible"]] and board.met == [False, False]
    assert board.board.loads[0] == pytest.approx(91 / 3)
    board.set(way="round robin")
    assert board.state.copies == 0 and board.state.slots == "0 4 | 1 5 || 2 6 | 3 7"


def test_a_dragged_tile_is_by_hand_and_a_full_rank_is_told(board):
    board.board.slots = [[0], [2, 3, 1], [4, 5], [6, 7]]
    assert board.state.way == "by hand" and board.state.slots == "0 | 2 3 1 || 4 5 | 6 7"
    assert board.result.busiest == 98 and board.met == [False, False]  # no room for three
    assert board.readout.problem == "Rank 1 holds 3 experts and has room for 2."
    board.board.slots = [[0, 5], [2, 1], [4, 3], [6, 7]]
    assert board.readout.problem == "" and board.met[0]


def test_what_saves_nothing_never_pays(board):
    board.set(slots="1 0 | 3 4 || 2 5 | 6 7")
    assert board.readout.facts[3] == ["moving pays after", "never"]
    assert board.readout.sentence.endswith("and steps are no shorter than before: it never pays.")


def test_the_second_task_wants_the_fewest_rows_between_nodes(board):
    fewest = fewest_between(SEEDED, 104)
    assert fewest == 117
    assert board.set(way="packed").met == [True, False]
    board.set(slots="1 2 | 3 7 || 0 5 | 4 6")
    assert (board.result.busiest, board.result.between) == (104, fewest) and board.met == [True, True]


def test_what_is_typed_wrong_is_answered_in_a_sentence(board):
    board.strict = False
    typed = board.controls["slots"]
    for text, sentence in {
        "0 1 | 2 3 || 4 5 | 6": "expert 7 is on no rank: 4 ranks hold 7 of 8 experts",
        "0 1 | 2 x || 4 5 | 6 7": "'x' is no expert: write numbers, ranks apart by |, as in 0 1 | 2 3",
        "0 1 2 3 | 4 5 6 7": "there are 4 ranks in 2 nodes: write them like 0 1 | 2 3 || 4 5 | 6 7",
    }.items():
        typed.value = text
        assert board.readout.problem == sentence


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: explore.placement(SEEDED, way="luck"),
         "way is one of in a row, round robin, packed, hierarchical, best possible, not 'luck'."),
        (lambda: explore.placement(SEEDED, speed=3), "speed is one of 0.5, 1, 2, 4, 8, 16, 32, not 3."),
        (lambda: explore.placement(route(leaning(4, 64), 64, 2, ranks=16)),
         "the board has room for 8 ranks and 32 experts, not for 16 and 64"),
        (lambda: fewest_between(route(leaning(4, 8), 8, 2, ranks=4), 9),
         "this looks for halves of the experts, one for each of 2 nodes, not 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make, sentence):
    with pytest.raises(ValueError) as refusal:
        make()
    assert str(refusal.value) == sentence


def test_a_routing_with_a_placement_of_its_own_begins_there():
    scores = leaning(128, 8)
    own = explore.placement(route(scores, 8, 2, placement=Placement.parse("0 5 | 1 4 || 2 3 | 6 7")))
    assert own.state.way == "by hand" and own.result.moved == 0
    odd = explore.placement(route(scores, 8, 2, placement=Placement.parse("0 | 1 2 3 | 4 5 6 7")))
    assert "packed" not in {row[0] for row in odd.board.table} and odd.result.busiest == 98


def test_even_ranks_are_told():
    even = follow([(token % 4,) for token in range(8)], 4, ranks=2)
    assert explore.placement(even).readout.sentence.startswith("Nothing moved, and nobody waits")


def test_the_saved_figure_says_the_finding(board):
    assert board.figure().layout.title.text == "The busiest rank has 156 rows"
    assert explore.placement(SEEDED, way="packed").figure().layout.title.text == "The busiest rank has 104 rows"

"""Who waits for whom as a picture: what is filled, which arrows are heavy, who is the odd one."""

import pytest

from minipar.plan.actions import F
from minipar.plan.schedule import Schedule
from minipar.plan.schedules import gpipe, one_f_one_b
from minipar.plan.waits import Wait, circle
from minipar.plan.waits import waits as walk
from minipar.view.drawing import Shape, Text
from minipar.view.theme import BLUE, GREY, ORANGE, VERMILION
from minipar.view.waits import Call, calls, drawn, in_words, standing, waits


def picture(schedule, by_hand=True):
    stuck = walk(schedule, by_hand)
    return waits(schedule, stuck, circle({one.rank: one.peer for one in stuck}), "title")


def words(drawing):
    return [part.words for part in drawing.parts if isinstance(part, Text)]


def arrows(drawing, fill):
    return sorted({part.tip for part in drawing.parts if isinstance(part, Shape) and part.fill == fill and part.tip})


def test_the_circle_of_1f1b_is_heavy_and_two_stand_behind():
    made = picture(one_f_one_b(4, 4))
    assert repr(made) == "Waits(1F1B: rank 0 waits for 1, 1 for 2, 2 for 3, 3 for 2; circle 2 → 3 → 2)"
    assert arrows(made, VERMILION) == ["rank 2 waits for rank 3", "rank 3 waits for rank 2"]
    assert arrows(made, GREY) == ["rank 0 waits for rank 1", "rank 1 waits for rank 2"]
    assert {"sends 0F3's activation", "sends 3B0's gradient", "to rank 2", "only stand behind", "2 → 3 → 2"} <= set(
        words(made)
    )


def test_what_was_done_is_filled_and_the_rest_hollow():
    made = picture(one_f_one_b(4, 4))
    tiles = [part for part in made.parts if isinstance(part, Shape) and ": " in part.tip]
    assert [part.tip for part in tiles[24:]] == [
        "3F0: done", "3B0: done", *(f"{a}: not reached" for a in ("3F1", "3B1", "3F2", "3B2", "3F3", "3B3")),
    ]  # fmt: skip
    assert [part.fill for part in tiles[24:27]] == [BLUE, ORANGE, ""]


def test_a_schedule_that_ends_has_no_arrow():
    made = picture(gpipe(4, 4))
    assert repr(made) == "Waits(GPipe: all reach their end)"
    assert words(made).count("has reached its end") == 4 and not arrows(made, VERMILION) + arrows(made, GREY)


def test_a_wait_past_a_neighbour_goes_round_by_the_side_and_inside_the_sheet():
    schedule = gpipe(4, 1)
    stuck = [Wait(0, 1, F(0, 0), 3, "", F(3, 0)), Wait(3, 0, F(3, 0), 0, "", F(0, 0)), Wait(1, 0, F(1, 0), None, "")]
    (wide, high), parts, summary = drawn(schedule, stuck, (0, 3))
    assert summary == "Waits(GPipe: rank 0 waits for 3, 3 for 0, 1 for nobody; circle 0 → 3 → 0)"
    points = [point for part in parts if isinstance(part, Shape) for point in part.points]
    assert all(0 <= x <= wide and 0 <= y <= high for x, y in points)
    made = waits(schedule, stuck, (0, 3), "")
    assert {"for what nobody makes", "only stands behind"} <= set(words(made))


def test_long_lists_fit():
    (wide, _), parts, _ = drawn(one_f_one_b(2, 64), (), ())
    assert wide < 900 and not [part for part in parts if isinstance(part, Text) and part.words == "0F0"]


def test_an_empty_list_is_drawn():
    assert "rank 0" in words(waits(Schedule("none", ((),)), (), (), ""))


@pytest.mark.parametrize("theme", ["plain"])
def test_equal_pictures_are_equal_figures(theme):
    assert picture(one_f_one_b(4, 4)).figure() == picture(one_f_one_b(4, 4)).figure()


def test_words_of_a_place_in_the_list():
    stuck = walk(one_f_one_b(2, 2), True)
    assert standing(stuck[0]) == ("sends 0F1's activation", "to rank 1")
    missing = walk(Schedule.parse("0F0 0B0\n1B0 1F0"), False)
    assert standing(missing[0]) == ("waits at 0B0", "for 1B0 of rank 1")
    assert in_words((), ()) == "all reach their end"


def test_the_odd_one_is_marked():
    rows = [Call(rank, "all_reduce", "line 4", "all_reduce(x)") for rank in range(3)]
    made = calls([*rows, Call(3, "broadcast", "line 3", "broadcast(x)")], "title")
    assert words(made).count("the odd one") == 1 and arrows(made, VERMILION) == ["rank 3 calls something else"]
    assert repr(made).endswith("rank 3 broadcast at line 3)")
    assert "the odd one" not in words(calls(rows, "title"))

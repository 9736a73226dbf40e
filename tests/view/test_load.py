"""Is a bar as long as its rows, does it say who waits, and do lines of load follow the steps?"""

import pytest

from minipar.cost.machine import Link
from minipar.cost.routing import Links, StepTime
from minipar.plan.balance import leaning, taught
from minipar.plan.placement import packed
from minipar.plan.routing import follow, route
from minipar.view.drawing import Shape, Text
from minipar.view.explore_split import DEVICES
from minipar.view.load import evened, finding, loads, shares, stragglers

SCORES = leaning(128, 8)
SEEDED = route(SCORES, 8, 2, ranks=4)


def words(view):
    return [part.words for part in view.parts if isinstance(part, Text)]


def hatched(view):
    return [part for part in view.parts if isinstance(part, Shape) and part.hatch]


def test_three_ranks_wait_for_rank_0():
    view = stragglers(SEEDED)
    assert view.title == "Three ranks wait for rank 0"
    assert repr(view) == "Stragglers(rows 156 33 28 39, busiest / mean 2.44, 156 slots)"
    assert words(view).count("waits for rank 0") == 3 and len(hatched(view)) == 3
    assert "2.44 × mean" in words(view) and "expert 0" in words(view)


def test_four_ways_stand_on_one_axis_with_their_prices():
    ways = {
        "as they are": SEEDED,
        "full": route(SCORES, 8, 2, 1.0, ranks=4),
        "placed": route(SCORES, 8, 2, placement=packed(SEEDED.load, 4)),
        "copied": route(SCORES, 8, 2, placement=packed(SEEDED.load, 4, 12)),
    }
    view = stragglers(ways, "Four ways", row=0.005, unit="s", notes={"full": "92 choices lost"})
    said = words(view)
    assert [time for time in said if time.startswith("step ")] == ["step 780 ms", "step 320 ms", "step 520 ms",
                                                                   "step 330 ms"]  # fmt: skip
    assert "92 choices lost" in said and [name for name in said if name in ways] == list(ways)
    assert "placed: rows 104 80 36 36, busiest / mean 1.62, 520 ms" in repr(view)


def test_an_expert_keeps_its_colour_wherever_it_lies():
    def fills(**more):
        view = stragglers(route(SCORES, 8, 2, placement=packed(SEEDED.load, 4, 12)), **more)
        return {part.fill for part in view.parts if isinstance(part, Shape) and part.tip.startswith("expert 0:")}

    assert len(fills()) == 3 and fills(home=SEEDED.placement) == {DEVICES[0][0]}


def test_more_than_two_panels_are_less_high():
    two, four = (stragglers({str(number): SEEDED for number in range(many)}) for many in (2, 4))
    assert four.sheet[1] < 2 * two.sheet[1] * 0.8
    for view in (two, four):  # nothing hangs out
        assert max(y for part in view.parts if isinstance(part, Shape) for _, y in part.points) <= view.sheet[1]


def test_links_and_padding_are_drawn():
    padded = route(SCORES, 8, 2, 1.0, pad=True, ranks=4)
    view = stragglers(padded, links=Links(Link(0, 0.25), Link(0, 0.25)))
    assert words(view).count("dispatch") == words(view).count("combine") == 4
    assert "padding" in words(view) and not hatched(view)
    assert view.title == "Nobody waits: all ranks have the same work"


def test_measured_parts_take_the_place_of_predicted_ones():
    times = {"": StepTime(0.1, 1.2, 0.1, (1.2, 0.3, 0.3, 0.4))}
    view = stragglers({"": SEEDED}, row=0.005, unit="s", times=times)
    assert "step 1.40 s" in words(view) and len(hatched(view)) == 3
    assert "busiest / mean 2.44, 1.40 s" in repr(view)


def test_findings():
    assert finding(follow([(0,), (0,), (1,)], 2, ranks=2)) == "One rank waits for rank 0"
    assert finding(follow([], 2, ranks=2)) == "Nobody waits: all ranks have the same work"
    assert stragglers(follow([], 2, ranks=2)).title


def test_rows_by_expert_and_rank():
    assert shares(SEEDED)[0] == {0: 91, 1: 65}
    assert sum(sum(one.values()) for one in shares(SEEDED)) == 256
    with pytest.raises(ValueError, match="there is no routing to draw: give one, or several by name"):
        stragglers({})


def test_loads_follow_the_steps_and_say_what_became_of_them():
    view = loads(taught(41))
    assert view.title == "The busiest expert falls from 2.84 to 1.16 times the mean"
    assert repr(view).startswith("Loads(41 steps, 8 experts: busiest / mean 2.84 at first, 1.16 at last; ")
    lines = [part for part in view.parts if isinstance(part, Shape) and part.tip]
    assert len(lines) == 9 and {"91", "65"} <= set(words(view))


def test_loads_grow_live():
    view = loads()
    assert repr(view) == "Loads(no step yet)" and view.title == "No step yet"
    view.add((3, 1)).add((2, 2))
    assert view.uneven == [1.5, 1.0] and len(view.shapes) > 2
    with pytest.raises(ValueError, match="step 2 has loads of 3 experts, the steps before had 2"):
        view.add((1, 2, 3))


def test_headings_of_loads():
    assert evened([1.0]) == "The busiest expert has 1.00 times the mean"
    assert evened([1.2, 3.0]) == "The busiest expert rises from 1.20 to 3.00 times the mean"


def test_saved_figures_are_stable():
    for view in (stragglers(SEEDED), loads(taught(5))):
        assert view.figure() == view.figure()

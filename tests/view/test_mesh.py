"""The picture of a mesh says who is in whose group, who talks to whom, and what leaves a box."""

import pytest

from minipar.cost.axes import step_traffic
from minipar.cost.model import Shape
from minipar.plan.mesh import Mesh
from minipar.view.drawing import Text, figure
from minipar.view.explore_split import DEVICES
from minipar.view.mesh import Talk, corner, line, page, seat

SHAPE = Shape(layers=4, hidden=16, heads=4, vocabulary=32, context=8)


def talk(axis="tensor", box=4, **sizes):
    mesh = Mesh(**(sizes or {"pipe": 2, "data": 2, "tensor": 2}))
    return Talk(mesh, axis, box, step_traffic(mesh, SHAPE))


def test_what_leaves_a_box_follows_from_the_order():
    near = talk()
    assert near.busiest == "tensor"
    assert [near.leaves(axis) for axis in ("tensor", "data", "pipe")] == [0, 0, 1]
    far = talk(tensor=2, data=2, pipe=2)
    assert [far.leaves(axis) for axis in ("tensor", "data", "pipe")] == [1, 0, 0]
    assert talk("pipe", box=2, pipe=4).leaves("pipe") == pytest.approx(1 / 3)
    assert far.sent("tensor") == near.sent("tensor") > 0


def test_every_pair_that_talks_differs_on_one_axis():
    one = talk()
    assert one.between(0, 1)[0] == "tensor" and one.between(0, 2)[0] == "data" and one.between(0, 4)[0] == "pipe"
    assert one.between(0, 3) == ("", 0)


def test_ranks_of_one_group_have_one_colour_and_their_place_on_every_axis():
    one = talk("data")
    assert [one.group(rank) for rank in range(8)] == [0, 1, 0, 1, 2, 3, 2, 3]
    words = [part.words for part in page(one).parts if isinstance(part, Text)]
    assert "t1 d0" in words and "box 1" in words and words.count("D") == 8 and words.count("P") == 8
    tiles = [part for part in page(one).parts if getattr(part, "tip", "").startswith("rank 5: ")]
    assert [(part.fill, part.tip) for part in tiles] == [(DEVICES[3][0], "rank 5: pipe 1, data 0, tensor 1")]


@pytest.mark.parametrize(("box", "ranks"), [(1, 16), (2, 16), (4, 8), (4, 16), (8, 16), (16, 16), (8, 2)])
def test_no_two_ranks_lie_on_one_another_and_all_on_the_sheet(box, ranks):
    one = talk("pipe", min(box, ranks), pipe=2, data=ranks // 2)
    places = {corner(rank, one) for rank in range(ranks)}
    assert len(places) == ranks
    (width, height), parts = page(one)
    for part in parts:
        points = [(part.x, part.y)] if isinstance(part, Text) else part.points
        assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    assert len({seat(rank, one) for rank in range(ranks)}) == ranks


def test_lines_go_above_straight_down_or_beside():
    one = talk("pipe", 4, pipe=4, tensor=4)
    near, far = line(one, 0, 4, "#000000"), line(one, 0, 12, "#000000")
    assert one.mesh.groups("pipe")[0] == (0, 4, 8, 12)
    assert "ranks 0 and 4" in near.tip and "each way" in near.tip
    assert max(x for x, _ in far.points) > corner(0, one)[0] + 52
    beside = talk("tensor", 4, pipe=4, tensor=4)
    assert min(y for _, y in line(beside, 0, 1, "#000000").points) < corner(0, beside)[1]


def test_the_plain_figure_has_it_all():
    size, parts = page(talk())
    chart = figure("", size, parts)
    assert len(chart.layout.annotations) == sum(isinstance(part, Text) for part in parts)

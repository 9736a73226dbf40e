"""Ranks on named axes: the last axis varies fastest."""

import pickle

import pytest

from minipar import Mesh


def test_groups_along_an_axis():
    mesh = Mesh(data=2, pipe=3)
    assert mesh.size == 6
    assert mesh.groups("pipe") == ((0, 1, 2), (3, 4, 5))
    assert mesh.groups("data") == ((0, 3), (1, 4), (2, 5))
    assert mesh.group("data", 4) == (1, 4)
    assert mesh.coordinates(5) == {"data": 1, "pipe": 2}
    assert all(mesh.rank(**mesh.coordinates(rank)) == rank for rank in range(6))


def test_a_mesh_is_a_value():
    mesh = Mesh(pipe=4)
    assert mesh == Mesh(pipe=4) != Mesh(pipe=2)
    assert pickle.loads(pickle.dumps(mesh)) == mesh
    assert repr(mesh) == "Mesh(pipe=4)"
    with pytest.raises(AttributeError, match="a mesh does not change: make a new one"):
        mesh.pipe = 2


def test_megatrons_order_is_read_with_the_first_axis_fastest():
    mesh = Mesh.ordered("tp-cp-ep-dp-pp", tensor=2, pipe=2, data=2)
    assert mesh == Mesh(pipe=2, data=2, tensor=2)
    assert mesh.groups("tensor") == ((0, 1), (2, 3), (4, 5), (6, 7))
    assert mesh.groups("data") == ((0, 2), (1, 3), (4, 6), (5, 7))
    assert mesh.groups("pipe") == ((0, 4), (1, 5), (2, 6), (3, 7))
    assert mesh.order == "tp-dp-pp"
    assert Mesh.ordered("tp-pp-dp", tensor=2, pipe=2, data=2).groups("pipe") == ((0, 2), (1, 3), (4, 6), (5, 7))
    assert Mesh.ordered(mesh.order, **mesh.axes) == mesh
    assert Mesh.ordered("dp-pp", data=2, pipe=2, tensor=1) == Mesh(pipe=2, data=2)
    assert Mesh(rows=2, tensor=3).order == "tp-rows"


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (
            lambda: Mesh.ordered("tp-xp", tensor=2),
            "the order 'tp-xp' names 'xp', which is no axis: there are tp (tensor), cp (context), ep (expert), "
            "dp (data), pp (pipe)",
        ),
        (lambda: Mesh.ordered("tp-pp-tp", tensor=2), "the order 'tp-pp-tp' names tp 2 times: once is enough"),
        (lambda: Mesh.ordered("tp-pp", data=2), "data=2 has no place in the order 'tp-pp'"),
        (lambda: Mesh(), "a mesh needs at least one axis, as in Mesh(pipe=4)"),
        (lambda: Mesh(pipe=0), "axis pipe must have a whole number of ranks, 1 or more, not 0"),
        (lambda: Mesh(pipe=4).groups("tensor"), "this mesh has no axis 'tensor': it has pipe"),
        (lambda: Mesh(pipe=4).coordinates(4), "rank 4 is not on this mesh: its ranks are numbered 0 to 3"),
        (lambda: Mesh(pipe=4).rank(pipe=4), "pipe=4 is outside the axis: it has 4 ranks, from 0"),
        (lambda: Mesh(pipe=4).rank(data=0), "give one coordinate for each axis of Mesh(pipe=4), not ['data']"),
    ],
)
def test_refusals(act, sentence):
    with pytest.raises(ValueError) as refused:
        act()
    assert str(refused.value) == sentence


def test_experts_divide_the_ranks_of_a_stage_again():
    mesh = Mesh(pipe=2, data=2, expert=2)
    assert mesh.size == 4 and mesh.axes == {"pipe": 2, "data": 2}
    assert mesh.groups("data") == mesh.groups("expert") == mesh.groups("microbatch") == ((0, 1), (2, 3))
    assert mesh.groups("expert_data") == mesh.groups("expert_tensor") == ((0,), (1,), (2,), (3,))
    assert mesh.expert_axes == {"expert_data": 1, "expert": 2, "expert_tensor": 1}
    wide = Mesh(data=2, tensor=4, expert=2, expert_tensor=2)
    assert wide.groups("expert_tensor") == ((0, 1), (2, 3), (4, 5), (6, 7))
    assert wide.groups("expert") == ((0, 2), (1, 3), (4, 6), (5, 7))
    assert wide.groups("expert_data") == ((0, 4), (1, 5), (2, 6), (3, 7))
    assert wide.groups("microbatch") == (tuple(range(8)),)
    assert [wide.coordinate(rank, "expert") for rank in range(8)] == [0, 0, 1, 1, 0, 0, 1, 1]
    slow_pipe = Mesh(data=4, pipe=2, expert=2)  # a stage's ranks are not neighbours
    assert slow_pipe.groups("expert") == ((0, 2), (4, 6), (1, 3), (5, 7))


def test_a_mesh_with_experts_is_a_value_too():
    mesh = Mesh(data=4, expert=2)
    assert mesh == pickle.loads(pickle.dumps(mesh)) != Mesh(data=4) and hash(mesh) != hash(Mesh(data=4))
    assert repr(mesh) == "Mesh(data=4, expert=2)"
    assert Mesh.ordered("tp-cp-ep-dp-pp", tensor=2, data=2, expert=4) == Mesh(data=2, tensor=2, expert=4)
    assert Mesh(data=4).with_experts() == Mesh(data=4, expert=1) and mesh.with_experts() is mesh
    assert Mesh(data=4).names == ("data",)


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"data": 4, "expert": 3}, "expert=3 must divide the ranks of one pipeline stage, data 4"),
        ({"pipe": 4, "expert": 2}, "expert=2 must divide the ranks of one pipeline stage, 1 rank"),
        (
            {"data": 2, "tensor": 2, "expert": 4, "expert_tensor": 2},
            "expert=4 · expert_tensor=2 = 8 must divide the ranks of one pipeline stage, data 2 · tensor 2 = 4",
        ),
        ({"expert": 2}, "a mesh needs at least one axis to divide, as in Mesh(data=4, expert=2)"),
        ({"expert_data": 2}, "expert_data is what is left of a stage's ranks: give expert, and it follows"),
    ],
)
def test_experts_that_do_not_fit_are_refused(sizes, sentence):
    with pytest.raises(ValueError) as refused:
        Mesh(**sizes)
    assert str(refused.value) == sentence

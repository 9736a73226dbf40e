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


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
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

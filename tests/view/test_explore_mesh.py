"""The mesh explorer: orders, groups, bytes, and the order that keeps the busiest axis inside its box."""

import pytest

from minipar.view import explore
from minipar.view.explore_mesh import ORDERS, MeshExplorer, whole_order


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    monkeypatch.setattr(MeshExplorer, "strict", True)


def test_the_summary_says_it_all():
    assert repr(explore.mesh()) == (
        "Mesh(tp-dp-pp: tensor=2, data=2, pipe=2, 4 ranks a box; tensor in colour; a rank sends tensor 2.5 GB "
        "(0 % between boxes), data 297 MB (0 % between boxes), pipe 67.1 MB (100 % between boxes))"
    )


def test_the_order_decides_what_leaves_the_box():
    ex = explore.mesh(order="pp-dp-tp", task=explore.busiest_inside())
    assert "Tensor talks most, and 100 % of it leaves the box: put it first in the order." in ex.readout.text
    assert ex.met == [False] and ex.mesh.order == "pp-dp-tp"
    ex.set(order="tp-pp-cp-dp")
    assert ex.met == [True] and "none of it leaves a box" in ex.readout.text
    ex.set(tensor=8, data=1, pipe=1)
    assert "a group of 8 does not fit in a box of 4" in ex.readout.text
    ex.set(box=8)
    assert ex.readout.text.splitlines()[-1] == "Tensor talks most. All ranks are in one box."


def test_every_order_keeps_what_a_rank_sends():
    ex = explore.mesh()
    sent = {axis: ex.result.sent(axis) for axis in ("tensor", "data", "pipe")}
    for order in ORDERS:
        ex.set(order=order)
        assert {axis: ex.result.sent(axis) for axis in sent} == sent


def test_more_ranks_than_the_picture_shows_are_told_and_not_raised(monkeypatch):
    monkeypatch.setattr(MeshExplorer, "strict", False)
    ex = explore.mesh()
    ex.controls["tensor"].value = 8
    assert ex.readout.problem == "tensor 8 · data 2 · pipe 2 = 32 ranks: this picture shows 16 at most."
    ex.controls["data"].value = 1
    assert ex.readout.problem == "" and ex.mesh.size == 16


def test_an_axis_of_one_rank_cannot_be_coloured():
    ex = explore.mesh(tensor=1)
    assert ex.result.axis == "data"
    ex.set(axis="tensor")
    assert ex.result.axis == "data"


def test_megatrons_whole_string_is_understood():
    assert explore.mesh(order="tp-cp-ep-dp-pp").state.order == "tp-cp-dp-pp"
    assert whole_order("pp-tp") == "pp-tp-cp-dp"


def test_sequence_parallel_sends_as_much_on_tensor_and_less_on_pipe():
    ex = explore.mesh()
    before = ex.result.sent("tensor"), ex.result.sent("pipe")
    ex.set(sequence_parallel=True)
    assert before[0] <= ex.result.sent("tensor") < 1.01 * before[0]
    assert ex.result.sent("pipe") == before[1] / 2


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"tensor": 3}, "tensor is one of 1, 2, 4, 8, not 3."),
        ({"box": 5}, "box is one of 1, 2, 4, 8, 16, not 5."),
        ({"axis": "expert"}, "axis is one of tensor, context, data, pipe, not 'expert'."),
        ({"tensor": 1, "data": 1, "pipe": 1}, "Every axis has one rank: give one of them more."),
        ({"tensor": 8, "data": 8}, "tensor 8 · data 8 · pipe 2 = 128 ranks: this picture shows 16 at most."),
        (
            {"order": "tp-zz"},
            "the order 'tp-zz' names 'zz', which is no axis: there are tp (tensor), cp (context), ep (expert), "
            "dp (data), pp (pipe)",
        ),
    ],
)
def test_refusals(choice, sentence):
    with pytest.raises(ValueError) as refused:
        explore.mesh(**choice)
    assert str(refused.value) == sentence

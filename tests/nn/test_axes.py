"""Does a rank know which positions it holds, and whose gradients are whose business?"""

import pytest
import torch

from minipar.nn.axes import ALONE, Axes, mark, place, size
from minipar.nn.linear import ColumnParallelLinear, RowParallelLinear
from minipar.plan.slices import attention_cuts


class Place:
    """An axis as a layer sees it before anything is sent."""

    def __init__(self, size, rank):
        self.size, self.rank = size, rank

    def subset(self, positions):
        return "subset", tuple(positions)


def test_no_axis_is_an_axis_of_one():
    assert (size(None), place(None)) == (1, 0)
    assert ALONE.positions(4) == ALONE.stream_positions(4) == range(4)
    with ALONE.billed("a layer"):
        pass


def test_positions_are_dealt_over_context_and_cut_over_tensor():
    axes = Axes(tensor=Place(2, 1), context=Place(2, 0), sequence_parallel=True, deal="zigzag")
    assert tuple(axes.positions(8)) == (0, 1, 2, 3, 12, 13, 14, 15)
    assert tuple(axes.stream_positions(4)) == (12, 13, 14, 15)
    assert axes.positions(8) == Axes(context=Place(2, 0)).stream_positions(8)
    assert tuple(Axes(context=Place(2, 1), deal="contiguous").positions(8)) == tuple(range(8, 16))


def test_overlap_has_no_sum_to_hide_on_slices_of_the_sequence():
    with pytest.raises(ValueError) as refusal:
        Axes(overlap=True, sequence_parallel=True)
    expected = "overlap=True is built for the all-reduce; with sequence_parallel=True there is none."
    assert str(refusal.value) == expected


@pytest.mark.parametrize("rank", range(4))
def test_copied_heads_are_summed_with_their_twins_and_counted_once(rank):
    axis = Place(4, rank)
    layer = torch.nn.ModuleDict({"key": ColumnParallelLinear(16, 4, parts=[range(0, 4)])})
    mark(layer, attention_cuts(16, 8, 2, 4), axis)
    twins = (0, 1) if rank < 2 else (2, 3)
    for parameter in layer.parameters():
        assert parameter.sum_over == (("subset", twins),)
        assert parameter.counted == (rank in (0, 2))


@pytest.mark.parametrize("sequence_parallel", [False, True])
@pytest.mark.parametrize("rank", [0, 1])
def test_whole_parameters_are_counted_by_rank_0_and_summed_where_they_saw_slices(rank, sequence_parallel):
    axis = Place(2, rank)
    row = RowParallelLinear(8, 4, axis)
    mark(row, row.cuts(2), axis, sequence_parallel)
    assert (row.weight.sum_over, row.weight.counted) == ((), True)
    assert row.bias.sum_over == ((axis,) if sequence_parallel else ())
    assert row.bias.counted == (rank == 0)

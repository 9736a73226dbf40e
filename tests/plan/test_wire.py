"""Is what crosses between nodes told apart from what stays inside?"""

from minipar.plan.wire import Wire

WIRE = Wire(((0, 13, 6, 9), (42, 0, 5, 10), (39, 7, 0, 12), (39, 6, 11, 0)), (0, 0, 1, 1))


def test_sums():
    assert (WIRE.total, WIRE.within_nodes, WIRE.between_nodes) == (199, 78, 121)
    assert [WIRE.out(rank) for rank in range(4)] == [28, 57, 58, 56]
    assert [WIRE.out(rank, between=True) for rank in range(4)] == [15, 15, 46, 45]


def test_back_turns_every_arrow_and_bytes_are_rows_times_their_size():
    assert WIRE.back.table[0] == (0, 42, 39, 39) and WIRE.back.back == WIRE
    assert WIRE.times(256).total == 50_944 and WIRE.times(256).nodes == WIRE.nodes

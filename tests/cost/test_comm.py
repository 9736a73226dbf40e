"""Closed forms of collectives, against numbers worked by hand. What really goes over the wire: tests/run."""

import pytest

from minipar.cost import comm
from minipar.cost.machine import TYPICAL, Link

MB = 1_000_000


def test_lesson_02s_numbers():
    assert comm.sent("all_reduce", "through_zero", 4, 4 * MB) == (12 * MB, 4 * MB, 4 * MB, 4 * MB)
    assert comm.sent("all_reduce", "everyone", 4, 4 * MB) == (12 * MB,) * 4
    assert comm.sent("all_reduce", "ring", 4, 4 * MB) == (6 * MB,) * 4
    assert [sum(comm.messages("all_reduce", way, 4)) for way in ("through_zero", "everyone", "ring")] == [6, 12, 24]
    assert comm.sent("reduce_scatter", "ring", 4, 4 * MB) == comm.sent("all_gather", "ring", 4, 4 * MB) == (3 * MB,) * 4
    rings = [comm.sent("all_reduce", "ring", ranks, 4 * MB)[0] for ranks in (2, 4, 8, 64)]
    assert rings == [4 * MB, 6 * MB, 7 * MB, 7_875_000]
    stars = [comm.sent("all_reduce", "through_zero", ranks, 4 * MB)[0] for ranks in (2, 4, 8, 64)]
    assert stars == [4 * MB, 12 * MB, 28 * MB, 252 * MB]


def test_pieces_are_tensor_splits():
    assert comm.pieces(40, 4, item=4) == (12, 12, 8, 8)
    assert comm.pieces(4, 4, item=4) == (4, 0, 0, 0)
    assert comm.sent("all_reduce", "ring", 4, 40, item=4) == (60, 64, 60, 56)
    with pytest.raises(ValueError, match="41 bytes are not a whole number of elements of 4 bytes"):
        comm.pieces(41, 4, item=4)


def test_where_a_tree_wins():
    """Ring: 2(P-1) waits of n/P; tree, up and down: 2 log2(P) waits of n."""
    for ranks, crossing in ((4, 156_800), (16, 704_000)):
        below, above = crossing - 3_200, crossing + 3_200
        for size, quicker, slower in ((below, "tree", "ring"), (above, "ring", "tree")):
            seconds = [comm.seconds("all_reduce", way, ranks, size, TYPICAL.link) for way in (quicker, slower)]
            assert seconds[0] < seconds[1]
    assert comm.steps("all_reduce", "tree", 4) == 4 and comm.steps("all_reduce", "ring", 4) == 6
    assert max(comm.sent("all_reduce", "tree", 4, 8)) == 16  # the root sends down twice; 4 n pass, one after another


def test_the_ring_of_64_cards():
    link = Link(10e-6, 1 / 50e9)
    seconds = comm.seconds("all_reduce", "ring", 64, 64_000, link)
    assert seconds == pytest.approx(1.2625e-3, abs=1e-6)
    assert seconds - 126 * 10e-6 == pytest.approx(2.52e-6, abs=1e-8)


@pytest.mark.parametrize("ranks", range(1, 10))
@pytest.mark.parametrize(("collective", "algorithm"), comm.WAYS)
def test_laws_of_every_way(collective, algorithm, ranks):
    size = 24 * 5 * 7 * 3
    table = comm.traffic(collective, algorithm, ranks, size)
    assert all(table[rank][rank] == 0 for rank in range(ranks))
    total, n = sum(map(sum, table)), size
    expected = {
        "send": n, "all_reduce": 2 * (ranks - 1) * n, "reduce_scatter": (ranks - 1) * n, "all_gather": (ranks - 1) * n,
        "all_to_all": (ranks - 1) * n, "broadcast": (ranks - 1) * n, "reduce": (ranks - 1) * n,
    }[collective] * (ranks > 1)  # fmt: skip
    assert total == (expected if algorithm != "everyone" else ranks * (ranks - 1) * n)
    root = ranks - 1
    turned = comm.traffic(collective, algorithm, ranks, size, root=root)
    assert sum(map(sum, turned)) == total
    if ranks == 1:
        assert comm.steps(collective, algorithm, 1) == 0 == comm.seconds(collective, algorithm, 1, size, TYPICAL.link)
        assert comm.messages(collective, algorithm, 1) == (0,)


def test_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="all_reduce can go by ring or tree or .* or everyone, not by 'star'"):
        comm.sent("all_reduce", "star", 4, 8)
    with pytest.raises(ValueError, match="there is no price for 'gossip': there is one for send, all_reduce"):
        comm.sent("gossip", "ring", 4, 8)
    with pytest.raises(ValueError, match="a whole number of ranks, 1 or more, not 0"):
        comm.steps("all_reduce", "ring", 0)
    with pytest.raises(ValueError, match="rank 4 is not among 4 ranks"):
        comm.sent("broadcast", "tree", 4, 8, root=4)

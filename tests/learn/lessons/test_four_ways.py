"""The four ways on real processes: rows, bytes and answers as planned, and equal to one process."""

import pytest
import torch

from minipar.learn.lessons import four_ways
from minipar.plan import balance, placement
from minipar.plan.routing import route

SCORES = balance.leaning(128, 8)
FIRST = route(SCORES, 8, 2, ranks=4)
WAYS = {
    "as they are": FIRST,
    "full": route(SCORES, 8, 2, 1.0, ranks=4),
    "placed": route(SCORES, 8, 2, placement=placement.place_experts(FIRST.load, 4)),
    "copied": route(SCORES, 8, 2, placement=placement.packed(FIRST.load, 4, slots=12)),
}


@pytest.mark.parametrize(
    ("name", "rows", "out"),
    [("as they are", [156, 33, 28, 39], 50_944), ("full", [64, 33, 28, 39], 34_048),
     ("placed", [104, 80, 36, 36], 49_408), ("copied", [66, 65, 65, 60], 51_712)],
)  # fmt: skip
def test_rows_bytes_and_answers(pool, name, rows, out):
    way, layer = WAYS[name], four_ways.layer(SCORES)
    ran = pool.run(four_ways.serve, way, layer, 0.0)
    assert [part.rows for part in ran] == rows == list(way.rank_loads)
    assert four_ways.row_bytes(ran.trace, "dispatch") == four_ways.row_bytes(ran.trace, "combine") == out
    assert out == way.dispatch(four_ways.HIDDEN).total
    torch.testing.assert_close(four_ways.answers(ran), four_ways.whole(way, layer))


def test_a_paced_row_takes_its_time(pool):
    ran = pool.run(four_ways.serve, WAYS["full"], four_ways.layer(SCORES), 0.002)
    assert four_ways.seconds(ran) >= four_ways.longest(ran) >= 64 * 0.002


def test_moved_and_copied_experts_change_no_answer_and_drops_do():
    layer = four_ways.layer(SCORES)
    before = four_ways.whole(FIRST, layer)
    for name, same in (("placed", True), ("copied", True), ("full", False)):
        assert torch.allclose(four_ways.whole(WAYS[name], layer), before, atol=1e-6) == same
    lost = torch.tensor([all(expert < 0 for expert in row) for row in WAYS["full"].kept])
    assert lost.sum() == 12 and not four_ways.whole(WAYS["full"], layer)[lost].any()


def test_what_an_expert_weighs():
    layer = four_ways.layer(SCORES)
    assert four_ways.EXPERT_BYTES == layer.up[0].nbytes + layer.down[0].nbytes == 65_536 == 4 * 16_384

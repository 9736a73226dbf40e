"""How stages lie on ranks, and the two runs behind the explorer's button."""

from types import SimpleNamespace

import pytest

import minipar
from minipar.learn.lessons import dealt


def test_blocks_are_shared_out_evenly():
    model = minipar.GPT(layers=8, hidden=16, heads=2, context=16)
    assert dealt.cuts(model, 4) == (range(0, 3), range(3, 5), range(5, 7), range(7, 10))
    assert dealt.cuts(model, 8) == (range(0, 2), *(range(n, n + 1) for n in range(2, 8)), range(8, 10))
    with pytest.raises(ValueError, match="8 blocks cannot be shared by 16 stages"):
        dealt.cuts(model, 16)


def test_one_chunk_and_two_put_the_same_on_a_rank():
    model = minipar.GPT(layers=8, hidden=64, context=128)
    one, two = (dealt.on_ranks(model, 4, chunks) for chunks in (1, 2))
    assert one.removeprefix("one chunk") == two.removeprefix("two chunks") and "blocks 2 2 2 2" in one


@pytest.mark.parametrize(("microbatches", "sizes"), [(8, [4, 4]), (6, [6]), (3, [3]), (11, [6, 5])])
def test_rounds_of_four_ranks(microbatches, sizes):
    parts = dealt.rounds(4, microbatches)
    assert [len(part) for part in parts] == sizes
    assert [m for part in parts for m in part] == list(range(microbatches))


def test_both_really_run_and_are_counted(pool):
    model = minipar.GPT(layers=8, hidden=16, heads=2, context=16)
    said = dealt.ForReal(pool, model, slot=0.05)(microbatches=2, chunks=2, hop=0.5)
    assert said.startswith("Really run, paced, 2 microbatches, a hop of 25 ms: one chunk a rank ")
    assert said.endswith("Each rank ran its list as written; 12 and 28 messages were counted.")


def test_another_order_is_told_and_stop_reaches_the_pool():
    stopped = []
    model = minipar.GPT(layers=8, hidden=16, heads=2, context=16)
    real = dealt.ForReal(SimpleNamespace(stop=lambda: stopped.append(1)), model)
    real.train = lambda *_, **__: SimpleNamespace(trace=minipar.predict(minipar.gpipe(4, 2)))
    with pytest.raises(RuntimeError, match="Rank 3 ran another order than its list"):
        real(2, 2, 0)
    real.stop()
    assert stopped == [1]

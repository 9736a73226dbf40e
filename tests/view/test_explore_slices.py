"""When slicing pays: the formulas, the readout, the task."""

import pytest

from minipar.view import explore
from minipar.view.explore_slices import SlicesState, operations, price, short


def test_bytes_and_work_are_the_formulas():
    found = price(SlicesState(ranks=2, hidden=256, tokens=64))
    assert found.bytes == 65_536 and found.messages == 2
    assert found.saved * 50e9 == pytest.approx(8 * 64 * 256**2)
    assert found.saved * 50e9 / found.bytes == pytest.approx(2 * 256)
    assert found.wait == pytest.approx(140e-6) and found.sending == pytest.approx(65_536 / 2.8e9)


@pytest.mark.parametrize("ranks", [2, 4, 8, 64])
def test_work_saved_per_byte_is_twice_hidden_at_any_number_of_ranks(ranks):
    found = price(SlicesState(ranks=ranks, hidden=512, tokens=64))
    assert found.saved * 50e9 / found.bytes == pytest.approx(1024)


def test_the_task_raises_hidden_then_asks_for_one_token():
    ex = explore.slices(task=explore.until_it_pays())
    assert ex.met == [False, False]
    assert ex.set(hidden=32).met == [False, False] and ex.set(tokens=1).met == [False, False]
    assert ex.set(hidden=128, tokens=64).met == [True, False]
    assert ex.set(tokens=1).met == [True, True]
    assert "the wait alone (140 µs) is longer than the work it saves" in ex.readout.sentence


def test_the_readout_and_the_summary():
    ex = explore.slices(hidden=128)
    assert repr(ex) == (
        "Slicing(P=2, hidden=128, tokens=64, 70 µs, 2.8 GB/s, 50 Gflop/s: 32,768 B, saves 168 µs, waits 140 µs, pays)"
    )
    assert ex.readout.facts == [
        ["bytes a rank sends", "32,768 B"],
        ["work saved", "168 µs"],
        ["wait, 2 messages", "140 µs"],
        ["bytes on the way", "11.7 µs"],
        ["operations saved a byte", "256"],
    ]


def test_the_machine_stands_under_more():
    ex = explore.slices()
    assert set(ex.controls) - set(ex.shown) == {"alpha", "speed", "rate"}
    assert not ex.set(hidden=64).result.pays and ex.set(alpha=1).result.pays


def test_it_draws_one_bar_for_each_side():
    rows = explore.slices().view.rows
    assert [row["label"] for row in rows] == ["one process", "each of 2 ranks"]
    assert [part["name"] for part in rows[1]["parts"]] == ["operations", "waits", "bytes on the way"]
    assert explore.slices().figure() == explore.slices().figure()


TIMES = [(1.6e-7, "0.16 µs"), (1.4e-4, "140 µs"), (1.2e-3, "1.2 ms"), (2, "2 s")]


@pytest.mark.parametrize(("seconds", "words"), TIMES)
def test_times_in_words(seconds, words):
    assert short(seconds) == words


def test_rates_in_words():
    assert operations(50e9) == "50 Gflop/s" and operations(989e12) == "989 Tflop/s"

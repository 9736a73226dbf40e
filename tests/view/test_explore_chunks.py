"""At what price of a message a second chunk a rank loses: numbers, readout, task, button."""

import threading

import pytest

from minipar.view import explore
from minipar.view.explore_chunks import apart, loses, time

HUNDREDTHS = [number / 100 for number in range(1, 201)]


@pytest.mark.parametrize(
    ("microbatches", "busy", "hop"),
    [(4, False, 1.00), (8, False, 1.38), (16, False, 1.95), (4, True, 0.75), (8, True, 0.37), (16, True, 0.18)],
)
def test_where_two_chunks_lose_to_one(microbatches, busy, hop):
    assert next(one for one in HUNDREDTHS if loses(2, microbatches, busy, one)) == hop


def test_where_two_lose_to_gpipe_and_four_to_two():
    thousandths = [number / 1000 for number in range(1, 2001)]
    assert round(next(hop for hop in thousandths if loses(2, 8, False, hop, against=0)), 2) == 0.54
    assert round(next(hop for hop in thousandths if loses(4, 8, False, hop, against=2)), 2) == 0.14


@pytest.mark.parametrize("hop", [0, 0.1, 0.5, 1, 2])
def test_what_each_pays_for_its_hops(hop):
    assert time(1, 8, False, hop) == pytest.approx(33 + 16 * hop)
    assert time(0, 8, False, hop) == pytest.approx(33 + 6 * hop)
    if hop <= 0.5:
        assert time(2, 8, False, hop) == pytest.approx(28.5 + 14 * hop)


def test_the_task_is_met_at_the_first_hundredth():
    ex = explore.chunks(task=explore.where_it_loses())
    for hop, met in ((1.37, False), (1.5, False), (1.38, True), (0.2, True)):
        assert ex.set(hop=hop).met == [met]


def test_a_busy_sender_or_another_size_does_not_meet_it():
    ex = explore.chunks(task=explore.where_it_loses())
    assert ex.set(busy=True, hop=0.37).met == [False]
    assert ex.set(busy=False, microbatches=4, hop=1.0).met == [False]


def test_the_readout_and_the_summary():
    ex = explore.chunks(hop=0.5).set(gpipe=True)
    assert repr(ex) == (
        "Chunks(hop=0.5, chunks=2, microbatches=8: 1F1B 41, two chunks 35.5, GPipe 36 slots, 48, 112 and 48 messages)"
    )
    assert ex.readout.facts == [
        ["predicted, in slots", "1F1B 41, two chunks 35.5, GPipe 36"],
        ["hops paid one after another", "1F1B 16, two chunks 18, GPipe 6"],
        ["messages of a step", "1F1B 48, two chunks 112, GPipe 48"],
    ]
    assert ex.view.title == "Two chunks a rank: 5.5 slots shorter than 1F1B"


def test_one_chunk_is_1f1b_and_five_are_refused():
    assert explore.chunks(chunks=1).view.title == "One chunk a rank is 1F1B"
    with pytest.raises(ValueError, match="chunks is one of 1, 2, 4, not 3"):
        explore.chunks(chunks=3)


def test_labels_keep_their_distance_and_their_order():
    assert apart([10, 12, 60], 18) == [10, 28, 60]
    assert apart([60, 12, 10], 18) == [60, 28, 10]


def test_it_draws_the_same_live_and_saved():
    ex = explore.chunks(hop=1.0)
    assert "two chunks" in [part.words for part in ex.view.parts if hasattr(part, "words")]
    assert ex.figure() == explore.chunks(hop=1.0).figure()


class Real:
    """Stands for the runs: waits until it is stopped or told to go on."""

    def __init__(self):
        self.go, self.asked, self.stopped = threading.Event(), [], 0

    def __call__(self, *asked):
        self.asked.append(asked)
        assert self.go.wait(5)
        if self.stopped:
            raise RuntimeError("interrupted after 0.2 s, and a long story")
        return "Both ran."

    def stop(self):
        self.stopped += 1
        self.go.set()


def test_the_button_runs_and_says_what_was_measured():
    real = Real()
    ex = explore.chunks(hop=1.25, microbatches=4, real=real)
    ex.button.click()
    assert ex.button.description == "Stop"
    real.go.set()
    assert ex.wait().readout.sentence == "Both ran." and real.asked == [(4, 2, 1.25)]
    assert ex.button.description == "Run for real"
    assert "Both ran." not in ex.set(hop=1).readout.sentence
    assert ex.set(hop=1.25).readout.sentence == "Both ran."


def test_pressed_again_it_stops():
    real = Real()
    ex = explore.chunks(real=real)
    ex.run().run()
    assert ex.wait().readout.sentence == "Stopped." and real.stopped == 1


def test_what_went_wrong_is_said():
    def real(*_):
        raise ValueError("8 blocks cannot be shared by 16 stages: each takes as many")

    said = explore.chunks(chunks=4, real=real).run().wait().readout.sentence
    assert said == "8 blocks cannot be shared by 16 stages: each takes as many"


def test_one_chunk_has_nothing_to_compare_and_without_a_runner_there_is_no_button():
    real = Real()
    ex = explore.chunks(chunks=1, real=real)
    assert ex.run().wait().readout.sentence.startswith("Nothing to compare") and real.asked == []
    names = [type(part).__name__ for part in explore.chunks().panel.children[0].children]
    assert "Button" not in names

"""Cards: every number with its source, and how many hold a model. Links: two constants from measured points."""

import json

import pytest

from minipar.cost.machine import CARDS, GB, TYPICAL, Link, Machine, Point, cards_needed, fit
from minipar.cost.model import TO_SERVE, TO_TRAIN


def test_every_card_names_its_source():
    assert all(card.source and card.memory > 0 for card in CARDS)
    assert len({card.name for card in CARDS}) == len(CARDS)


def test_ten_billion_parameters_are_20_gb_to_serve_and_160_to_train():
    assert (TO_SERVE * 10**10, TO_TRAIN * 10**10) == (20 * GB, 160 * GB)
    memory = {card.name: card for card in CARDS}
    assert cards_needed(20 * GB, memory["NVIDIA T4"]) == 2
    assert cards_needed(160 * GB, memory["NVIDIA A100 80 GB"]) == 2
    assert all(cards_needed(160 * GB, card) > 1 for card in CARDS)


def test_a_card_that_is_exactly_full_is_one_card():
    assert cards_needed(CARDS[1].memory, CARDS[1]) == 1 and cards_needed(1, CARDS[1]) == 1


def points(alpha, beta, sizes=(4, 1_000, 100_000, 16_000_000), what="send", ranks=2):
    return tuple(Point(what, ranks, size, alpha + beta * size, 2 * (alpha + beta * size), 1.0, 9) for size in sizes)


def test_a_link_in_its_own_words():
    link = TYPICAL.link
    assert link.seconds(0) == 70e-6 and link.bandwidth == pytest.approx(2.8e9)
    assert link.twice == pytest.approx(196_000)
    assert link.seconds(link.twice) == pytest.approx(2 * link.alpha)
    assert 1000 * link.seconds(1024) / link.seconds(1_024_000) == pytest.approx(161, abs=1)  # lesson 02's by formula


def test_exact_points_give_their_constants_back():
    link = fit(points(70e-6, 1 / 2.8e9))
    assert link.alpha == pytest.approx(70e-6) and link.beta == pytest.approx(1 / 2.8e9)


def test_small_and_large_sizes_weigh_the_same_and_nothing_is_negative():
    slower = [point._replace(least=1.2 * point.least) for point in points(70e-6, 1e-9)]
    link = fit(slower)
    assert link.alpha == pytest.approx(84e-6) and link.beta == pytest.approx(1.2e-9)
    assert fit([Point("send", 2, size, time, time, time, 1) for size, time in ((10, 2.0), (20, 1.0))]).beta == 0
    assert fit([Point("send", 2, size, time, time, time, 1) for size, time in ((10, 1.0), (20, 3.0))]).alpha == 0
    with pytest.raises(ValueError, match="two constants need times at two sizes or more, and there are 1"):
        fit(points(1, 1, sizes=(4,)))


def test_a_machine_predicts_says_and_is_kept():
    sums = points(200e-6, 1e-9, what="all_reduce", ranks=4)
    machine = Machine("here", Link(70e-6, 5e-10), True, "2026-01-02", "4 processes", points(70e-6, 5e-10) + sums)
    assert Machine.of_data(json.loads(json.dumps(machine.to_data()))) == machine
    assert machine.seconds("all_reduce", 4, 1_000_000) == pytest.approx(1.2e-3)
    assert machine.between("send", 2, 50_500) == pytest.approx(70e-6 + 50_500 * 5e-10)
    assert machine.between("send", 2, 32_000_000) == pytest.approx(70e-6 + 32_000_000 * 5e-10)
    assert repr(machine) == ("here: 70 µs a message and 2 GB/s between two ranks of 4 processes; the least of many "
                             "times on 2026-01-02, the middle one 2.00 times that")  # fmt: skip
    assert str(TYPICAL) == "two processes on a laptop: 70 µs a message and 2.8 GB/s, assumed"
    with pytest.raises(ValueError, match="all_gather over 4 ranks was not measured on here: send over 2, all_reduce"):
        machine.seconds("all_gather", 4, 1)

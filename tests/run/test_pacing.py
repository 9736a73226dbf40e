"""Do declared durations and links give declared times?"""

import time

from minipar.plan.actions import B, F, Overlap
from minipar.plan.simulate import Cost
from minipar.run.pacing import OVERRAN, Link, Pacer


def test_an_action_lasts_at_least_as_long_as_declared():
    start = time.monotonic()
    assert Pacer(Cost(F=0.02)).finish(F(0, 0), start) == ""
    assert time.monotonic() - start >= 0.02


def test_one_that_took_longer_is_marked():
    assert Pacer(Cost(F=0.02)).finish(F(0, 0), time.monotonic() - 1) == OVERRAN


def test_a_pair_lasts_as_long_as_declared_between_its_two_actions():
    pair = Overlap(F(1, 2), B(0, 0))
    pacer = Pacer(Cost(F=1, B=3, overlap=2))
    pacer.pair([F(0, 0), pair])
    assert pacer.at_once == {F(1, 2): 0.5, B(0, 0): 1.5}
    assert pacer.finish(F(1, 2), time.monotonic() - 0.5 + 0.001) == ""
    plain = Pacer(Cost(F=1, B=3))
    plain.pair([pair])
    assert plain.at_once == {}


def test_messages_of_one_link_queue_and_latency_does_not():
    link = Link(alpha=2.0, bandwidth=10.0)
    assert link.usable(0, sent=100.0, size=30) == 105.0  # 3 s on the line, 2 s latency
    assert link.usable(0, sent=101.0, size=30) == 108.0  # waits until the line is free at 103
    assert link.usable(1, sent=101.0, size=30) == 106.0  # another link
    assert link.usable(0, sent=200.0, size=10) == 203.0


def test_a_link_without_bandwidth_is_a_hop():
    link = Link(alpha=0.5)
    assert [link.usable(0, 1.0, 10**9), link.usable(0, 1.0, 10**9)] == [1.5, 1.5]


def test_no_hop_no_link():
    assert Pacer(Cost()).link is None
    assert Pacer(Cost(hop=0.1)).link.alpha == 0.1

"""Who waits for whom: the graph, its cycle, its sentence; messages and collectives that do not match."""

from minipar.run import waits


def account(now=None, counts=None, groups=None):
    return {"now": (now, 0.0) if now else None, "counts": counts or {}, "groups": groups or {}}


def ring(size):
    return {
        rank: account(("recv", (rank - 1) % size, "t", 1), {("recv", (rank - 1) % size, "t"): 1})
        for rank in range(size)
    }


def test_a_ring_of_receives_is_a_cycle():
    hopeless = waits.stuck(ring(4), set())
    path = waits.chain(hopeless)
    assert path == (0, 3, 2, 1)
    assert waits.sentence(path, hopeless) == "rank 0 waits for rank 3, 3 for 2, 2 for 1, 1 for 0"


def test_nobody_is_stuck_behind_a_rank_that_still_works():
    accounts = ring(4)
    accounts[2] = account()
    assert waits.stuck(accounts, set()) == {}


def test_a_message_on_its_way_is_no_deadlock():
    accounts = ring(2)
    accounts[1]["counts"]["send", 0, "t"] = 1
    assert waits.stuck(accounts, set()) == {}
    accounts[0]["now"] = ("recv", 1, "t", 2), 0.0  # its second receive: only one was sent
    assert set(waits.stuck(accounts, set())) == {0, 1}


def test_a_cycle_beside_a_rank_that_works_is_still_one():
    accounts = ring(2) | {2: account()}
    assert waits.chain(waits.stuck(accounts, set())) == (0, 1)


def test_waiting_for_one_that_has_finished():
    accounts = {0: account(), 1: account(("recv", 0, "t", 1)), 2: account(("send", 1, "t", 1))}
    hopeless = waits.stuck(accounts, {0})
    path = waits.chain(hopeless)
    assert waits.sentence(path, hopeless) == "rank 2 waits for rank 1, 1 for 0, which has finished"


def test_a_collective_waits_for_every_member():
    def group(number):
        return {"g": ((0, 1, 2), number, 0)}

    accounts = {rank: account(("barrier", (0, 1, 2), "g", 1), groups=group(1)) for rank in (0, 1)}
    accounts[2] = account(groups=group(0))
    assert waits.stuck(accounts, set()) == {}
    assert waits.stuck(accounts, {2}) == {0: (2,), 1: (2,)}
    accounts[2] = account(groups=group(1))
    assert waits.stuck(accounts, {2}) == {}


def test_unmatched_messages_and_uneven_collectives():
    first, second = account(counts={("send", 1, "t"): 2}), account(counts={("recv", 0, "t"): 1, ("recv", 0, "u"): 1})
    assert waits.unmatched({0: first, 1: second}) == [(0, 1, "t", 2, 1), (0, 1, "u", 0, 1)]
    even = {rank: account(groups={"g": ((0, 1), 3, 77)}) for rank in (0, 1)}
    assert waits.uneven(even) is None
    even[1]["groups"]["g"] = (0, 1), 2, 5
    assert waits.uneven(even) == (0, 3, 1, 2)

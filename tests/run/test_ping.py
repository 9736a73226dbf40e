"""Ping: one message there and back between two workers."""


def test_only_the_source_measures_and_it_measures_something(pool):
    times = pool.ping(2, 0, 4_000).result()
    assert [time is not None for time in times] == [False, False, True, False]
    assert times[2] > 0


def test_a_ping_is_one_message_each_way_and_trip(pool):
    result = pool.ping(0, 1, 40, times=3).result()
    routes = [(message.source, message.target, message.bytes) for message in result.trace.messages]
    assert sorted(routes) == [(0, 1, 40)] * 4 + [(1, 0, 40)] * 4

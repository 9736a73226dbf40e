"""A check runs on the learner's own workers where they keep the rules that it needs, else on workers of its own."""

import pytest

from minipar.learn import workers as found
from minipar.run import pool as pools


class Pool:
    """What `workers` asks of a pool."""

    def __init__(self, size, backend="gloo", current=None):
        self.size, self.backend, self.current = size, backend, current


@pytest.fixture
def there(monkeypatch):
    def put(*live):
        monkeypatch.setattr(pools, "live_pools", lambda: list(live))
        monkeypatch.setattr(pools, "WorkerPool", Pool)
        return live

    return put


def test_the_newest_open_pool_that_is_large_enough_and_idle(there):
    _, wanted, *_ = there(Pool(4), Pool(4), Pool(2), Pool(4, current="a call"))
    assert found(4) is wanted


def test_a_pool_with_other_rules_is_left_alone(there):
    ordered, plain = there(Pool(4, "gloo-ordered"), Pool(4))
    assert found(4, "gloo-ordered") is ordered and found(4) is plain


def test_where_there_is_none_one_is_made(there):
    there(Pool(4))
    made = found(4, "gloo-ordered")
    assert (made.size, made.backend) == (4, "gloo-ordered")

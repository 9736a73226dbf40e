"""Which workers does a check run on? The learner's own, where they have some open.

A check that makes a real run takes the newest open pool that is large enough and idle; where there is none it starts
one and keeps it for the session, so that a second check does not wait again.
"""

from __future__ import annotations

_own: dict[int, object] = {}


def workers(count: int):
    """An open, idle WorkerPool of at least ``count`` workers; hand ``ranks=count`` to its runs."""
    from minipar.run.pool import WorkerPool, live_pools

    for pool in reversed(list(live_pools())):
        if pool.size >= count and pool.current is None:
            return pool
    _own[count] = WorkerPool(count)
    return _own[count]

"""Which workers does a check run on? The learner's own, where they have some open.

A check that makes a real run takes the newest open pool that is large enough and idle; where there is none it starts
one and keeps it for the session, so that a second check does not wait again.
"""

from __future__ import annotations

_own: dict[tuple, object] = {}


def workers(count: int, backend: str | None = None):
    """An open, idle WorkerPool of at least ``count`` workers; hand ``ranks=count`` to its runs.

    backend: the rules that its messages must keep ("gloo-ordered"); None: any.
    """
    from minipar.run.pool import WorkerPool, live_pools

    for pool in reversed(list(live_pools())):
        if pool.size >= count and pool.current is None and backend in (None, pool.backend):
            return pool
    _own[count, backend] = WorkerPool(count, backend)
    return _own[count, backend]

"""What do all tests share?  One worker pool for the whole session, a progress file of their own, short paces."""

import os
import tempfile

import pytest


def pytest_configure(config):
    """Plain `pytest` behaves as `minipar test` does: it leaves the person's own progress alone, and is quick."""
    os.environ.setdefault("MINIPAR_PACE", "fast")
    if "MINIPAR_STATE" not in os.environ or hasattr(config, "workerinput"):  # each process of a run has its own
        folder = tempfile.TemporaryDirectory(prefix="minipar-")
        config.add_cleanup(folder.cleanup)
        os.environ["MINIPAR_STATE"] = folder.name


def pytest_collection_modifyitems(items):
    """What waits longest comes first, so that it runs beside all the rest: the browser, then whole lessons."""
    slow = ("tests/browser/", "tests/lessons/", "notebooks/")
    items.sort(key=lambda item: next((at for at, name in enumerate(slow) if item.nodeid.startswith(name)), len(slow)))


@pytest.fixture(scope="session")
def pool():
    """Four workers, started when the first test asks, ended with the session.

    State that a test leaves in the workers is seen by the next one: use names of your own, and a pool of your own for
    faults that end a worker.
    """
    import minipar

    with minipar.WorkerPool(4) as workers:
        yield workers

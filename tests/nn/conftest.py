"""What do the comparisons with torch's own slices share?  Two workers that load torch's large libraries, once."""

import pytest


@pytest.fixture(scope="session")
def two():
    """Two workers of their own: DTensor's libraries would stay in the workers of all other tests."""
    import minipar

    with minipar.WorkerPool(2) as workers:
        yield workers

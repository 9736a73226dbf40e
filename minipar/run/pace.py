"""How long is a declared pace on this run?

A paced experiment sleeps until its declared durations have passed. Tests that only look at orders and counts
shorten them: `MINIPAR_PACE=fast` in the environment makes every pace a fifth.
"""

import os

FAST = 0.2


def factor():
    """What to multiply declared durations by: 1.0, or 0.2 where MINIPAR_PACE=fast is set."""
    return FAST if os.environ.get("MINIPAR_PACE") == "fast" else 1.0

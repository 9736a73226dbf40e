"""Does it fit?  Try a call on real workers, and say in one word what came of it.

    one = learn.attempt(minipar.train_step, pool, plan, model, batch)     # "trained", or "refused on rank 0"

A worker's memory budget is real, and so is the error. In a lesson it is the finding, not the end of the cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any


def attempt(call: Callable, *arguments: Any, **named: Any) -> str:
    """Call; "trained" if it returns, "refused on rank r" if a worker's memory budget said no, with its sentence printed.

    Any other error is raised as it is.
    """
    from minipar.run.pool import RemoteError

    try:
        call(*arguments, **named)
    except RemoteError as error:
        story = str(error)
        if "budget" not in story and "memory" not in story:
            raise
        print(story.splitlines()[0])
        rank = re.search(r"rank (\d+)", story)
        return f"refused on rank {rank[1]}" if rank else "refused"
    return "trained"

"""Does it fit? A step that a worker's memory limit may refuse, tried without ending the cell.

one = learn.attempt(minipar.train_step, pool, plan, model, batch)
rank 0 asked for 3 MB …                         the pool's own sentence is printed
str(one)                                        "refused", "refused on rank 0" or "trained"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Attempt:
    """What became of a step: its value, or who refused it and why."""

    value: Any = None
    refusal: str = ""
    rank: int | None = None

    @property
    def refused(self) -> bool:
        return bool(self.refusal)

    def __str__(self) -> str:
        if not self.refused:
            return "trained"
        return "refused" if self.rank is None else f"refused on rank {self.rank}"


def attempt(train: Callable, pool, plan, *arguments: Any, **named: Any) -> Attempt:
    """``train(pool, plan, …)``; a refusal for want of memory is printed and returned, every other error is raised."""
    from minipar.run.pool import RemoteError

    try:
        return Attempt(train(pool, plan, *arguments, **named))
    except RemoteError as error:
        if error.kind != "memory limit":
            raise
        refusal = error.cause or str(error).splitlines()[0]
        print(refusal)
        return Attempt(refusal=refusal, rank=error.rank if plan.ranks > 1 else None)

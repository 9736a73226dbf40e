"""How can a laptop with two cores show what four devices would do?

A *paced* action does the real mathematics, then sleeps until its declared duration has passed since its own start;
only then is its result sent. A paced link lets a message through at the time it would have arrived:

    sent ──── queue of this link ──── bytes / bandwidth ──── alpha ──── usable

Nobody is held up by a link: the sender goes on at once, and the reader sleeps only if it comes too early. The values
are real, the times are declared, and whatever draws such a run says "paced".
"""

import math
import time
from collections.abc import Iterable

from minipar.plan.actions import Action, Overlap
from minipar.plan.simulate import Cost

OVERRAN = "overran"
TOLERANCE = 0.001  # seconds by which an action may end late before it is marked


class Pacer:
    """Durations of actions from a Cost in seconds; `hop` is what a link adds to each message."""

    def __init__(self, cost: Cost, device=None):
        self.cost, self.device = cost, device
        self.link = Link(cost.hop) if cost.hop else None
        self.at_once: dict[Action, float] = {}  # half of a pair -> its part of what the pair takes

    def pair(self, steps: Iterable[Action | Overlap]) -> None:
        """Pairs among these steps last as long as declared. Here their two actions run one after the other: each takes
        its share of it."""
        for step in steps:
            if isinstance(step, Overlap) and self.cost.overlap is not None:
                alone = sum(map(self.cost.duration, step))
                for half in step:
                    self.at_once[half] = self.cost.overlap * self.cost.duration(half) / alone if alone else 0.0

    def finish(self, action: Action, started: float) -> str:
        """Sleeps until the action has lasted as long as declared. Returns "overran" if it already had."""
        if self.device is not None and self.device.type == "cuda":
            import torch

            torch.cuda.synchronize(self.device)
        lasts = self.at_once[action] if action in self.at_once else self.cost.duration(action)
        left = started + lasts - time.monotonic()
        if left > 0:
            time.sleep(left)
        return OVERRAN if left < -TOLERANCE else ""


class Link:
    """When messages become usable. alpha: seconds each one needs; bandwidth: bytes a second, shared by queueing."""

    def __init__(self, alpha: float, bandwidth: float = math.inf):
        self.alpha, self.bandwidth = alpha, bandwidth
        self._free: dict[int, float] = {}  # source rank -> when its link has carried all that was sent before

    def usable(self, source: int, sent: float, size: int) -> float:
        """When a message of `size` bytes, sent at `sent`, may be used here. Ask once a message, in order of sending."""
        carried = max(sent, self._free.get(source, sent)) + size / self.bandwidth
        self._free[source] = carried
        return carried + self.alpha

    def wait(self, source: int, sent: float, size: int) -> None:
        """Sleeps until that moment."""
        left = self.usable(source, sent, size) - time.monotonic()
        if left > 0:
            time.sleep(left)

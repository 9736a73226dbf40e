"""Which card holds how much?

A short row of real ones, each with the source of its number. Memory is counted as the makers count it: 1 GB is
1,000,000,000 bytes. What a driver and a framework keep for themselves (about 1 GB) is not taken off.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Card(NamedTuple):
    """A device one can buy or rent: its name, its memory in bytes, and who says so."""

    name: str
    memory: int
    source: str


GB = 1_000_000_000

CARDS = (
    Card("a laptop, no card", 16 * GB, "a common size of main memory; shared with everything else that runs"),
    Card("NVIDIA T4", 16 * GB, "NVIDIA T4 data sheet"),
    Card("GeForce RTX 4090", 24 * GB, "NVIDIA GeForce RTX 4090 specifications"),
    Card("NVIDIA V100", 32 * GB, "NVIDIA V100 data sheet (SXM2, 32 GB)"),
    Card("NVIDIA A100 40 GB", 40 * GB, "NVIDIA A100 data sheet"),
    Card("NVIDIA A100 80 GB", 80 * GB, "NVIDIA A100 80GB data sheet"),
    Card("NVIDIA H100", 80 * GB, "NVIDIA H100 data sheet (SXM5)"),
    Card("NVIDIA H200", 141 * GB, "NVIDIA H200 data sheet"),
)


def cards_needed(size: float, card: Card) -> int:
    """How many of these cards hold `size` bytes between them when it can be divided evenly; at least one."""
    return max(1, math.ceil(size / card.memory))

"""Which card holds how much, and how quick are the links of this machine?

Cards: a short row of real ones, each with the source of its number. Memory is counted as the makers count it: 1 GB is
1,000,000,000 bytes. What a driver and a framework keep for themselves (about 1 GB) is not taken off.

Links: two constants, fitted to what was measured (`minipar.calibrate`), or assumed (`TYPICAL`), which a Machine says.

    seconds
       │                    x        x  the least of many times at each size
       │               x ╱           ╱  alpha + bytes · beta, nearest to all of them by ratio
       │ x__x__x____x╱
       └────────────────── bytes, both axes by powers
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
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


class Link(NamedTuple):
    """A message of n bytes takes alpha + n · beta seconds. alpha: seconds of waiting; beta: seconds a byte."""

    alpha: float
    beta: float

    @property
    def bandwidth(self) -> float:
        """Bytes a second once a message is long."""
        return 1 / self.beta if self.beta else math.inf

    @property
    def twice(self) -> float:
        """The bytes at which a message costs twice its wait: alpha / beta."""
        return self.alpha / self.beta if self.beta else math.inf

    def seconds(self, bytes: float) -> float:
        """How long a message of so many bytes takes."""
        return self.alpha + bytes * self.beta


class Point(NamedTuple):
    """Times of one thing at one size: the least, the middle and the longest of `repeats`, in seconds.

    what: "send" (one way between two ranks) or a collective over `ranks`; bytes: as `minipar.cost.comm` counts them.
    """

    what: str
    ranks: int
    bytes: int
    least: float
    middle: float
    longest: float
    repeats: int


def fit(points: Iterable[Point]) -> Link:
    """The alpha and beta nearest to the least times, by ratio: small and large sizes weigh the same.

    Least squares of (alpha + n · beta) / time - 1; neither constant may be negative. ValueError below two sizes.
    """
    pairs = [(point.bytes, point.least) for point in points]
    if len({size for size, _ in pairs}) < 2:
        raise ValueError(f"two constants need times at two sizes or more, and there are {len(pairs)}")
    aa = sum(1 / time**2 for _, time in pairs)
    ab = sum(size / time**2 for size, time in pairs)
    bb = sum((size / time) ** 2 for size, time in pairs)
    a, b = sum(1 / time for _, time in pairs), sum(size / time for size, time in pairs)
    alpha, beta = (a * bb - b * ab) / (aa * bb - ab * ab), (b * aa - a * ab) / (aa * bb - ab * ab)
    if alpha < 0:
        return Link(0.0, b / bb)
    return Link(alpha, beta) if beta >= 0 else Link(a / aa, 0.0)


@dataclass(frozen=True, repr=False)
class Machine:
    """Where ranks run, and its link. measured: whether `points` were taken there (`when`, `how`) or it is assumed."""

    name: str
    link: Link
    measured: bool = False
    when: str = ""
    how: str = ""
    points: tuple[Point, ...] = ()

    def of(self, what: str, ranks: int) -> tuple[Point, ...]:
        """The points of one thing over so many ranks, by size."""
        found = (point for point in self.points if (point.what, point.ranks) == (what, ranks))
        return tuple(sorted(found, key=lambda point: point.bytes))

    @functools.cached_property
    def fits(self) -> dict[tuple[str, int], Link]:
        """(what, ranks) -> two constants of its own: of "send", and of the backend's collectives as they are."""
        return {key: fit(self.of(*key)) for key in dict.fromkeys((point.what, point.ranks) for point in self.points)}

    def seconds(self, what: str, ranks: int, bytes: float) -> float:
        """The time by the constants fitted to `what` over `ranks` here. ValueError where that was not measured."""
        if (what, ranks) not in self.fits:
            known = ", ".join(f"{name} over {number}" for name, number in self.fits) or "nothing"
            raise ValueError(f"{what} over {ranks} ranks was not measured on {self.name}: {known} was")
        return self.fits[what, ranks].seconds(bytes)

    def between(self, what: str, ranks: int, bytes: float) -> float:
        """The time read off the measured points, straight between neighbours: nearer than two constants, and no law."""
        points = self.of(what, ranks)
        if len(points) < 2:
            return self.seconds(what, ranks, bytes)
        after = next((at for at in range(1, len(points) - 1) if points[at].bytes >= bytes), len(points) - 1)
        low, high = points[after - 1], points[after]
        share = (bytes - low.bytes) / (high.bytes - low.bytes)
        return max(0.0, low.least + share * (high.least - low.least))

    @property
    def spread(self) -> float:
        """How far the times of "send" scatter: the median over the sizes of middle / least."""
        ratios = sorted(point.middle / point.least for point in self.of("send", 2))
        return ratios[len(ratios) // 2] if ratios else 1.0

    def __str__(self) -> str:
        link = f"{self.link.alpha * 1e6:.3g} µs a message and {self.link.bandwidth / 1e9:.3g} GB/s"
        if not self.measured:
            return f"{self.name}: {link}, assumed"
        return (f"{self.name}: {link} between two ranks of {self.how}; the least of many times on {self.when}, "
                f"the middle one {self.spread:.2f} times that")  # fmt: skip

    __repr__ = __str__

    def to_data(self) -> dict:
        """Plain data for JSON; `Machine.of_data` reads it back."""
        return {**asdict(self), "link": list(self.link), "points": [list(point) for point in self.points]}

    @classmethod
    def of_data(cls, data: dict) -> Machine:
        """The machine that `to_data` wrote."""
        points = tuple(Point(*point) for point in data["points"])
        return cls(**{**data, "link": Link(*data["link"]), "points": points})


#: What the lessons' "by formula" means where nothing was measured: gloo between two processes on a laptop.
TYPICAL = Machine("two processes on a laptop", Link(70e-6, 1 / 2.8e9), how="gloo, measured once")

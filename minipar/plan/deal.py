"""Which positions of a long text does each rank hold, and how much attention does that make it compute?

    16 positions, 4 ranks, causal: position i looks at i + 1 keys

    contiguous   0 0 0 0 1 1 1 1 2 2 2 2 3 3 3 3     pairs  10 26 42 58     the last rank works longest
    zigzag       0 0 1 1 2 2 3 3 3 3 2 2 1 1 0 0     pairs  34 34 34 34     2P chunks, dealt from both ends
    striped      0 1 2 3 0 1 2 3 0 1 2 3 0 1 2 3     pairs  28 32 36 40     one card to each in turn

The keys go round a ring: in step s rank r meets the block of rank r - s. `steps` counts every meeting, because a step
lasts as long as its slowest rank: 58 pairs one after the other for contiguous, 34 for zigzag, 40 for striped.

Zigzag is the deal of Llama 3's context parallelism and of ring-flash-attention; striped is Brandon et al., "Striped
Attention" (2023); the ring is Liu et al., "Ring Attention with Blockwise Transformers" (2023).
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

Positions = tuple[int, ...]


def contiguous(rank: int, ranks: int, length: int) -> Positions:
    """One piece in a row: rank 1 of 4 holds 4 5 6 7 of 16. ValueError where ranks do not divide length."""
    share = _share(ranks, length, 1, "contiguous")
    _check(rank, ranks)
    return tuple(range(rank * share, (rank + 1) * share))


def zigzag(rank: int, ranks: int, length: int) -> Positions:
    """Chunk r of 2P and its mirror image: rank 1 of 4 holds 2 3 12 13 of 16. ValueError where 2P does not divide.

    On one rank there is nothing to balance, and any length will do.
    """
    _check(rank, ranks)
    if ranks == 1:
        return tuple(range(length))
    share = _share(ranks, length, 2, "zigzag")
    mirror = 2 * ranks - 1 - rank
    return (*range(rank * share, (rank + 1) * share), *range(mirror * share, (mirror + 1) * share))


def striped(rank: int, ranks: int, length: int) -> Positions:
    """Every P-th position: rank 1 of 4 holds 1 5 9 13 of 16. ValueError where ranks do not divide length."""
    _share(ranks, length, 1, "striped")
    _check(rank, ranks)
    return tuple(range(rank, length, ranks))


DEALS = {"contiguous": contiguous, "zigzag": zigzag, "striped": striped}


def deal(name: str, rank: int, ranks: int, length: int) -> Positions:
    """The positions of one rank under the deal of this name; ValueError for a name that is none."""
    if name not in DEALS:
        raise ValueError(f"there is no deal {name!r}: there are {', '.join(DEALS)}")
    return DEALS[name](rank, ranks, length)


def hands(name: str, ranks: int, length: int) -> tuple[Positions, ...]:
    """What each rank holds; every position is in exactly one hand."""
    return tuple(deal(name, rank, ranks, length) for rank in range(ranks))


def owners(dealt: Sequence[Positions]) -> tuple[int, ...]:
    """The rank of each position: (0, 0, 1, 1, 1, 1, 0, 0) for zigzag on 2 ranks."""
    whose = {position: rank for rank, hand in enumerate(dealt) for position in hand}
    return tuple(whose[position] for position in sorted(whose))


def pairs(queries: Sequence[int], keys: Sequence[int], causal: bool = True) -> int:
    """How many (query, key) pairs there are where these positions look at those; causal: at none after themselves."""
    if not causal:
        return len(queries) * len(keys)
    ordered = sorted(keys)
    return sum(bisect_right(ordered, query) for query in queries)


def source(rank: int, step: int, ranks: int) -> int:
    """Whose block a rank holds in this step of the ring: its own first, then its neighbours', backwards."""
    return (rank - step) % ranks


def steps(dealt: Sequence[Positions], causal: bool = True) -> tuple[tuple[int, ...], ...]:
    """[step][rank]: the pairs that each rank computes in each step of the ring."""
    ranks, ordered = len(dealt), [sorted(hand) for hand in dealt]
    return tuple(
        tuple(pairs(ordered[rank], ordered[source(rank, step, ranks)], causal) for rank in range(ranks))
        for step in range(ranks)
    )


class Work(NamedTuple):
    """The pairs of each rank in each step, and what follows from them."""

    steps: tuple[tuple[int, ...], ...]

    @property
    def pairs(self) -> tuple[int, ...]:
        """The pairs of each rank, all steps together."""
        return tuple(map(sum, zip(*self.steps, strict=True)))

    @property
    def slowest(self) -> int:
        """The slowest rank of each step, summed: how many pairs stand one after the other."""
        return sum(map(max, self.steps))

    @property
    def mean(self) -> float:
        """The pairs of a rank if all had the same."""
        return sum(self.pairs) / len(self.pairs)

    @property
    def uneven(self) -> float:
        """How much longer the ring takes than even work would: 1.0 for a perfect deal."""
        return self.slowest / self.mean

    def waiting(self, rank: int) -> int:
        """Pairs' worth of time in which this rank waits for a slower one."""
        return self.slowest - self.pairs[rank]


def work(dealt: Sequence[Positions], causal: bool = True) -> Work:
    """The work of these hands, counted in (query, key) pairs."""
    return Work(steps(dealt, causal))


def _share(ranks: int, length: int, chunks: int, name: str) -> int:
    """Positions in a chunk; refuses what does not divide, naming both numbers."""
    if length % (chunks * ranks):
        into = f"{ranks} equal parts"
        if chunks > 1:
            into = f"{chunks * ranks} equal chunks, two for each of {ranks} ranks"
        raise ValueError(f"{length} positions cannot be dealt {name} in {into}: {length} is no multiple of "
                         f"{chunks * ranks}")  # fmt: skip
    return length // (chunks * ranks)


def _check(rank: int, ranks: int) -> None:
    if not 0 <= rank < ranks:
        raise ValueError(f"there are ranks 0 to {ranks - 1}, and not {rank}")

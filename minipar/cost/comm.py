"""How many bytes does each rank send in a collective, and how long does it take?

Closed forms; nothing is sent and nothing counted here. `minipar/run/collectives.py` does what is priced here, the
recorder sums what was really sent there, and tests hold the two against each other.

    time of one message of n bytes = alpha + n · beta        alpha: the wait, seconds; beta: seconds a byte

    time
     │            ╱  n · beta: big ones cost their bytes
     │          ╱
     │_______╱       alpha: small ones all cost the same wait
     └───────┬────── bytes        n = alpha / beta costs twice its wait
             ╵

`bytes` is the tensor one rank has in hand: for all_gather the joined one, for all_to_all all parts of a rank. Where it
is cut in pieces they are those of `torch.tensor_split`, whole elements of `item` bytes. Sources: Thakur, Rabenseifner,
Gropp, "Optimization of Collective Communication Operations in MPICH" (2005); Patarasuk, Yuan (2009) for the ring.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from minipar.cost.machine import Link

Edge = tuple[int, int, int, int]  # source, target, messages, bytes


class Way(NamedTuple):
    """One algorithm: who sends how much to whom, how many waits follow one another, and the bytes of each wait."""

    edges: Callable[[int, tuple[int, ...], int], Iterator[Edge]]
    steps: Callable[[int], int]
    pieces: bool  # whether a wait carries a piece or the whole tensor


def pieces(bytes: int, ranks: int, item: int = 1) -> tuple[int, ...]:
    """Bytes of each piece when whole elements of `item` bytes are dealt out: the first ones get one more."""
    if bytes % item:
        raise ValueError(f"{bytes} bytes are not a whole number of elements of {item} bytes")
    each, more = divmod(bytes // item, ranks)
    return tuple((each + (rank < more)) * item for rank in range(ranks))


def ways(collective: str) -> tuple[str, ...]:
    """The names of the algorithms known for a collective."""
    found = tuple(algorithm for name, algorithm in WAYS if name == collective)
    if not found:
        known = ", ".join(dict.fromkeys(name for name, _ in WAYS))
        raise ValueError(f"there is no price for {collective!r}: there is one for {known}")
    return found


def traffic(collective, algorithm, ranks, bytes, item=1, root=0) -> tuple[tuple[int, ...], ...]:
    """Bytes sent, as rows ``[source][target]``. root: the rank that broadcasts or is reduced to, or sends to root+1."""
    table = [[0] * ranks for _ in range(ranks)]
    for source, target, _, size in _edges(collective, algorithm, ranks, bytes, item, root):
        table[source][target] += size
    return tuple(tuple(row) for row in table)


def sent(collective, algorithm, ranks, bytes, item=1, root=0) -> tuple[int, ...]:
    """Bytes each rank sends. ``sent("all_reduce", "ring", 4, 4_000_000) == (6_000_000,) * 4``."""
    return tuple(sum(row) for row in traffic(collective, algorithm, ranks, bytes, item, root))


def messages(collective, algorithm, ranks, root=0) -> tuple[int, ...]:
    """Messages each rank sends, empty pieces too. ``messages("all_reduce", "ring", 4) == (6, 6, 6, 6)``."""
    count = [0] * ranks
    for source, _, number, _ in _edges(collective, algorithm, ranks, 0, 1, root):
        count[source] += number
    return tuple(count)


def steps(collective, algorithm, ranks) -> int:
    """How many messages must follow one another, at least: the waits in the time."""
    way = _way(collective, algorithm, ranks)
    return way.steps(ranks) if ranks > 1 else 0


def seconds(collective, algorithm, ranks, bytes, link: Link, item=1) -> float:
    """The time by alpha-beta: each wait costs alpha and its longest message. Sends and receives at once, no computing.

    Ring all-reduce: 2(P-1) · (alpha + n/P · beta).
    """
    way, number = _way(collective, algorithm, ranks), steps(collective, algorithm, ranks)
    carried = max(pieces(bytes, ranks, item)) if way.pieces else bytes
    return number * (link.alpha + carried * link.beta)


def _way(collective: str, algorithm: str, ranks: int) -> Way:
    if isinstance(ranks, bool) or not isinstance(ranks, int) or ranks < 1:
        raise ValueError(f"a collective needs a whole number of ranks, 1 or more, not {ranks!r}")
    if (collective, algorithm) not in WAYS:
        raise ValueError(f"{collective} can go by {' or '.join(ways(collective))}, not by {algorithm!r}")
    return WAYS[collective, algorithm]


def _edges(collective, algorithm, ranks, bytes, item, root) -> Iterator[Edge]:
    way = _way(collective, algorithm, ranks)
    if not 0 <= root < ranks:
        raise ValueError(f"rank {root} is not among {ranks} ranks, numbered from 0")
    return way.edges(ranks, pieces(bytes, ranks, item), root) if ranks > 1 else iter(())


# ---- round the ring: rank r sends to r+1 only


def _ring_all_reduce(ranks, cut, root):
    """Lap one: all pieces but r+1. Lap two: all but r+2."""
    for rank in range(ranks):
        skipped = cut[(rank + 1) % ranks] + cut[(rank + 2) % ranks]
        yield rank, (rank + 1) % ranks, 2 * (ranks - 1), 2 * sum(cut) - skipped


def _ring_reduce_scatter(ranks, cut, root):
    """All pieces but its own."""
    for rank in range(ranks):
        yield rank, (rank + 1) % ranks, ranks - 1, sum(cut) - cut[rank]


def _ring_all_gather(ranks, cut, root):
    """All pieces but its neighbour's."""
    for rank in range(ranks):
        yield rank, (rank + 1) % ranks, ranks - 1, sum(cut) - cut[(rank + 1) % ranks]


def _ring_broadcast(ranks, cut, root):
    """Every rank but the last passes every piece on."""
    for place in range(ranks - 1):
        yield (root + place) % ranks, (root + place + 1) % ranks, ranks, sum(cut)


# ---- pairs, stars and trees


def _pairs(ranks, cut, root):
    for source in range(ranks):
        for target in range(ranks):
            if source != target:
                yield source, target, 1, cut[target]


def _everyone(ranks, cut, root):
    for source, target, number, _ in _pairs(ranks, cut, root):
        yield source, target, number, sum(cut)


def _from_root(ranks, cut, root):
    for target in range(ranks):
        if target != root:
            yield root, target, 1, sum(cut)


def _down_the_tree(ranks, cut, root):
    """Place p (counted from the root) hears from p without its highest bit."""
    for place in range(1, ranks):
        yield (root + place - (1 << place.bit_length() - 1)) % ranks, (root + place) % ranks, 1, sum(cut)


def _up(edges):
    """The same arrows turned round."""

    def turned(ranks, cut, root):
        for source, target, number, size in edges(ranks, cut, root):
            yield target, source, number, size

    return turned


def _up_and_down(edges):
    def both(ranks, cut, root):
        yield from _up(edges)(ranks, cut, root)
        yield from edges(ranks, cut, root)

    return both


def _one_message(ranks, cut, root):
    yield root, (root + 1) % ranks, 1, sum(cut)


def _log2(ranks):
    return (ranks - 1).bit_length()


WAYS = {
    ("send", "direct"): Way(_one_message, lambda ranks: 1, False),
    ("all_reduce", "ring"): Way(_ring_all_reduce, lambda ranks: 2 * (ranks - 1), True),
    ("all_reduce", "tree"): Way(_up_and_down(_down_the_tree), lambda ranks: 2 * _log2(ranks), False),
    ("all_reduce", "through_zero"): Way(_up_and_down(_from_root), lambda ranks: 2 * (ranks - 1), False),
    ("all_reduce", "everyone"): Way(_everyone, lambda ranks: ranks - 1, False),
    ("reduce_scatter", "ring"): Way(_ring_reduce_scatter, lambda ranks: ranks - 1, True),
    ("all_gather", "ring"): Way(_ring_all_gather, lambda ranks: ranks - 1, True),
    ("all_to_all", "pairs"): Way(_pairs, lambda ranks: ranks - 1, True),
    ("broadcast", "naive"): Way(_from_root, lambda ranks: ranks - 1, False),
    ("broadcast", "tree"): Way(_down_the_tree, _log2, False),
    ("broadcast", "ring"): Way(_ring_broadcast, lambda ranks: 2 * (ranks - 1), True),
    ("reduce", "naive"): Way(_up(_from_root), lambda ranks: ranks - 1, False),
    ("reduce", "tree"): Way(_up(_down_the_tree), _log2, False),
}

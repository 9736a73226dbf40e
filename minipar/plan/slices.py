"""Which rows, columns, heads and words of a layer does each rank own?

    a matrix [outputs, inputs], as torch stores it, on 2 ranks

    column-parallel    0 0 0 0      row-parallel    0 0 1 1      x · weightᵀ makes a column of y from each *row* of
    Cut(dim=0)         0 0 0 0      Cut(dim=1)      0 0 1 1      weight: "columns" are those of the mathematics
                       1 1 1 1                      0 0 1 1

    heads, 4 ranks     queries    0 1 | 2 3 | 4 5 | 6 7
                       keys       0     0     1     1            two key/value heads, four ranks: each held twice

    7 words, 2 ranks   0 1 2 3 | 4 5 6 ·                         the last piece is shorter (Megatron pads it)

Ranges only: nothing is built and nothing is sent. A parameter that no cut names is whole on every rank.
(Shoeybi et al. 2019, Megatron-LM, arXiv:1909.08053, sections 3 and 4; names are Megatron's.)
"""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Cut:
    """How one parameter lies on the ranks: `parts[rank]` is the range of dimension `dim` that this rank holds."""

    dim: int
    parts: tuple[range, ...]

    @property
    def size(self) -> int:
        """The whole parameter's size along `dim`."""
        return max(part.stop for part in self.parts)

    def twins(self, rank: int) -> tuple[int, ...]:
        """The ranks that hold the same part as this one, itself among them: more than one for copied heads."""
        mine = self.parts[rank]
        return tuple(other for other, part in enumerate(self.parts) if other == rank or (part and part == mine))


class Heads(NamedTuple):
    """Query and key/value heads of each rank. copies: groups of ranks that hold the same key/value heads."""

    query: tuple[range, ...]
    kv: tuple[range, ...]
    copies: tuple[tuple[int, ...], ...]


# ---- ranges


def even(size: int, ranks: int, what: str = "hidden") -> tuple[range, ...]:
    """Equal ranges, one a rank. ValueError with both numbers when `size` does not divide."""
    if size % ranks:
        below = size - size % ranks
        near = f"{below} or {below + ranks}" if below else f"{ranks}"
        raise ValueError(f"{what}={size} cannot be cut in {ranks} equal parts: {near} can.")
    width = size // ranks
    return tuple(range(rank * width, (rank + 1) * width) for rank in range(ranks))


def padded(size: int, ranks: int) -> tuple[range, ...]:
    """Ranges as long as the size divided by the ranks, rounded up; the last ones are shorter, or empty."""
    width = -(-size // ranks)
    return tuple(range(min(rank * width, size), min((rank + 1) * width, size)) for rank in range(ranks))


def heads(query_heads: int, kv_heads: int, ranks: int) -> Heads:
    """Query heads in equal parts, and with them the key/value heads they read: cut where they divide, else copied.

    Query head j reads key/value head j // (query_heads / kv_heads). ValueError when heads do not divide.
    """
    require_groups(query_heads, kv_heads)
    query = even(query_heads, ranks, "heads")
    if kv_heads % ranks and ranks % kv_heads:
        raise ValueError(
            f"kv_heads={kv_heads} cannot lie on {ranks} ranks: either the heads must divide by the ranks, "
            "or the ranks by the heads (then each head is held by several)."
        )
    if kv_heads % ranks == 0:
        return Heads(query, even(kv_heads, ranks, "kv_heads"), tuple((rank,) for rank in range(ranks)))
    holders = ranks // kv_heads
    kv = tuple(range(rank // holders, rank // holders + 1) for rank in range(ranks))
    return Heads(query, kv, tuple(tuple(range(first, first + holders)) for first in range(0, ranks, holders)))


def require_groups(query_heads: int, kv_heads: int) -> None:
    """ValueError unless the same number of query heads can read each key/value head."""
    if kv_heads < 1 or query_heads % kv_heads:
        raise ValueError(f"kv_heads={kv_heads} must divide heads={query_heads}: each is read by the same number.")


def require_own_tokens(tensor: int, sequence_parallel: bool) -> None:
    """ValueError where several ranks hold the same tokens."""
    if tensor > 1 and not sequence_parallel:
        raise ValueError(f"experts beside tensor={tensor} need sequence_parallel=True: without it all {tensor} tensor "
                         f"ranks hold the same tokens, and each token would travel {tensor} times")  # fmt: skip


# ---- cuts of layers: {parameter name: Cut}


def column_cuts(parts: tuple[range, ...], bias: bool = True) -> dict[str, Cut]:
    """Of a column-parallel layer: each rank makes some of the outputs."""
    return {"weight": Cut(0, parts)} | ({"bias": Cut(0, parts)} if bias else {})


def row_cuts(parts: tuple[range, ...]) -> dict[str, Cut]:
    """Of a row-parallel layer: each rank reads some of the inputs. Its bias is whole: it is added after the sum."""
    return {"weight": Cut(1, parts)}


def attention_cuts(hidden: int, query_heads: int, kv_heads: int, ranks: int) -> dict[str, Cut]:
    """Query, key and value by heads (columns), output by the same heads (rows)."""
    share, width = heads(query_heads, kv_heads, ranks), hidden // query_heads
    query, kv = (tuple(_times(part, width) for part in parts) for parts in (share.query, share.kv))
    return (
        under("query", column_cuts(query))
        | under("key", column_cuts(kv))
        | under("value", column_cuts(kv))
        | under("output", row_cuts(query))
    )


def mlp_cuts(hidden: int, expansion: int, ranks: int) -> dict[str, Cut]:
    """`up` by columns, `down` by rows."""
    parts = even(expansion * hidden, ranks, "the MLP's width")
    return under("up", column_cuts(parts)) | under("down", row_cuts(parts))


def block_cuts(hidden: int, query_heads: int, kv_heads: int, ranks: int, expansion: int = 4) -> dict[str, Cut]:
    """A transformer block: attention and MLP; the norms are whole."""
    return under("attention", attention_cuts(hidden, query_heads, kv_heads, ranks)) | under(
        "mlp", mlp_cuts(hidden, expansion, ranks)
    )


def embedding_cuts(vocabulary: int, ranks: int) -> dict[str, Cut]:
    """The token table by words; the table of positions is whole."""
    return {"token.weight": Cut(0, padded(vocabulary, ranks))}


def head_cuts(vocabulary: int, ranks: int) -> dict[str, Cut]:
    """The head's table by words, as the embedding's, so that both can be one; its norm is whole."""
    return {"output.weight": Cut(0, padded(vocabulary, ranks))}


def under(name: str, cuts: dict[str, Cut]) -> dict[str, Cut]:
    """The same cuts, for a layer that is called `name` inside a larger one."""
    return {f"{name}.{inner}": cut for inner, cut in cuts.items()}


def _times(part: range, width: int) -> range:
    return range(part.start * width, part.stop * width)

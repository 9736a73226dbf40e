"""Where should a list of layers be cut so that the slowest part is as fast as possible?

    costs  2 | 3 3 3 | 3 3 3 | 3 3 | 7         the slowest part decides how often a microbatch can pass

Exact: a table of the best slowest part for every prefix and every number of parts.
"""

from collections.abc import Sequence
from itertools import accumulate


def split(costs: Sequence[float], parts: int) -> tuple[range, ...]:
    """Cut ``costs`` into ``parts`` contiguous, non-empty ranges with the smallest possible most expensive one.

    Ties are broken towards the smallest sum of squares, so that the other parts are even as well.
    ValueError for more parts than layers, or a cost that is negative or not a number.
    """
    if isinstance(parts, bool) or not isinstance(parts, int) or parts < 1:
        raise ValueError(f"parts must be a whole number, 1 or more, not {parts!r}")
    if parts > len(costs):
        raise ValueError(f"{len(costs)} layers cannot fill {parts} parts: each part needs a layer")
    for layer, cost in enumerate(costs):
        if not cost >= 0:
            raise ValueError(f"layer {layer} costs {cost!r}: a cost is a number, 0 or more")
    total = [0, *accumulate(costs)]
    count = len(costs)
    # best[end] = (slowest part, sum of squares, cuts) of the first `end` layers in the number of parts reached so far
    best = {end: ((total[end], total[end] ** 2), (0,)) for end in range(1, count + 1)}
    for part in range(2, parts + 1):
        best = {end: _best_last_part(best, total, part, end) for end in range(part, count + 1)}
    starts = best[count][1]
    return tuple(range(start, end) for start, end in zip(starts, (*starts[1:], count), strict=True))


def _best_last_part(best, total, part: int, end: int):
    """The best way to end at ``end``: try every start of the last part."""
    found = None
    for start in range(part - 1, end):
        (slowest, squares), starts = best[start]
        last = total[end] - total[start]
        score = (max(slowest, last), squares + last**2)
        if found is None or score < found[0]:
            found = (score, (*starts, start))
    return found

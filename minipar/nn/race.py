"""When is it not worth asking the other ranks?

The same small work twice: by one process alone, and by all ranks of the call together. Where there is little to do, the
waits for messages are all there is. These are programs for `pool.run`; their times are shown and never compared.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from minipar.nn.loss import vocab_parallel_cross_entropy
from minipar.nn.sequence import attend_in_ring, attend_whole

ROUNDS = 9


def attention(w, tensors: Tensor, name: str = "zigzag", rounds: int = ROUNDS) -> tuple[float, float]:
    """Seconds of full attention on this rank alone, and of ring attention on all; tensors as `attend_in_ring` takes."""
    return race(w, lambda: attend_whole(tensors), lambda: attend_in_ring(w, tensors, name), rounds)


def loss(w, tokens: int, words: int, rounds: int = ROUNDS) -> tuple[float, float]:
    """Seconds of the loss of `tokens` scores of `words` words on this rank alone, and in slices on all; both ways."""
    ring, each = w.axis("tensor").ring, words // w.ranks
    scores = torch.randn(tokens, words, generator=torch.Generator().manual_seed(0)).to(w.device)
    mine, targets = scores[:, each * ring.rank : each * (ring.rank + 1)], torch.zeros_like(scores[:, 0]).long()

    def both_ways(own: Tensor, rule: Callable) -> None:
        leaf = own.clone().requires_grad_()
        rule(leaf).backward()

    return race(
        w,
        lambda: both_ways(scores, lambda x: cross_entropy(x, targets)),
        lambda: both_ways(mine, lambda x: vocab_parallel_cross_entropy(ring, x, targets, each * ring.rank)),
        rounds,
    )


def race(w, alone: Callable, together: Callable, rounds: int) -> tuple[float, float]:
    """Median seconds of both over `rounds`, by turns; all ranks start together."""
    times: tuple[list, list] = ([], [])
    for _ in range(rounds):
        for work, kept in zip((alone, together), times, strict=True):
            w.everyone.barrier()
            started = time.perf_counter()
            work()
            kept.append(time.perf_counter() - started)
    return statistics.median(times[0]), statistics.median(times[1])

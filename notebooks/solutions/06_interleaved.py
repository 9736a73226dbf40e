"""Solutions of lesson 06, and the wrong answers its check knows."""


# %% stub
def placement(ranks, chunks):
    """Deal the stages like cards: stage s stands on rank s % ranks."""
    return [list(range(rank, ranks * chunks, ranks)) for rank in range(ranks)]


def warmup(rank, ranks, microbatches, chunks, group):
    """One round through all chunks but the last; then twice the distance to the last rank."""
    return (chunks - 1) * group + 2 * (ranks - 1 - rank)


# %% wrong stub: neighbouring stages on one rank
# says: Stage 1 stands beside stage 0 on rank 0: 48 messages and the whole triangle, as with one chunk.
# says: The next stage belongs on the next rank.
def placement(ranks, chunks):
    return [list(range(chunks * rank, chunks * (rank + 1))) for rank in range(ranks)]


def warmup(rank, ranks, microbatches, chunks, group):
    return (chunks - 1) * group + 2 * (ranks - 1 - rank)


# %% wrong stub: down and back
# says: That is the V, level 10 of the board. With this lesson's order it sticks: rank 0 waits at 7F1 for 6F1.
# says: Deal the cards round: 0, 4.
def placement(ranks, chunks):
    return [[rank, 2 * ranks - 1 - rank] for rank in range(ranks)]


def warmup(rank, ranks, microbatches, chunks, group):
    return (chunks - 1) * group + 2 * (ranks - 1 - rank)


# %% wrong stub: the warm-up of 05
# says: Stuck: rank 0 reaches 4B0 before its own 4F0.
# says: The first round goes through both chunks before anything comes back.
def placement(ranks, chunks):
    return [list(range(rank, ranks * chunks, ranks)) for rank in range(ranks)]


def warmup(rank, ranks, microbatches, chunks, group):
    return ranks - 1 - rank


# %% wrong stub: one too few on each rank
# says: Stuck: rank 3 reaches 7B0 before its own 7F0. One more forward first.
def placement(ranks, chunks):
    return [list(range(rank, ranks * chunks, ranks)) for rank in range(ranks)]


def warmup(rank, ranks, microbatches, chunks, group):
    return (chunks - 1) * group + 2 * (ranks - 1 - rank) - 1


# %% wrong stub: two too many on each rank
# says: 28.5 slots, the right time, but peaks 13 11 9 7: two too many on each rank.
def placement(ranks, chunks):
    return [list(range(rank, ranks * chunks, ranks)) for rank in range(ranks)]


def warmup(rank, ranks, microbatches, chunks, group):
    return (chunks - 1) * group + 2 * (ranks - rank)


# %% wrong stub: a round of the whole batch
# says: 28.5 slots, but peaks 15 13 11 9: a round has 4 microbatches here (`group`), not 8.
def placement(ranks, chunks):
    return [list(range(rank, ranks * chunks, ranks)) for rank in range(ranks)]


def warmup(rank, ranks, microbatches, chunks, group):
    return (chunks - 1) * microbatches + 2 * (ranks - 1 - rank)


# %% wrong stub: the distance once, not twice
# says: 28.5 slots without hops and peaks 8 7 6 5: thrifty. At hop 0.1 it takes 31.5, par is 29.9:
# says: no work is waiting when a message is late.
def placement(ranks, chunks):
    return [list(range(rank, ranks * chunks, ranks)) for rank in range(ranks)]


def warmup(rank, ranks, microbatches, chunks, group):
    return (chunks - 1) * group + ranks - 1 - rank


# %% wrong stub: the same on every rank
# says: 51 slots, peaks 11 11 11 11: rank 3 can turn round after 4.
def placement(ranks, chunks):
    return [list(range(rank, ranks * chunks, ranks)) for rank in range(ranks)]


def warmup(rank, ranks, microbatches, chunks, group):
    return (chunks - 1) * group + 2 * (ranks - 1)

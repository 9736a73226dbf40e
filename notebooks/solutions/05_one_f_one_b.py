"""Solutions of lesson 05, and the wrong answers its check knows."""

# %% stub
by_hand = minipar.edit("""
0F0 0F1 0F2 0F3 0B0 0B1 0B2 0B3
1F0 1F1 1F2 1B0 1F3 1B1 1B2 1B3
2F0 2F1 2B0 2F2 2B1 2F3 2B2 2B3
3F0 3B0 3F1 3B1 3F2 3B2 3F3 3B3
""")
by_hand


# %% stub-2
@minipar.schedule
def mine(rank, ranks, microbatches):
    """Warm up; then one forward, one backward; then the backwards that are left."""
    warmup = max(0, min(ranks - 1 - rank, microbatches))
    for m in range(warmup):
        yield F(rank, m)
    for m in range(microbatches - warmup):
        yield F(rank, warmup + m)
        yield B(rank, m)
    for m in range(microbatches - warmup, microbatches):
        yield B(rank, m)


# %% wrong stub-2: no warm-up
# says: Legal, 1 in flight everywhere, and 96 slots: each microbatch walks down and back alone. Par is 33.
@minipar.schedule
def mine(rank, ranks, microbatches):
    for m in range(microbatches):
        yield F(rank, m)
        yield B(rank, m)


# %% wrong stub-2: P-1 warm-ups on every rank
# says: 69 slots, peaks 4 4 4 4: rank 3 can go back at once. Warm-up falls by one a rank.
@minipar.schedule
def mine(rank, ranks, microbatches):
    warmup = max(0, min(ranks - 1, microbatches))
    for m in range(warmup):
        yield F(rank, m)
    for m in range(microbatches - warmup):
        yield F(rank, warmup + m)
        yield B(rank, m)
    for m in range(microbatches - warmup, microbatches):
        yield B(rank, m)


# %% wrong stub-2: one warm-up too many
# says: 33 slots, the right time, but peaks 5 4 3 2: one too many on each rank.
@minipar.schedule
def mine(rank, ranks, microbatches):
    warmup = max(0, min(ranks - rank, microbatches))
    for m in range(warmup):
        yield F(rank, m)
    for m in range(microbatches - warmup):
        yield F(rank, warmup + m)
        yield B(rank, m)
    for m in range(microbatches - warmup, microbatches):
        yield B(rank, m)


# %% wrong stub-2: one warm-up too few
# says: 54 slots: rank 0 waits at 0B0 with nothing left to do. One more forward first.
@minipar.schedule
def mine(rank, ranks, microbatches):
    warmup = max(0, min(ranks - 2 - rank, microbatches))
    for m in range(warmup):
        yield F(rank, m)
    for m in range(microbatches - warmup):
        yield F(rank, warmup + m)
        yield B(rank, m)
    for m in range(microbatches - warmup, microbatches):
        yield B(rank, m)


# %% wrong stub-2: the warm-up rises with the rank
# says: Stuck: rank 0 waits at 0B0 for 1B0; rank 1 waits at 1F1 for 0F1; 0F1 stands behind 0B0.
@minipar.schedule
def mine(rank, ranks, microbatches):
    warmup = max(0, min(rank, microbatches))
    for m in range(warmup):
        yield F(rank, m)
    for m in range(microbatches - warmup):
        yield F(rank, warmup + m)
        yield B(rank, m)
    for m in range(microbatches - warmup, microbatches):
        yield B(rank, m)

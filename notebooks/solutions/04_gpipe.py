"""Solutions of lesson 04, and the wrong answers its check knows."""

# %% stub
by_hand = minipar.edit("""
0F0 0F1 0F2 0F3 0B0 0B1 0B2 0B3
1F0 1F1 1F2 1F3 1B0 1B1 1B2 1B3
2F0 2F1 2F2 2F3 2B0 2B1 2B2 2B3
""")
by_hand


# %% stub-2
@minipar.schedule
def mine(rank, ranks, microbatches):
    """All forwards, then all backwards, in the order in which the microbatches were numbered."""
    for m in range(microbatches):
        yield F(rank, m)
    for m in range(microbatches):
        yield B(rank, m)


# %% wrong stub: one microbatch at a time
# says: Legal, but one microbatch at a time: 36 slots, par is 18. Rank 0 could start 0F1 at 1 and starts it at 9.
by_hand = minipar.edit("""
0F0 0B0 0F1 0B1 0F2 0B2 0F3 0B3
1F0 1B0 1F1 1B1 1F2 1B2 1F3 1B3
2F0 2B0 2F1 2B1 2F2 2B2 2F3 2B3
""")
by_hand

# %% wrong stub: microbatches from 1
# says: 0F4 does not exist: four microbatches are numbered 0 to 3. Missing: 0F0.
by_hand = minipar.edit("""
0F1 0F2 0F3 0F4 0B1 0B2 0B3 0B4
1F1 1F2 1F3 1F4 1B1 1B2 1B3 1B4
2F1 2F2 2F3 2F4 2B1 2B2 2B3 2B4
""")
by_hand

# %% wrong stub: stage number left at 0
# says: Row 1 says 0F0, but stage 0 stands on rank 0. Rank 1 runs stage 1: 1F0.
by_hand = minipar.edit("""
0F0 0F1 0F2 0F3 0B0 0B1 0B2 0B3
0F0 0F1 0F2 0F3 0B0 0B1 0B2 0B3
0F0 0F1 0F2 0F3 0B0 0B1 0B2 0B3
""")
by_hand


# %% wrong stub-2: the last rank goes back in the other order
# says: The ranks disagree: rank 3 returns 7 first, rank 2 waits for 0. 47 slots, par is 33.
# says: Either order works if all keep it.
@minipar.schedule
def mine(rank, ranks, microbatches):
    for m in range(microbatches):
        yield F(rank, m)
    for m in reversed(range(microbatches)) if rank == ranks - 1 else range(microbatches):
        yield B(rank, m)

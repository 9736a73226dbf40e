"""Solutions of lesson 00. Each block replaces the stub cell whose id it names."""


# %% stub
def ring(w, x):
    """4 ranks, x = 10: rank 0 returns 14, after the messages 0→1, 1→2, 2→3, 3→0."""
    following, before = (w.rank + 1) % w.ranks, (w.rank - 1) % w.ranks
    if w.rank == 0:
        w.send(x + 1, to=following)
        return w.recv(source=before)
    w.send(w.recv(source=before) + 1, to=following)

"""Solutions of lesson 00, and the wrong answers its check knows."""


# %% stub
def ring(w, x):
    """4 ranks, x = 10: rank 0 returns 14, after the messages 0→1, 1→2, 2→3, 3→0."""
    following, before = (w.rank + 1) % w.ranks, (w.rank - 1) % w.ranks
    if w.rank == 0:
        w.send(x + 1, to=following)
        return w.recv(source=before)
    w.send(w.recv(source=before) + 1, to=following)


# %% wrong stub: everyone receives first
# says: Not yet: all wait. Rank 0 waits for rank 3, 3 for 2, 2 for 1, 1 for 0. One rank has to send before it receives.
def ring(w, x):
    arrived = w.recv(source=(w.rank - 1) % w.ranks)
    w.send(arrived + 1, to=(w.rank + 1) % w.ranks)
    return arrived


# %% wrong stub: to = rank + 1
# says: Not yet: rank 3 sent to rank 4, but four ranks are numbered 0 to 3. After the last comes 0: use the remainder.
def ring(w, x):
    if w.rank > 0:
        x = w.recv(source=w.rank - 1)
    w.send(x + 1, to=w.rank + 1)
    if w.rank == 0:
        return w.recv(source=w.ranks - 1)


# %% wrong stub: rank 0 never receives
# says: Not yet: rank 3's message to rank 0 was sent and never collected. The ring closes at rank 0.
def ring(w, x):
    if w.rank > 0:
        x = w.recv(source=w.rank - 1)
    w.send(x + 1, to=(w.rank + 1) % w.ranks)
    return x + w.ranks


# %% wrong stub: rank 0 sends to each
# says: The value is right, the route is not: 0→1, 0→2, 0→3. Expected 0→1→2→3→0.
def ring(w, x):
    if w.rank == 0:
        for rank in range(1, w.ranks):
            w.send(x + 1, to=rank)
        return x + w.ranks
    w.recv(source=0)

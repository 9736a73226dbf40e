"""Solutions of lesson 07b, and the wrong answers its check knows."""


# %% stub
def cycle(waits):
    """[1, 2, 3, 2] gives [2, 3]; [1, None] gives []."""
    found = []
    for start in range(len(waits)):
        path, rank = [], start
        while rank is not None and rank not in path:
            path.append(rank)
            rank = waits[rank]
        if rank is not None:
            circle = path[path.index(rank) :]
            least = circle.index(min(circle))
            found.append(circle[least:] + circle[:least])
    return min(found, default=[])


def swap(w, x, peer):
    """Both of a pair call it; each returns the other's x."""
    if w.rank < peer:
        w.send(x, to=peer)
        return w.recv(source=peer)
    came = w.recv(source=peer)
    w.send(x, to=peer)
    return came


# %% wrong stub: both send first
# says: Not yet: ranks 0 and 1 both wait in send.
# says: One has to receive first: let the smaller rank send first.
def swap(w, x, peer):
    w.send(x, to=peer)
    return w.recv(source=peer)


# %% wrong stub: both receive first
# says: Not yet: ranks 0 and 1 both wait in recv, and nothing was sent.
def swap(w, x, peer):
    came = w.recv(source=peer)
    w.send(x, to=peer)
    return came


# %% wrong stub: even ranks send first
# says: Works for 0 and 1; 0 and 2 are both even and both wait in send. Compare with `peer`, not with two.
def swap(w, x, peer):
    if w.rank % 2 == 0:
        w.send(x, to=peer)
        return w.recv(source=peer)
    came = w.recv(source=peer)
    w.send(x, to=peer)
    return came


# %% wrong stub: all that wait
# says: 0 and 1 wait too, but nobody in the circle waits for them. Circle: 2, 3.
def cycle(waits):
    return [rank for rank, peer in enumerate(waits) if peer is not None]


# %% wrong stub: follows from 0 until 0 returns
# says: Did not end on `[1, 2, 3, 2]`: from 0 you never come back to 0. Remember whom you have seen.
def cycle(waits):
    path, rank = [0], waits[0]
    while rank != 0:
        path.append(rank)
        rank = waits[rank]
    return path


# %% wrong stub: None followed like a rank
# says: Rank 1 waits for nobody in `[1, None]`: a chain that ends is no circle.
def cycle(waits):
    path, rank = [], 0
    while rank not in path:
        path.append(rank)
        rank = waits[rank]
    return path[path.index(rank) :]

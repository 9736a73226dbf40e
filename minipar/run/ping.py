"""How long does one message take between two ranks?

    source ── x ──► target       there and back, several times; half of the shortest round trip is one message
           ◄── x ──

Importing this loads no torch: the notebook only hands the function on, the workers run it.
"""

import time


def ping(w, source: int, target: int, size: int, times: int = 5) -> float | None:
    """Send `size` bytes from `source` to `target` and back; the source returns seconds for one way, the others None.

    The first round trip opens the link and is not counted.
    """
    if w.rank == source:
        import torch

        letter = torch.zeros(size, dtype=torch.uint8)
        trips = []
        for _ in range(times + 1):
            started = time.monotonic()
            w.send(letter, to=target)
            w.recv(source=target)
            trips.append(time.monotonic() - started)
        return min(trips[1:]) / 2
    if w.rank == target:
        for _ in range(times + 1):
            w.send(w.recv(source=source), to=source)
    return None

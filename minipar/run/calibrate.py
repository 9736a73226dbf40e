"""How long does a message take on this machine?

    calibrate(pool)    send                          rank 0 ──► rank 1 ──► rank 0, halved
                       all_reduce, all_gather, ...   all ranks: from when the last one came to when the last one left
                       each at 10 sizes, 4 B to 16 MB, in many rounds, within about ten seconds

The least time is what the link can do; what is longer waited for the scheduler (four ranks on two cores wait much). So
the two constants are fitted to the least, and the middle and the longest are kept beside it. Everything is measured
through an Axis, as a program calls it; on a GPU that is NCCL, which was never measured in this project on several.

The result is kept as JSON in ``~/.minipar`` (or the folder that MINIPAR_STATE names), with a description of the
machine and the date, and taken from there until `again=True` or until the description no longer fits.
"""

import datetime
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import torch

from minipar.cost.machine import TYPICAL, Machine, Point, fit

SIZES = (4, 64, 1024, 8192, 32768, 131072, 524288, 2_000_000, 6_000_000, 16_000_000)
COLLECTIVES = ("all_reduce", "reduce_scatter", "all_gather", "all_to_all", "broadcast")
BUDGET = 8.0  # seconds for all cells together
ROUNDS, MOST = 12, 60  # rounds it plans for, and turns of one cell in each at most


def calibrate(pool, again=False, sizes=SIZES, seconds=BUDGET) -> Machine:
    """The Machine that this pool runs on, measured now, or the one kept from before. At most about ten seconds.

    again: measure even if there is a kept one. sizes: bytes of the messages; seconds: how long to measure.
    """
    place = describe(pool)
    kept = read().get(place)
    if kept is not None and not again:
        return Machine.of_data(kept)
    name = f"{processor()}, {os.cpu_count()} cores"
    if pool.size == 1:
        return Machine(name, TYPICAL.link, how="one process, which sends nothing: assumed")
    points = measure(pool, sizes, seconds)
    link = fit(point for point in points if point.what == "send")
    machine = Machine(name, link, True, datetime.date.today().isoformat(), how(pool), points)
    write({**read(), place: machine.to_data(), LATEST: place})
    return machine


def this_machine() -> Machine:
    """The Machine measured last on this computer; where nothing was, the assumed one (`measured` is False)."""
    kept = read()
    return Machine.of_data(kept[kept[LATEST]]) if kept.get(LATEST) in kept else TYPICAL


def describe(pool) -> str:
    """What the figures hang on: processor, cores, ranks, transport, torch."""
    return f"{processor()}, {os.cpu_count()} cores, {how(pool)}"


def how(pool) -> str:
    """What was measured, in the pool's words."""
    return f"{pool.size} {pool.place}, torch {torch.__version__.split('+')[0]}"


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


# ---- measuring


def measure(pool, sizes=SIZES, seconds=BUDGET) -> tuple[Point, ...]:
    """Times of everything at these sizes, in about so many seconds. Nothing is recorded meanwhile."""
    taken = pool.run(_on_rank, list(sizes), seconds)
    points = []
    for (what, size), ends in taken[0].items():
        ranks = 2 if what == "send" else pool.size
        rows = [rank[what, size] for rank in taken][:ranks]
        if what == "send":
            times = [(end - start) / 2 for start, end in ends]
        else:  # the clock is one for all ranks
            times = [max(end for _, end in each) - max(start for start, _ in each) for each in zip(*rows, strict=True)]
        times = sorted(times)
        points.append(Point(what, ranks, size, times[0], times[len(times) // 2], times[-1], len(times)))
    return tuple(points)


def _on_rank(w, sizes, seconds):
    """{(what, bytes): [(start, end), ...]} of this rank: all cells by turns, so that a busy moment spoils none."""
    w.recorder.pause()
    axis, began = w.everyone, time.monotonic()
    cells = {}
    for size in sizes:
        cells["send", size] = _ping(w, size)
        elements = -(-size // (4 * axis.size)) * axis.size  # whole pieces: the bytes are those of the next whole number
        for what in COLLECTIVES:
            cells[what, 4 * elements] = _collective(w, axis, what, elements)
    found = {cell: [] for cell in cells}
    least = [min(_length(w, axis, once) for _ in range(3)) for once in cells.values()]  # the first ones only warm up
    often = [min(MOST, max(1, int(seconds / ROUNDS / len(cells) / each))) for each in least]
    often = axis.broadcast(torch.tensor(often, device=w.device)).tolist()
    more = True
    while more:
        for (cell, once), times in zip(cells.items(), often, strict=True):
            found[cell] += [_timed(w, axis, once) for _ in range(times)]
        spent = time.monotonic() - began
        more = bool(axis.broadcast(torch.tensor([float(spent < seconds)], device=w.device)).item())
    return found


def _length(w, axis, once):
    """How long one turn of a cell takes, with its barrier."""
    began = time.monotonic()
    _timed(w, axis, once)
    return time.monotonic() - began


def _timed(w, axis, once):
    axis.barrier()
    started = time.monotonic()
    once()
    if w.device.type == "cuda":
        torch.cuda.synchronize(w.device)
    return started, time.monotonic()


def _ping(w, size):
    """There and back between ranks 0 and 1; the others do nothing."""
    tensor = torch.zeros(max(1, size // 4), device=w.device)

    def there_and_back():
        if w.rank > 1:
            return
        for sender in (0, 1):
            if w.rank == sender:
                w.post_send(tensor, 1 - sender, TAG).wait()
            else:
                w.post_recv(tensor, 1 - w.rank, TAG).wait()

    return there_and_back


def _collective(w, axis, what, elements):
    """A call of the axis's own method on so many floats (all_gather: so many joined)."""
    x = torch.zeros(elements // axis.size if what == "all_gather" else elements, device=w.device)
    given = x.tensor_split(axis.size) if what == "all_to_all" else x
    return lambda: getattr(axis, what)(given)


TAG = 1 << 27  # of the messages here: no pipeline's


# ---- keeping


LATEST = "latest"


def path() -> Path:
    """Where the measured machines stand (the file need not exist yet)."""
    folder = os.environ.get("MINIPAR_STATE")
    return (Path(folder) if folder else Path.home() / ".minipar") / "machine.json"


def read() -> dict:
    """All kept machines by description; empty where there is no file or it cannot be read."""
    try:
        data = json.loads(path().read_text(encoding="utf-8"))
        return data if isinstance(data, dict) else {}
    except (OSError, ValueError):
        return {}


def write(data: dict) -> None:
    """Replaces the file in one piece; a folder that cannot be written is let be."""
    try:
        path().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path().parent, delete=False, encoding="utf-8") as file:
            json.dump(data, file, indent=1)
        os.replace(file.name, path())
    except OSError:
        return

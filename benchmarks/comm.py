"""Are bytes what the formulas say, and times what two constants say?

    python -m benchmarks.comm > benchmarks/comm.txt       see also --seconds

1. Every collective of our own, 2 to 4 ranks, sizes that divide and that do not: bytes and messages each rank really
   sent against minipar.cost.comm.
2. Times at the sizes of `calibrate` and at sizes between them, all measured in the same rounds. alpha and beta are
   fitted to the first; the second are held back and compared with the least time there. "between" is the same read off
   straight lines from point to point.
3. A swap of two ranks against gloo's own collective, and our ring against gloo's, by turns: ratios of medians.
"""

import argparse
import os
import statistics
import time

import torch

import minipar
from minipar.cost import comm
from minipar.cost.machine import fit
from minipar.run import calibrate, collectives, pairs

HELD_BACK = (256, 4096, 16384, 65536, 262144, 1_000_000, 4_000_000, 10_000_000)
AIM = 0.25
OURS = {
    "ring_all_reduce": ("all_reduce", "ring"), "through_zero": ("all_reduce", "through_zero"),
    "everyone_to_everyone": ("all_reduce", "everyone"), "ring_reduce_scatter": ("reduce_scatter", "ring"),
    "ring_all_gather": ("all_gather", "ring"), "all_to_all": ("all_to_all", "pairs"),
    "broadcast_naive": ("broadcast", "naive"), "broadcast_tree": ("broadcast", "tree"),
    "broadcast_ring": ("broadcast", "ring"), "reduce_naive": ("reduce", "naive"), "reduce_tree": ("reduce", "tree"),
}  # fmt: skip


def one(w, name, elements):
    x = torch.zeros(elements)
    getattr(collectives, name)(w.everyone, x.tensor_split(w.ranks) if name == "all_to_all" else x)


def bytes_against_formula(pool):
    """Prints one line a collective; whether all were equal."""
    print(f"{'collective':22} sizes and ranks compared    bytes    messages")
    for name, (what, way) in OURS.items():
        size = message = count = 0
        for ranks in (2, 3, 4):
            for elements in (1, 10, 1000, 250_001):
                trace = pool.run(one, name, elements, ranks=ranks).trace
                whole = 4 * elements * (ranks if what == "all_gather" else 1)
                found = tuple(trace.sent(rank) for rank in range(ranks))
                size += found == comm.sent(what, way, ranks, whole, item=4)
                message += tuple(map(trace.message_count, range(ranks))) == comm.messages(what, way, ranks)
                count += 1
        said = ["equal" if found == count else f"{count - found} DIFFER" for found in (size, message)]
        print(f"{name:22} {count:24} {said[0]:>8} {said[1]:>11}")


def predictions(pool, seconds):
    """Prints for each thing measured how far two constants are off at sizes they were not fitted to."""
    sizes = sorted({*calibrate.SIZES, *HELD_BACK})
    points = calibrate.measure(pool, sizes, seconds)
    nominal = [-(-size // (4 * pool.size)) * 4 * pool.size for size in HELD_BACK]
    print(f"\n{pool.size} ranks        alpha      GB/s   predicted / least time at the sizes held back"
          "                          worst   aim  met    between")  # fmt: skip
    print(f"{'':34}" + "".join(f"{_short(size):>8}" for size in HELD_BACK))
    for what in ("send", *calibrate.COLLECTIVES):
        mine = [point for point in points if point.what == what]
        held = [point for point in mine if point.bytes in (HELD_BACK if what == "send" else nominal)]
        kept = [point for point in mine if point not in held]
        link = fit(kept)
        machine = minipar.cost.machine.Machine("here", link, points=tuple(kept))
        ratios = [link.seconds(point.bytes) / point.least for point in held]
        worst = max(max(ratio, 1 / ratio) for ratio in ratios) - 1
        lines = [machine.between(what, point.ranks, point.bytes) / point.least for point in held]
        between = max(max(ratio, 1 / ratio) for ratio in lines) - 1
        verdict = ("yes" if worst <= AIM else "MISSED") if pool.size == 2 else "shown"
        print(f"{what:14} {1e6 * link.alpha:6.0f} µs {link.bandwidth / 1e9:9.2f} "
              + "".join(f"{ratio:8.2f}" for ratio in ratios)
              + f"   {worst:5.0%}  {AIM:.0%}  {verdict:6} {between:5.0%}", flush=True)  # fmt: skip


def _short(size):
    return f"{size // 1_000_000} MB" if size >= 1_000_000 else f"{size / 1024:g} KB" if size >= 1024 else f"{size} B"


def turns(w, what, size, ways, repeats):
    """Seconds of each way, by turns: `ways` of ("swap", "gloo", "ring")."""
    w.recorder.pause()
    axis, x, largest = w.everyone, torch.zeros(size // 4), pairs.LARGEST
    given = x[: len(x) // w.ranks] if what == "all_gather" else x
    found = {way: [] for way in ways}
    for _ in range(repeats):
        for way in ways:
            pairs.LARGEST = largest if way == "swap" else -1
            call = getattr(axis.ring if way == "ring" else axis, what)
            axis.barrier()
            began = time.perf_counter()
            call(given)
            found[way].append(time.perf_counter() - began)
    pairs.LARGEST = largest
    return found


def against_gloo(pool, repeats):
    print(f"\n{pool.size} ranks, median of {repeats} turns    size       gloo   ours / gloo")
    ways = ("gloo", "swap", "ring") if pool.size == 2 else ("gloo", "ring")
    for what in ("all_reduce", "reduce_scatter", "all_gather"):
        for size in (64, 65536, 524288, 4_000_000):
            found = pool.run(turns, what, size, ways, repeats)[0]
            middle = {way: statistics.median(times) for way, times in found.items()}
            said = "   ".join(f"{way} {middle[way] / middle['gloo']:.2f}" for way in ways[1:]
                              if way != "swap" or size <= pairs.LARGEST)  # fmt: skip
            print(f"{what:32} {_short(size):>7} {1e6 * middle['gloo']:8.0f} µs   {said}", flush=True)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--repeats", type=int, default=60)
    chosen = options.parse_args()
    print(f"torch {torch.__version__}, gloo, {os.cpu_count()} cores; load before: {os.getloadavg()[0]:.1f}\n")
    with minipar.WorkerPool(4, device="cpu") as four:
        bytes_against_formula(four)
    for ranks in (2, 4):
        with minipar.WorkerPool(ranks, device="cpu") as pool:
            predictions(pool, chosen.seconds)
            against_gloo(pool, chosen.repeats)
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

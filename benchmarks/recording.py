"""What does it cost to record spans and memory?

    python -m benchmarks.recording > benchmarks/recording.txt       see also --case, --pairs, --steps

The same pipeline step as in benchmarks/pipeline.py (four ranks, eight microbatches), with everything recorded and with
nothing recorded, by turns. On the smallest model the work is next to nothing and the price of recording stands bare.
"""

import argparse
import os
import statistics

import torch

import minipar
from benchmarks.minipar_side import MICROBATCHES, SCHEDULES, measure_recording, prepare
from benchmarks.workload import CASES, summed_up, visits

AIM = 1.10


def row(pool, case, schedule, pairs, steps):
    """One line of the table."""
    pool.run(prepare, case, schedule)
    found = visits(
        lambda: summed_up(pool.run(measure_recording, steps, 2, True)),
        lambda: summed_up(pool.run(measure_recording, steps, 2, False)),
        pairs,
    )
    on, off = (1000 * statistics.median(pair[side].wall for pair in found) for side in (0, 1))
    low, middle, high = statistics.quantiles((a.wall / b.wall for a, b in found), n=4)
    worked = statistics.median(a.processor / b.processor for a, b in found)
    verdict = "yes" if middle <= AIM else "MISSED"
    return (f"{case:12} {schedule:12} {on:8.2f} ms {off:8.2f} ms    {middle:4.2f} ({low:.2f}, {high:.2f})"
            f"   {AIM:.2f}  {verdict:6} {worked:9.2f}")  # fmt: skip


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--case", choices=CASES, action="append")
    options.add_argument("--pairs", type=int, default=15)
    options.add_argument("--steps", type=int, default=7)
    chosen = options.parse_args()
    print(f"torch {torch.__version__}, 4 ranks on {os.cpu_count()} cores, M={MICROBATCHES}; "
          f"{chosen.pairs} pairs of {chosen.steps} steps")  # fmt: skip
    print(f"load before: {os.getloadavg()[0]:.1f}\n")
    print(f"{'case':12} {'schedule':12} {'on':>11} {'off':>11}    ratio (quartiles)    aim   met    processor")
    with minipar.WorkerPool(4, device="cpu") as pool:
        for case in chosen.case or CASES:
            for schedule in SCHEDULES:
                print(row(pool, case, schedule, chosen.pairs, chosen.steps), flush=True)
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

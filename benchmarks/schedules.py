"""How long does one step of each schedule take, next to torch's runtime of the same schedule?

    python -m benchmarks.schedules > benchmarks/schedules.txt        four ranks; see also --case, --pairs, --steps

Clock, models and processes are those of benchmarks/pipeline.py: recording off, equal weights, gradients compared first,
pairs of visits by turns. Every schedule goes to torch as the CSV file that `minipar.export` writes, so both sides carry
out the same actions in the same order; torch's runtime adds its own communication. (GPipe and 1F1B have runtimes of
their own in torch besides: benchmarks/pipeline.py.) Several stages a rank: two, on a model of eight layers.
"""

import argparse
import os
import statistics
import tempfile

import torch

import minipar
from benchmarks.minipar_side import MICROBATCHES, measure, prepare
from benchmarks.pipeline import Peer, difference, gathered
from benchmarks.workload import Taken, summed_up, visits
from minipar.plan.schedules import CATALOGUE, OVERLAPPING

AIM = 1.0
EVERY = {**CATALOGUE, **OVERLAPPING}
MLPS = ("MLP d=8", "MLP d=256")


def row(pool, peer, case, name, folder, options):
    """One line of the table."""
    path = minipar.export.torch_csv(EVERY[name](pool.size, MICROBATCHES), os.path.join(folder, f"{name}.csv"))
    worst = difference(gathered(pool.run(prepare, case, name)), peer.prepare(case, str(path)))
    found = visits(
        lambda: summed_up(pool.run(measure, options.steps, 2)),
        lambda: Taken(*peer.ask("measure", options.steps, 2)),
        options.pairs,
    )
    ours, theirs = (1000 * statistics.median(pair[side].wall for pair in found) for side in (0, 1))
    low, middle, high = statistics.quantiles((a.wall / b.wall for a, b in found), n=4)
    worked = statistics.median(a.processor / b.processor for a, b in found)
    verdict = "yes" if middle <= AIM else "MISSED"
    print(f"{case:10} {name:24}{ours:8.2f} ms {theirs:8.2f} ms   {middle:4.2f} ({low:.2f}, {high:.2f})   {verdict:6}"
          f" {worked:9.2f}   {worst:.0e}", flush=True)  # fmt: skip


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--case", choices=MLPS, action="append")
    options.add_argument("--schedule", choices=EVERY, action="append")
    options.add_argument("--pairs", type=int, default=7)
    options.add_argument("--steps", type=int, default=5)
    options = options.parse_args()
    print(f"torch {torch.__version__}, 4 ranks on {os.cpu_count()} cores, M={MICROBATCHES}; {options.pairs} pairs of "
          f"{options.steps} steps; load before: {os.getloadavg()[0]:.1f}\n")  # fmt: skip
    print(f"{'case':10} {'schedule':24}{'minipar':>11} {'torch':>11}   ratio (quartiles)   <= 1.0 processor"
          "   differ by")
    peer = Peer(4)
    with tempfile.TemporaryDirectory() as folder, minipar.WorkerPool(4, device="cpu") as pool:
        for case in options.case or MLPS:
            for name in options.schedule or EVERY:
                row(pool, peer, case, name, folder, options)
    peer.end()
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

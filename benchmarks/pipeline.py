"""How long does one pipeline step take, next to torch.distributed.pipelining?

    python -m benchmarks.pipeline > benchmarks/pipeline.txt     four ranks; see also --case, --pairs, --steps
    python -m benchmarks.pipeline --device cuda                 two and four ranks that share one GPU

Four stages, eight microbatches, forward and backward; spans and memory off. Both sides are four processes with one
thread each on the same model, cut alike, with equal weights (losses and gradients are compared first). They take turns:
a pair is a visit to one and a visit to the other, in alternating order; a visit is two steps that do not count and the
median of the next. Only the step is timed, from a barrier on, as its slowest rank sees it. The second ratio is of the
processor's time of all ranks together, which other work on the machine disturbs less.

On one shared GPU there is no such peer (gloo cannot send a GPU's memory): the step is set beside one process that
takes all microbatches alone on the same card, and the ledger beside torch's allocator.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial

import torch

import minipar
from benchmarks.minipar_side import MICROBATCHES, SCHEDULES, measure, prepare
from benchmarks.workload import CASES, Taken, forget, summed_up, time_steps, visits

AIMS = {"MLP d=8": 1.0, "MLP d=256": 1.0, "MLP d=1024": 1.03, "transformer": 1.03}


class Peer:
    """torch_side.py as a process that is asked one thing at a time."""

    def __init__(self, ranks):
        command = [sys.executable, "-m", "benchmarks.torch_side"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask("start", ranks)

    def ask(self, *request):
        """Its answer to one request."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("the peer ended: its own words are above")
        return json.loads(answer)

    def prepare(self, case, schedule):
        """Its loss and its gradients in the first step."""
        with tempfile.NamedTemporaryFile() as file:
            self.ask("prepare", case, schedule, MICROBATCHES, file.name)
            return torch.load(file.name)

    def end(self):
        """It ends when nobody can ask any more."""
        self.process.stdin.close()
        self.process.wait()


def gathered(parts):
    """Loss and gradients of the whole step from what every rank returned."""
    return sum(loss for loss, _ in parts), {name: value for _, own in parts for name, value in own.items()}


def difference(ours, theirs):
    """The largest difference of a loss or a gradient, against the largest number of its kind."""
    if ours[1].keys() != theirs[1].keys():
        raise AssertionError("the two sides do not have the same parameters")
    worst = abs(ours[0] - theirs[0]) / abs(theirs[0])
    for name, gradient in theirs[1].items():
        worst = max(worst, ((ours[1][name] - gradient).abs().max() / gradient.abs().max().clamp_min(1e-12)).item())
    if worst > 1e-4:
        raise AssertionError(f"losses or gradients of the two sides differ by {worst:.1e}")
    return worst


def row(pool, peer, case, schedule, pairs, steps):
    """One line of the table."""
    worst = difference(gathered(pool.run(prepare, case, schedule)), peer.prepare(case, schedule))
    found = visits(
        lambda: summed_up(pool.run(measure, steps, 2)), lambda: Taken(*peer.ask("measure", steps, 2)), pairs
    )
    ours, theirs = (1000 * statistics.median(pair[side].wall for pair in found) for side in (0, 1))
    low, middle, high = statistics.quantiles((a.wall / b.wall for a, b in found), n=4)
    worked = statistics.median(a.processor / b.processor for a, b in found)
    verdict = "yes" if middle <= AIMS[case] else "MISSED"
    return (f"{case:12} {schedule:12} {ours:8.2f} ms {theirs:8.2f} ms    {middle:4.2f} ({low:.2f}, {high:.2f})"
            f"   {AIMS[case]:.2f}  {verdict:6} {worked:9.2f}   {worst:.0e}")  # fmt: skip


def against_torch(cases, pairs, steps):
    """The table of all cases and both schedules."""
    cores = os.cpu_count()
    print(f"torch {torch.__version__}, 4 ranks on {cores} cores, M={MICROBATCHES}; {pairs} pairs of {steps} steps")
    print(f"load before: {os.getloadavg()[0]:.1f}\n")
    print(f"{'case':12} {'schedule':12} {'minipar':>11} {'torch':>11}    ratio (quartiles)    aim   met    processor"
          f"   differ by")  # fmt: skip
    peer = Peer(4)
    with minipar.WorkerPool(4, device="cpu") as pool:
        for case in cases:
            for schedule in SCHEDULES:
                print(row(pool, peer, case, schedule, pairs, steps), flush=True)
    peer.end()
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


# ---- one GPU


def alone(case, steps):
    """One process on the card, all microbatches in turn: ((loss, gradients), seconds of a step)."""
    model, device = CASES[case], torch.device("cuda")
    module = model.build(range(model.depth), device)
    inputs, targets = (tensor.to(device).tensor_split(MICROBATCHES) for tensor in model.batch(MICROBATCHES))
    losses = []

    def step():
        losses.clear()
        for x, target in zip(inputs, targets, strict=True):
            losses.append(model.loss(module(x), target) / MICROBATCHES)
            losses[-1].backward()

    clear = partial(forget, list(module.parameters()))
    taken = time_steps(step, clear, lambda: None, steps + 2, torch.cuda.synchronize)
    gradients = {name: parameter.grad.cpu() for name, parameter in module.named_parameters()}
    return (sum(loss.item() for loss in losses), gradients), summed_up([taken[2:]]).wall


def books(w, case, schedule):
    """Bytes after one step, by the ledger and by torch's allocator, over what stood there before."""
    w.state.pop("benchmark", None)
    before = torch.cuda.memory_allocated(w.device)
    prepare(w, case, schedule, recording=True)
    return sum(w.recorder.memory.bytes), torch.cuda.memory_allocated(w.device) - before


def on_one_gpu(cases, pairs, steps):
    """The table of ranks that share one card."""
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name(0)}: ranks share it and talk through host memory\n")
    print(f"{'case':12} {'schedule':12} ranks {'step':>11} {'alone':>11}  ratio  ledger/allocator  differ by")
    for ranks in (2, 4):
        with minipar.WorkerPool(ranks, device="cuda", backend="gloo") as pool:
            for case in cases:
                one, seconds = alone(case, steps)
                for schedule in SCHEDULES:
                    held = min(ledger / max(allocator, 1) for ledger, allocator in pool.run(books, case, schedule))
                    worst = difference(gathered(pool.run(prepare, case, schedule)), one)
                    wall = statistics.median(summed_up(pool.run(measure, steps, 2)).wall for _ in range(pairs))
                    print(f"{case:12} {schedule:12} {ranks:5} {1000 * wall:8.2f} ms {1000 * seconds:8.2f} ms"
                          f"  {wall / seconds:5.2f}  {held:16.3f}  {worst:.0e}", flush=True)  # fmt: skip


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options.add_argument("--case", choices=CASES, action="append")
    options.add_argument("--pairs", type=int, default=15)
    options.add_argument("--steps", type=int, default=7)
    chosen = options.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch sees no GPU here.")
    run = against_torch if chosen.device == "cpu" else on_one_gpu
    run(chosen.case or list(CASES), chosen.pairs, chosen.steps)


if __name__ == "__main__":
    main()

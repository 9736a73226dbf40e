"""How long do a sliced MLP and a sliced attention take, forward and backward, against torch's own slices?

    python -m benchmarks.sliced > benchmarks/sliced.txt                 see also --pairs, --hidden, --tokens

Two ranks, gloo, hidden 256 and 1,024, at 64, 512 and 2,048 tokens (texts of 512 at most). The peer is torch's DTensor
(`parallelize_module` with ColwiseParallel and RowwiseParallel, benchmarks/torch_slices.py) in plain processes; the
sides take turns, and outputs and gradients are compared first. Medians over the pairs of visits.

Below it, minipar against itself: the MLP with the sum of x's gradient overlapped with the weights' gradients, and
without; once as it is, and once over a paced link, on which every sum takes at least 30 ms, as if the ranks were far
apart. On two cores the sum and the product want the same cores, so only the paced link can show what overlap is for.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import torch
import torch.distributed as dist

import minipar
from benchmarks.torch_slices import HEAD_WIDTH, KINDS, numbers, stream
from benchmarks.workload import Taken, forget, summed_up, time_steps, visits
from minipar.nn.attention import Attention, ParallelAttention
from minipar.nn.axes import Axes
from minipar.nn.mlp import MLP, ParallelMLP

MESH = minipar.Mesh(tensor=2)
VISIT = 0.25  # seconds that one visit to a side should take
AIMS = {64: 0.80, 512: 1.03, 2048: 1.03}
LINK = 0.030


# ---- minipar's side: these run on every rank of a pool


def build(w, kind, tokens, hidden, overlap=False, link=0.0):
    """(A step, which returns y; x and this rank's parameters.) Built anew in each call, as the handle and axes are."""
    w.recorder.keeps_spans = False
    whole = MLP(hidden) if kind == "MLP" else Attention(hidden, hidden // HEAD_WIDTH)
    whole.load_state_dict(numbers(kind, hidden))
    axis = Paced(w.axis("tensor"), link) if link else w.axis("tensor")
    sliced = ParallelMLP if kind == "MLP" else ParallelAttention
    layer, (x, gradient) = sliced.from_whole(whole, Axes(axis, overlap=overlap)), stream(tokens, hidden)
    x.requires_grad_()

    def step():
        y = layer(x)
        (y * gradient).sum().backward()
        return y

    return step, [x, *layer.parameters()]


def once(w, *case):
    """One step: its output and x's gradient."""
    step, (x, *_) = build(w, *case)
    return step().detach(), x.grad


def measure(w, steps, before, *case):
    """`before` steps that do not count, then what `steps` steps take. Nothing is recorded."""
    step, held = build(w, *case)
    return time_steps(step, lambda: forget(held), dist.barrier, before + steps)[before:]


class Paced:
    """An axis on which a sum takes at least so many seconds from the moment it is begun."""

    def __init__(self, axis, seconds):
        self._axis, self._seconds = axis, seconds

    def __getattr__(self, name):
        return getattr(self._axis, name)

    def all_reduce(self, tensor, op="sum", async_op=False):
        pending = Late(self._axis.all_reduce(tensor, op, async_op=True), time.monotonic() + self._seconds)
        return pending if async_op else pending.wait()


class Late:
    """A sum that is there at a certain time, not before."""

    def __init__(self, pending, due):
        self._pending, self._due = pending, due

    def wait(self):
        found = self._pending.wait()
        time.sleep(max(0.0, self._due - time.monotonic()))
        return found


# ---- torch's side, seen from here


class Peer:
    """The program of torch's ranks, asked line by line."""

    def __init__(self, ranks):
        self.file = tempfile.NamedTemporaryFile(suffix=".pt")  # noqa: SIM115
        command = [sys.executable, "-m", "benchmarks.torch_slices"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._say([ranks, self.file.name])

    def _say(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def ask(self, *request):
        """One request, its answer."""
        self._say(request)
        return json.loads(self.process.stdout.readline())

    def prepare(self, *case):
        """A case's first step: what each rank has of it."""
        self.ask(*case)
        return torch.load(self.file.name)

    def measure(self, steps, before):
        """As minipar's `measure`, summed up."""
        return Taken(*self.ask("measure", steps, before))

    def end(self):
        self.process.stdin.close()
        self.process.wait()


# ---- the tables


def difference(ours, theirs) -> float:
    """The largest difference of what the ranks made, against the largest number of its kind."""
    worst = max(
        ((a - b).abs().max() / b.abs().max()).item()
        for mine, other in zip(ours, theirs, strict=True)
        for a, b in zip(mine, other, strict=True)
    )
    if worst > 1e-3:
        raise AssertionError(f"the two sides differ by {worst:.1e}")
    return worst


def steps_of(taken: Taken) -> int:
    """How many steps fill a visit."""
    return max(2, min(60, round(VISIT / taken.wall)))


class Compared(NamedTuple):
    """Medians of two sides in milliseconds, the ratio's quartiles, and the ratio of processor time, by turns."""

    first: float
    second: float
    low: float
    middle: float
    high: float
    processor: float

    def line(self, aim: float) -> str:
        """The columns of a table."""
        met = "yes" if self.middle <= aim else "MISSED"
        return (f"{self.first:9.2f} ms {self.second:9.2f} ms    {self.middle:4.2f} ({self.low:.2f}, {self.high:.2f})"
                f"   {aim:.2f}  {met:6} {self.processor:9.2f}")  # fmt: skip


def compared(first, second, pairs) -> Compared:
    """Two sides by turns, so often; the first turn does not count."""
    found = visits(first, second, pairs)
    sides = (1000 * statistics.median(pair[side].wall for pair in found) for side in (0, 1))
    quartiles = statistics.quantiles((a.wall / b.wall for a, b in found), n=4)
    return Compared(*sides, *quartiles, statistics.median(a.processor / b.processor for a, b in found))


def against_torch(pool, peer, hidden, tokens, pairs):
    """One line a case."""
    print(f"{'':10} {'hidden':>6} {'tokens':>6} {'minipar':>12} {'DTensor':>12}    ratio (quartiles)    aim   met"
          "    processor   differ by")  # fmt: skip
    for kind in KINDS:
        for width in hidden:
            for count in tokens:
                case = kind, count, width
                worst = difference(pool.run(once, *case, mesh=MESH), peer.prepare("layer", *case))
                steps = steps_of(peer.measure(1, 1))
                before = 2 if steps > 2 else 1
                found = compared(
                    lambda case=case, sizes=(steps, before): summed_up(pool.run(measure, *sizes, *case, mesh=MESH)),
                    lambda sizes=(steps, before): peer.measure(*sizes),
                    pairs,
                )
                print(f"{kind:10} {width:6} {count:6} {found.line(AIMS.get(count, 1.03))}   {worst:8.0e}", flush=True)


def overlap(pool, pairs):
    """Overlap on against off, as it is and over a paced link."""
    print(f"\n{'MLP, hidden 1,024, 512 tokens':36} {'overlap':>12} {'without':>12}    ratio (quartiles)    aim   met"
          "    processor")  # fmt: skip
    for name, link, aim in (("as it is", 0.0, 1.05), (f"a sum takes {LINK * 1000:.0f} ms (paced)", LINK, 1.0)):
        case = "MLP", 512, 1024
        found = compared(
            lambda link=link, case=case: summed_up(pool.run(measure, 4, 1, *case, True, link, mesh=MESH)),
            lambda link=link, case=case: summed_up(pool.run(measure, 4, 1, *case, False, link, mesh=MESH)),
            pairs,
        )
        print(f"{name:36} {found.line(aim)}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--tokens", type=int, nargs="+", default=[64, 512, 2048])
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, 2 ranks on {os.cpu_count()} cores, float32; {arguments.pairs} pairs of visits")
    print(f"load before: {os.getloadavg()[0]:.1f}\n")
    peer = Peer(2)
    with minipar.WorkerPool(2, device="cpu") as pool:
        against_torch(pool, peer, arguments.hidden, arguments.tokens, arguments.pairs)
        overlap(pool, arguments.pairs)
    peer.end()
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

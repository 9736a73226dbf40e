"""What does it cost to cut a backward in two?

    python -m benchmarks.split > benchmarks/split.txt           one process, one thread; see also --case, --rounds

One stage in the middle of a pipeline, eight microbatches: all forwards, then either eight whole backwards (B) or eight
I and then eight W. The three ways run by turns in every round, on equal modules whose gradients are compared first:

    I + W / B          our split backward against our whole one: what postponing costs
    with F             the same, forwards included: postponing layers lay a hook on their way there
    against torch's    our I + W against stage_backward_input + stage_backward_weight of torch.distributed.pipelining
"""

import argparse
import copy
import os
import statistics
import time

import torch
from torch import nn
from torch.distributed.pipelining._backward import stage_backward_input, stage_backward_weight

from benchmarks.workload import CASES, forget
from minipar.nn.gpt import GPT
from minipar.nn.postponed import adopt
from minipar.run.stage import Stage

MICROBATCHES = 8
AIMS = 1.1, 1.0


class Way:
    """One way through the stage, on a copy of the module."""

    def __init__(self, module, inputs, pulls):
        self.module, self.inputs, self.pulls = copy.deepcopy(module), inputs, pulls
        self.stage = Stage(self.module)

    def round(self):
        """Seconds of all forwards, and of all backwards."""
        forget(self.module.parameters())
        self.stage.feed()
        start = time.perf_counter()
        for m, x in enumerate(self.inputs):
            self.forward(m, x.detach())
        middle = time.perf_counter()
        self.backwards()
        return middle - start, time.perf_counter() - middle

    def forward(self, m, x):
        self.stage.forward(m, x)


class Whole(Way):
    def backwards(self):
        for m, pull in enumerate(self.pulls):
            self.stage.backward(m, pull)


class Halves(Way):
    def __init__(self, module, inputs, pulls):
        super().__init__(adopt(copy.deepcopy(module)), inputs, pulls)
        self.stage.halve(range(MICROBATCHES))

    def backwards(self):
        for m, pull in enumerate(self.pulls):
            self.stage.backward_input(m, pull)
        for m in range(MICROBATCHES):
            self.stage.backward_weight(m)


class Torchs(Way):
    """torch finds out in every backward which nodes of the graph belong to which half."""

    def forward(self, m, x):
        x.requires_grad_()
        self.stage.in_flight[m] = x, self.module(x)

    def backwards(self):
        parked = []
        for m, pull in enumerate(self.pulls):
            x, y = self.stage.in_flight.pop(m)
            parked.append(stage_backward_input([y], [pull], [x], self.module.parameters())[1])
        for groups in parked:
            stage_backward_weight(self.module.parameters(), groups)


def cases():
    """name -> (module, shape of x). GPT: our own layers, two blocks; the others are torch's."""
    found = {name: (model.build(range(2)), (model.rows, model.width)) for name, model in CASES.items() if "MLP" in name}
    gpt = GPT(layers=2, hidden=128, heads=4, context=64)
    return {**found, "GPT blocks": (gpt.build([1, 2]), (4, 64, 128))}


def compare(ways):
    """The largest difference of a gradient of the ways, against the largest of its kind."""
    for way in ways:
        way.round()
    worst, reference = 0.0, dict(ways[0].module.named_parameters())
    for way in ways[1:]:
        for name, parameter in way.module.named_parameters():
            scale = reference[name].grad.abs().max().clamp_min(1e-6)
            worst = max(worst, ((parameter.grad - reference[name].grad).abs().max() / scale).item())
    if worst > 1e-3:
        raise AssertionError(f"gradients differ by {worst:.1e}")
    return worst


def row(name, module: nn.Module, shape, rounds):
    torch.manual_seed(0)
    inputs, pulls = ([torch.randn(shape) for _ in range(MICROBATCHES)] for _ in range(2))
    ways = [kind(module, inputs, pulls) for kind in (Whole, Halves, Torchs)]
    worst, taken = compare(ways), []
    for number in range(rounds + 2):
        found = {at: ways[at].round() for at in ((0, 1, 2), (2, 1, 0), (1, 0, 2))[number % 3]}
        taken.append([found[at] for at in range(3)])
    taken = taken[2:]
    whole, halves, torchs = (1000 * statistics.median(each[at][1] for each in taken) for at in range(3))
    split = statistics.quantiles((each[1][1] / each[0][1] for each in taken), n=4)
    with_f = statistics.median(sum(each[1]) / sum(each[0]) for each in taken)
    theirs = statistics.quantiles((each[1][1] / each[2][1] for each in taken), n=4)
    met = " and ".join("yes" if ratio[1] <= aim else "MISSED" for ratio, aim in zip((split, theirs), AIMS, strict=True))
    print(f"{name:12}{whole:9.2f} {halves:9.2f} {torchs:9.2f}   {say(split)} {with_f:7.2f}   {say(theirs)}   {met:14}"
          f" {worst:.0e}", flush=True)  # fmt: skip


def say(quartiles):
    low, middle, high = quartiles
    return f"{middle:.2f} ({low:.2f}, {high:.2f})"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--case", action="append")
    options.add_argument("--rounds", type=int, default=60)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread, {MICROBATCHES} microbatches; medians of {chosen.rounds} rounds, ms "
          f"each; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")  # fmt: skip
    print(f"{'case':12}{'B':>9} {'I + W':>9} {'torch':>9}   {'I + W / B':18} {'with F':>5}   {'against torch':18} "
          f"{'1.1 and 1.0 met':14} differ by")  # fmt: skip
    for name, (module, shape) in cases().items():
        if not chosen.case or name in chosen.case:
            row(name, module, shape, chosen.rounds)


if __name__ == "__main__":
    main()

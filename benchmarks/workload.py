"""What do both sides of benchmarks/pipeline.py run, and how is it timed?

    models     described by their layers, built from torch's own modules; every layer is seeded by its number, so two
               sides that cut a model alike have equal weights
    clock      clear the gradients, barrier, step: only the step is timed, on every rank; a step lasts as long as its
               slowest rank; two visits to two sides are a pair, and pairs take turns in who comes first

Nothing of minipar is imported here: the peer's processes load this file.
"""

import statistics
import time
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional


class Batch(NamedTuple):
    """Inputs and targets of one step."""

    inputs: torch.Tensor
    targets: torch.Tensor


class Layers(nn.Module):
    """Some layers of a model, named by their numbers in the whole model."""

    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleDict({str(number): layer for number, layer in layers.items()})

    def forward(self, x):
        for layer in self.layers.values():
            x = layer(x)
        return x


@dataclass(frozen=True)
class Model:
    """A list of layers that can be cut anywhere. width: of a row; rows: in a microbatch (texts, for a transformer)."""

    width: int
    rows: int
    depth: int = 8

    def costs(self):
        """All layers cost the same."""
        return (1.0,) * self.depth

    def build(self, indices, device="cpu"):
        """The layers with these numbers, with the weights that they have in any cut."""
        return Layers({index: self._seeded(index).to(device) for index in indices})

    def _seeded(self, index):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(index)
            return self.layer(index)


class MLP(Model):
    """`depth` times a linear layer and a ReLU."""

    def layer(self, index):
        return nn.Sequential(nn.Linear(self.width, self.width), nn.ReLU())

    def batch(self, microbatches):
        """Rows of noise, to be turned into other noise."""
        stream = torch.Generator().manual_seed(0)
        shape = microbatches * self.rows, self.width
        return Batch(torch.randn(shape, generator=stream), torch.randn(shape, generator=stream))

    def loss(self, y, targets):
        return functional.mse_loss(y, targets)


class Transformer(Model):
    """Embedding, `depth` - 2 of torch's encoder layers, head; texts of 64 tokens out of 256."""

    def layer(self, index):
        if index == 0:
            return nn.Embedding(256, self.width)
        if index == self.depth - 1:
            return nn.Linear(self.width, 256)
        return nn.TransformerEncoderLayer(self.width, 4, 4 * self.width, dropout=0.0, batch_first=True, norm_first=True)

    def batch(self, microbatches):
        """Random bytes."""
        stream = torch.Generator().manual_seed(0)
        shape = microbatches * self.rows, 64
        return Batch(torch.randint(256, shape, generator=stream), torch.randint(256, shape, generator=stream))

    def loss(self, y, targets):
        return functional.cross_entropy(y.flatten(0, 1), targets.flatten())


CASES = {
    "MLP d=8": MLP(width=8, rows=16),
    "MLP d=256": MLP(width=256, rows=32),
    "MLP d=1024": MLP(width=1024, rows=64),
    "transformer": Transformer(width=128, rows=4, depth=10),
}


def cut(model: Model, stages: int) -> list[range]:
    """Equal shares of the layers, the longer ones first: what both sides use."""
    share, more = divmod(model.depth, stages)
    ends = [stage * share + min(stage, more) for stage in range(stages + 1)]
    return [range(*pair) for pair in zip(ends, ends[1:], strict=False)]


class Taken(NamedTuple):
    """What one step took one rank, in seconds: by the clock, and of the processor (all of its threads)."""

    wall: float
    processor: float


def forget(parameters) -> None:
    """Drop the gradients of the last step."""
    for parameter in parameters:
        parameter.grad = None


def time_steps(step, clear, barrier, steps: int, settle=lambda: None) -> list[Taken]:
    """What each of `steps` steps takes this rank. clear: drops the gradients; settle: waits for the device."""
    taken = []
    for _ in range(steps):
        clear()
        settle()
        barrier()
        start, worked = time.perf_counter(), time.process_time()
        step()
        settle()
        taken.append(Taken(time.perf_counter() - start, time.process_time() - worked))
    return taken


def summed_up(by_rank: list[list[Taken]]) -> Taken:
    """Medians over the steps: the slowest rank's time by the clock, and the processor's time of all ranks together."""
    steps = list(zip(*by_rank, strict=True))
    wall = statistics.median(max(rank[0] for rank in step) for step in steps)
    return Taken(wall, statistics.median(sum(rank[1] for rank in step) for step in steps))


def visits(first, second, pairs: int) -> list[tuple]:
    """Calls the two sides by turns: [(what the first gave, what the second gave)]; the first pair does not count."""
    found = []
    for pair in range(pairs + 1):
        given = {}
        for side in (0, 1) if pair % 2 else (1, 0):
            given[side] = (first, second)[side]()
        found.append((given[0], given[1]))
    return found[1:]

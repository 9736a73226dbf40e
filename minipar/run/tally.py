"""What do layers of experts tell after a step, and who hears it?

    every rank counts       choices by expert before any drop, dropped choices, its share of the losses inside the model
    one sum over all        travels with the norm: 1 number an expert and layer, and 2 more
    every rank hears        the step's loads; layers with a bias learn from them (they saw the tokens of all ranks)

A layer of experts is any module with a `tally` (wanted, dropped, loss, clear()) and `teach(loads)`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch


class Told(NamedTuple):
    """One step: {layer number: choices by expert}, dropped choices, and the weighted losses of all layers."""

    loads: dict[int, tuple[int, ...]]
    dropped: int = 0
    loss: float = 0.0


class Tallies:
    """One rank's layers of experts. said: the numbers to be summed over all ranks; heard: what the sums say."""

    def __init__(self, model, stages):
        self.layers, self.experts = tuple(getattr(model, "expert_layers", ())), getattr(model, "experts", 0)
        modules = [found for stage in stages for found in stage.module.named_modules()] if self.layers else ()
        self.mine = {int(name.split(".")[1]): module for name, module in modules if hasattr(module, "tally")}

    def said(self) -> list[float]:
        """Numbers of this rank since the last time, zeros for layers of others; [] for a model without experts."""
        if not self.layers:
            return []
        found, tallies = [], [module.tally for module in self.mine.values()]
        for layer in self.layers:
            mine = self.mine.get(layer)
            found += mine.tally.wanted.tolist() if mine is not None else [0] * self.experts
        found += sum(tally.dropped for tally in tallies), sum(tally.loss for tally in tallies)
        for tally in tallies:
            tally.clear()
        return [float(number) for number in found]

    def heard(self, sums: Sequence[float]) -> Told:
        """The whole step, from the sums over all ranks."""
        if not self.layers:
            return Told({})
        *counts, dropped, loss = sums
        rows = [counts[at : at + self.experts] for at in range(0, len(counts), self.experts)]
        return Told({layer: tuple(map(int, row)) for layer, row in zip(self.layers, rows, strict=True)},
                    int(dropped), loss)  # fmt: skip

    def teach(self, told: Told) -> None:
        """Let the layers that choose with a bias change it."""
        for layer, module in self.mine.items():
            module.teach(torch.tensor(told.loads[layer]))

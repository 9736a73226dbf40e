"""What does an optimizer remember, and what does it do with a gradient?

    SGD        nothing remembered            weight -= rate · gradient
    Momentum   one average a parameter       weight -= rate · average of gradients
    AdamW      two averages a parameter      weight -= rate · average / sqrt(average of squares), and a little decay

Each rank updates its own parameters and nothing is said to the others. Written out here because the averages are what
fills a device; the updates are those of torch.optim to the last bit, without the seconds that its first use takes.
AdamW: Loshchilov and Hutter 2019, arXiv:1711.05101.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from minipar.cost.model import Optimizer


class SGD:
    """Plain gradient descent."""

    def __init__(self, parameters: Iterable[Tensor], rate: float):
        self.parameters, self.rate = list(parameters), rate

    def tensors(self) -> list[Tensor]:
        """Everything it remembers."""
        return []

    @torch.no_grad()
    def step(self) -> None:
        """One update of every parameter from its gradient."""
        for parameter in self.parameters:
            parameter.add_(parameter.grad, alpha=-self.rate)


class Momentum(SGD):
    """Gradient descent along an average of the gradients so far."""

    def __init__(self, parameters: Iterable[Tensor], rate: float, keep: float = 0.9):
        super().__init__(parameters, rate)
        self.keep, self.averages = keep, []

    def tensors(self) -> list[Tensor]:
        """One average a parameter, from the first step on."""
        return self.averages

    @torch.no_grad()
    def step(self) -> None:
        """One update of every parameter from its gradient."""
        if not self.averages:
            self.averages = [torch.zeros_like(parameter) for parameter in self.parameters]
        for parameter, average in zip(self.parameters, self.averages, strict=True):
            average.mul_(self.keep).add_(parameter.grad)
            parameter.add_(average, alpha=-self.rate)


class AdamW:
    """Each weight gets a step of its own size: large where its gradients agree, small where they contradict."""

    def __init__(self, parameters: Iterable[Tensor], rate: float, keep=0.9, keep_squares=0.999, decay=0.01):
        self.parameters, self.rate, self.decay = list(parameters), rate, decay
        self.keep, self.keep_squares = keep, keep_squares
        self.averages, self.squares, self.steps = [], [], 0

    def tensors(self) -> list[Tensor]:
        """Two averages a parameter, from the first step on."""
        return self.averages + self.squares

    @torch.no_grad()
    def step(self) -> None:
        """One update of every parameter from its gradient."""
        if not self.averages:
            self.averages = [torch.zeros_like(parameter) for parameter in self.parameters]
            self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.steps += 1
        young = 1 - self.keep**self.steps  # both averages start at 0; these make up for it
        young_squares = math.sqrt(1 - self.keep_squares**self.steps)
        for parameter, average, squares in zip(self.parameters, self.averages, self.squares, strict=True):
            gradient = parameter.grad
            parameter.mul_(1 - self.rate * self.decay)
            average.lerp_(gradient, 1 - self.keep)
            squares.mul_(self.keep_squares).addcmul_(gradient, gradient, value=1 - self.keep_squares)
            size = squares.sqrt().div_(young_squares).add_(1e-8)
            parameter.addcdiv_(average, size, value=-self.rate / young)


_MADE = {Optimizer.SGD: SGD, Optimizer.MOMENTUM: Momentum, Optimizer.ADAMW: AdamW}


def make(name: str | Optimizer, parameters: Iterable[Tensor], rate: float):
    """The optimizer of this name ("SGD", "momentum" or "AdamW"), for these parameters."""
    return _MADE[Optimizer.named(name)](parameters, rate)

"""What is a linear layer?

    y = x · weightᵀ + bias            weight [out, in], bias [out]

torch's own fills itself with random numbers when it is made; this one is empty until `gpt.fill` gives it the numbers
of its layer.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class Linear(nn.Module):
    """[..., inputs] -> [..., outputs]. Not filled."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        return linear(x, self.weight, self.bias)


class Table(nn.Module):
    """A learned vector for each of `rows` numbers. Not filled."""

    def __init__(self, rows: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))

    def forward(self, numbers: Tensor) -> Tensor:
        """Integers of any shape [...] -> [..., width]."""
        return nn.functional.embedding(numbers, self.weight)

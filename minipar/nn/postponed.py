"""How can a layer leave its weight's gradient for later?

A linear layer's backward is two products, and the layers before it wait for only one of them:

    gradient of x = g · weight      wanted at once, by the stage before           I
    gradient of weight = gᵀ · x     wanted at the end of the step, by nobody else  W

So the layer computes y with a weight that wants no gradient, and autograd, on its way back, makes the first product
alone. When it comes by y it leaves y's gradient g with the stage's list, together with x: a hook on y hands both over.
The list does the second product when the schedule says so. `later` is that list (`run/later.py`); a layer whose stage
gave it none, or whose microbatch comes back whole, does not come here.

Postponed are the products with matrices, biases and the rows of tables. The two small sums of a norm are not: its
backward has them in hand when it makes x's gradient, and would have to keep another activation to make them later.

(Zero Bubble Pipeline Parallelism, arXiv:2401.10241, section 2, which calls the first half B.)
"""

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional


def wanted(later, parameter: Tensor) -> bool:
    """Whether this parameter's gradient, for what goes forward now, is to be handed over."""
    return later is not None and later.open and parameter.requires_grad and torch.is_grad_enabled()


def product(later, x: Tensor, weight: nn.Parameter, bias: nn.Parameter | None = None) -> Tensor:
    """x [..., inputs] · weightᵀ + bias -> [..., outputs]. Handed over: gradients of weight and bias."""
    y = functional.linear(x, weight.detach(), None if bias is None else bias.detach())
    return _hand_over(later, y, _of_product, (weight, bias), x)


def plus(later, x: Tensor, bias: nn.Parameter) -> Tensor:
    """x [..., outputs] + bias [outputs]. Handed over: gradient of bias."""
    return _hand_over(later, x + bias.detach(), _of_sum, (bias,), bias)


def looked_up(later, numbers: Tensor, table: nn.Parameter) -> Tensor:
    """Integers [...] -> rows of table [rows, width] -> [..., width]. Handed over: gradient of table."""
    return _hand_over(later, functional.embedding(numbers, table.detach()), _of_rows, (table,), numbers)


def _hand_over(later, y: Tensor, work, parameters: tuple, x: Tensor) -> Tensor:
    """y, which on its way back gives its gradient to the list. x: what the work needs beside it."""
    if not y.requires_grad:
        y.requires_grad_()  # the lowest weight of the first stage: nothing before it wants a gradient, but it does
    x = x.detach()  # the list must not keep the graph below x
    later.keep(x)
    y.register_hook(functools.partial(later.take, work, parameters, x))
    return y


# ---- the work


def _of_product(weight: nn.Parameter, bias: nn.Parameter | None, x: Tensor, gradient: Tensor) -> None:
    rows = gradient.reshape(-1, gradient.shape[-1])
    tokens = x.reshape(-1, x.shape[-1])
    if weight.grad is None:
        weight.grad = rows.t() @ tokens
    else:
        weight.grad.addmm_(rows.t(), tokens)
    if bias is not None and bias.requires_grad:
        _add(bias, rows.sum(0))


def _of_sum(bias: nn.Parameter, _, gradient: Tensor) -> None:
    _add(bias, gradient.reshape(-1, gradient.shape[-1]).sum(0))


def _of_rows(table: nn.Parameter, numbers: Tensor, gradient: Tensor) -> None:
    if table.grad is None:
        table.grad = torch.zeros_like(table)
    table.grad.index_add_(0, numbers.flatten(), gradient.reshape(-1, gradient.shape[-1]))


def _add(parameter: nn.Parameter, gradient: Tensor) -> None:
    if parameter.grad is None:
        parameter.grad = gradient
    else:
        parameter.grad += gradient


# ---- torch's own layers


class TorchLinear(nn.Linear):
    """torch's linear layer, able to hand its weight's gradient over. `adopt` makes one of any `nn.Linear`."""

    later = None

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        if wanted(self.later, self.weight):
            return product(self.later, x, self.weight, self.bias)
        return functional.linear(x, self.weight, self.bias)


class TorchEmbedding(nn.Embedding):
    """torch's table of vectors, able to hand its gradient over; see `adopt`."""

    later = None

    def forward(self, numbers: Tensor) -> Tensor:
        """Integers [...] -> [..., width]."""
        if wanted(self.later, self.weight):
            return looked_up(self.later, numbers, self.weight)
        return super().forward(numbers)


def adopt(module: nn.Module) -> nn.Module:
    """The same module, whose plain torch layers can postpone; what they compute and are called stays as it is.

    Layers that are not exactly `nn.Linear` or a plain `nn.Embedding` keep their whole backward in I.
    """
    for layer in module.modules():
        if type(layer) is nn.Linear:
            layer.__class__ = TorchLinear
        elif type(layer) is nn.Embedding and layer.padding_idx is None and layer.max_norm is None and not (
            layer.sparse or layer.scale_grad_by_freq
        ):  # fmt: skip
            layer.__class__ = TorchEmbedding
    return module

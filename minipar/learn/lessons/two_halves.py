"""Are the learner's two halves of a backward right: the input's gradient now, the weights' gradients later?

    y = GELU(z),  z = x Wᵀ + b       saved = (x, W, z)
    I   input_gradient(saved, g)     ─► dx, parked          one matrix product
    W   weight_gradient(parked, dW, db)   adds in place     one matrix product, perhaps much later

Values come from autograd in float64, products are counted as they run. Each cause is told from what came out. `Model`
is a row of such layers for real processes, in which the learner's two functions stand in for autograd's backward.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from minipar.learn.safely import Trouble, trouble
from minipar.learn.verdict import Verdict, call, not_yet, right

EXACT = 1e-10
PRODUCTS = {
    "__matmul__", "matmul", "mm", "bmm", "addmm", "addmm_", "linear", "einsum", "tensordot", "outer", "mv", "dot",
}  # fmt: skip
PATIENCE = 10  # seconds: torch loads large libraries when a gradient is first asked for in some ways


def slope(z: Tensor) -> Tensor:
    """The slope of GELU at each z: what a gradient is multiplied by on its way back through it."""
    return 0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)


class Case(NamedTuple):
    """A layer and the microbatches that go back through it: x [tokens, inputs] and g [tokens, outputs] of each."""

    name: str
    weight: Tensor
    bias: Tensor
    microbatches: tuple[tuple[Tensor, Tensor], ...]

    def saved(self, m: int) -> tuple[Tensor, Tensor, Tensor]:
        x = self.microbatches[m][0]
        return x.clone(), self.weight.clone(), functional.linear(x, self.weight, self.bias)

    def by_autograd(self, m: int) -> tuple[Tensor, Tensor, Tensor]:
        """dx, dW and db of one microbatch."""
        x, g = self.microbatches[m]
        given = [one.clone().requires_grad_() for one in (x, self.weight, self.bias)]
        with torch.enable_grad():
            y = functional.gelu(functional.linear(*given))
            loss = (y * g).sum()  # grad(y, given, g) would load a library for symbolic shapes
        return torch.autograd.grad(loss, given)


def cases() -> list[Case]:
    """Two microbatches first, then a batch of one, then four of which each W comes after the three I that follow."""
    return [
        drawn("3 tokens, 2 inputs, 1 output, two microbatches", 3, 2, 1, 2),
        drawn("1 token, 4 inputs, 4 outputs", 1, 4, 4, 1),
        drawn("5 tokens, 3 inputs, 6 outputs, W after three more I", 5, 3, 6, 4),
    ]


def drawn(name: str, tokens: int, inputs: int, outputs: int, microbatches: int) -> Case:
    dice = torch.Generator().manual_seed(tokens)
    some = functools.partial(torch.randn, generator=dice, dtype=torch.float64)
    pairs = tuple((some(tokens, inputs), some(tokens, outputs)) for _ in range(microbatches))
    return Case(name, some(outputs, inputs), some(outputs), pairs)


class Products(TorchFunctionMode):
    """Within ``with``, the shape of each matrix product that this thread makes."""

    def __init__(self):
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __torch_function__(self, function, types, arguments=(), named=None):
        made = function(*arguments, **(named or {}))
        if getattr(function, "__name__", "") in PRODUCTS and isinstance(made, Tensor):
            self.shapes.append(tuple(made.shape))
        return made


# -- the verdicts ------------------------------------------------------------------------------------------------


def check_input_gradient(work: Callable) -> Verdict:
    """I alone: it gives dx, autograd's, and something for W."""
    for case in cases():
        try:
            for m in range(len(case.microbatches)):
                dx, _, _ = call(named(work, go_back), work, case, m, limit=PATIENCE)
                wrong = what_is_off(case, m, dx)
                if wrong:
                    return wrong
        except Trouble as told:
            return not_yet(str(told), tried=case.name)
    return right("dx is autograd's.")


def named(work: Callable, function: Callable) -> Callable:
    """`function` under the name of the learner's `work`, for what is said when it stops."""
    called = functools.partial(function)
    called.__name__ = getattr(work, "__name__", "your function")
    return called


def go_back(work: Callable, case: Case, m: int) -> tuple:
    """dx, what was parked, and the shapes of the products."""
    saved, g = case.saved(m), case.microbatches[m][1].clone()
    with Products() as seen:
        made = work(saved, g)
    if not isinstance(made, tuple) or len(made) != 2 or not isinstance(made[0], Tensor):
        raise Trouble("input_gradient returns two things: dx, and what weight_gradient will need of it.")
    return *made, seen.shapes


def what_is_off(case: Case, m: int, dx: Tensor) -> Verdict | None:
    want = case.by_autograd(m)[0]
    if same(dx, want):
        return None
    if same(dx, case.microbatches[m][1] @ case.weight):
        sentence = "dx is off wherever the GELU bends: multiply g by its slope before the product."
    elif dx.shape != want.shape:
        sentence = f"dx is {by(dx.shape)}, x is {by(want.shape)}: g W."
    else:
        sentence = "dx is not autograd's."
    return not_yet(sentence, tried=case.name, expected=numbers(want), got=numbers(dx))


def check_weight_gradient(work: Callable) -> Verdict:
    """W with the learner's own I: alone, for several microbatches, and late."""
    other = partner(work, "input_gradient")
    for case in cases():
        try:
            wrong = call(named(work, both), other, work, case, limit=PATIENCE)
        except Trouble as told:
            return not_yet(str(told), tried=case.name)
        if wrong:
            return not_yet(wrong, tried=case.name)
    return right("dx, dW and db are autograd's, with one product in I and one in W, however late W comes.")


def partner(work: Callable, name: str) -> Callable:
    """Another function of the learner's, from where this one was defined. Trouble when it is not there."""
    found = getattr(inspect.unwrap(work), "__globals__", {}).get(name)
    if not callable(found):
        raise Trouble(f"{name} is not defined: run its cell first.")
    return found


def both(first: Callable, second: Callable, case: Case) -> str:
    """All I, then each W, oldest first. What is off, in a sentence, or nothing."""
    count = range(len(case.microbatches))
    parked, shapes = [], []
    for m in count:
        _, one, made = go_back(first, case, m)
        parked.append(one)
        shapes.append(made)
    sums = [torch.zeros_like(case.weight), torch.zeros_like(case.bias)]
    for m in count:
        before = [one.clone() for one in sums]
        problem, made = do_weights(second, parked[m], *sums)
        want = case.by_autograd(m)[1:]
        added = [after - one for after, one in zip(sums, before, strict=True)]
        if problem or not all(map(same, added, want)):
            return why(case, m, sums, before, want, made, problem)
        if (len(shapes[m]), len(made)) != (1, 1) and len(case.microbatches[m][0]) > 1:
            return miscounted(len(shapes[m]), len(made))
    return ""


def do_weights(work: Callable, parked, dW: Tensor, db: Tensor) -> tuple[str, list]:
    """(the sentence for an exception, or ""; the shapes of the products)."""
    with Products() as seen:
        try:
            work(parked, dW, db)
        except Exception as error:
            return str(trouble("weight_gradient", error)), seen.shapes
    return "", seen.shapes


def why(case: Case, m: int, sums, before, want, products, problem: str) -> str:
    """The cause of weights' gradients that are not autograd's."""
    (dW, db), (weights, biases) = sums, want
    outputs, inputs = case.weight.shape
    if (inputs, outputs) in products and inputs != outputs:
        return f"dW is {inputs} × {outputs}, W is {outputs} × {inputs}: gᵀ x."
    if problem:
        return problem
    x, g = case.microbatches[m]
    if same(dW - before[0], g.T @ x):
        return "dx is right, dW is not: W needs the same sloped gradient that I used. Park that one."
    if m and same(dW, weights):
        return "After two microbatches dW holds the second alone. Add."
    if same(dW, before[0]):
        return "dW is as it was before: `dW = …` gives the name to another tensor. Add to the one you were given: +=."
    if same(dW - before[0], weights):
        if same(db, biases):
            return "After two microbatches db holds the second alone. Add."
        return "dW is right, db is not: each token adds its row of the sloped gradient to db."
    return "dx is right, dW is not autograd's: gᵀ x, with the sloped g."


def miscounted(first: int, second: int) -> str:
    if first > 1 and not second:
        return f"Right numbers, but your I made {first} products and W none: nothing was postponed."
    return f"Right numbers, but your I made {times(first)} and your W {times(second)}: one each is enough."


def times(count: int) -> str:
    return f"{count} product{'s' * (count != 1)}"


def same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=EXACT, atol=EXACT)


def by(shape) -> str:
    return " × ".join(map(str, shape)) or "one number"


def numbers(tensor: Tensor) -> str:
    shown = [[round(one, 4) for one in row] for row in tensor.detach().reshape(-1, tensor.shape[-1] or 1)[:2].tolist()]
    return f"{shown}"[:-1] + (", …]" if tensor.numel() > 2 * tensor.shape[-1] else "]")


# -- real processes ----------------------------------------------------------------------------------------------


class Layer(nn.Module):
    """Linear and GELU, [tokens, width] -> [tokens, width], whose backward is the learner's two functions."""

    later = None  # the stage's list of postponed work (run/later.py)

    def __init__(self, width: int, seed: int, halves: tuple[Callable, Callable] | None):
        super().__init__()
        dice = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(width, width, generator=dice, dtype=torch.float64) / width**0.5)
        self.bias = nn.Parameter(torch.randn(width, generator=dice, dtype=torch.float64) / 10)
        self.halves = halves

    def forward(self, x: Tensor) -> Tensor:
        if self.later is None or not self.later.open or not torch.is_grad_enabled():
            return functional.gelu(functional.linear(x, self.weight, self.bias))
        self.later.keep(x)
        return _Halves.apply(self, x if x.requires_grad else x.detach().requires_grad_())


class _Halves(torch.autograd.Function):
    """The learner's I in autograd's place; the learner's W is left with the stage's list.

    Autograd is shown x alone: it must not look for gradients of the weights, which come later.
    """

    @staticmethod
    def forward(context, layer, x):
        z = functional.linear(x, layer.weight, layer.bias)
        context.layer, context.x = layer, x.detach()
        context.save_for_backward(z)
        return functional.gelu(z)

    @staticmethod
    def backward(context, g):
        layer, x, (z,) = context.layer, context.x, context.saved_tensors
        first, second = layer.halves
        dx, parked = first((x, layer.weight.detach(), z), g)
        case = Case("", layer.weight.detach(), layer.bias.detach(), ((x, g),))
        layer.later.take(functools.partial(weights, second, parked, case), (layer.weight, layer.bias), x, g)
        return None, dx


def weights(work: Callable, parked, case: Case, weight: nn.Parameter, bias: nn.Parameter, x: Tensor, g: Tensor) -> None:
    """The learner's W for one microbatch of one layer; ValueError when it did not add what autograd would."""
    for parameter in (weight, bias):
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    before = weight.grad.clone(), bias.grad.clone()
    work(parked, weight.grad, bias.grad)
    _, want, wanted = case.by_autograd(0)
    with torch.no_grad():
        if not (same(weight.grad - before[0], want) and same(bias.grad - before[1], wanted)):
            raise ValueError("what this W added is not autograd's gradient of that microbatch")


class Row(nn.Module):
    """Some of the layers, one after the other."""

    def __init__(self, layers: dict[str, Layer]):
        super().__init__()
        self.layers = nn.ModuleDict(layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers.values():
            x = layer(x)
        return x


@dataclass(frozen=True)
class Model:
    """A row of `layers` such layers. halves: the learner's two functions."""

    layers: int
    halves: tuple[Callable, Callable]
    width: int = 8

    def costs(self) -> tuple[float, ...]:
        return (1.0,) * self.layers

    def build(self, indices, device="cpu") -> nn.Module:
        return Row({str(index): Layer(self.width, index, self.halves).to(device) for index in indices})

    def whole(self) -> nn.Module:
        return self.build(range(self.layers))

    def loss(self, y: Tensor, targets: Tensor) -> Tensor:
        return functional.mse_loss(y, targets)


class Batch(NamedTuple):
    """[texts, width] each, as numbers."""

    inputs: Tensor
    targets: Tensor


def batch(microbatches: int, width: int = 8) -> Batch:
    """Three rows a microbatch."""
    dice = torch.Generator().manual_seed(7)
    return Batch(*torch.randn(2, 3 * microbatches, width, generator=dice, dtype=torch.float64))

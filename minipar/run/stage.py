"""What does one stage of a pipeline do with one microbatch, and what must it keep in between?

    forward    x ──► module ──► y            keeps x and y, and autograd keeps what the backward will need
    backward   gradient of y ──► gradient of x     and adds to the gradient of each parameter; keeps nothing

or the backward in halves:

    I          gradient of y ──► gradient of x     down to the lowest weight; what the weights' gradients need is kept
    W          adds to the gradient of each parameter; keeps nothing

The last stage's y is the microbatch's loss, already weighted: the mean over its own tokens times its share of the
batch's tokens. So the gradients of all microbatches add up to the gradient of the batch's mean loss, also when the
last microbatch is smaller.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from minipar.run.later import Later
from minipar.run.ledger import ACTIVATION, BATCH, NoLedger

_engine = torch.autograd.Variable._execution_engine


def go_back(y: Tensor, gradient: Tensor | None) -> None:
    """`torch.autograd.backward(y, gradient)`, straight to the engine behind it: torch's own door loads a library for
    symbolic shapes on its first use with a gradient, which takes seconds and 90 MB in every process."""
    if gradient is None:
        gradient = torch.ones_like(y)
    _engine.run_backward((y,), (gradient,), False, False, (), allow_unreachable=True, accumulate_grad=True)


class Stage:
    """Some consecutive layers on one device, and the microbatches that are in flight there.

    module: takes and returns one tensor. loss: of the last stage only, (outputs, targets) -> scalar mean.
    """

    def __init__(self, module: nn.Module, loss: Callable[[Tensor, Tensor], Tensor] | None = None):
        self.module, self.loss = module, loss
        self.in_flight: dict[int, tuple[Tensor, Tensor]] = {}  # microbatch -> (x, y)
        self.memory, self.later = NoLedger(), Later()
        self.halved: frozenset[int] = frozenset()  # the microbatches whose backward is I and W
        self.inputs: Sequence[Tensor] = ()
        self.targets: Sequence[Tensor] = ()
        self.weights: Sequence[float] = ()
        self.moments: Sequence[tuple[int, int]] = ()
        self.total: Tensor | None = None

    def halve(self, microbatches: Iterable[int]) -> None:
        """The backwards of these microbatches are I and W. Say it before their forward.

        A layer with an attribute `later` postpones its weights' gradients (nn/postponed.py). Any other does its whole
        backward in I, and nothing is left of it for W.
        """
        self.halved = frozenset(microbatches)
        for layer in self.module.modules() if self.halved else ():
            if hasattr(type(layer), "later"):
                layer.later = self.later

    def feed(self, inputs: Sequence[Tensor] = (), targets: Sequence[Tensor] = (), memory=None, pieces: int = 1,
             moments: Sequence[tuple[int, int]] = ()) -> None:  # fmt: skip
        """The microbatches of one step: inputs for the first stage, targets for the last. Starts a new step.

        pieces: how many ranks share the batch, each with an equal piece of it; the others' losses are added elsewhere.
        moments: (step, number in the batch of its first text) of each microbatch, for a module that wants to know.
        """
        if self.total is not None:
            self.memory.release(self.total, BATCH)
        self.inputs, self.targets, self.memory = inputs, targets, memory or self.memory
        self.moments = moments
        self.in_flight.clear()
        self.later.forget()
        self.later.memory = self.memory
        tokens = sum(part.numel() for part in targets) * pieces
        self.weights = [part.numel() / tokens for part in targets]
        self.total = None

    def forward(self, microbatch: int, x: Tensor | None = None) -> Tensor:
        """x: what the stage before made (None on the first stage). Returns y, free of the graph behind it."""
        if x is None:
            x = self.inputs[microbatch]
        elif x.is_floating_point():
            x.requires_grad_()
        self.memory.hold(x, ACTIVATION)
        if self.moments:
            self.module.at(*self.moments[microbatch])
        self.later.open = microbatch in self.halved
        with self.memory.saving():
            y = self.module(x)
            if self.loss is not None:
                y = self.loss(y, self.targets[microbatch]) * self.weights[microbatch]
        self.later.open = False
        self.in_flight[microbatch] = x, y
        self.memory.hold(y, ACTIVATION)
        made = y.detach()
        if self.loss is not None:
            self._add_loss(made)
        return made

    def backward(self, microbatch: int, gradient: Tensor | None = None) -> Tensor | None:
        """gradient: of y (None on the last stage, where y is the loss). Returns that of x, None on the first stage."""
        if microbatch in self.halved:
            given = self.backward_input(microbatch, gradient)
            self.backward_weight(microbatch)
            return given
        return self._go_back(microbatch, gradient)

    def backward_input(self, microbatch: int, gradient: Tensor | None = None) -> Tensor | None:
        """I: as `backward`, but the gradients of the weights are left for `backward_weight`.

        ValueError for a microbatch that went forward before `halve` named it.
        """
        if microbatch not in self.halved:
            raise ValueError(f"microbatch {microbatch} went forward to come back whole: name it in halve() before.")
        self.later.begin(microbatch)
        try:
            return self._go_back(microbatch, gradient)
        finally:
            self.later.end()

    def backward_weight(self, microbatch: int) -> None:
        """W: what the layers left for later is done. ValueError when nothing waits for this microbatch."""
        if microbatch not in self.later.waiting:
            raise ValueError(f"nothing waits for W of microbatch {microbatch}: its I has not run.")
        self.later.run(microbatch)

    def _go_back(self, microbatch: int, gradient: Tensor | None) -> Tensor | None:
        x, y = self.in_flight.pop(microbatch)
        with self.memory.saving():  # a block that recomputes saves again on its way back
            go_back(y, gradient)
        self.memory.release(x, ACTIVATION)
        self.memory.release(y, ACTIVATION)
        given, x.grad = x.grad, None  # x may be kept for W, its gradient travels on
        return given

    def _add_loss(self, loss: Tensor) -> None:
        if self.total is None:
            self.total = loss.clone()
            self.memory.hold(self.total, BATCH)
        else:
            self.total += loss

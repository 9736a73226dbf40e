"""Can a block give its activations back and still be trained?

    forward   x ──► block (nothing kept but x) ──► y
    backward  x ──► block once more, kept this time ──► y, and back through it at once

It pays one more forward, and holds the activations of one block at a time (Chen et al. 2016, arXiv:1604.06174).
What is dropped depends on the moment of the forward (dropout.py), so the second one goes back to it.
"""

import torch
from torch import Tensor, nn

from minipar.nn.dropout import Moment

# torch.autograd.backward(y, gradient) would load seconds of code first
_engine = torch.autograd.Variable._execution_engine


class Recompute(torch.autograd.Function):
    """`Recompute.apply(block, x)` is `block(x)`, with x alone kept for the backward. moment: of the block's dropout."""

    @staticmethod
    def forward(context, block: nn.Module, x: Tensor, moment: Moment | None = None) -> Tensor:
        """x: any shape the block takes. Autograd records nothing inside a Function's forward."""
        context.block, context.moment = block, moment or Moment()
        context.then = context.moment.now
        context.save_for_backward(x)
        return block(x)

    @staticmethod
    def backward(context, gradient: Tensor):
        """gradient: of the block's output. The block's parameters get theirs here; x's is returned."""
        (x,) = context.saved_tensors
        x = x.detach().requires_grad_()
        with torch.enable_grad(), context.moment.back_at(context.then):
            y = context.block(x)
        _engine.run_backward((y,), (gradient,), False, False, (), allow_unreachable=True, accumulate_grad=True)
        return None, x.grad, None

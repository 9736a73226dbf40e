"""How does a learner write an autograd function in two lines?

    class Copy(Door):
        def forward(tensor, x):             what happens to x on its way in
            return x
        def backward(tensor, gradient):     what happens to the gradient on its way back
            return tensor.all_reduce(gradient)

    y = Copy(tensor, x)                     calling the door walks through it; its backward is walked by autograd

`tensor` is the axis of the mesh along which the ranks talk. The same thing in torch's own words, with the context that
keeps the axis, is `minipar/nn/regions.py`.
"""

from __future__ import annotations

import torch


class Door:
    """A function of (axis, x) with a gradient of one's own. Subclasses give `forward` and `backward`."""

    def __new__(cls, tensor, x):
        return _Through.apply(cls, tensor, x)

    def forward(tensor, x):
        raise NotImplementedError("this door has no forward yet")

    def backward(tensor, gradient):
        raise NotImplementedError("this door has no backward yet")


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(context, door, tensor, x):
        context.door, context.tensor = door, tensor
        return tensor_from(door, "forward", door.forward(tensor, x), x)

    @staticmethod
    def backward(context, gradient):
        back = context.door.backward(context.tensor, gradient)
        return None, None, tensor_from(context.door, "backward", back, gradient)


def tensor_from(door, way: str, value, given):
    """What the learner returned, if it is a tensor; TypeError in a sentence if not. The same tensor becomes a view."""
    if not isinstance(value, torch.Tensor):
        was = "nothing" if value is None else "..." if value is ... else f"{value!r:.40}"
        raise TypeError(f"{door.__name__}.{way} returned {was}, and a tensor has to come out of it")
    return value.view_as(value) if value is given else value

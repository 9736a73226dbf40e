"""Can any list of torch modules be trained the same way?

    Stack([Linear, ReLU, Linear, …], loss=mse_loss)     described like a GPT: a list of layers that can be cut

The modules are given as they are, weights and all, so every rank receives them and keeps its own. That is fine for an
experiment in a cell; a model that must not be whole anywhere needs a description that builds, as `GPT` has.
"""

import copy
from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn

from minipar.nn.axes import size
from minipar.nn.gpt import Layers
from minipar.nn.postponed import adopt


class Stack:
    """layers: modules that each take and return one tensor. loss: (outputs, targets) -> mean, a scalar.

    costs: what `split` balances; all equal if not given.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        loss: Callable[[Tensor, Tensor], Tensor],
        costs: Sequence[float] | None = None,
    ):
        self.layers, self.loss = tuple(layers), loss
        self._costs = tuple(costs) if costs is not None else (1.0,) * len(self.layers)
        if len(self._costs) != len(self.layers):
            raise ValueError(f"{len(self.layers)} layers and {len(self._costs)} costs: give one cost for each layer.")

    def costs(self) -> tuple[float, ...]:
        """The cost of each layer."""
        return self._costs

    def build(self, indices: Iterable[int], device="cpu", axes=None) -> Layers:
        """Copies of these layers, parameters named `layers.<index>.<name>`. Axes that would cut them are refused.

        Plain torch layers among them are made able to split their backward (`postponed.adopt`).
        """
        if axes is not None and max(size(axes.tensor), size(axes.context)) > 1:
            raise ValueError("A Stack's layers are whole: only a pipe and a data axis can share it. A GPT has slices.")
        return Layers({index: adopt(copy.deepcopy(self.layers[index])).to(device) for index in indices})

    def whole(self, device="cpu") -> Layers:
        """All layers in one process."""
        return self.build(range(len(self.layers)), device)

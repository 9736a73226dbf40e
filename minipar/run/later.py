"""Where does a stage keep the weight-gradient work that I leaves for W?

    forward   layer ── keep(x) ──────────────────► held: the weights' gradient will need it
    I         layer ── take(work, …, x, g) ──────► one more on the list of this microbatch; nothing is multiplied
    W         the list, first to last ───────────► weight.grad += gᵀ x; x and g are let go

Each stage has one of these and gives it to those of its layers that ask for one (they have an attribute `later`).
`open` says whether what goes forward now will come back in halves: a microbatch whose backward is whole (B) takes the
ordinary way through autograd and pays nothing for this one. What waits is on the memory ledger as activations.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from minipar.run.ledger import ACTIVATION, NoLedger

Work = Callable[..., None]  # (parameters, x, gradient of y): adds to the parameters' gradients


class Later:
    """The postponed work of one stage."""

    def __init__(self):
        self.open, self.memory = False, NoLedger()
        self._parked: dict[int, list] = {}  # microbatch -> work not done yet
        self._list: list | None = None  # of the microbatch that goes back now

    def keep(self, x: Tensor) -> None:
        """A layer's input is held until the work that needs it is done."""
        self.memory.hold(x, ACTIVATION)

    def take(self, work: Work, parameters: tuple, x: Tensor, gradient: Tensor) -> None:
        """A layer hands over: `work(*parameters, x, gradient)` is to be done in W."""
        self.memory.hold(gradient, ACTIVATION)
        self._list.append((work, parameters, x, gradient))

    def begin(self, microbatch: int) -> None:
        """What is handed over from now on belongs to this microbatch, until `end`."""
        self.open, self._list = True, self._parked.setdefault(microbatch, [])

    def end(self) -> None:
        """Nothing more is handed over."""
        self.open, self._list = False, None

    def run(self, microbatch: int) -> None:
        """Do the work of one microbatch. KeyError if none of it was ever begun."""
        memory, parked = self.memory, self._parked.pop(microbatch)
        parked.reverse()
        with torch.no_grad():
            while parked:
                work, parameters, x, gradient = parked.pop()
                work(*parameters, x, gradient)
                for parameter in parameters:
                    if parameter is not None:
                        memory.gradient_exists(parameter)
                memory.release(x, ACTIVATION)
                memory.release(gradient, ACTIVATION)

    def forget(self) -> None:
        """A new step: drop what an interrupted one has left."""
        self._parked.clear()
        self.end()

    @property
    def waiting(self) -> tuple[int, ...]:
        """The microbatches whose W has not run yet, in the order of their I."""
        return tuple(self._parked)

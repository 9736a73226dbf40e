"""What does a device hold at every moment, and what is each byte there for?

Every storage (the memory behind one or several tensors) is of exactly one kind, the first that applies:

    parameter > gradient > optimizer > batch > activation > communication

A received buffer is communication while it waits; once a stage reads it as its input, it is an activation. A weight
that autograd saves for the backward is still a parameter. So the ledger counts, per storage, who holds it as what,
and bills its bytes to the strongest claim. What autograd saves is seen through its own hooks: each saved tensor is
wrapped in a small object that lives exactly as long as the graph does, and signs off when it is freed.
"""

import contextlib
import time

import torch
from torch import Tensor

from minipar.plan.trace import MEMORY_KINDS

PARAMETER, GRADIENT, OPTIMIZER, BATCH, ACTIVATION, COMMUNICATION = range(len(MEMORY_KINDS))


class NoLedger:
    """Counts nothing, at no cost: what a stage talks to when nobody wants to see its memory."""

    def hold(self, tensor, kind):
        """See `Ledger.hold`."""

    def release(self, tensor, kind):
        """See `Ledger.release`."""

    def watch(self, module):
        """See `Ledger.watch`."""

    def drop_gradient(self, parameter):
        """See `Ledger.drop_gradient`."""

    def hold_optimizer(self, optimizer):
        """See `Ledger.hold_optimizer`."""

    def saving(self):
        """See `Ledger.saving`."""
        return contextlib.nullcontext()

    def samples(self):
        """See `Ledger.samples`."""
        return []

    def close(self):
        """See `Ledger.close`."""


class Ledger:
    """Bytes by kind over time for one rank. Times from `time.monotonic`."""

    def __init__(self, clock=time.monotonic):
        self.clock = clock
        self.bytes = [0] * len(MEMORY_KINDS)  # held now, by kind
        self._claims: dict[int, list] = {}  # storage address -> [bytes, kind it is billed to, claims by kind]
        self._events: list[tuple] = []  # (time, kind, change in bytes)
        self._hooks: list = []

    def hold(self, tensor: Tensor, kind: int) -> None:
        """Someone holds this tensor's storage as `kind`."""
        storage = tensor.untyped_storage()
        address = storage.data_ptr()
        self._claim(address, self._claims.get(address), storage, kind)

    def _claim(self, address: int, found: list | None, storage, kind: int) -> None:
        if found is None:
            size = storage.nbytes()
            if size:
                claims = [0] * len(MEMORY_KINDS)
                claims[kind] = 1
                self._claims[address] = [size, kind, claims]
                self._bill(kind, size)
            return
        if kind < found[1]:
            self._bill(found[1], -found[0])
            self._bill(kind, found[0])
            found[1] = kind
        found[2][kind] += 1

    def release(self, tensor: Tensor, kind: int) -> None:
        """One who held this tensor's storage as `kind` lets it go."""
        self._let_go(tensor.untyped_storage().data_ptr(), kind)

    def _let_go(self, address: int, kind: int) -> None:
        found = self._claims.get(address)
        if found is None:
            return
        size, billed, claims = found
        claims[kind] -= 1
        if claims[kind] or kind != billed:
            return
        self._bill(kind, -size)
        for weaker in range(kind + 1, len(claims)):
            if claims[weaker]:
                found[1] = weaker
                self._bill(weaker, size)
                return
        del self._claims[address]

    def _bill(self, kind: int, change: int) -> None:
        self.bytes[kind] += change
        self._events.append((self.clock(), kind, change))

    def saving(self):
        """A context in which every tensor that autograd saves is held as an activation until the graph frees it."""
        return torch.autograd.graph.saved_tensors_hooks(self._pack, _unpack)

    def _pack(self, tensor: Tensor):
        storage = tensor.untyped_storage()
        address = storage.data_ptr()
        found = self._claims.get(address)
        if found is not None and found[1] <= BATCH:  # a weight or the batch: it stays what it is
            return tensor if tensor.is_leaf else tensor.detach()
        self._claim(address, found, storage, ACTIVATION)
        return _Saved(self, tensor.detach(), address)

    def watch(self, module: torch.nn.Module) -> None:
        """Hold a module's parameters and buffers now, and their gradients from the moment they exist."""
        for tensor in (*module.parameters(), *module.buffers()):
            self.hold(tensor, PARAMETER)
        for parameter in module.parameters():
            self._hooks.append(parameter.register_post_accumulate_grad_hook(self._gradient_exists))

    def _gradient_exists(self, parameter: Tensor) -> None:
        if parameter.grad.untyped_storage().data_ptr() not in self._claims:
            self.hold(parameter.grad, GRADIENT)

    def drop_gradient(self, parameter: Tensor) -> None:
        """This parameter's gradient is about to be freed."""
        if parameter.grad is not None:
            self.release(parameter.grad, GRADIENT)

    def hold_optimizer(self, optimizer) -> None:
        """Hold whatever tensors an optimizer remembers (`optimizer.tensors()`), each once. Call it after a step."""
        for tensor in optimizer.tensors():
            if tensor.untyped_storage().data_ptr() not in self._claims:
                self.hold(tensor, OPTIMIZER)

    def samples(self) -> list[tuple[float, str, int]]:
        """(time, kind, bytes of this kind held from then on), in order of time."""
        held, found = [0] * len(MEMORY_KINDS), []
        for moment, kind, change in self._events:
            held[kind] += change
            found.append((moment, MEMORY_KINDS[kind], held[kind]))
        return found

    def close(self) -> None:
        """Stop watching; what was seen stays readable."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()


class _Saved:
    """A tensor that autograd saved. The graph holds this object and nobody else does; it signs off when freed."""

    __slots__ = ("ledger", "tensor", "address")

    def __init__(self, ledger: Ledger, tensor: Tensor, address: int):
        self.ledger, self.tensor, self.address = ledger, tensor, address

    def __del__(self):
        self.ledger._let_go(self.address, ACTIVATION)


def _unpack(saved) -> Tensor:
    return saved.tensor if type(saved) is _Saved else saved

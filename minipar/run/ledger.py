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
from collections.abc import Iterator

import torch
from torch import Tensor

from minipar.plan.trace import MEMORY_KINDS

RELEASED = -1
PARAMETER, GRADIENT, OPTIMIZER, BATCH, ACTIVATION, COMMUNICATION = range(len(MEMORY_KINDS))


class NoLedger:
    """Counts nothing, at no cost: what a stage talks to when nobody wants to see its memory."""

    def hold(self, tensor, kind):
        """See `Ledger.hold`."""

    def release(self, tensor, kind):
        """See `Ledger.release`."""

    def watch(self, module):
        """See `Ledger.watch`."""

    def gradient_exists(self, parameter):
        """See `Ledger.gradient_exists`."""

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
    """Bytes by kind over time for one rank. Times from `time.monotonic`.

    While a step runs, every claim is one line in a journal and nothing more; who holds what, and what it is billed to,
    is worked out when somebody asks.
    """

    def __init__(self, clock=time.monotonic):
        self.clock = clock
        self._journal: list[tuple] = []  # (time, storage address, its bytes or RELEASED, kind)
        self._lasting: set[int] = set()  # storages that autograd may save without a line: weights, the batch
        self._gradients: dict[int, int] = {}  # id of a parameter -> address of its gradient's storage
        self._averages: set[int] = set()
        self._hooks: list = []

    def hold(self, tensor: Tensor, kind: int) -> int:
        """Someone holds this tensor's storage as `kind`. Returns the storage's address."""
        storage = tensor.untyped_storage()
        address = storage.data_ptr()
        self._journal.append((self.clock(), address, storage.nbytes(), kind))
        if kind in (PARAMETER, BATCH):
            self._lasting.add(address)
        return address

    def release(self, tensor: Tensor, kind: int) -> None:
        """One who held this tensor's storage as `kind` lets it go."""
        address = tensor.untyped_storage().data_ptr()
        self._journal.append((self.clock(), address, RELEASED, kind))
        if kind == BATCH:
            self._lasting.discard(address)

    def saving(self):
        """A context in which every tensor that autograd saves is held as an activation until the graph frees it."""
        return torch.autograd.graph.saved_tensors_hooks(self._pack, _unpack)

    def _pack(self, tensor: Tensor):
        storage = tensor.untyped_storage()
        address = storage.data_ptr()
        if address in self._lasting:  # a weight or the batch: it stays what it is
            return tensor if tensor.is_leaf else tensor.detach()
        self._journal.append((self.clock(), address, storage.nbytes(), ACTIVATION))
        return _Saved(self, tensor.detach(), address)

    def watch(self, module: torch.nn.Module) -> None:
        """Hold a module's parameters and buffers now, and their gradients from the moment they exist."""
        for tensor in (*module.parameters(), *module.buffers()):
            self.hold(tensor, PARAMETER)
        for parameter in module.parameters():
            self._hooks.append(parameter.register_post_accumulate_grad_hook(self.gradient_exists))

    def gradient_exists(self, parameter: Tensor) -> None:
        """This parameter has a gradient, perhaps since now. Autograd says it by itself; who writes one must say it."""
        if id(parameter) not in self._gradients:
            self._gradients[id(parameter)] = self.hold(parameter.grad, GRADIENT)

    def drop_gradient(self, parameter: Tensor) -> None:
        """This parameter's gradient is about to be freed."""
        if self._gradients.pop(id(parameter), None) is not None:
            self.release(parameter.grad, GRADIENT)

    def hold_optimizer(self, optimizer) -> None:
        """Hold whatever tensors an optimizer remembers (`optimizer.tensors()`), each once. Call it after a step."""
        for tensor in optimizer.tensors():
            if tensor.untyped_storage().data_ptr() not in self._averages:
                self._averages.add(self.hold(tensor, OPTIMIZER))

    @property
    def bytes(self) -> list[int]:
        """Bytes held now, by kind."""
        held = [0] * len(MEMORY_KINDS)
        for _, kind, size in _bills(self._journal):
            held[kind] = size
        return held

    def samples(self) -> list[tuple[float, str, int]]:
        """(time, kind, bytes of this kind held from then on), in order of time."""
        return [(moment, MEMORY_KINDS[kind], size) for moment, kind, size in _bills(self._journal)]

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
        ledger = self.ledger
        ledger._journal.append((ledger.clock(), self.address, RELEASED, ACTIVATION))


def _unpack(saved) -> Tensor:
    return saved.tensor if type(saved) is _Saved else saved


def _bills(journal: list[tuple]) -> Iterator[tuple[float, int, int]]:
    """(time, kind, bytes held from then on) whenever that changes: each storage billed to the strongest claim on it."""
    held, storages = [0] * len(MEMORY_KINDS), {}  # address -> [bytes, kind it is billed to, claims by kind]
    for moment, address, size, kind in journal:
        if address not in storages:
            if size == RELEASED:
                continue
            storages[address] = [size, None, [0] * len(MEMORY_KINDS)]
        found = storages[address]
        found[2][kind] += -1 if size == RELEASED else 1
        billed = next((kind for kind, claims in enumerate(found[2]) if claims > 0), None)
        if billed is None:
            del storages[address]
        if billed == found[1]:
            continue
        for changed, change in ((found[1], -found[0]), (billed, found[0])):
            if changed is not None and change:
                held[changed] += change
                yield moment, changed, held[changed]
        found[1] = billed

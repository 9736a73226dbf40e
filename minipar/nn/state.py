"""How does a whole model's state become slices, and slices a whole state again?

    whole {name: tensor} ──slice_state(cuts, rank)──► this rank's {name: slice}
    all ranks' slices    ──gather_state(cuts)───────► whole, bit for bit

Cuts come from `model.cuts(ranks)` (plan/slices.py): a name without a cut is whole on every rank. From one number of
ranks to another is gather, then slice. Gradients are gathered the same way, once partial ones have been summed.

`save` and `load` write a state as a safetensors file, which other libraries read too; it holds numbers and no code.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from minipar.nn.axes import mark, place, size
from minipar.plan.slices import Cut

_NUMBERS = re.compile(r"\d+")


def slice_state(state: Mapping[str, Tensor], cuts: Mapping[str, Cut], rank: int) -> dict[str, Tensor]:
    """This rank's slices, as copies. ValueError when a tensor is not as large as its cut, with name and numbers."""
    found = {}
    for name, whole in state.items():
        cut = cuts.get(name)
        if cut is None:
            _require_known(name, cuts)
            found[name] = whole.detach().clone()
            continue
        _require(name, whole.shape, cut, cut.size, "whole")
        part = cut.parts[rank]
        found[name] = whole.detach().narrow(cut.dim, part.start, len(part)).clone()
    _require_some(found, cuts)
    return found


def gather_state(states: Sequence[Mapping[str, Tensor]], cuts: Mapping[str, Cut]) -> dict[str, Tensor]:
    """The whole state from the slices of all ranks, in rank order; what several hold is taken from the first.

    ValueError when ranks name different parameters, or a slice has not the shape of its cut.
    """
    first = states[0]
    for rank, state in enumerate(states):
        strange = sorted(set(state) ^ set(first))
        if strange:
            raise ValueError(f"rank 0 and rank {rank} do not hold the same parameters: {strange[0]} is on one alone.")
    _require_some(first, cuts)
    return {name: _join(name, [state[name] for state in states], cuts.get(name)) for name in first}


def _join(name: str, slices: Sequence[Tensor], cut: Cut | None) -> Tensor:
    if cut is None:
        return slices[0].detach().clone()
    if len(cut.parts) != len(slices):
        raise ValueError(f"{name} is cut for {len(cut.parts)} ranks, and {len(slices)} gave their slices.")
    shape = list(slices[0].shape)
    shape[cut.dim] = cut.size
    whole = slices[0].new_empty(shape)
    for rank, (part, slice_) in reversed(list(enumerate(zip(cut.parts, slices, strict=True)))):  # the first copy stays
        _require(name, slice_.shape, cut, len(part), f"rank {rank}'s slice")
        whole.narrow(cut.dim, part.start, len(part)).copy_(slice_.detach())
    return whole


def _require(name: str, shape, cut: Cut, expected: int, what: str) -> None:
    there = shape[cut.dim] if cut.dim < len(shape) else None
    if there != expected:
        raise ValueError(
            f"{name} {list(shape)} ({what}) has {there} along dimension {cut.dim}, and the cuts are for {expected}: "
            "is it the state of another model?"
        )


def _require_known(name: str, cuts: Mapping[str, Cut]) -> None:
    """A parameter without a cut is whole, unless its like in another layer is cut."""
    like = next((cut for cut in cuts if _NUMBERS.sub("", cut) == _NUMBERS.sub("", name)), None)
    if like is not None:
        raise ValueError(
            f"{name} is no parameter of this model, which cuts {like}: is it the state of another model?"
        )


def _require_some(state: Mapping[str, Tensor], cuts: Mapping[str, Cut]) -> None:
    if state and cuts and not set(state) & set(cuts):
        raise ValueError(
            f"none of the {len(cuts)} parameters that are cut is in this state (it has {next(iter(state))}, the cuts "
            f"{next(iter(cuts))}): is it the state of another model?"
        )


def take(sliced: nn.Module, whole: nn.Module, axis, sequence_parallel: bool = False) -> nn.Module:
    """Fill a sliced layer with this rank's slices of its whole twin, in the twin's dtype and on its device.

    sliced: a module with the twin's parameter names, and `cuts(ranks)` if any of them is cut. Also says of each
    parameter who sums and who counts its gradient (`axes.mark`).
    """
    cuts, like = sliced.cuts(size(axis)) if hasattr(sliced, "cuts") else {}, next(whole.parameters())
    sliced.to(like.device, like.dtype)
    sliced.load_state_dict(slice_state(whole.state_dict(), cuts, place(axis)))
    mark(sliced, cuts, axis, sequence_parallel)
    return sliced


def save(path: str | Path, state: Mapping[str, Tensor]) -> None:
    """Write a state as a safetensors file. Names that share memory (tied tables) are written each."""
    from safetensors.torch import save_file

    seen: set[int] = set()
    ready = {}
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        ready[name] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    save_file(ready, str(path))


def load(path: str | Path, device: str | torch.device = "cpu") -> dict[str, Tensor]:
    """Read a state from a safetensors file."""
    from safetensors.torch import load_file

    return load_file(str(path), device=str(device))

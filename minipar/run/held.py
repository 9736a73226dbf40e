"""How many bytes of tensors does this process hold?"""

import contextlib
import gc

import torch


def held_bytes():
    """Bytes of all tensors alive in this process, each storage counted once; GPU memory included."""
    storages = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), torch.Tensor) and thing.layout is torch.strided and not thing.is_meta:
            with contextlib.suppress(Exception):
                storage = thing.untyped_storage()
                storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())

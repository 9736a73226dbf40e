"""How do a function and its arguments travel between the notebook and a worker?

    function, class of a cell or of the learner's own file    by value, so an edited cell is the new one everywhere
    whatever is installed (torch, minipar)                     by name
    tensor                                                     its own elements, on the CPU

Three elements sliced out of a 100 MB tensor are 12 bytes here; torch's own pickling would ship 100 MB.
"""

import contextlib
import ctypes
import io
import pickle
import sys
import sysconfig

import cloudpickle


def dumps(value, function=None):
    """`value` as bytes. `function`: its module goes by value too when it is the learner's own file."""
    buffer = io.BytesIO()
    with _by_value(function):
        _Pickler(buffer, protocol=5).dump(value)
    return buffer.getbuffer()


def loads(blob):
    """What `dumps` packed. Tensors arrive on the CPU."""
    return pickle.loads(blob)


class _Pickler(cloudpickle.Pickler):
    def reducer_override(self, value):
        torch = sys.modules.get("torch")
        plain = torch is not None and type(value) is torch.Tensor and value.layout is torch.strided
        if plain and not value.is_meta and not value.is_quantized:
            return _take_apart(value, torch)
        return super().reducer_override(value)


def _take_apart(tensor, torch):
    """A tensor as (dtype, shape, bytes); a result of a computation comes without the graph behind it."""
    plain = tensor.detach().cpu().contiguous().resolve_conj().resolve_neg()
    memory = (ctypes.c_char * (plain.numel() * plain.element_size())).from_address(plain.data_ptr() or 1)
    memory.tensor = plain  # the bytes must outlive the pickling
    keeps_grad = tensor.requires_grad and tensor.is_leaf
    return _put_together, (pickle.PickleBuffer(memory), plain.dtype, tuple(plain.shape), keeps_grad)


def _put_together(memory, dtype, shape, requires_grad):
    import torch

    if len(memory) == 0:
        tensor = torch.empty(shape, dtype=dtype)
    else:
        tensor = torch.frombuffer(memory, dtype=torch.uint8).view(dtype).reshape(shape)
    return tensor.requires_grad_(requires_grad)


@contextlib.contextmanager
def _by_value(function):
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if module is None or not _is_learners(module) or module.__name__ in cloudpickle.list_registry_pickle_by_value():
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _is_learners(module):
    path = getattr(module, "__file__", None)
    if not path or module.__name__ == "__main__" or module.__name__.split(".")[0] == "minipar":
        return False
    installed = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return not any(path.startswith(folder) for folder in installed)

"""Where do the ranks live, and how do they talk?

GPUs >= ranks       a GPU each, NCCL (pipeline messages in one global order)
fewer GPUs          they share, gloo through host memory, and every picture says so: NCCL refuses two ranks on a GPU
none                processes on the CPU, gloo
"""

import glob
import os
import sys

BACKENDS = ("gloo", "gloo-ordered", "nccl")


def how_many(ranks, mesh, size):
    """How many ranks a call has; a ValueError in one sentence where that cannot be."""
    wanted = ranks if ranks is not None else mesh.size if mesh is not None else size
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
        raise ValueError(f"ranks is how many workers take part, a whole number from 1 to {size}, not {wanted!r}")
    if mesh is not None and mesh.size != wanted:
        raise ValueError(f"{mesh} arranges {mesh.size} ranks, and the call has {wanted}")
    if wanted > size:
        raise ValueError(f"the call needs {wanted} ranks, and this pool has {size} workers")
    return wanted


def choose(size, backend, device):
    """(backend, "cpu" or "cuda", the sentence that every picture carries)."""
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"backend is one of {', '.join(BACKENDS)}, not {backend!r}")
    if device is not None and str(device) not in ("cpu", "cuda"):
        raise ValueError(f'device is "cpu" or "cuda", not {device!r}')
    gpus = 0 if str(device) == "cpu" else _gpus()
    if str(device) == "cuda" and not gpus:
        raise ValueError('device="cuda" needs a GPU, and torch sees none here')
    if backend == "nccl" and gpus < size:
        raise ValueError(
            f"NCCL needs a GPU for each rank: {size} ranks, {gpus} GPUs. Leave backend out to share one over gloo"
        )
    if gpus >= size and backend in (None, "nccl"):
        return "nccl", "cuda", f"a GPU each ({size} of {gpus}), talking through NCCL"
    words = "gloo in NCCL's order" if backend == "gloo-ordered" else "gloo"
    if gpus:
        shared = "one GPU" if gpus == 1 else f"{gpus} GPUs"
        return backend or "gloo", "cuda", f"processes sharing {shared}, talking through host memory and {words}"
    return backend or "gloo", "cpu", f"processes on this CPU, talking through {words}"


def _gpus():
    if sys.platform == "linux" and not glob.glob("/dev/nvidia[0-9]*") and not os.path.exists("/dev/kfd"):
        return 0  # without loading torch
    import torch

    return torch.cuda.device_count()

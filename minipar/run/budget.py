"""How does a worker come to have less memory than the machine?

    |<--- what the process holds without any work --->|<-- memory_limit -->|
    0                                             baseline               refused

The operating system keeps the limit (RLIMIT_DATA): an allocation over it fails like any other failed allocation,
with an ordinary error in the program. `explain` turns it into one sentence. It counts only while a call runs, so
that reports and process groups are never refused.
"""

import contextlib
import ctypes
import re
import resource

import torch

_TORCH = re.compile(r"tried to allocate (\d+) bytes", re.IGNORECASE)
_CUDA = re.compile(r"Tried to allocate ([\d.]+) ([KMG])iB")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


class Budget:
    """The memory one worker may use for its calls: `limit` bytes over its own baseline, or None for no limit.

    A context manager: the limit holds inside. On a GPU torch's own allocator keeps it.
    """

    def __init__(self, limit, device):
        self.limit, self.device, self.baseline = limit, device, None
        if limit is None:
            return
        with contextlib.suppress(AttributeError, OSError):
            libc = ctypes.CDLL(None)
            libc.mallopt(-8, 1)  # one arena, and
            libc.mallopt(-3, 1 << 16)  # every larger tensor in pages of its own, given back as soon as it is freed
        weight = torch.ones(64, 64, requires_grad=True)
        (weight @ weight).sum().backward()  # what the first step ever allocates belongs to the baseline
        if device.type == "cuda":
            total = torch.cuda.get_device_properties(device).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total), device)

    def measure(self):
        """Takes the baseline: once, when the process group stands and nothing has run yet."""
        if self.limit is not None and self.baseline is None:
            self.baseline = _data_bytes()

    def held(self):
        """Bytes in use over the baseline."""
        if self.device.type == "cuda":
            return torch.cuda.memory_allocated(self.device)
        return max(0, _data_bytes() - (self.baseline or 0))

    def __enter__(self):
        if self.limit is not None and self.device.type == "cpu":
            resource.setrlimit(resource.RLIMIT_DATA, (self.baseline + self.limit, resource.RLIM_INFINITY))

    def __exit__(self, *_):
        if self.limit is not None and self.device.type == "cpu":
            resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def explain(self, error, rank):
        """One sentence if `error` is an allocation the budget refused, else None. Ask before the frames are let go."""
        if self.limit is None:
            return None
        text, asked = str(error), None
        if found := _TORCH.search(text):
            asked = int(found[1])
        elif found := _CUDA.search(text):
            asked = float(found[1]) * _UNITS[found[2]]
        elif not isinstance(error, MemoryError) and "bad_alloc" not in text and "bad allocation" not in text:
            return None
        held = self.held()
        if asked is not None:  # a half-built list is gone by now, but was held when the error was raised
            held = max(held, self.limit - asked)
        what = "more memory" if asked is None else megabytes(asked)
        return f"rank {rank} asked for {what} while it held {megabytes(held)}: its limit is {megabytes(self.limit)}"


def megabytes(number):
    """Bytes as text in units of a million: 12,500,000 is "12.5 MB"."""
    return f"{number / 1e6:,.1f} MB" if number >= 100_000 else f"{number / 1e3:,.1f} kB"


def _data_bytes():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmData"):
                return int(line.split()[1]) * 1024
    return 0

"""What did the program ask of torch.distributed directly?

torch's ProcessGroup and Work are wrapped once in a worker, so that `dist.all_reduce` in a cell is logged, compared
with the other ranks' and found again when it hangs, like minipar's own messages. Every function of
torch.distributed passes here.
"""

import functools
import time

import torch.distributed as dist
from torch._C import _distributed_c10d as c

from minipar.run.oplog import where

_NAMES = {"allreduce": "all_reduce", "allgather": "all_gather", "alltoall": "all_to_all", "alltoall_base": "all_to_all",
          "all_to_all_single": "all_to_all", "_allgather_base": "all_gather", "all_gather_single": "all_gather",
          "_reduce_scatter_base": "reduce_scatter", "reduce_scatter_single": "reduce_scatter",
          "allreduce_coalesced": "all_reduce", "reduce_scatter_tensor_coalesced": "reduce_scatter",
          "allgather_into_tensor_coalesced": "all_gather"}  # fmt: skip
_SAME = ("broadcast", "reduce", "reduce_scatter", "gather", "scatter", "barrier")


_UNKNOWN = ("unknown", None, None, 0), 0.0, None


def watch_torch(log):
    """Wraps the methods of torch's ProcessGroup and Work once, so that direct calls of torch.distributed are logged."""
    for name in ("send", "recv", "recv_anysource"):
        _wrap(log, name, _note_message)
    for name in (*_NAMES, *_SAME):
        if hasattr(c.ProcessGroup, name):
            _wrap(log, name, _note_collective)
    real_wait = c.Work.wait

    def wait(work, *arguments, **options):
        operation, started, bill = log.works.pop(id(work), _UNKNOWN)
        done = log.wait(operation, lambda: real_wait(work, *arguments, **options))
        recorder = log.recorder
        if recorder is not None and operation is not _UNKNOWN[0]:
            if bill is None:
                recorder.add(operation[0], started, recorder.mark())
            elif bill[1] is not None:
                axis, size, layer = bill
                recorder.collective(*operation[:1], axis, operation[1], size, started, recorder.mark(), False, layer)
        return done

    c.Work.wait = wait


def _wrap(log, name, note):
    real = getattr(c.ProcessGroup, name)

    @functools.wraps(real)
    def call(group, *arguments, **options):
        operation, bill = note(log, name, group, arguments)
        started = log.recorder.mark() if log.recorder is not None else time.monotonic()
        work = log.wait(operation, lambda: real(group, *arguments, **options))
        log.works[id(work)] = operation, started, bill
        return work

    setattr(c.ProcessGroup, name, call)


def _members(log, group):
    if group.group_name not in log.members:
        log.members[group.group_name] = tuple(dist.get_process_group_ranks(group))
    return log.members[group.group_name]


def _note_message(log, name, group, arguments):
    tensor, tag, place = arguments[0][0], f"torch {arguments[-1]} in {group.group_name}", where()
    if len(arguments) < 3:
        return log.point("recv_anysource", None, tag, tensor.dtype, tensor.numel(), place), None
    operation = log.point(name, _members(log, group)[arguments[1]], tag, tensor.dtype, tensor.numel(), place)
    log.agree(operation, f"{tensor.numel()} {_dtype(tensor)}", place)
    return operation, None


def _note_collective(log, name, group, arguments):
    """(operation, bill). The bill: which axis, bytes this rank puts in (None: not to be recorded), for which layer."""
    kind, announced = _NAMES.get(name, name), log.announced
    log.announced = None
    axis, size, form = announced or ("", _payload(kind, arguments), None)
    text, sends, receives = _say(kind, name, arguments, group.size(), form)
    operation = log.collective(group.group_name, _members(log, group), kind, text, where(), sends, receives)
    return operation, (axis, size, log.recorder.here if log.recorder is not None else "")


def _payload(kind, arguments):
    """Bytes this rank hands in: the argument that is read, all of its tensors."""
    place = 1 if kind in ("all_gather", "all_to_all", "reduce_scatter", "gather", "scatter") else 0
    return 0 if kind == "barrier" or len(arguments) <= place else _bytes(arguments[place])


def _bytes(value):
    return value.nbytes if hasattr(value, "nbytes") else sum(_bytes(each) for each in value)


def _say(kind, name, arguments, size, form=None):
    """A collective as text, equal on all ranks, and for an uneven all-to-all what goes to and comes from whom.

    form: the shape, as an Axis announced it; else the number of elements stands for it.
    """
    tensors = [_first(argument) for argument in arguments if _first(argument) is not None]
    options = arguments[-1] if arguments and not hasattr(arguments[-1], "shape") else None
    if kind in ("barrier", "broadcast", "reduce", "gather", "scatter") or not tensors:
        extra = f" from {options.rootRank}" if kind in ("broadcast", "scatter") and hasattr(options, "rootRank") else ""
        extra = f" to {options.rootRank}" if kind in ("reduce", "gather") and hasattr(options, "rootRank") else extra
    else:
        extra = ""
    if hasattr(options, "reduceOp"):
        extra += f" {options.reduceOp.op.name.lower()}"
    if kind == "barrier" or not tensors:
        return kind + extra, (), ()
    if kind == "all_to_all":
        return f"{kind} {_dtype(tensors[0])}", *_splits(name, arguments, size)
    own = tensors[-1] if kind in ("all_gather", "reduce_scatter", "gather") else tensors[0]
    own = tensors[0] if name in ("reduce_scatter", "_reduce_scatter_base", "scatter") else own
    return f"{kind}{extra} of {form or own.numel()} {_dtype(own)}", (), ()


def _dtype(tensor):
    return str(tensor.dtype).removeprefix("torch.")


def _first(value):
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return value if hasattr(value, "shape") else None


def _splits(name, arguments, size):
    """Elements to and from each rank of a direct all-to-all."""
    if name == "alltoall":
        return [t.numel() for t in arguments[1]], [t.numel() for t in arguments[0]]
    out, own = arguments[0], arguments[1]

    def sizes(tensor, split):
        row = tensor.numel() // max(1, tensor.shape[0]) if tensor.dim() else 1
        return [part * row for part in split] if split else [tensor.numel() // size] * size

    receives, sends = (list(arguments[2]), list(arguments[3])) if len(arguments) > 3 else ([], [])
    return sizes(own, sends), sizes(out, receives)

"""Why do two ranks not go through gloo's collectives?

    gloo's all_reduce of 64 KB on 2 ranks    a ring of two, twice round, handed from thread to thread      ~200 µs
    one message each way, and one addition   the same bytes: 2(P-1)/P n = n at P = 2, in one wait           ~90 µs

So on the CPU an axis of two swaps: each sends what the other needs, and both combine, with the same bits on both.
For the log, the recorder and whoever disagrees it is the backend's collective: the same names, numbers and sentences.
Not on GPUs, where NCCL does this better, nor with NCCL's rules on gloo, where a send waits for its receive.
"""

from torch._C import _distributed_c10d as c

from minipar.run.oplog import where

TAG = (1 << 29) - 1  # the gloo tag of a swap: no pipeline message's, no letter's
LARGEST = 1_000_000  # bytes each way up to which a swap is quicker, as measured on two cores
_wait = c.Work.wait  # taken before the log wraps it


def quick(axis, tensor, bytes):
    """Whether the ranks of this axis swap what has so many bytes each way: two of them, on the CPU, through gloo."""
    return axis.size == 2 and bytes <= LARGEST and tensor.device.type == "cpu" and not axis.links.rendezvous


class Swap:
    """One message each way between the two ranks of an axis, under way; `.wait()` as torch's Work has it."""

    def __init__(self, axis, what, form, payload, out, into):
        log, recorder = axis.log, axis.recorder
        text = f"{what} {form} {str(out.dtype).removeprefix('torch.')}"
        self._log, self._recorder = log, recorder
        self._operation = log.collective(axis.group_name, axis.ranks, what, text, where())
        self._bill = what, axis.name, axis.ranks, payload, recorder.mark()
        self._layer = recorder.here
        gloo, other = axis.links.gloo, axis.ranks[1 - axis.rank]
        self._works = [gloo.recv([into], other, TAG), gloo.send([out], other, TAG)] if out.numel() else []

    def wait(self):
        """Returns when both messages have arrived; what was sent may be changed from then on."""
        self._log.wait(self._operation, self._both)
        recorder = self._recorder
        recorder.collective(*self._bill, recorder.mark(), own=False, layer=self._layer)

    def _both(self):
        for work in self._works:
            _wait(work)

"""How do rows find the rank of their expert, and home again? The two swaps that lesson 11 gives to its reader.

    swap_counts(w, counts)                [ranks, n] whole numbers: row r goes to rank r, row r of what comes is from r
    swap_rows(w, rows, sends, comes)      rows [many, hidden], the first sends[0] of them for rank 0, and so on;
                                          comes[r] rows come from rank r. Gradients travel the same way home.

Both are one all-to-all of all ranks of the call, made of our own letters, so that every byte stands in the ledger:
under the layers "counts" and "rows". In torch's own words the second one is `all_to_all_single` with split sizes.
"""

from __future__ import annotations

import torch


class Misrouted(ValueError):
    """Rows and the numbers that describe them do not fit."""


def swap_counts(w, counts):
    """What all ranks tell this one: counts [ranks, n], whole numbers; row r of the result comes from rank r."""
    counts = torch.as_tensor(counts)
    if counts.dim() != 2 or len(counts) != w.ranks or counts.is_floating_point():
        raise Misrouted(f"swap_counts takes whole numbers [{w.ranks} ranks, n], and rank {w.rank} gave it "
                        f"{str(counts.dtype).removeprefix('torch.')} {list(counts.shape)}")  # fmt: skip
    note(w, "counts", None, None)
    with w.recorder.layer("counts"):
        return torch.stack(w.everyone.ring.all_to_all(list(counts.contiguous())))


def swap_rows(w, rows, sends, comes):
    """The rows that all ranks have for this one, those from rank 0 first: rows [many, hidden] -> [sum(comes), hidden].

    sends: how many of my rows go to each rank, in order. comes: how many come from each.
    """
    sends, comes = ([int(number) for number in numbers] for numbers in (sends, comes))
    for numbers, name in ((sends, "sends"), (comes, "comes")):
        if len(numbers) != w.ranks or min(numbers) < 0:
            raise Misrouted(f"{name} has a number for each of {w.ranks} ranks; rank {w.rank} gave {said(numbers)}")
    if rows.dim() != 2 or len(rows) != sum(sends):
        raise Misrouted(f"rank {w.rank} gave rows {list(rows.shape)}, and its sends {said(sends)} are {sum(sends)}")
    note(w, "rows", sends, rows)
    return _Rows.apply(w, rows, sends, comes)


class _Rows(torch.autograd.Function):
    """Forward: rows to their ranks. Backward: their gradients the other way."""

    @staticmethod
    def forward(ctx, w, rows, sends, comes):
        ctx.w, ctx.sends, ctx.comes = w, sends, comes
        return carry(w, rows, sends, comes)

    @staticmethod
    def backward(ctx, gradient):
        return None, carry(ctx.w, gradient, ctx.comes, ctx.sends), None, None


def carry(w, rows, sends, comes):
    """One all-to-all of rows; refuses where other numbers came than were said."""
    with w.recorder.layer("rows"):
        came = w.everyone.ring.all_to_all([part.contiguous() for part in rows.split(sends)])
    for rank, (part, many) in enumerate(zip(came, comes, strict=True)):
        if len(part) != many:
            raise Misrouted(f"rank {rank} sent rank {w.rank} {len(part)} rows, which rank {w.rank} says are {many}")
    return torch.cat(came)


def note(w, what, sends, rows) -> None:
    """Writes a swap down where somebody listens (the check's handle does)."""
    listen = getattr(w, "listen", None)
    if listen is not None:
        listen(what, sends, rows)


def said(numbers) -> str:
    return " ".join(map(str, numbers))

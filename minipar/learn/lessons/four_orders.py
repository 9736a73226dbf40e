"""What comes out of an MLP whose two matrices are cut, in each of the four orders, and what is sent for it?

    order          first matrix        second matrix       what a rank can compute alone
    column→row     some of its columns some of its rows    x·A's own columns, GELU, a partial sum of y
    column→column  columns             columns             own columns, GELU, then A's other columns are missing
    row→column     rows                columns             a partial sum of x·A; GELU of it is not GELU of the sum
    row→row        rows                rows                the same, and half of each sum's columns are missing too

Every rank runs `one_collective` or `all_it_needs`, both with its own slices of the same two matrices. torch stores a
weight as [outputs, inputs]: a column of the mathematics is a row of the weight.
"""

from __future__ import annotations

import time

ORDERS = ("column→row", "column→column", "row→column", "row→row")
TIMES = 201  # how often the one token is computed


def gelu(x):
    from torch.nn.functional import gelu

    return gelu(x)


def slices(axis, order: str, up, down):
    """This rank's slices of `up` [4 hidden, hidden] and `down` [hidden, 4 hidden] in this order, as leaves."""
    dims = [{"column": 0, "row": 1}[side] for side in order.split("→")]
    return [
        whole.chunk(axis.size, dim)[axis.rank].clone().requires_grad_()
        for whole, dim in zip((up, down), dims, strict=True)
    ]


def mine(axis, x):
    """This rank's columns of x [tokens, width]."""
    return x.chunk(axis.size, -1)[axis.rank]


#: With one collective, at the end: t is the axis, up and down are this rank's slices.
ONE = {
    "column→row": lambda t, x, up, down: t.all_reduce(gelu(x @ up.T) @ down.T),
    "column→column": lambda t, x, up, down: t.all_gather(gelu(x @ up.T) @ down.T, dim=-1),
    "row→column": lambda t, x, up, down: t.all_gather(gelu(mine(t, x) @ up.T) @ down.T, dim=-1),
    "row→row": lambda t, x, up, down: t.all_reduce(mine(t, gelu(mine(t, x) @ up.T)) @ down.T),
}


def one_collective(w, order: str, x, up, down):
    """y [tokens, hidden] by this order with one collective, or the words of its refusal where shapes do not fit."""
    import torch

    tensor = w.axis("tensor").ring
    x, up, down = (one.to(w.device, torch.float64) for one in (x, up, down))
    up, down = (one.detach() for one in slices(tensor, order, up, down))
    try:
        return ONE[order](tensor, x, up, down).cpu()
    except RuntimeError as error:
        if "shapes cannot be multiplied" not in str(error):
            raise
        return f"the second matrix wants {down.shape[1]:,} inputs, gets {up.shape[0]:,}"


def needed(t, order: str, x, up, down):
    """The same with every collective that this order needs, each a door with a gradient (minipar/nn/regions.py)."""
    from minipar.nn.regions import all_gather, copy, gather, reduce, reduce_scatter, scatter

    return {
        "column→row": lambda: reduce(t, gelu(copy(t, x) @ up.T) @ down.T),
        "column→column": lambda: gather(t, all_gather(t, gelu(copy(t, x) @ up.T), -1) @ down.T),
        "row→column": lambda: gather(t, copy(t, gelu(reduce(t, scatter(t, x) @ up.T))) @ down.T),
        "row→row": lambda: reduce(t, gelu(reduce_scatter(t, scatter(t, x) @ up.T, -1)) @ down.T),
    }[order]()


def all_it_needs(w, order: str, x, up, down):
    """(y, gradients of x and of this rank's slices) in float64; then once more in float32, whose bytes are counted.

    The loss is half the sum of y's squares, so that the gradient of y is y.
    """
    import torch

    tensor = w.axis("tensor").ring
    for name in ("float64", "float32"):
        given = (one.to(w.device, getattr(torch, name)) for one in (x, up, down))
        with w.span(name):
            y, gradients = there_and_back(w, tensor, order, *given)
        if name == "float64":
            found = y.cpu(), tuple(gradient.cpu() for gradient in gradients)
    return found


def there_and_back(w, tensor, order, x, up, down):
    x, (up, down) = x.clone().requires_grad_(), slices(tensor, order, up, down)
    y = needed(tensor, order, x, up, down)
    with w.span("backward"):
        (y.square().sum() / 2).backward()
    return y.detach(), (x.grad, up.grad, down.grad)


def one_token(w, x, up, down):
    """Seconds of one forward pass of one token, column→row: the middle one of many. On one rank nothing is sent."""
    tensor, x = w.axis("tensor"), x[:1].to(w.device)
    up, down = (one.detach().to(w.device) for one in slices(tensor, "column→row", up, down))
    seconds = []
    for _ in range(TIMES):
        started = time.perf_counter()
        ONE["column→row"](tensor, x, up, down).sum().item()  # .item() waits for a GPU
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)[TIMES // 2]


# ---- what the notebook makes of it ---------------------------------------------------------------------------------


def reference(x, up, down):
    """y and the gradients of x, up and down on one process, in float64."""
    x, up, down = (one.double().requires_grad_() for one in (x.clone(), up.clone(), down.clone()))
    y = gelu(x @ up.T) @ down.T
    (y.square().sum() / 2).backward()
    return y.detach(), (x.grad, up.grad, down.grad)


def wrong_by(y, true) -> float:
    """The size of the error against the size of the output, both as the root of the sum of squares."""
    return ((y - true).norm() / true.norm()).item()


def gradients_equal(order: str, ranks, true) -> bool:
    """Do the ranks' (y, gradients) equal one process's? Slices against the same slices of the whole."""
    import torch

    y, (x, up, down) = true
    sides = [{"column": 0, "row": 1}[side] for side in order.split("→")]
    for rank, (out, grads) in enumerate(ranks):
        parts = [w.chunk(len(ranks), dim)[rank] for w, dim in zip((up, down), sides, strict=True)]
        for got, want in zip((out, *grads), (y, x, *parts), strict=True):
            if not torch.allclose(got, want, rtol=1e-10, atol=1e-10 * want.abs().max().item()):
                return False
    return True


def counted(trace, rank: int = 0):
    """What this rank sent in the float32 run: [(collective, bytes)] forward, and the same backward."""
    span = next(s for s in trace.spans if s.rank == rank and s.what == "float32")
    backward = next(s.start for s in trace.spans if s.rank == rank and s.what == "backward" and s.start >= span.start)
    there, home = [], []
    for one in sorted(trace.collectives, key=lambda one: one.start):
        if one.rank != rank or not span.start <= one.start <= span.end:
            continue
        sent = sum(m.bytes for m in trace.messages if m.source == rank and one.start <= m.sent <= one.end)
        (home if one.start >= backward else there).append((one.what, sent))
    return there, home

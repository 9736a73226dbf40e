"""How are the rows of several experts multiplied, each with its own expert's matrices?

    rows by expert    0 0 0 | 1 | 3 3          sizes (3, 1, 0, 2); nobody came for expert 2

    a loop            one product an expert and matrix, each written to its place in one tensor for all;
                      the backward writes the weights' gradients to theirs, zeros for expert 2
    grouped           torch's one product for all experts (`torch.nn.functional.grouped_mm`, float32 and shorter)

The loop is one autograd function, for two reasons: picking expert e out of a tensor of all would make its gradient a
tensor of all, once for each e; and what lies between two products of an expert is then still in the processor's cache.
It keeps x and what stands before the activation, and works the rest out again. benchmarks/experts.py has both. Only
the loop is used unless `grouped` asks for the other; neither was run on a GPU.
"""

import contextlib
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import gelu, silu


def expert_mlp(x: Tensor, up: Tensor, down: Tensor, sizes: Sequence[int], gate: Tensor | None = None,
               recorder=None, grouped: bool = False) -> Tensor:  # fmt: skip
    """down · GELU(up · x), or down · (SiLU(gate · x) · (up · x)), row by row with its own expert's matrices.

    x: [rows, hidden], by expert; sizes: rows of each expert. up, gate: [experts, inner, hidden]; down: [experts,
    hidden, inner]. recorder: notes the spans "experts" and "experts gradient". Returns [rows, hidden].
    """
    if sum(sizes) != len(x) or len(sizes) != len(up):
        raise ValueError(f"{len(x)} rows for {len(up)} experts, and the sizes are {' '.join(map(str, sizes))}")
    if grouped:
        return _grouped(x, up, down, sizes, gate)
    return _Loop.apply(x, up, down, gate, tuple(sizes), recorder)


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(context, x, up, down, gate, sizes, recorder):
        context.sizes, context.recorder = sizes, recorder
        context.layer = recorder.here if recorder is not None else ""
        ups = x.new_empty(len(x), up.shape[1])
        gates = torch.empty_like(ups) if gate is not None else None
        y = x.new_empty(len(x), down.shape[1])
        with _span(context, "experts"):
            for expert, rows in _parts(sizes):
                torch.mm(x[rows], up[expert].t(), out=ups[rows])
                if gate is not None:
                    torch.mm(x[rows], gate[expert].t(), out=gates[rows])
                middle = _middle(ups[rows], None if gate is None else gates[rows])
                torch.mm(middle, down[expert].t(), out=y[rows])
        context.save_for_backward(x, up, down, gate, ups, gates)
        return y

    @staticmethod
    def backward(context, gradient):
        with _span(context, "experts gradient"):
            return *_back(gradient.contiguous(), *context.saved_tensors, context.sizes), None, None


def _back(gradient, x, up, down, gate, ups, gates, sizes):
    """Gradients of x, up, down and gate."""
    of_x, of_up, of_down = torch.empty_like(x), torch.empty_like(up), torch.empty_like(down)
    of_gate = None if gate is None else torch.empty_like(gate)
    for expert, rows in _parts(sizes):
        y, u, g = gradient[rows], ups[rows], None if gate is None else gates[rows]
        torch.mm(y.t(), _middle(u, g), out=of_down[expert])
        middle = y @ down[expert]
        if gate is None:
            of_u = torch.ops.aten.gelu_backward(middle, u)
        else:
            of_u = silu(g).mul_(middle)
            of_g = torch.ops.aten.silu_backward(middle.mul_(u), g)
            torch.mm(of_g.t(), x[rows], out=of_gate[expert])
        torch.mm(of_u.t(), x[rows], out=of_up[expert])
        torch.mm(of_u, up[expert], out=of_x[rows])
        if gate is not None:
            of_x[rows].addmm_(of_g, gate[expert])
    for expert, many in enumerate(sizes):
        for whole in (of_up, of_down, of_gate) if not many else ():
            if whole is not None:
                whole[expert].zero_()
    return of_x, of_up, of_down, of_gate


def _middle(up: Tensor, gate: Tensor | None) -> Tensor:
    return gelu(up) if gate is None else silu(gate).mul_(up)


def _parts(sizes: Sequence[int]):
    """(expert, its rows), for those that have any."""
    start = 0
    for expert, many in enumerate(sizes):
        if many:
            yield expert, slice(start, start + many)
        start += many


@contextlib.contextmanager
def _span(context, name: str):
    recorder = context.recorder
    start = recorder.mark() if recorder is not None else None
    yield
    if recorder is not None:
        recorder.add(name, start, recorder.mark(), context.layer)


def _grouped(x, up, down, sizes, gate):
    product = torch.nn.functional.grouped_mm
    ends = torch.tensor(sizes, device=x.device).cumsum(0).to(torch.int32)
    ups = product(x, up.transpose(1, 2), offs=ends)
    middle = gelu(ups) if gate is None else silu(product(x, gate.transpose(1, 2), offs=ends)) * ups
    return product(middle, down.transpose(1, 2), offs=ends)

"""Is the learner's sliced MLP right, on one, two and four real processes, and what did it send?

    case: x, whole weights ─► each rank gets its slices ─► mlp(…) ─► y, gradients, collectives ─► first difference

What is looked at, in this order: y, what was sent forward, the gradients of `down`, of x, of the rest, what was sent
backward. So a mistake is named once, where it first shows.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from minipar.learn.safely import stopped_ranks
from minipar.learn.verdict import Trouble, Verdict, not_yet, right, unfinished
from minipar.learn.workers import workers

SECONDS = 20
NAMES = ("x", "up", "up_bias", "down", "down_bias")
OF_UP = {2: "half", 4: "quarter"}


class Case(NamedTuple):
    """One size to try: ranks, the whole tensors, what y is multiplied by before it is summed into a loss."""

    name: str
    ranks: int
    x: Any
    up: Any
    up_bias: Any
    down: Any
    down_bias: Any
    pull: Any
    follow: bool = True  # does x need a gradient?

    @property
    def whole(self):
        return self.x, self.up, self.up_bias, self.down, self.down_bias

    @property
    def tried(self) -> str:
        return f"{self.ranks} rank{'s' * (self.ranks > 1)}, {self.name}"


@dataclasses.dataclass
class Ran:
    """What one run gave: by rank, y and the gradients by name; the collectives and messages of both ways."""

    y: list
    gradients: list
    forward: list
    backward: list
    letters: int


def cases() -> list[Case]:
    """The example first, then the hidden ones: one rank, four ranks with batch and biases, an x without a gradient."""
    import torch

    double = {"dtype": torch.float64}
    example = Case("x = [[1, 2]], all weights 1", 2, torch.tensor([[1.0, 2.0]], **double), torch.ones(4, 2, **double),
                   torch.zeros(4, **double), torch.ones(2, 4, **double), torch.full((2,), 10.0, **double),
                   torch.ones(1, 2, **double))  # fmt: skip
    return [
        example,
        drawn("x [3 × 4]", 1, (3,), 4, 1),
        drawn("x [2 × 3 × 8], biases not zero", 4, (2, 3), 8, 2),
        drawn("x [5 × 6], x needs no gradient", 2, (5,), 6, 3)._replace(follow=False),
        example._replace(ranks=4),
    ]


def drawn(name: str, ranks: int, tokens: tuple[int, ...], hidden: int, seed: int) -> Case:
    """A case of random numbers, the same each time."""
    import torch

    dice = torch.Generator().manual_seed(seed)
    wide = 4 * hidden
    shapes = ((*tokens, hidden), (wide, hidden), (wide,), (hidden, wide), (hidden,), (*tokens, hidden))
    made = [torch.randn(shape, generator=dice, dtype=torch.float64) for shape in shapes]
    return Case(name, ranks, *made)


# -- on the ranks ------------------------------------------------------------------------------------------------


def examine(w, mlp, case: Case):
    """Runs the learner's mlp with this rank's slices, forward and backward. (y, {name: gradient or None})"""
    import torch

    tensor = w.axis("tensor")
    x, up, up_bias, down, down_bias = case.whole
    given = [x, piece(tensor, up, 0), piece(tensor, up_bias, 0), piece(tensor, down, 1), down_bias]
    given = [one.to(w.device, copy=True).requires_grad_() for one in given]
    given[0].requires_grad_(case.follow)
    with w.span("forward"):
        y = mlp(tensor, *given)
    if not isinstance(y, torch.Tensor) or y.shape != case.x.shape:
        return y if not isinstance(y, torch.Tensor) else list(y.shape), None
    with w.span("backward"):
        if y.requires_grad:
            (y * case.pull.to(w.device)).sum().backward()
    grads = [None if one.grad is None else one.grad.cpu() for one in given]
    return y.detach().cpu(), dict(zip(NAMES, grads, strict=True))


def piece(axis, whole, dim: int):
    return whole.chunk(axis.size, dim)[axis.rank]


def expected(case: Case):
    """y and the gradients of the whole MLP on one process."""
    from torch.nn.functional import gelu

    given = [one.clone().requires_grad_() for one in case.whole]
    x, up, up_bias, down, down_bias = given
    y = gelu(x @ up.T + up_bias) @ down.T + down_bias
    (y * case.pull).sum().backward()
    return y.detach(), {name: one.grad for name, one in zip(NAMES, given, strict=True)}


def mine(name: str, whole, rank: int, ranks: int):
    """This rank's slice of the whole gradient of this parameter."""
    dim = {"up": 0, "up_bias": 0, "down": 1}.get(name)
    return whole if dim is None else whole.chunk(ranks, dim)[rank]


# -- the verdict -------------------------------------------------------------------------------------------------


def check_mlp(mlp) -> Verdict:
    """The verdict on `mlp`, and with it on the `Copy` and `Reduce` that it walks through."""
    for name in ("Copy", "Reduce"):
        door = getattr(mlp, "__globals__", {}).get(name)
        for way in ("forward", "backward"):
            function = getattr(door, way, None)
            if ... in getattr(getattr(function, "__code__", None), "co_consts", ()) and unfinished(function):
                return not_yet(f"{name}.{way} is not written yet: its `...` still stands there.")
    for case in cases():
        try:
            verdict = check_case(case, attempt(mlp, case))
        except Trouble as trouble:
            verdict = not_yet(str(trouble), tried=case.tried)
        if verdict is not None:
            return verdict
    return right(
        "Output and all five gradients equal one process's on 1, 2 and 4 ranks. Sent: one sum forward, one backward, "
        "of tokens × hidden numbers each, and nothing else.",
        picture=picture,
    )


def attempt(mlp, case: Case) -> Ran:
    """The learner's mlp on real processes. Trouble in a sentence where what it returned is no y."""
    import minipar

    try:
        out = workers(4).run(examine, mlp, case, mesh=minipar.Mesh(tensor=case.ranks), timeout=SECONDS)
    except minipar.RemoteError as error:
        advice = "Every rank has to walk through the same doors, in the same order."
        raise Trouble(stopped_ranks(error, advice)) from None
    for rank, (y, gradients) in enumerate(out):
        if gradients is None:
            was = f"a tensor {y}" if isinstance(y, list) else "nothing" if y is None else f"a {type(y).__name__}"
            raise Trouble(f"On rank {rank} mlp returned {was}; y has the shape of x, {list(case.x.shape)}.")
    start = [span.start for span in out.trace.spans if span.what == "backward" and span.rank == 0][0]
    mine = [one for one in out.trace.collectives if one.rank == 0]
    return Ran(
        y=[y for y, _ in out],
        gradients=[gradients for _, gradients in out],
        forward=[one for one in mine if one.start < start],
        backward=[one for one in mine if one.start >= start],
        letters=sum(not message.collective for message in out.trace.messages),
    )


def check_case(case: Case, ran: Ran) -> Verdict | None:
    """The first thing that is wrong with one run, or None."""
    y, gradients = expected(case)
    for told in (
        wrong_output(case, ran, y),
        too_much_forward(case, ran),
        wrong_down(case, ran, gradients["down"]),
        wrong_x(case, ran, gradients["x"]) if case.follow else "",
        wrong_rest(case, ran, gradients),
        too_much_backward(ran),
    ):
        if told:
            return not_yet(told, tried=case.tried)
    return None


def wrong_output(case: Case, ran: Ran, y) -> str:
    """The cause of a wrong y; "" where it is right on every rank."""
    rank = next((rank for rank, got in enumerate(ran.y) if not close(got, y)), None)
    if rank is None:
        return ""
    got, want = two(ran.y[rank], y)
    numbers = f"{got}, expected {want}: "
    if close(ran.y[rank], y + (case.ranks - 1) * case.down_bias):
        bias = f"bias {case.down_bias[0].item():g}" if case.down_bias.unique().numel() == 1 else "bias of `down`"
        return f"{numbers}the {bias} was added on each of {case.ranks} ranks. Add it after the sum."
    if case.ranks > 1 and not ran.forward:
        return f"{numbers}nothing was summed, each rank returned its own part of the product."
    if close(ran.y[rank], (y - case.down_bias) / case.ranks + case.down_bias):
        return f"{numbers}you divided by {case.ranks}. The ranks hold parts of one product, not copies of it."
    many = case._replace(x=case.x * case.ranks)
    if case.ranks > 1 and close(ran.y[rank], expected(many)[0]):
        return f"{numbers}x was summed on its way in. Every rank has all of x already."
    return f"{numbers}the output is not that of one process."


def too_much_forward(case: Case, ran: Ran) -> str:
    """More on the way there than one all-reduce of y's size."""
    if case.ranks == 1:
        return ""
    if len(ran.forward) > 1:
        said = f"Right values, {len(ran.forward)} collectives forward, 1 suffices."
        if any(one.what == "all_gather" for one in ran.forward):
            return f"{said} `down`'s slice wants exactly the part you already hold."
        return f"{said} Only the partial sums of y have to meet."
    return too_large(case, ran.forward, "forward") or (
        f"Right values, {ran.letters} messages besides the sum: nothing else has to be sent." if ran.letters else ""
    )


def too_large(case: Case, sent, way: str) -> str:
    numbers = case.x.numel()
    for one in sent:
        if one.what != "all_reduce":
            return f"Right values, an {one.what} {way} where one all_reduce suffices."
        if one.bytes != 8 * numbers:
            return f"Right values, {one.bytes // 8} numbers put in the sum {way}; {numbers} suffice, tokens × hidden."
    return ""


def wrong_down(case: Case, ran: Ran, want) -> str:
    """The gradient of `down` shows what Reduce's backward does: y's gradient arrives there first."""
    for rank, gradients in enumerate(ran.gradients):
        got, part = gradients["down"], mine("down", want, rank, case.ranks)
        if got is None:
            return "The output is right, and `down` got no gradient: an all_reduce alone ends the graph. Use Reduce."
        if close(got, part):
            continue
        shown, true = two(got, part)
        if case.ranks > 1 and close(got, case.ranks * part):
            twice = {2: "twice", 4: "4 times"}[case.ranks]
            return (
                f"Gradients of `down` are {shown}, expected {true}: {twice} too large on {case.ranks} ranks. "
                "The gradient of a sum is handed on as it is."
            )
        return f"The output is right, the gradient of `down` is not: {shown}, expected {true}."
    return ""


def wrong_x(case: Case, ran: Ran, want) -> str:
    """The gradient of x shows what Copy's backward does."""
    parts = [gradients["x"] for gradients in ran.gradients]
    if any(part is None for part in parts):
        return "The output is right, and x got no gradient: let x walk through Copy."
    wrong = next((part for part in parts if not close(part, want)), None)
    if wrong is None:
        return ""
    shown, true = two(wrong, want)
    if not ran.backward and close(sum(parts), want):
        own = OF_UP.get(case.ranks, "part")
        return (
            f"The output is right, the gradient of x is not: {shown}, expected {true}. "
            f"Each rank saw its own {own} of `up`."
        )
    if close(wrong * case.ranks, want):
        return (
            f"The gradient of x is {shown}, expected {true}: you divided by {case.ranks}. "
            "The ranks hold parts of one gradient, not copies of it."
        )
    more = " It was summed more than once." if len(ran.backward) > 1 else ""
    return f"The output is right, the gradient of x is not: {shown}, expected {true}.{more}"


def wrong_rest(case: Case, ran: Ran, wants) -> str:
    for rank, gradients in enumerate(ran.gradients):
        for name in ("up", "up_bias", "down_bias"):
            got, want = gradients[name], mine(name, wants[name], rank, case.ranks)
            if got is None:
                return f"The output is right, and `{name}` got no gradient."
            if not close(got, want):
                shown, true = two(got, want)
                why = {"down_bias": "Add the bias once, after the sum.", "up": "torch's weight is turned: x @ up.T."}
                said = f"The output is right, the gradient of `{name}` is not: {shown}, expected {true}."
                return f"{said} {why.get(name, '')}".rstrip()
    return ""


def too_much_backward(ran: Ran) -> str:
    if len(ran.backward) > 1:
        return f"Right values, {len(ran.backward)} collectives backward, 1 suffices: the sum of x's gradient."
    return ""


def close(got, want) -> bool:
    import torch

    scale = max(1.0, want.abs().max().item())
    return got.shape == want.shape and torch.allclose(got, want, rtol=0, atol=1e-10 * scale)


def two(got, want) -> tuple[str, str]:
    """The first number that differs, as it is and as it should be, with two places."""
    far = (got - want).abs().flatten()
    at = (far > 1e-10 * max(1.0, want.abs().max().item())).nonzero()[0].item()
    return f"{got.flatten()[at].item():.2f}", f"{want.flatten()[at].item():.2f}"


def picture():
    """The two matrices of the example, as the learner cut them."""
    from minipar.view.slices import By, chain, slices

    row = chain((By.COLUMN, By.ROW), (256, 1024, 256), tokens=64, result="equal")
    return slices(row, title="Yours: one sum forward, one backward, nothing in the middle")

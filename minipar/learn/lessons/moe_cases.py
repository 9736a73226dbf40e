"""On which tokens is the learner's moe tried, and what does the dense loop on one process make of them?

    example      2 ranks, the numbers of the notebook
    main         4 ranks, the lesson's 128 tokens with two experts each
    hidden       dropped choices, an expert that nobody wants, a rank without tokens, top-3, 2 ranks, 1 rank

Cases run in float64 with rows of 32 numbers, so that a row weighs the 256 bytes of the lesson's 64 numbers in float32,
and bytes can be compared with the run's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minipar.plan.balance import leaning
from minipar.plan.routing import Routing, follow, route

HIDDEN, INNER = 32, 16  # of a row, and inside an expert


class Case(NamedTuple):
    """One routing to try: whole tensors, the experts' weights by number, what y is multiplied by for the loss.

    An expert of one tensor multiplies by it; of two, it is an MLP without bias. judge: whether more than y counts.
    """

    name: str
    routing: Routing
    x: Any
    weight: Any
    experts: tuple
    pull: Any
    judge: bool = True

    @property
    def ranks(self) -> int:
        return self.routing.ranks

    @property
    def choice(self):
        import torch

        return torch.tensor(self.routing.kept).view(self.routing.tokens, -1)

    @property
    def tried(self) -> str:
        return f"{self.ranks} rank{'s' * (self.ranks > 1)}, {self.name}"

    def part(self, whole, rank: int):
        """The rows of this rank's tokens."""
        return whole.split(self.routing.sources)[rank]


def cases() -> list[Case]:
    """The example, then the lesson's tokens, then the hidden ones."""
    import torch

    double = {"dtype": torch.float64}
    column = torch.tensor([[1.0], [2.0], [3.0], [4.0]], **double)
    scale = tuple((torch.full((1,), expert + 1.0, **double),) for expert in range(4))
    small = follow([(3,), (0,), (1,), (2,)], 4, ranks=2)
    ones = torch.ones(4, 1, **double)
    example = Case("x = [[1], [2]] on rank 0", small, column, ones, scale, ones, judge=False)
    scores = leaning(60, 8, seed=11)
    unwanted = [[number - 9 * (expert == 5) for expert, number in enumerate(row)] for row in scores]
    return [
        example,
        drawn("128 tokens, top-2", route(leaning(128, 8), 8, 2, ranks=4), 1),
        drawn("60 tokens, top-1, some dropped", route(scores, 8, 1, 1.0, ranks=4), 2),
        drawn("top-3, nobody wants expert 5, rank 2 has no tokens",
              route(unwanted, 8, 3, ranks=4, sources=(20, 25, 0, 15)), 3),
        drawn("top-2, some dropped", route(scores, 8, 2, 0.5, ranks=2), 4),
        drawn("top-2", route(scores, 8, 2, ranks=1), 5),
    ]  # fmt: skip


def drawn(name: str, routing: Routing, seed: int) -> Case:
    """A case of random numbers, the same each time."""
    import torch

    dice = torch.Generator().manual_seed(seed)

    def numbers(*shape):
        return torch.randn(*shape, generator=dice, dtype=torch.float64)

    tokens, top = routing.tokens, len(routing.choice[0])
    experts = tuple((numbers(INNER, HIDDEN) / HIDDEN**0.5, numbers(HIDDEN, INNER) / INNER**0.5) for _ in range(8))
    weight = (numbers(tokens, top)).softmax(dim=1) if top > 1 else numbers(tokens, 1).sigmoid()
    return Case(name, routing, numbers(tokens, HIDDEN), weight, experts, numbers(tokens, HIDDEN))


def work(weights):
    """An expert, as a function of rows [n, hidden]."""
    import torch

    if len(weights) == 1:
        return lambda rows: rows * weights[0]
    up, down = weights
    return lambda rows: torch.nn.functional.gelu(rows @ up.T) @ down.T


def expected(case: Case, weighted: bool = True):
    """y and the gradients of the dense loop on one process: every token through each of its experts, one by one."""
    import torch

    x, weight = case.x.clone().requires_grad_(), case.weight.clone().requires_grad_()
    leaves = [tuple(one.clone().requires_grad_() for one in weights) for weights in case.experts]
    y = torch.zeros_like(x)
    for expert, weights in enumerate(leaves):
        token, place = (case.choice == expert).nonzero(as_tuple=True)
        share = weight[token, place, None] if weighted else torch.ones_like(weight[token, place, None])
        y = y.index_add(0, token, share * work(weights)(x[token]))
    (y * case.pull).sum().backward()
    named = {"x": x.grad, "weight": weight.grad if weighted else None}
    return y.detach(), named | {e: [one.grad for one in weights] for e, weights in enumerate(leaves)}

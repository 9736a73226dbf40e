"""Do rows lie where the words of a way say, and is what overlaps really under way?"""

import pytest
import torch

from minipar.nn.axes import Axes
from minipar.nn.dispatch import by_expert, inverse, laid
from minipar.nn.experts import MoE
from minipar.plan.mesh import Mesh


def test_rows_by_sender_are_laid_by_expert():
    table = torch.tensor([[1, 2], [0, 1], [3, 0]])  # three senders, two experts
    arrived = [(sender, expert) for sender in range(3) for expert in range(2) for _ in range(table[sender, expert])]
    order = by_expert(table)
    assert [arrived[at] for at in order] == sorted(arrived, key=lambda row: (row[1], row[0]))
    assert torch.equal(order[inverse(order)], torch.arange(len(order)))
    assert by_expert(table[:1]) is None and by_expert(table[:, :1]) is None


def test_dropped_choices_are_zeros():
    whole = laid(torch.ones(2, 3), torch.tensor([3, 0]), 2, 2)
    assert whole[..., 0].tolist() == [[1, 0], [0, 1]]


def layer(w):
    axis = w.axis("expert")
    made = MoE(32, 64, 8, axes=Axes(expert=axis, group=axis), shared=1)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x = torch.randn(256, 32, requires_grad=True)
    made(x).sum().backward()


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_shared_expert_works_while_rows_travel(pool, ranks):
    trace = pool.run(layer, mesh=Mesh(data=ranks, expert=ranks), ranks=ranks).trace
    for rank in range(ranks):
        spans = {span.what: span for span in trace.spans if span.rank == rank and isinstance(span.what, str)}
        assert {"dispatch", "shared expert", "experts", "combine", "combine gradient", "experts gradient",
                "dispatch gradient"} <= set(spans)  # fmt: skip
        assert spans["dispatch"].start <= spans["shared expert"].start
        assert spans["shared expert"].end <= spans["dispatch"].end <= spans["experts"].start
        assert spans["experts"].end <= spans["combine"].start
        assert spans["combine gradient"].end <= spans["experts gradient"].start <= spans["dispatch gradient"].start

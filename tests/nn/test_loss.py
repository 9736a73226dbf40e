"""Is the loss the mean surprise a token, also where no rank has all scores?"""

import math

import pytest
import torch

from minipar.nn.loss import next_token_loss, vocab_parallel_cross_entropy
from minipar.plan.mesh import Mesh
from minipar.plan.slices import padded


def test_one_who_knows_nothing_scores_the_logarithm_of_the_choices():
    logits, targets = torch.zeros(2, 3, 256), torch.randint(256, (2, 3))
    assert math.isclose(next_token_loss(logits, targets).item(), math.log(256), rel_tol=1e-6)


def test_mean_over_tokens():
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 3, 5, dtype=torch.float64), torch.randint(5, (2, 3))
    chance = torch.softmax(logits, dim=-1).gather(-1, targets[..., None])
    assert torch.allclose(next_token_loss(logits, targets), -chance.log().mean(), atol=1e-12)


def parts(w, logits, targets, padding=0):
    """On a rank: the loss and the gradient of its words; with padding, columns of nonsense after the last word."""
    axis, words = w.axis("tensor").ring, logits.shape[-1]
    mine = padded(words, axis.size)[axis.rank]
    own = logits[..., mine.start : mine.stop]
    if padding:
        width = len(padded(words, axis.size)[0])
        own = torch.nn.functional.pad(own, (0, width - len(mine)), value=1e6)
    own = own.clone().requires_grad_()
    with w.recorder.layer("forward"):
        loss = vocab_parallel_cross_entropy(axis, own, targets, mine.start, words if padding else None)
    loss.backward()
    return loss.item(), own.grad


CASES = {
    "even": (torch.randn(2, 3, 24).double(), torch.randint(24, (2, 3))),
    "7 words": (torch.randn(5, 7).double(), torch.tensor([0, 3, 4, 6, 6])),
    "fewer words than ranks": (torch.randn(2, 3, 3).double(), torch.randint(3, (2, 3))),
    "all targets on the last rank": (torch.randn(4, 12).double(), torch.tensor([11, 11, 10, 11])),
    "scores near 1,000": (1000 + torch.randn(4, 12).double(), torch.tensor([0, 11, 5, 7])),
    "words nobody will say": (torch.randn(3, 8).double().index_fill(1, torch.tensor([0, 1]), -math.inf),
                              torch.tensor([2, 7, 5])),
}  # fmt: skip


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("name", CASES)
def test_equals_one_process(pool, name, ranks, padding):
    logits, targets = CASES[name]
    whole = logits.clone().requires_grad_()
    expected = torch.nn.functional.cross_entropy(whole.flatten(0, -2), targets.flatten())
    expected.backward()
    result = pool.run(parts, logits, targets, padding, mesh=Mesh(tensor=ranks))
    assert [loss for loss, _ in result] == pytest.approx([expected.item()] * ranks, abs=1e-10)
    gradient = torch.cat([own for _, own in result], dim=-1)
    words = logits.shape[-1]
    assert torch.allclose(gradient[..., :words], whole.grad, rtol=0, atol=1e-10)
    assert not gradient[..., words:].any()
    count = targets.numel()
    formula = [2 * (ranks - 1) / ranks * 8 * 3 * count] if 3 * count % ranks == 0 and count % ranks == 0 else []
    for bytes_ in formula:
        assert [result.trace.sent(rank) for rank in range(ranks)] == [bytes_] * ranks
    assert sum(result.trace.sent(rank, layer="forward") for rank in range(ranks)) == sum(
        result.trace.sent(rank) for rank in range(ranks)
    )  # the backward sends nothing


def test_three_numbers_a_token_by_hand(pool):
    logits, targets = torch.randn(256, 32), torch.randint(32, (256,))
    trace = pool.run(parts, logits, targets, mesh=Mesh(tensor=4)).trace
    assert [trace.sent(rank) for rank in range(4)] == [4608] * 4
    assert (trace.calls(0), trace.payload(0)) == (2, 3072)


def test_the_storyboards_example(pool):
    logits = torch.tensor([[1.0, 2, 3, 4, 5, 6]], dtype=torch.float64)
    found = pool.run(parts, logits, torch.tensor([1]), mesh=Mesh(tensor=2))
    assert [round(loss, 4) for loss, _ in found] == [4.4562, 4.4562]
    assert [[round(x, 4) for x in own[0].tolist()] for _, own in found] == [
        [0.0043, -0.9884, 0.0315], [0.0858, 0.2331, 0.6337]
    ]  # fmt: skip


def beside_torchs(w, logits, targets):
    """On a rank: largest differences from torch's loss_parallel, of the loss and of the gradient."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard
    from torch.distributed.tensor.parallel import loss_parallel

    own = logits.chunk(w.ranks, dim=-1)[w.rank].contiguous()
    theirs = DTensor.from_local(own.clone().requires_grad_(), init_device_mesh("cpu", (w.ranks,)), [Shard(-1)])
    theirs.retain_grad()
    with loss_parallel():
        expected = torch.nn.functional.cross_entropy(theirs, targets)
        expected.backward()
    mine = own.clone().requires_grad_()
    loss = vocab_parallel_cross_entropy(w.axis("tensor"), mine, targets, w.rank * own.shape[-1])
    loss.backward()
    return abs(loss.item() - expected.item()), (mine.grad - theirs.grad.to_local()).abs().max().item()


@pytest.mark.slow
def test_torchs_loss_parallel_agrees(two):
    torch.manual_seed(1)
    logits, targets = torch.randn(10, 24).double(), torch.randint(24, (10,))
    for differences in two.run(beside_torchs, logits, targets, mesh=Mesh(tensor=2)):
        assert max(differences) < 1e-10

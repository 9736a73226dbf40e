"""Is attention over slices of the sequence the attention of one process, forward and backward? Float64, 1e-10."""

import math

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from minipar.nn import context
from minipar.plan import deal
from minipar.run.pool import RemoteError

BATCH, HEADS, WIDTH, EXACT = 2, 12, 8, 1e-10
LENGTH = 48  # 2, 4, 6 and 8 chunks


def inputs(kv_heads=HEADS, length=LENGTH, scale=1.0):
    torch.manual_seed(0)
    shapes = [(BATCH, heads, length, WIDTH) for heads in (HEADS, kv_heads, kv_heads, HEADS)]
    return [torch.randn(shape, dtype=torch.float64) * scale for shape in shapes]


def whole(q, k, v, pull, causal=True):
    """Torch's own attention and its gradients; the oracle."""
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    k, v = (x.repeat_interleave(HEADS // x.shape[1], dim=1) for x in leaves[1:])
    out = scaled_dot_product_attention(leaves[0], k, v, is_causal=causal)
    out.backward(pull)
    return [out.detach(), *(leaf.grad for leaf in leaves)]


def sliced(w, way, tensors, name, causal=True):
    """One rank's share: the same four tensors for its positions, and what it saw."""
    axis, hand = w.axis(), list(deal.deal(name, w.rank, w.ranks, tensors[0].shape[2]))
    q, k, v, pull = (x[:, :, hand] for x in tensors)
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    out = getattr(context, way)(axis, *leaves, name, causal)
    out.backward(pull)
    return [out.detach(), *(leaf.grad for leaf in leaves)]


def joined(parts, name):
    """The ranks' rows put back in the order of the text."""
    dealt = deal.hands(name, len(parts), LENGTH)
    order = torch.tensor([position for hand in dealt for position in hand]).argsort()
    return [torch.cat(pieces, dim=2)[:, :, order] for pieces in zip(*parts, strict=True)]


def furthest(ours, theirs):
    return max((one - other).abs().max().item() for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("way", ["ring_attention", "swap_heads"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_equals_whole_attention_forward_and_backward_for_every_deal(pool, way, ranks):
    tensors = inputs()
    for name in deal.DEALS:
        parts = pool.run(sliced, way, tensors, name, ranks=ranks)
        assert furthest(joined(parts, name), whole(*tensors)) < EXACT, name


@pytest.mark.parametrize("way", ["ring_attention", "swap_heads"])
def test_without_a_mask_and_with_shared_key_value_heads(pool, way):
    tensors = inputs(kv_heads=4)
    for causal in (True, False):
        parts = pool.run(sliced, way, tensors, "zigzag", causal, ranks=4)
        assert furthest(joined(parts, "zigzag"), whole(*tensors, causal)) < EXACT


def test_large_scores_do_not_overflow(pool):
    tensors = inputs(scale=20.0)  # scores of a thousand and more
    parts = pool.run(sliced, "ring_attention", tensors, "striped", ranks=4)
    assert joined(parts, "striped")[0].isfinite().all()
    assert furthest(joined(parts, "striped"), whole(*tensors)) < EXACT * 100  # gradients of size 100 and more


def passes(w, x, causal):
    """The forward alone: what this rank saw."""
    seen, axis = [], w.axis()
    mine = x.chunk(w.ranks, dim=2)[w.rank]
    context.ring_attention(axis, mine, mine, mine, "contiguous" if causal is None else "zigzag", True, seen)
    return [tuple(meeting) for meeting in seen]


def test_blocks_travel_to_the_next_rank_and_work_is_what_the_plan_says(pool):
    x = torch.randn(1, 1, 64, WIDTH)
    for causal, name in ((None, "contiguous"), (True, "zigzag")):
        out = pool.run(passes, x, causal, ranks=4)
        planned = deal.work(deal.hands(name, 4, 64)).steps
        assert [[seen[step][2] for seen in out] for step in range(4)] == [list(step) for step in planned]
        block = 2 * 16 * WIDTH * 4
        sent = sorted((message.source, message.target, message.bytes) for message in out.trace.messages)
        assert sent == sorted((rank, (rank + 1) % 4, block) for rank in range(4) for _ in range(3))
        assert max(score for seen in out for *_, score in seen) == 16 * 16 * 4
    assert [meeting[3] for meeting in out[0]] == [16 * 16 * 4] + [16 * 8 * 4] * 3  # zigzag: half a block in every step


def forth_and_back(w, x):
    mine = x.chunk(w.ranks, dim=2)[w.rank].clone().requires_grad_()
    context.ring_attention(w.axis(), mine, mine, mine, "zigzag").sum().backward()


def test_the_backward_passes_blocks_again_and_their_gradients_home(pool):
    out = pool.run(forth_and_back, torch.randn(1, 2, 64, WIDTH, dtype=torch.float64), ranks=4)
    assert len(out.trace.messages) == 4 * (3 + 3 + 4)
    assert {message.bytes for message in out.trace.messages} == {2 * 2 * 16 * WIDTH * 8}


def test_one_rank_or_no_axis_sends_nothing(pool):
    out = pool.run(forth_and_back, torch.randn(1, 1, 10, WIDTH), ranks=1)
    assert out.trace.messages == ()
    q, k, v, pull = inputs(length=10)
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    alone = context.ring_attention(None, *leaves, "zigzag")
    alone.backward(pull)
    assert furthest([alone, *(leaf.grad for leaf in leaves)], whole(q, k, v, pull)) < EXACT


def triples(scores, values, cuts):
    """The blocks of one query: scores [keys], values [keys, width], cut at these places."""
    one = torch.ones(1, 1, dtype=torch.float64)
    return [
        context.block(one, s[:, None], x, [10**6], range(len(s)))
        for s, x in zip(scores.tensor_split(cuts), values.tensor_split(cuts), strict=True)
    ]


def test_merge_is_exact_in_any_order_and_grouping():
    torch.manual_seed(1)
    scores, values = torch.randn(12, dtype=torch.float64) * 300, torch.randn(12, 3, dtype=torch.float64)
    expected = torch.softmax(scores, 0) @ values
    a, b, c = triples(scores, values, (5, 7))
    for joint in (
        context.merge(context.merge(a, b), c),
        context.merge(a, context.merge(b, c)),
        context.merge(context.merge(c, a), b),
    ):
        assert torch.allclose(joint[2][0] / joint[1][0], expected, atol=1e-12)


def test_merge_of_two_numbers_worked_by_hand():
    a, b = triples(torch.tensor([1.0, 2.0, 4.0]).double(), torch.tensor([[10.0], [20.0], [30.0]]).double(), (2,))
    assert [round(x.item(), 4) for x in a] == [2, 1.3679, 23.6788]
    assert [round(x.item(), 4) for x in context.merge(a, b)] == [4, 1.1851, 33.2046]


def test_a_block_without_a_visible_key_weighs_nothing():
    x = torch.randn(2, WIDTH, dtype=torch.float64)
    hidden = context.block(x, x, x, [0, 1], [5, 6])
    assert hidden[0].tolist() == [[-math.inf]] * 2 and hidden[1].tolist() == [[0], [0]] and not hidden[2].any()
    assert [part.isnan().any().item() for part in context.merge(hidden, hidden)] == [False] * 3
    seen = context.block(x, x, x, [0, 1], [0, 1])
    for one, other in zip(context.merge(seen, hidden), seen, strict=True):
        assert torch.equal(one, other)


def test_half_precision_sums_in_single():
    q, k, v, _ = (x.to(torch.bfloat16) for x in inputs())
    out = context.ring_attention(None, q, k, v, "zigzag")
    assert out.dtype == torch.bfloat16
    exact = context.full_attention(*(x.double() for x in (q, k, v)))
    assert (out.double() - exact).abs().max() < 0.03


def test_refusals(pool):
    q, k, v, _ = inputs(kv_heads=3)
    with pytest.raises(RemoteError, match="3 key/value heads cannot be swapped over 2 ranks: each must get as many. "
                                          "The ring has no such limit."):  # fmt: skip
        pool.run(lambda w: context.swap_heads(w.axis(), q[:, :, :24], k[:, :, :24], v[:, :, :24], "zigzag"), ranks=2)
    with pytest.raises(ValueError, match="15 positions cannot be dealt zigzag in 6 equal chunks"):
        context.hands("zigzag", _Axis(0, 3), q[:, :, :5])
    with pytest.raises(ValueError) as refusal:
        context.hands(((0, 1), (2, 3)), _Axis(1, 2), q[:, :, :5])
    assert str(refusal.value) == (
        "rank 1 of 2 has 5 rows, and 2 positions in 2 hands: a position for each row, a hand for each rank"
    )


class _Axis:
    def __init__(self, rank, size):
        self.rank, self.size = rank, size

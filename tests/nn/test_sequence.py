"""The lesson's programs: the same output both ways, bytes counted, the norm's gradient a part until it is summed."""

import torch

from minipar.nn import sequence
from minipar.plan import deal


def test_slices_between_the_halves_give_the_same_for_the_same_bytes(pool):
    torch.manual_seed(0)
    partials, norm = torch.randn(4, 512, 160), torch.nn.LayerNorm(160)
    keep = (torch.rand(512, 160) > 0.1) / 0.9
    whole, slices = (pool.run(way, partials, norm, keep) for way in (sequence.norm_whole, sequence.norm_slices))
    expected = (norm(partials.sum(0)) * keep).detach()
    for rank in range(4):
        assert torch.allclose(whole[rank].out, expected, atol=1e-5)
        assert torch.allclose(slices[rank].out, expected, atol=1e-5)
        assert (whole[rank].input_bytes, slices[rank].input_bytes) == (327_680, 81_920)
        assert whole[rank].gradient.tolist() == [512] * 160
        assert slices[rank].own_gradient.tolist() == [128] * 160
        assert slices[rank].gradient.tolist() == [512] * 160
        assert whole.trace.sent(rank, "all_reduce") == whole.trace.sent(rank) == 491_520
        assert slices.trace.sent(rank, "reduce_scatter") == slices.trace.sent(rank, "all_gather") == 245_760


def test_a_ring_of_rows_equals_whole_attention_and_writes_down_its_work(pool):
    torch.manual_seed(1)
    tensors = torch.randn(4, 1, 2, 32, 4, dtype=torch.float64)
    whole = sequence.attend_whole(tensors)
    for name in deal.DEALS:
        parts = pool.run(sequence.attend_in_ring, tensors, name)
        for ours, theirs in zip(sequence.joined(parts), whole, strict=True):
            assert (ours - theirs).abs().max() < 1e-10
        pairs = tuple(sum(met.pairs for met in part.seen) for part in parts)
        assert pairs == deal.work(deal.hands(name, 4, 32)).pairs
        assert tuple(part.positions for part in parts) == deal.hands(name, 4, 32)

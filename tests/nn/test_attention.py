"""Is the attention written out here the one that torch computes?"""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from minipar.nn.attention import Attention, attend, future_mask
from minipar.nn.dropout import Dropout


def filled(module):
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return module.double()


def test_equals_torchs_own_on_the_same_weights():
    attention, x = filled(Attention(12, 3)), torch.randn(2, 5, 12, dtype=torch.float64)
    parts = [attention.split(layer(x)) for layer in (attention.query, attention.key, attention.value)]
    mixed = scaled_dot_product_attention(*parts, is_causal=True)
    expected = attention.output(mixed.transpose(1, 2).reshape(2, 5, 12))
    assert torch.allclose(attention(x), expected, atol=1e-12)


def test_a_position_does_not_see_what_comes_after_it():
    attention, x = filled(Attention(12, 3)), torch.randn(1, 6, 12, dtype=torch.float64)
    changed = x.clone()
    changed[:, 4:] += 1
    assert torch.equal(attention(x)[:, :4], attention(changed)[:, :4])
    assert not torch.equal(attention(x)[:, 4:], attention(changed)[:, 4:])


def test_mask():
    assert future_mask(3, torch.zeros(1)).tolist() == [[0, -torch.inf, -torch.inf], [0, 0, -torch.inf], [0, 0, 0]]


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError) as refusal:
        Attention(10, 4)
    assert str(refusal.value) == "4 heads cannot share 10 hidden units evenly: heads must divide hidden."


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_heads_that_share_keys_are_torchs_grouped_queries(kv_heads):
    attention, x = filled(Attention(16, 4, kv_heads)), torch.randn(2, 5, 16, dtype=torch.float64)
    parts = [attention.split(layer(x)) for layer in (attention.query, attention.key, attention.value)]
    assert parts[1].shape == (2, kv_heads, 5, 4)
    mixed = scaled_dot_product_attention(*parts, is_causal=True, enable_gqa=True)
    expected = attention.output(mixed.transpose(1, 2).reshape(2, 5, 16))
    assert torch.allclose(attention(x), expected, atol=1e-12)


def test_dropped_weights_differ_from_head_to_head_and_follow_the_head():
    dropout = Dropout(0.5, (0, 1, "weights"))
    same = torch.randn(1, 1, 6, 4, dtype=torch.float64)
    query, key, value = (same.expand(1, 4, 6, 4) for _ in range(3))
    whole = attend(query, key, value, dropout, range(4))
    assert len({tuple(head.flatten().tolist()) for head in whole[0]}) == 4
    assert torch.equal(attend(query[:, 2:], key[:, 2:], value[:, 2:], dropout, range(2, 4)), whole[:, 2:])

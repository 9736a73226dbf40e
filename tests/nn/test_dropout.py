"""Is what is dropped a matter of place alone, and is it as much as it should be?"""

import pytest
import torch

from minipar.nn.dropout import Dropout, Moment, mixed


def dropped(x, *places, p=0.25, name=(0, 1, "mlp"), step=0, text=0):
    dropout = Dropout(p, name)
    dropout.moment.step, dropout.moment.text = step, text
    return dropout(x, *places)


def test_a_slice_drops_what_the_whole_drops_there():
    whole = dropped(torch.ones(3, 8, 6), range(8), range(6))
    assert torch.equal(dropped(torch.ones(3, 4, 6), range(4, 8), range(6)), whole[:, 4:])  # a slice of the sequence
    assert torch.equal(dropped(torch.ones(3, 3, 6), (0, 3, 6), range(6)), whole[:, [0, 3, 6]])  # dealt positions
    assert torch.equal(dropped(torch.ones(1, 8, 6), range(8), range(6), text=2), whole[2:])  # a microbatch


def test_steps_texts_and_places_differ():
    seen = [
        dropped(torch.ones(2, 8, 6), range(8), range(6), name=name, step=step, text=text)
        for name, step, text in [((0, 1, "mlp"), 0, 0), ((0, 1, "mlp"), 1, 0), ((0, 1, "mlp"), 0, 2),
                                 ((0, 2, "mlp"), 0, 0), ((0, 1, "attention"), 0, 0), ((1, 1, "mlp"), 0, 0)]
    ]  # fmt: skip
    assert len({tuple(each.flatten().tolist()) for each in seen}) == len(seen)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_as_many_are_dropped_as_said_and_the_mean_stays(p):
    y = dropped(torch.ones(8, 128, 64, dtype=torch.float64), range(128), range(64), p=p)
    gone = (y == 0).double()
    assert gone.mean().item() == pytest.approx(p, abs=0.01)
    assert y.mean().item() == pytest.approx(1, abs=0.05)
    assert set(y.unique().tolist()) == {0, 1 / (1 - p)}
    for dim in range(3):  # no text, no position, no feature is spared or hit much more than others
        share = gone.mean(dim=[other for other in range(3) if other != dim])
        assert (share - p).abs().max() < 0.06
    assert abs(torch.corrcoef(gone.flatten(0, 1).T)[0, 1:].abs().max().item()) < 0.15


def test_the_backward_drops_the_same_and_keeps_nothing():
    x = torch.ones(2, 4, 3, dtype=torch.float64, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda kept: kept):
        y = dropped(x, range(4), range(3))
    y.sum().backward()
    assert torch.equal(x.grad, y.detach()) and saved == []


def test_nothing_is_dropped_in_eval_or_at_probability_0():
    x = torch.ones(2, 4, 3)
    assert Dropout(0.5).eval()(x, range(4), range(3)) is x
    assert Dropout()(x) is x


def test_a_moment_comes_back():
    moment = Moment()
    moment.step, moment.text = 3, 8
    with moment.back_at((1, 2, 0.5)):
        assert moment.now == (1, 2, 0.5)
    assert moment.now == (3, 8, 1.0)


def test_words_stay_32_bits_and_are_not_merged():
    words = mixed(torch.arange(100_000))
    assert words.min() >= 0 and words.max() <= 0xFFFFFFFF and len(words.unique()) == 100_000


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(p):
    with pytest.raises(ValueError) as refusal:
        Dropout(p)
    assert str(refusal.value) == f"dropout={p}: the share that is dropped must be at least 0 and less than 1."

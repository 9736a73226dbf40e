"""Does a state come back bit for bit from any number of slices, and is another model's refused?"""

import pytest
import torch

from minipar.nn.gpt import GPT
from minipar.nn.state import gather_state, load, save, slice_state

MODEL = GPT(layers=2, hidden=24, heads=12, vocabulary=31, context=8, kv_heads=2)


def whole():
    return {name: torch.randn_like(tensor) for name, tensor in MODEL.whole().state_dict().items()}


def same(found, expected):
    return set(found) == set(expected) and all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_slices_gather_to_the_whole_bit_for_bit(ranks):
    state, cuts = whole(), MODEL.cuts(ranks)
    parts = [slice_state(state, cuts, rank) for rank in range(ranks)]
    assert same(gather_state(parts, cuts), state)


@pytest.mark.parametrize(("before", "after"), [(1, 4), (2, 4), (4, 2), (4, 1)])
def test_from_one_size_to_another(before, after):
    state, cuts, others = whole(), MODEL.cuts(before), MODEL.cuts(after)
    there = gather_state([slice_state(state, cuts, rank) for rank in range(before)], cuts)
    for rank in range(after):
        assert same(slice_state(there, others, rank), slice_state(state, others, rank))


def test_slices_own_their_memory():
    state, cuts = whole(), MODEL.cuts(4)
    for name, part in slice_state(state, cuts, 1).items():
        assert part.is_contiguous() and part.untyped_storage().nbytes() == part.nbytes, name


def test_a_stage_gathers_with_the_cuts_of_the_model():
    state = {name: tensor for name, tensor in whole().items() if name.startswith("layers.1.")}
    cuts = MODEL.cuts(2)
    assert same(gather_state([slice_state(state, cuts, rank) for rank in (0, 1)], cuts), state)


def test_another_models_state_is_refused():
    other = GPT(layers=2, hidden=48, heads=12, vocabulary=31, context=8).whole().state_dict()
    with pytest.raises(ValueError) as refusal:
        slice_state(other, MODEL.cuts(2), 0)
    assert str(refusal.value) == (
        "layers.1.attention.query.weight [48, 48] (whole) has 48 along dimension 0, and the cuts are for 24: "
        "is it the state of another model?"
    )
    deeper = GPT(layers=3, hidden=24, heads=12, vocabulary=31, context=8, kv_heads=2).whole().state_dict()
    with pytest.raises(ValueError) as refusal:
        slice_state(deeper, MODEL.cuts(2), 0)
    assert str(refusal.value) == (
        "layers.3.attention.query.weight is no parameter of this model, which cuts layers.1.attention.query.weight: "
        "is it the state of another model?"
    )
    with pytest.raises(ValueError, match=r"none of the 22 parameters that are cut is in this state \(it has up.weight"):
        slice_state({"up.weight": torch.ones(2, 2)}, MODEL.cuts(2), 0)


def test_slices_that_do_not_belong_together_are_refused():
    state, cuts = whole(), MODEL.cuts(2)
    first, second = (slice_state(state, cuts, rank) for rank in (0, 1))
    with pytest.raises(ValueError) as refusal:
        gather_state([first, {name: part for name, part in second.items() if name != "layers.3.norm.bias"}], cuts)
    expected = "rank 0 and rank 1 do not hold the same parameters: layers.3.norm.bias is on one alone."
    assert str(refusal.value) == expected
    with pytest.raises(ValueError, match="layers.0.token.weight is cut for 2 ranks, and 3 gave"):
        gather_state([first, second, second], cuts)
    with pytest.raises(ValueError, match=r"\[16, 24\] \(rank 1's slice\) has 16 along dimension 0"):
        gather_state([first, first], cuts)


@pytest.mark.parametrize("tied", [False, True])
def test_a_file_gives_back_every_bit(tmp_path, tied):
    model = GPT(layers=1, hidden=8, heads=2, vocabulary=11, context=4, tied=tied)
    state = model.whole().state_dict()
    save(tmp_path / "model.safetensors", state)
    found = load(tmp_path / "model.safetensors")
    assert same(found, state)
    model.whole().load_state_dict(found)

"""Is the model the same however it is cut, and is a description only a description?"""

import pytest
import torch

from minipar.nn.gpt import GPT
from minipar.nn.text import text_batch
from minipar.plan.split import split

SMALL = {"layers": 4, "hidden": 16, "heads": 2, "context": 16, "dtype": "float64"}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 3, 6])
def test_any_cut_has_the_weights_and_outputs_of_the_whole(tied, parts):
    model = GPT(**SMALL, tied=tied)
    whole, x = model.whole(), text_batch(3, 16).inputs
    expected, seen = whole(x), {}
    for cut in split(model.costs(), parts):
        stage = model.build(cut)
        seen |= dict(stage.named_parameters())
        x = stage(x)
    assert torch.equal(x, expected)
    for name, parameter in whole.named_parameters():
        assert torch.equal(seen.pop(name), parameter), name
    assert set(seen) <= set(model.ties)  # a copy of the tied table, when the ends are apart
    for copy, original in model.ties.items():
        if copy in seen:
            assert torch.equal(seen[copy], whole.get_parameter(original))


def test_build_makes_only_the_layers_it_is_asked_for_and_names_them_as_the_whole_does():
    names = [name for name, _ in GPT(**SMALL).build([2, 3]).named_parameters()]
    assert {name.split(".")[1] for name in names} == {"2", "3"}
    assert "layers.3.attention.query.weight" in names


def test_building_leaves_the_random_stream_of_the_notebook_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    GPT(**SMALL).whole()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_layers_and_seeds_differ_and_dtypes_agree():
    model = GPT(**SMALL)
    whole = model.whole()
    query = [whole.get_parameter(f"layers.{layer}.attention.query.weight") for layer in (1, 2)]
    assert not torch.equal(*query)
    other = GPT(**{**SMALL, "dtype": "float32"}).whole()
    assert torch.equal(other.get_parameter("layers.1.attention.query.weight").double(), query[0])
    assert not torch.equal(GPT(**SMALL, seed=1).whole().get_parameter("layers.1.attention.query.weight"), query[0])


def test_every_parameter_is_filled():
    for name, parameter in GPT(**SMALL).whole().named_parameters():
        assert parameter.abs().max() <= 1.0, name
        assert (parameter == (1.0 if name.endswith("norm.weight") else 0.0)).all() or parameter.std() > 0.001, name


@pytest.mark.parametrize("tied", [False, True])
def test_counts_and_bytes_are_those_of_the_modules(tied):
    model = GPT(**SMALL, tied=tied)
    for index, count in enumerate(model.parameter_counts()):
        assert sum(p.numel() for p in model.build([index]).parameters()) == count
        assert model.parameter_bytes([index]) == 8 * count
    assert model.parameter_bytes() == sum(p.nbytes for p in model.whole().parameters())


def test_costs_balance_32_blocks_as_8_each():
    model = GPT(layers=32)
    assert [len(cut) for cut in split(model.costs(), 4)] == [9, 8, 8, 9]
    assert model.layer_names[0] == "embedding" and model.layer_names[-1] == "head"
    assert len(model.layer_names) == len(model.costs()) == 34


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_counts_are_those_of_the_modules_with_fewer_key_heads(kv_heads):
    model = GPT(**{**SMALL, "heads": 4}, kv_heads=kv_heads)
    assert model.parameter_bytes() == sum(p.nbytes for p in model.whole().parameters())
    assert model.whole().get_parameter("layers.1.attention.key.weight").shape == (4 * kv_heads, 16)


def test_cuts_name_every_parameter_that_is_cut_and_build_nothing():
    model = GPT(**{**SMALL, "heads": 4}, kv_heads=2)
    whole, cuts = dict(model.whole().named_parameters()), model.cuts(4)
    assert set(cuts) < set(whole)
    for name, cut in cuts.items():
        assert whole[name].shape[cut.dim] == cut.size, name
    left = {name.split(".", 2)[2] if "norm" not in name else "norm" for name in set(whole) - set(cuts)}
    assert left == {"position.weight", "attention.output.bias", "mlp.down.bias", "norm"}
    with pytest.raises(ValueError, match="heads=4 cannot be cut in 3 equal parts: 3 or 6 can."):
        model.cuts(3)


def test_without_dropout_the_numbers_are_those_of_before():
    batch = text_batch(2, 16)
    loss = GPT(**SMALL).loss(GPT(**SMALL).whole()(batch.inputs), batch.targets)
    plain = GPT(**SMALL, kv_heads=2)  # as many as heads
    assert torch.equal(plain.loss(plain.whole()(batch.inputs), batch.targets), loss)
    dropped = GPT(**SMALL, dropout=0.5).whole()
    assert torch.equal(plain.loss(dropped.eval()(batch.inputs), batch.targets), loss)
    assert not torch.equal(plain.loss(dropped.train()(batch.inputs), batch.targets), loss)


def test_dropout_follows_the_text_through_microbatches_and_steps():
    whole, inputs = GPT(**SMALL, dropout=0.3).whole(), text_batch(4, 16).inputs
    together = whole(inputs)
    assert torch.equal(whole(inputs), together)
    apart = torch.cat([whole.at(text=first)(inputs[first : first + 2]) for first in (0, 2)])
    assert torch.allclose(apart, together, atol=1e-12)
    assert not torch.allclose(whole.at(step=1)(inputs), together)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"kv_heads": 3}, "kv_heads=3 must divide heads=4: each is read by the same number."),
        ({"dropout": 1.0}, "dropout=1.0: the share that is dropped must be at least 0 and less than 1."),
        ({"layers": 0}, "layers=0: a GPT needs at least 1."),
        ({"hidden": 10, "heads": 4}, "heads=4 must divide hidden=10."),
        ({"dtype": "int8"}, "dtype='int8': choose 'float32' or 'float64'."),
    ],
)
def test_what_cannot_be_is_refused(wrong, sentence):
    with pytest.raises(ValueError) as refusal:
        GPT(**wrong)
    assert str(refusal.value) == sentence


def test_a_layer_that_does_not_exist_is_refused():
    with pytest.raises(ValueError) as refusal:
        GPT(layers=2).build([4])
    assert str(refusal.value) == "layer 4 does not exist: layers are numbered 0 to 3."


MIXED = {**SMALL, "experts": 4, "shared_experts": 1}


def test_every_nth_block_has_experts_and_the_others_keep_their_weights():
    model, dense = GPT(**MIXED), GPT(**SMALL).whole()
    assert model.expert_layers == (2, 4) and GPT(**SMALL).expert_layers == ()
    whole = model.whole()
    names = {name for name, _ in whole.named_parameters() if ".mlp.experts." in name}
    assert names == set(model.expert_cuts(2)) == {
        f"layers.{layer}.mlp.experts.{matrix}" for layer in (2, 4) for matrix in ("up", "down")}  # fmt: skip
    for name, parameter in dense.named_parameters():
        if not name.startswith(("layers.2.mlp.", "layers.4.mlp.")):
            assert torch.equal(whole.get_parameter(name), parameter), name
    for index, count in enumerate(model.parameter_counts()):
        assert sum(p.numel() for p in model.build([index]).parameters()) == count
    assert model.costs()[2] > model.costs()[1] == 1.0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"top": 5}, "top=5 of 4 experts: a token takes 1 to 4 different ones"),
        ({"expert_every": 5}, "expert_every=5: of 4 blocks every 1st to every 4th can have experts."),
    ],
)
def test_experts_that_cannot_be_are_refused(wrong, sentence):
    with pytest.raises(ValueError) as refusal:
        GPT(**{**MIXED, **wrong})
    assert str(refusal.value) == sentence

"""The oracle table, run: every sliced layer against its whole twin on 1 to 4 ranks, forward and backward."""

import pytest
import torch

from minipar.cost.model import parameters
from minipar.nn.gpt import GPT
from minipar.nn.state import gather_state
from minipar.nn.text import Batch
from minipar.plan.mesh import Mesh
from tests.nn import oracle

LINES = [(name, ranks, False) for name, pair in oracle.PAIRS.items() for ranks in pair.ranks]
LINES += [(name, ranks, True) for name, pair in oracle.PAIRS.items() for ranks in pair.ranks if pair.sequence]


@pytest.mark.parametrize(("name", "ranks", "sequence_parallel"), LINES)
def test_a_sliced_layer_is_its_whole_twin(pool, name, ranks, sequence_parallel):
    found = pool.run(oracle.compare, name, sequence_parallel=sequence_parallel, mesh=Mesh(tensor=ranks))
    for rank, differences in enumerate(found):
        wrong = {what: apart for what, apart in differences.items() if not apart < 1e-10}
        assert not wrong, f"rank {rank}"


@pytest.mark.parametrize("name", ["MLP", "attention", "head"])
def test_overlap_changes_no_number(pool, name):
    for differences in pool.run(oracle.compare, name, overlap=True, mesh=Mesh(tensor=2)):
        assert max(differences.values()) < 1e-10


@pytest.mark.parametrize(("words", "ranks"), [(8, 4), (7, 2), (5, 4), (3, 4)])
def test_logits_are_gathered_though_words_do_not_divide(pool, words, ranks):
    assert all(pool.run(oracle.logits_come_back, words, mesh=Mesh(tensor=ranks)))


MODELS = {
    "as it comes": GPT(2, 24, 12, 31, 12, dtype="float64"),
    "2 kv heads": GPT(2, 24, 12, 31, 12, dtype="float64", kv_heads=2),
    "tied": GPT(1, 24, 12, 31, 12, dtype="float64", tied=True),
    "recompute": GPT(1, 24, 12, 31, 12, dtype="float64", recompute=True),
    "dropout": GPT(1, 24, 12, 31, 12, dtype="float64", dropout=0.2),
    "dropout, recompute": GPT(1, 24, 12, 31, 12, dtype="float64", dropout=0.2, recompute=True),
}


@pytest.mark.parametrize("sequence_parallel", [False, True])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("name", MODELS)
def test_a_sliced_gpt_is_the_whole_one(pool, name, ranks, sequence_parallel):
    model = MODELS[name]
    if model.keys % ranks and ranks % model.keys:
        pytest.skip("2 key/value heads cannot lie on 3 ranks")
    torch.manual_seed(3)
    batch = Batch(torch.randint(31, (3, 12)), torch.randint(31, (3, 12)))
    whole = model.whole()
    loss = model.loss(whole(batch.inputs), batch.targets)
    loss.backward()
    expected = {name: parameter.grad for name, parameter in whole.named_parameters()}
    parts = pool.run(oracle.gpt, model, batch, sequence_parallel=sequence_parallel, mesh=Mesh(tensor=ranks))
    assert [part[0] for part in parts] == pytest.approx([loss.item()] * ranks, abs=1e-12)
    gathered = gather_state([part[1] for part in parts], model.cuts(ranks))
    assert set(gathered) == set(expected)
    for parameter, gradient in expected.items():
        assert torch.allclose(gathered[parameter], gradient, rtol=0, atol=1e-10), parameter
    squares = sum(gradient.square().sum().item() for gradient in expected.values())
    assert sum(part[2] for part in parts) == pytest.approx(squares, rel=1e-10)
    assert parts[0][3] == 8 * parameters(model, ranks)

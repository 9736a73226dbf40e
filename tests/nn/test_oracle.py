"""The oracle table, run: every sliced layer against its whole twin on 1 to 4 ranks, forward and backward."""

import pytest
import torch

from minipar.cost.comm import sent
from minipar.cost.model import parameters
from minipar.nn.axes import Axes
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


@pytest.mark.parametrize(
    ("mistake", "sequence_parallel", "seen"),
    [
        ("bias on every rank", False, {"output"}),
        ("no sum backward", False, {"x"}),
        ("summed again backward", False, {"x", "weight"}),
        ("norms forgotten", True, {"attention_norm.bias"}),
    ],
)
def test_the_oracle_sees_typical_mistakes(pool, mistake, sequence_parallel, seen):
    for differences in pool.run(oracle.compare, mistake, False, sequence_parallel, mesh=Mesh(tensor=2)):
        wrong = {what for what, apart in differences.items() if not apart < 1e-10}
        assert wrong - {"norm"} == seen


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


# ---- bytes on the wire: what the ledger summed, against the closed forms and against literals

STREAM = oracle.BATCH * oracle.SEQ * oracle.HIDDEN * 8  # one tensor of the residual stream, in bytes
ONE_SUM_EACH_WAY = (("all_reduce", STREAM), ("all_reduce", STREAM))
ON_SLICES = (("all_gather", STREAM), ("reduce_scatter", STREAM)) * 2
WIRE = {  # all of one forward and backward: (collective, bytes of the whole tensor)
    "column": (("all_reduce", STREAM),),
    "column gathered": (("all_gather", STREAM * 36 // 24), ("all_reduce", STREAM)),
    "row of whole": (("all_reduce", STREAM * 7 // 24), ("all_gather", STREAM)),
    "MLP": ONE_SUM_EACH_WAY,
    "attention": ONE_SUM_EACH_WAY,
    "attention, 6 kv heads": ONE_SUM_EACH_WAY,
    "attention, 2 kv heads": ONE_SUM_EACH_WAY,
    "attention, 1 kv head": ONE_SUM_EACH_WAY,
    "block, 2 kv heads": ONE_SUM_EACH_WAY * 2,
    "embedding": (("all_reduce", STREAM),),
    "embedding, fewer words than ranks": (("all_reduce", STREAM),),
    "head": (("all_reduce", STREAM),),
}
WIRE_ON_SLICES = {
    "MLP": ON_SLICES,
    "attention": ON_SLICES,
    "attention, 2 kv heads": ON_SLICES,
    "block, 2 kv heads": ON_SLICES * 2,
    "embedding": (("reduce_scatter", STREAM), ("all_gather", STREAM)),
    "head": (("all_gather", STREAM), ("reduce_scatter", STREAM)),
}


def formula(collectives, ranks):
    each = [sent(what, "ring", ranks, size, item=8) for what, size in collectives]
    return [sum(bytes) for bytes in zip(*each, strict=True)]


@pytest.mark.parametrize(
    ("name", "ranks", "sequence_parallel"),
    [line for line in LINES if line[0] in (WIRE_ON_SLICES if line[2] else WIRE)],
)
def test_a_layer_sends_the_bytes_of_the_formula(pool, name, ranks, sequence_parallel):
    trace = pool.run(oracle.wire, name, sequence_parallel, mesh=Mesh(tensor=ranks)).trace
    table = WIRE_ON_SLICES if sequence_parallel else WIRE
    assert [trace.sent(rank) for rank in range(ranks)] == formula(table[name], ranks)


def test_an_mlp_on_two_ranks_by_hand(pool):
    trace = pool.run(oracle.wire, "MLP", mesh=Mesh(tensor=2)).trace
    assert STREAM == 4608  # 2 texts · 12 tokens · 24 hidden · 8 bytes
    assert trace.traffic() == ((0, 9216), (9216, 0))  # a sum each way; 2(P-1)/P = 1 of the tensor for each
    assert trace.traffic(collective="all_reduce") == trace.traffic()
    sliced = pool.run(oracle.wire, "MLP", True, mesh=Mesh(tensor=2)).trace
    assert sliced.traffic() == ((0, 9216), (9216, 0))  # the same bytes, in four halves
    assert sliced.sent(0, collective="all_gather") == sliced.sent(0, collective="reduce_scatter") == 4608


@pytest.mark.parametrize("sequence_parallel", [False, True])
@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_every_layer_of_a_gpt_is_billed_what_the_formula_says(pool, ranks, sequence_parallel):
    model = GPT(2, 24, 12, 31, 12, dtype="float64")
    batch = Batch(torch.zeros(2, 12, dtype=torch.long), torch.zeros(2, 12, dtype=torch.long))
    trace = pool.run(oracle.gpt_wire, model, batch, sequence_parallel, mesh=Mesh(tensor=ranks)).trace
    table = WIRE_ON_SLICES if sequence_parallel else WIRE
    bills = {"layers.0": table["embedding"], "layers.3": table["head"]}
    bills |= {f"layers.{block}.{part}": table["MLP"] for block in (1, 2) for part in ("attention", "mlp")}
    bills["loss"] = (("all_reduce", 2 * 12 * 8), ("all_reduce", 2 * 2 * 12 * 8))  # 1 and 2 numbers a token
    for layer, collectives in bills.items():
        assert [trace.sent(rank, layer=layer) for rank in range(ranks)] == formula(collectives, ranks), layer
    assert sum(trace.sent(0, layer=layer) for layer in bills) == trace.sent(0)  # nothing unbilled


@pytest.mark.parametrize("deal", ["zigzag", "contiguous", "striped"])
@pytest.mark.parametrize(
    ("tensor", "context", "sequence_parallel"), [(1, 2, False), (1, 3, False), (2, 2, False), (2, 2, True)]
)
def test_a_gpt_whose_positions_are_dealt_is_the_whole_one(pool, deal, tensor, context, sequence_parallel):
    model = MODELS["2 kv heads"]
    batch = Batch(torch.randint(31, (3, 12)), torch.randint(31, (3, 12)))
    whole = model.whole()
    loss = model.loss(whole(batch.inputs), batch.targets)
    loss.backward()
    mesh = Mesh(context=context, tensor=tensor)
    parts = pool.run(oracle.gpt_in_context, model, batch, deal, sequence_parallel, mesh=mesh)
    assert parts[0][0] == pytest.approx(loss.item(), abs=1e-12)
    gathered = gather_state([parts[rank][1] for rank in range(tensor)], model.cuts(tensor))
    for name, parameter in whole.named_parameters():
        assert torch.allclose(gathered[name], parameter.grad, rtol=0, atol=1e-10), name


def test_dropout_on_a_context_axis_is_refused():
    class Two:
        size, rank = 2, 0

    with pytest.raises(ValueError, match="dropout with a context axis is not built"):
        GPT(dropout=0.1).build([1], axes=Axes(context=Two()))

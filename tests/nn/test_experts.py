"""Is a layer of experts on ranks its dense twin, whoever is dropped, empty or idle, and do the bytes agree?"""

import pytest
import torch
from torch import nn

from minipar.nn.axes import Axes
from minipar.nn.experts import DenseMoE, Experts, MoE, combine, dispatch
from minipar.plan.balance import leaning
from minipar.plan.mesh import Mesh
from minipar.plan.placement import Placement
from minipar.plan.routing import follow, route
from minipar.run.pool import RemoteError

TOKENS, HIDDEN, INNER, EXPERTS = 24, 8, 12, 8


def twin(**options):
    """A whole layer with weights of its own, float64."""
    torch.manual_seed(3)
    whole = DenseMoE(HIDDEN, INNER, EXPERTS, **options).double()
    for parameter in whole.parameters():
        nn.init.normal_(parameter, std=0.5)
    if options.get("bias_rate"):
        whole.router.bias.normal_(std=0.2)
    return whole


def stream(lean=0.0):
    """(x, gradient of the output); with a lean all tokens resemble each other, and experts stand empty."""
    torch.manual_seed(4)
    x, gradient = torch.randn(2, TOKENS, HIDDEN, dtype=torch.float64)
    return (x if not lean else x * (1 - lean) + lean), gradient


def split(ranks, empty=False):
    """Tokens of each rank: uneven ones; none on rank 0 if `empty`."""
    if ranks == 1:
        return [TOKENS]
    first = 0 if empty else 3
    rest, more = divmod(TOKENS - first, ranks - 1)
    return [first, *(rest + (at < more) for at in range(ranks - 1))]


def compare(w, options, lean=0.0, empty=False):
    """On a rank: largest differences from the twin, its drops and rows, and whether every gradient is there."""
    axis, whole = w.axis("expert"), twin(**options)
    x, pull = stream(lean)
    sizes = split(w.ranks, empty)
    mine = slice(sum(sizes[: w.rank]), sum(sizes[: w.rank + 1]))
    if options.get("per_rank"):
        whole.groups = lambda tokens: torch.arange(tokens).split(sizes)
    part = MoE.from_whole(whole, Axes(expert=axis, group=axis))
    every, own = x.clone().requires_grad_(), x[mine].clone().requires_grad_()
    y, found = whole(every), part(own)
    (y * pull).sum().backward()
    (found * pull[mine]).sum().backward()
    apart = {"output": gap(found, y[mine]), "x": gap(own.grad, every.grad[mine])}
    for name, parameter in part.named_parameters():
        expected, gradient = whole.get_parameter(name).grad, parameter.grad
        if getattr(parameter, "expert", False):
            share = EXPERTS // w.ranks
            expected = expected[w.rank * share : (w.rank + 1) * share]
        else:
            gradient = axis.all_reduce(gradient)
        apart[name] = gap(gradient, expected)
    told = axis.all_reduce(part.tally.wanted), axis.all_reduce(torch.tensor([part.tally.dropped])).item()
    apart["loss"] = abs(axis.all_reduce(torch.tensor(part.tally.loss, dtype=torch.float64)).item() - whole.tally.loss)
    assert torch.equal(told[0], whole.tally.wanted) and told[1] == whole.tally.dropped
    return max(apart.values()), apart, told[1], told[0].tolist()


def gap(found, expected):
    assert found.shape == expected.shape
    return (found - expected).abs().max().item() if found.numel() else 0.0


CASES = {
    "top 2": {},
    "top 1": {"top": 1},
    "top 3, gated, shared": {"top": 3, "gated": True, "shared": 2},
    "drops by probability": {"capacity": 0.5},
    "drops by position": {"capacity": 0.5, "drop": "position"},
    "losses and drops": {"capacity": 1.0, "balance": 0.1, "z": 0.01},
    "sigmoid, bias, not normalised": {"scores": "sigmoid", "bias_rate": 0.1, "normalise": False, "balance": 0.1},
}


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("name", CASES)
def test_ranks_equal_the_dense_loop(pool, name, ranks):
    for worst, apart, dropped, _ in pool.run(compare, CASES[name], ranks=ranks, mesh=Mesh(data=ranks, expert=ranks)):
        assert worst < 1e-10, apart
        assert (dropped > 0) == ("capacity" in CASES[name])


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("options", [{"top": 1}, {"top": 1, "capacity": 0.5}, {"balance": 0.1}], ids=str)
def test_an_expert_that_nobody_wants_and_a_rank_without_tokens(pool, options, ranks):
    found = pool.run(compare, options, 0.9, True, ranks=ranks, mesh=Mesh(data=ranks, expert=ranks))
    for worst, apart, _, wanted in found:
        assert worst < 1e-10, apart
        assert 0 in wanted


def test_the_same_are_dropped_on_any_number_of_ranks(pool):
    drops = {
        ranks: pool.run(compare, {"capacity": 0.5}, ranks=ranks, mesh=Mesh(data=ranks, expert=ranks))[0][2:]
        for ranks in (1, 2, 4)
    }
    assert drops[1] == drops[2] == drops[4]


def test_each_rank_may_count_its_own(pool):
    options = {"capacity": 0.5, "per_rank": True}
    for worst, apart, _, _ in pool.run(compare, options, ranks=2, mesh=Mesh(data=2, expert=2)):
        assert worst < 1e-10, apart


# ---- bytes


def travel(w, choice, sizes, placement=None, backward=True):
    """On a rank: its split list, its experts' rows, and that every row that came is what its expert was to get."""
    axis = w.axis("expert").ring
    first = sum(sizes[: w.rank])
    mine = torch.tensor(choice[first : first + sizes[w.rank]], dtype=torch.int64).view(sizes[w.rank], len(choice[0]))
    x = torch.arange(first, first + len(mine)).float().unsqueeze(1).expand(-1, 64).clone().requires_grad_()
    rows, way = dispatch(axis, x, mine, 8, placement)
    home = combine(axis, rows, torch.ones(mine.shape), way)
    if backward:
        home.sum().backward()
        assert torch.equal(x.grad, (mine >= 0).sum(1, keepdim=True).expand(-1, 64))
    assert torch.equal(home, x * (mine >= 0).sum(1, keepdim=True))
    return way.out, way.sizes, [part[:, 0].long().tolist() for part in rows.split(way.sizes)]


@pytest.mark.parametrize("lean", [(), (0.6, 0.3)])
@pytest.mark.parametrize("capacity", [None, 1.0])
def test_split_lists_and_bytes_are_those_of_the_routing(pool, lean, capacity):
    routing = route(leaning(128, 8, lean), 8, 2, capacity, ranks=4)
    found = pool.run(travel, routing.kept, routing.sources, mesh=Mesh(data=4, expert=4))
    assert tuple(out for out, _, _ in found) == routing.rows
    assert tuple(many for _, sizes, _ in found for many in sizes) == routing.load
    for leg, table in (("dispatch", routing.dispatch(64)), ("combine", routing.combine(64))):
        assert found.trace.traffic("all_to_all", layer=leg) == table.table
        assert found.trace.traffic("all_to_all", layer=f"{leg} gradient") == table.back.table
    assert found.trace.calls(0, "all_to_all") == 5  # counts, rows, rows home; and the gradients of both
    if capacity is None and lean:
        assert sum(map(sum, found.trace.traffic("all_to_all", layer="dispatch"))) == 50_944
    whole = [token for _, _, experts in found for tokens in experts for token in tokens]
    expected = [t for e in range(8) for t, row in enumerate(routing.kept) if e in row]
    assert whole == expected


@pytest.mark.parametrize("slots", ["0 5 | 1 4 | 6 3 | 7 2", "0 1 5 | 0 6 4 | 0 7 3 | 1 1 2"])
def test_rows_follow_a_placement_and_copies_take_turns(pool, slots):
    placement = Placement.parse(slots)
    routing = route(leaning(128, 8), 8, 2, placement=placement)
    found = pool.run(travel, routing.kept, routing.sources, placement, mesh=Mesh(data=4, expert=4))
    assert tuple(out for out, _, _ in found) == routing.rows
    assert [sum(sizes) for _, sizes, _ in found] == list(routing.rank_loads)


def test_a_rank_without_tokens_and_all_of_a_rank_dropped(pool):
    sizes, choice = (0, 2, 0, 3), [[3, 1], [-1, -1], [0, 3], [-1, 3], [7, -1]]
    found = pool.run(travel, choice, sizes, mesh=Mesh(data=4, expert=4))
    assert tuple(out for out, _, _ in found) == follow(choice, 8, sources=sizes, ranks=4).rows


def test_alone_nothing_is_sent():
    x, choice = torch.randn(3, 2), torch.tensor([[1, 0], [-1, 1], [-1, -1]])
    rows, way = dispatch(None, x, choice, 2)
    assert torch.equal(rows, x[[0, 0, 1]]) and way.sizes == (1, 2)
    assert torch.equal(combine(None, rows, torch.full((3, 2), 0.5), way), x * torch.tensor([[1.0], [0.5], [0.0]]))


# ---- somebody else's


@pytest.mark.parametrize("form", ["eager", "grouped_mm"])
def test_transformers_mixtral_block_agrees(form):
    pytest.importorskip("transformers", reason="pip install 'minipar[peers]' to compare with Mixtral's block")
    from benchmarks.experts import mixtral, ours

    theirs = mixtral(32, form)
    mine, x = ours(theirs), torch.randn(2, 3, 20, 32)
    whole = DenseMoE(32, 64, 8, 2, gated=True)
    whole.load_state_dict(mine.state_dict())
    outputs, gradients = [], []
    for layer in (theirs, mine, whole):
        own = x[0].clone().requires_grad_()
        outputs.append(layer(own))
        (outputs[-1] * x[1]).sum().backward()
        gradients.append(own.grad)
    for found in (outputs, gradients):
        assert torch.allclose(found[1], found[0], atol=1e-5) and torch.allclose(found[2], found[0], atol=1e-5)
    gate, up = theirs.experts.gate_up_proj.grad.chunk(2, 1)
    for name, expected in (("router.weight", theirs.gate.weight.grad), ("experts.gate", gate), ("experts.up", up),
                           ("experts.down", theirs.experts.down_proj.grad)):  # fmt: skip
        assert torch.allclose(mine.get_parameter(name).grad, expected, atol=1e-4), name


# ---- what cannot be


def build(w, experts, **options):
    return MoE(HIDDEN, INNER, experts, axes=Axes(expert=w.axis("expert")), **options).sizes


def test_experts_that_do_not_divide_are_refused(pool):
    with pytest.raises(RemoteError, match="experts=6 cannot be cut in 4 equal parts: 4 or 8 can."):
        pool.run(build, 6, mesh=Mesh(data=4, expert=4))


def not_a_number(w):
    layer = MoE.from_whole(twin(), Axes(expert=w.axis("expert")))
    x = stream()[0][:6].clone()
    if w.rank == 1:
        x[2, 0] = torch.nan
    return layer(x)


def test_a_score_that_is_no_number_is_told_by_its_rank_and_nobody_hangs(pool):
    with pytest.raises(RemoteError, match=r"(?s)rank 1.*token 2 has no score for expert 0: it is not a number"):
        pool.run(not_a_number, mesh=Mesh(data=4, expert=4))


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda: DenseMoE(8, 8, 4, top=5), "top=5 of 4 experts: a token takes 1 to 4 different ones"),
        (
            lambda: DenseMoE(8, 8, 4, capacity=0)(torch.zeros(6, 8)),
            "capacity factor 0 leaves no place at any of 4 experts: all 12 choices would be dropped",
        ),
        (
            lambda: DenseMoE(8, 12, 4, shared=1),
            "1 shared experts of width 12 are 12 wide, and that is no multiple of hidden=8",
        ),
        (
            lambda: dispatch(None, torch.zeros(1, 2), torch.zeros(1, 1).long(), 4, Placement(((0, 1), (2, 3)))),
            "the placement is of 4 experts on 2 ranks, and there are 4 on 1",
        ),
        (
            lambda: Experts(8, 8, 2)(torch.zeros(3, 8), (1, 1)),
            "3 rows for 2 experts, and the sizes are 1 1",
        ),
    ],
)
def test_refusals(act, sentence):
    with pytest.raises(ValueError) as refusal:
        act()
    assert str(refusal.value) == sentence

"""What lesson 07 answers to a wrong half of a backward, word for word, and that the right halves train for real."""

import linecache
from types import FunctionType

import pytest
import torch

import minipar
from minipar import F, I, W
from minipar.learn.lessons import two_halves
from minipar.learn.lessons.two_halves import Case, Model, Products, batch, check_input_gradient, check_weight_gradient
from minipar.learn.verdict import judge_one
from tests.lessons.splice import blocks_of

SOLVED, MISTAKES = blocks_of("07_zero_bubble")


def defined(code):
    """The two functions of a cell, as a notebook would have them: with their source to be read."""
    file = f"<cell {hash(code)}>"
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    world = {"minipar": minipar, "F": F, "I": I, "W": W, "slope": two_halves.slope, "torch": torch}
    exec(compile(code, file, "exec"), world)
    return world


def verdict(code):
    world = defined(code)
    for check, name in ((check_input_gradient, "input_gradient"), (check_weight_gradient, "weight_gradient")):
        said = judge_one(check, world[name])
        if not said.good:
            break
    return said


def test_the_solution_is_right():
    assert verdict(SOLVED["stub"]).sentence == (
        "dx, dW and db are autograd's, with one product in I and one in W, however late W comes."
    )


@pytest.mark.parametrize("mistake", [one for one in MISTAKES if one.cell == "stub"], ids=lambda one: one.name)
def test_each_listed_mistake_meets_its_sentence(mistake):
    said = verdict(mistake.code)
    assert not said.good and said.sentence == mistake.sentence


GOOD = SOLVED["stub"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("return g @ weight, (x, g)", "return g @ weight",
         "input_gradient returns two things: dx, and what weight_gradient will need of it."),
        ("g @ weight", "(g @ weight).T", "dx is 2 × 3, x is 3 × 2: g W."),
        ("g @ weight,", "-g @ weight,", "dx is not autograd's."),
        ("g.sum(0)", "g.mean(0)", "dW is right, db is not: each token adds its row of the sloped gradient to db."),
        ("db += g.sum(0)", "db[:] = g.sum(0)", "After two microbatches db holds the second alone. Add."),
        ("dW += g.T @ x", "dW += 2 * g.T @ x", "dx is right, dW is not autograd's: gᵀ x, with the sloped g."),
        ("dW += g.T @ x", "dW += (g @ g.T @ g).T @ x",
         "dx is right, dW is not autograd's: gᵀ x, with the sloped g."),
        ("dW += g.T @ x", "g.T @ x; dW += g.T @ x",
         "Right numbers, but your I made 1 product and your W 2 products: one each is enough."),
        ("dW += g.T @ x", "raise ValueError('no')",
         "weight_gradient stopped with ValueError: no (line 9: `raise ValueError('no')`)"),
    ],
)  # fmt: skip
def test_other_mistakes_are_told_too(old, new, sentence):
    assert verdict(GOOD.replace(old, new)).sentence == sentence


def test_the_example_of_the_exercise():
    """Without the GELU: x [[1, 2]], W [[3, 4]], g [[10]] give dx [[30, 40]], dW [[10, 20]], db [10]."""
    x, weight, g = torch.tensor([[1, 2]]), torch.tensor([[3, 4]]), torch.tensor([[10]])
    assert (g @ weight).tolist() == [[30, 40]] and (g.T @ x).tolist() == [[10, 20]] and g.sum(0).tolist() == [10]


def test_the_slope_is_gelus():
    z = torch.linspace(-4, 4, 33, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.gelu(z).sum().backward()
    assert torch.allclose(two_halves.slope(z.detach()), z.grad, atol=1e-12)


@pytest.mark.parametrize(
    "product", [lambda a, b: a @ b, torch.mm, torch.matmul, lambda a, b: torch.einsum("ij,jk->ik", a, b)]
)
def test_products_are_counted_however_they_are_written(product):
    a = torch.ones(2, 2)
    with Products() as seen:
        product(a, a) + a * a
    assert seen.shapes == [(2, 2)]


def test_a_partner_that_is_not_there_is_named():
    def alone(parked, dW, db):
        dW += parked

    lonely = FunctionType(alone.__code__, {})
    assert judge_one(check_weight_gradient, lonely).sentence == "input_gradient is not defined: run its cell first."


def model(code):
    world = defined(code)
    return Model(4, (world["input_gradient"], world["weight_gradient"]))


def train(pool, model):
    plan = minipar.Plan(mesh=minipar.Mesh(pipe=2), schedule=minipar.zb_h2(ranks=2, microbatches=4))
    return minipar.train_step(pool, plan, model, batch(4))


def test_the_learners_halves_train_on_real_processes(pool):
    made = model(GOOD)
    step = train(pool, made)
    assert minipar.same_gradients(made, step)
    assert step.trace.peak_in_flight == (3, 3)


def test_a_weight_gradient_that_is_wrong_for_one_microbatch_is_seen_there(pool):
    with pytest.raises(minipar.RemoteError, match="not autograd's gradient of that microbatch"):
        train(pool, model(GOOD.replace("dW += g.T @ x", "dW += 2 * g.T @ x")))


def test_autograd_says_what_is_wanted():
    ones = torch.ones(1, 2, dtype=torch.float64)  # with a bias of 9 the GELU is straight
    layer = Case("", torch.eye(2, dtype=torch.float64), 9 * ones[0], ((ones, ones),))
    dx, dW, db = layer.by_autograd(0)
    assert torch.allclose(dx, ones, atol=1e-9) and torch.allclose(db, ones[0], atol=1e-9)
    assert torch.allclose(dW, ones.T @ ones, atol=1e-9)

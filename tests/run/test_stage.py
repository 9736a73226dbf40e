"""Does one stage do with a microbatch what plain autograd does, and keep no more than it must?"""

import pytest
import torch
from torch.nn.functional import mse_loss

from minipar.run.ledger import ACTIVATION, GRADIENT, Ledger
from minipar.run.stage import Stage, go_back


def layer(seed):
    torch.manual_seed(seed)
    return torch.nn.Linear(3, 3).double()


def test_two_stages_by_hand_equal_the_whole_with_uneven_microbatches():
    first, last = layer(0), layer(1)
    x, targets = torch.randn(5, 3).double(), torch.randn(5, 3).double()
    expected = torch.autograd.grad(mse_loss(last(first(x)), targets), [first.weight, last.weight])
    stages = Stage(first), Stage(last, mse_loss)
    stages[0].feed(inputs=x.tensor_split(3))
    stages[1].feed(targets=targets.tensor_split(3))
    for m in range(3):
        stages[1].forward(m, stages[0].forward(m))
    assert list(stages[0].in_flight) == [0, 1, 2]
    for m in range(3):
        stages[0].backward(m, stages[1].backward(m))
    assert not stages[0].in_flight and not stages[1].in_flight
    assert torch.allclose(first.weight.grad, expected[0], atol=1e-14)
    assert torch.allclose(last.weight.grad, expected[1], atol=1e-14)
    assert torch.allclose(stages[1].total, mse_loss(last(first(x)), targets), atol=1e-14)


def test_what_a_stage_hands_on_is_free_of_its_graph_and_the_first_has_no_gradient_to_hand_back():
    stage = Stage(layer(0))
    stage.feed(inputs=[torch.randn(2, 3).double()])
    made = stage.forward(0)
    assert made.grad_fn is None and not made.requires_grad
    assert stage.backward(0, torch.ones_like(made)) is None


def test_a_new_step_forgets_the_old_one():
    stage = Stage(layer(0), mse_loss)
    for _ in range(2):
        stage.feed(inputs=[torch.ones(2, 3).double()], targets=[torch.zeros(2, 3).double()])
        stage.forward(0)
    assert stage.total == mse_loss(stage.module(torch.ones(2, 3).double()), torch.zeros(2, 3).double())


def test_going_back_equals_torchs_own_door():
    x = torch.randn(3, requires_grad=True)
    gradient = torch.randn(3)
    go_back(x.exp(), gradient)
    assert torch.equal(x.grad, x.detach().exp() * gradient)
    x.grad = None
    go_back((x * x).sum(), None)
    assert torch.allclose(x.grad, 2 * x.detach())


# ---- in halves


class Halving(torch.nn.Linear):
    """A layer that postpones, by the protocol alone: `later.keep` on the way there, `later.take` on the way back."""

    later = None

    def forward(self, x):
        if self.later is None or not self.later.open:
            return super().forward(x)
        y = torch.nn.functional.linear(x, self.weight.detach(), self.bias.detach())
        y = y if y.requires_grad else y.requires_grad_()
        self.later.keep(x)
        y.register_hook(lambda g: self.later.take(self.work, (self.weight, self.bias), x.detach(), g))
        return y

    @staticmethod
    def work(weight, bias, x, g):
        for parameter, gradient in ((weight, g.t() @ x), (bias, g.sum(0))):
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def halving(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(Halving(3, 3), torch.nn.Tanh(), Halving(3, 3)).double()


def in_flight(stage, microbatches):
    stage.halve(range(microbatches))
    stage.feed([torch.randn(2, 3).double() for _ in range(microbatches)])
    for m in range(microbatches):
        stage.forward(m)
    return stage


def test_halves_in_any_order_equal_whole_backwards():
    x, pulls = torch.randn(6, 3).double(), torch.randn(3, 2, 3).double()
    whole, halves = Stage(halving(0)), Stage(halving(0))
    halves.halve([0, 1, 2])
    for stage in (whole, halves):
        stage.feed()
        for m in range(3):
            stage.forward(m, x.tensor_split(3)[m].clone())
    expected = [whole.backward(m, pulls[m]) for m in range(3)]
    for m in (0, 1, 2):
        assert torch.allclose(halves.backward_input(m, pulls[m]), expected[m], atol=1e-14)
    assert all(parameter.grad is None for parameter in halves.module.parameters())
    for m in (2, 0, 1):
        halves.backward_weight(m)
    for mine, theirs in zip(halves.module.parameters(), whole.module.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, atol=1e-14)


def test_two_stages_of_one_process_keep_their_own_lists():
    first, second = in_flight(Stage(halving(0)), 1), in_flight(Stage(halving(1)), 1)
    for stage in (first, second):
        stage.backward_input(0, torch.ones(2, 3).double())
    first.backward_weight(0)
    assert all(parameter.grad is not None for parameter in first.module.parameters())
    assert all(parameter.grad is None for parameter in second.module.parameters())


def test_a_whole_backward_of_a_halved_microbatch_does_both():
    stage = in_flight(Stage(halving(0)), 1)
    stage.backward(0, torch.ones(2, 3).double())
    assert all(parameter.grad is not None for parameter in stage.module.parameters()) and not stage.later.waiting


def test_a_layer_that_knows_of_no_halves_does_all_in_i():
    stage = in_flight(Stage(layer(0)), 1)
    stage.backward_input(0, torch.ones(2, 3).double())
    assert stage.module.weight.grad is not None
    stage.backward_weight(0)


def test_halves_out_of_turn_are_refused():
    stage = in_flight(Stage(halving(0)), 1)
    with pytest.raises(ValueError, match=r"^nothing waits for W of microbatch 0: its I has not run\.$"):
        stage.backward_weight(0)
    with pytest.raises(ValueError, match=r"^microbatch 1 went forward to come back whole: name it in halve\(\) before"):
        stage.backward_input(1)


def test_what_waits_for_w_is_held_as_an_activation():
    """x and the gradient of y of both layers, 2 · 3 float64 numbers each; not what only I needed."""
    stage, ledger = Stage(halving(0)), Ledger()
    ledger.watch(stage.module)
    stage.halve([0])
    stage.feed([torch.randn(2, 3).double()], memory=ledger)
    stage.forward(0)
    stage.backward_input(0, torch.ones(2, 3).double())
    assert ledger.bytes[ACTIVATION] == 4 * 2 * 3 * 8 and ledger.bytes[GRADIENT] == 0
    stage.backward_weight(0)
    assert ledger.bytes[ACTIVATION] == 0
    assert ledger.bytes[GRADIENT] == sum(parameter.nbytes for parameter in stage.module.parameters())

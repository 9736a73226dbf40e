"""Does one stage do with a microbatch what plain autograd does, and keep no more than it must?"""

import torch
from torch.nn.functional import mse_loss

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

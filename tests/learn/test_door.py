"""A door: a function and its gradient, each one line of a learner's."""

import pytest
import torch

from minipar.learn.door import Door


class Twice(Door):
    def forward(tensor, x):
        return 2 * x

    def backward(tensor, gradient):
        return tensor * gradient


class Open(Door):
    def forward(tensor, x):
        return x

    def backward(tensor, gradient):
        return gradient


def test_walking_through_there_and_back():
    x = torch.ones(3, requires_grad=True)
    y = Twice(10, x)
    y.sum().backward()
    assert y.tolist() == [2, 2, 2] and x.grad.tolist() == [10, 10, 10]


def test_a_door_may_give_back_what_it_got():
    x = torch.ones(3, requires_grad=True)
    (Open(None, x) * 3).sum().backward()
    assert x.grad.tolist() == [3, 3, 3]


def test_without_a_gradient_the_way_back_is_not_walked():
    assert Open(None, torch.ones(2)).requires_grad is False


@pytest.mark.parametrize(("value", "was"), [(None, "nothing"), (..., "..."), (3, "3")])
def test_what_is_no_tensor_is_refused_in_words(value, was):
    class Bad(Door):
        def forward(tensor, x):
            return value

    with pytest.raises(TypeError, match=f"Bad.forward returned {was}, and a tensor has to come out of it"):
        Bad(None, torch.ones(1))


def test_a_way_that_is_missing_says_so():
    class Half(Door):
        def forward(tensor, x):
            return x

    with pytest.raises(NotImplementedError, match="no backward yet"):
        Half(None, torch.ones(1, requires_grad=True)).sum().backward()

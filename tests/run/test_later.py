"""Does the list of postponed work keep what it was given, in order, and let go of it when it is done?"""

import pytest
import torch

from minipar.run.later import Later
from minipar.run.ledger import ACTIVATION, GRADIENT, Ledger


def test_work_is_done_once_in_order_and_what_it_held_is_let_go():
    later, weight, done = Later(), torch.nn.Parameter(torch.zeros(2)), []
    later.memory = Ledger()

    def work(parameter, _, x, gradient):
        done.append((x, gradient))
        parameter.grad = gradient.clone()

    values = [torch.ones(2) * number for number in range(4)]
    for microbatch in (0, 1):
        later.begin(microbatch)
        assert later.open
        for x, gradient in (values[:2], values[2:]):
            later.keep(x)
            later.take(work, (weight, None), x, gradient)
        later.end()
    assert not later.open and not done and later.waiting == (0, 1)
    assert later.memory.bytes[ACTIVATION] == 4 * 8
    later.run(1)
    assert done == [tuple(values[:2]), tuple(values[2:])]
    assert later.waiting == (0,)
    later.run(0)
    assert later.memory.bytes[ACTIVATION] == 0 and later.memory.bytes[GRADIENT] == 8


def test_work_that_never_was_is_an_error_and_a_new_step_forgets():
    later = Later()
    with pytest.raises(KeyError):
        later.run(0)
    later.begin(0)
    later.forget()
    assert later.waiting == () and not later.open

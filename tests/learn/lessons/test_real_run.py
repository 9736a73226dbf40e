"""Two steps are the same when no gradient differs by more than rounding; each way to differ is seen."""

from types import SimpleNamespace

import pytest
import torch

from minipar.learn.lessons.real_run import same


def step(loss=2.0, **gradients):
    return SimpleNamespace(loss=loss, gradients={name: torch.tensor(value) for name, value in gradients.items()})


ONE = step(a=[1.0, 2.0], b=[1e-9])


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        (step(a=[1.0, 2.0], b=[1e-9]), True),
        (step(a=[1.0, 2.00001], b=[-1e-8]), True),
        (step(a=[1.0, 2.001], b=[1e-9]), False),
        (step(a=[1.0, 2.0], b=[1e-4]), False),
        (step(a=[1.0, float("nan")], b=[1e-9]), False),
        (step(a=[1.0, 2.0]), False),
        (step(loss=2.001, a=[1.0, 2.0], b=[1e-9]), False),
    ],
)
def test_what_counts_as_the_same(other, equal):
    assert same(ONE, other) is equal

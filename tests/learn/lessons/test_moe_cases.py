"""Are the cases of lesson 11's check what their names say, and is the dense loop right?"""

import torch

from minipar.learn.lessons.moe_cases import cases, expected
from minipar.learn.lessons.routed_moe import row_bytes


def test_the_cases_are_what_they_say():
    example, main, drops, odd, fewer, alone = cases()
    assert [case.ranks for case in (example, main, drops, odd, fewer, alone)] == [2, 4, 4, 4, 2, 1]
    assert main.routing.rows == ((36, 13, 6, 9), (42, 7, 5, 10), (39, 7, 6, 12), (39, 6, 11, 8))
    assert main.routing.carried().total * row_bytes(main) == 50_944
    assert drops.routing.dropped and drops.routing.lost and fewer.routing.lost and fewer.routing.dropped
    assert odd.routing.load[5] == 0 and odd.routing.sources[2] == 0 and len(odd.routing.choice[0]) == 3


def test_the_dense_loop_on_the_example():
    y, gradients = expected(cases()[0])
    assert y.flatten().tolist() == [4, 2, 6, 12]
    assert gradients["x"].flatten().tolist() == [4, 1, 2, 3]
    assert [gradients[expert][0].item() for expert in range(4)] == [2, 3, 4, 1]


def test_an_expert_that_nobody_wants_has_a_gradient_of_zero():
    _, gradients = expected(cases()[3])
    assert all(torch.count_nonzero(one) == 0 for one in gradients[5])

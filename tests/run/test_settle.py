"""Is every gradient summed once, over the ranks that it must be summed over, in one message a bucket?"""

import torch

import minipar
from minipar.run import settle


def parameter(value, dtype=torch.float64):
    made = torch.nn.Parameter(torch.zeros(2, dtype=dtype))
    made.grad = torch.full((2,), float(value), dtype=dtype)
    return made


def over_data(w):
    parameters = [parameter(w.rank), parameter(10 * w.rank), parameter(1, torch.float32)]
    parameters.append(torch.nn.Parameter(torch.zeros(2)))  # nothing has come back to it
    settle.sum_over(w, w.axis("data"), parameters, "gradients over data")
    return [None if each.grad is None else each.grad.tolist() for each in parameters]


def test_one_bucket_a_dtype(pool):
    result = pool.run(over_data, mesh=minipar.Mesh(data=4))
    assert result == [[[6.0, 6.0], [60.0, 60.0], [4.0, 4.0], None]] * 4
    assert result.trace.calls(0, "all_reduce") == 2
    assert result.trace.payload(0) == 4 * 8 + 2 * 4
    assert {each.layer for each in result.trace.collectives} == {"gradients over data"}


def partial(w):
    tensor = w.axis("tensor")
    norm, key, query = parameter(1), parameter(10), parameter(100)
    norm.sum_over = (tensor,)
    key.sum_over = (tensor.subset((0, 1) if w.rank < 2 else (2, 3)),)
    settle.sum_partial(w, [query, key, norm])
    return [each.grad.tolist()[0] for each in (norm, key, query)]


def test_partial_gradients_are_summed_over_their_holders_alone(pool):
    assert pool.run(partial, mesh=minipar.Mesh(tensor=4)) == [[4.0, 20.0, 100.0]] * 4


def tied(w):
    own = torch.full((2,), float(w.rank + 1))
    settle.add_tied_across(w, own, peer=3 - w.rank)
    return own.tolist()


def test_both_ends_of_a_tie_hold_the_sum(pool):
    result = pool.run(tied)
    assert result == [[5.0, 5.0]] * 4
    assert len(result.trace.messages) == 4 and {m.what for m in result.trace.messages} == {"tied gradient"}


def test_a_tie_on_one_rank_is_summed_once():
    original, copy = parameter(1), parameter(2)
    settle.add_tied_here(original, copy)
    assert original.grad.tolist() == copy.grad.tolist() == [3.0, 3.0]
    settle.add_tied_here(original, original)
    assert original.grad.tolist() == [3.0, 3.0]

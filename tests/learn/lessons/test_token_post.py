"""The two swaps on real processes: what arrives, what travels back, and what is refused."""

import pytest
import torch

from minipar.learn.lessons.token_post import swap_counts, swap_rows
from minipar.run.pool import RemoteError


def both(w):
    """Rank 0 keeps 1 row and sends 2; rank 1 sends 3 and keeps none."""
    sends = [[1, 2], [3, 0]][w.rank]
    coming = swap_counts(w, torch.tensor(sends).view(2, 1))
    rows = (torch.arange(3.0).view(3, 1) + 10 * w.rank).requires_grad_()
    came = swap_rows(w, rows, sends, coming.flatten().tolist())
    (came * (w.rank + 1)).sum().backward()
    return coming.flatten().tolist(), came.flatten().tolist(), rows.grad.flatten().tolist()


def test_rows_arrive_in_rank_order_and_gradients_go_home(pool):
    out = pool.run(both, ranks=2)
    assert out[0] == ([1, 3], [0, 10, 11, 12], [1, 2, 2])
    assert out[1] == ([2, 0], [1, 2], [1, 1, 1])
    assert out.trace.traffic(layer="counts") == ((0, 8), (8, 0))
    assert out.trace.traffic(layer="rows") == ((0, 2 * 4 + 3 * 4), (3 * 4 + 2 * 4, 0))  # out, and gradients back


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda w: swap_counts(w, torch.tensor([1, 2])), "swap_counts takes whole numbers [2 ranks, n], and rank "),
        (lambda w: swap_counts(w, torch.ones(2, 2)), "gave it float32 [2, 2]"),
        (lambda w: swap_rows(w, torch.ones(3, 1), [1, 1], [1, 1]), "gave rows [3, 1], and its sends 1 1 are 2"),
        (lambda w: swap_rows(w, torch.ones(3, 1), [3], [1, 1]), "sends has a number for each of 2 ranks; rank "),
        (lambda w: swap_rows(w, torch.ones(2, 1), [1, 1], [0, 3]), "1 rows, which rank "),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(pool, call, sentence):
    with pytest.raises(RemoteError) as error:
        pool.run(call, ranks=2, timeout=20)
    assert sentence in str(error.value)

"""A step by hand: gradients of GPipe and of chunks equal the whole model's; 1F1B stands still and is told."""

import pytest
import torch

from minipar.learn.lessons.hand_to_hand import gradients_equal
from minipar.nn.gpt import GPT
from minipar.nn.text import text_batch
from minipar.plan.actions import Recv, Send
from minipar.plan.messages import lower
from minipar.plan.schedules import gpipe, interleaved_1f1b, one_f_one_b
from minipar.run.hands import Hands
from minipar.run.pool import RemoteError, WorkerPool

MODEL, BATCH = GPT(layers=4, hidden=16, heads=2, context=8, dtype="float64"), text_batch(4, 8)


def by_hand(w, schedule):
    hands = Hands(w, schedule, MODEL, BATCH)
    for step in lower(schedule).programs[w.rank]:
        match step:
            case Recv(_, peer):
                hands.take(step, w.recv(source=peer))
            case Send(_, peer):
                w.send(hands.give(step), to=peer)
            case action:
                hands.work(action)
    assert not hands.held
    return hands.gradients()


@pytest.fixture(scope="module")
def ordered():
    with WorkerPool(4, backend="gloo-ordered") as pool:
        yield pool


def test_gpipe_from_hand_to_hand_trains(ordered):
    assert gradients_equal(MODEL, BATCH, ordered.run(by_hand, gpipe(4, 4)))


@pytest.mark.parametrize("schedule", [one_f_one_b(4, 4), interleaved_1f1b(2, 2, chunks=2)], ids=["1F1B", "chunks"])
def test_with_letter_boxes_every_order_trains(pool, schedule):
    out = pool.run(by_hand, schedule, ranks=schedule.ranks)
    assert gradients_equal(MODEL, BATCH, out)


def test_one_f_one_b_from_hand_to_hand_stands_still(ordered):
    with pytest.raises(RemoteError, match="deadlock: rank 2 waits for rank 3, 3 for 2") as caught:
        ordered.run(by_hand, one_f_one_b(4, 4))
    assert [one.peer for one in caught.value.stuck.values()] == [1, 2, 3, 2]
    assert all(one.kind == "send" for one in caught.value.stuck.values())
    assert ordered.run(lambda w: torch.tensor(w.rank).item()) == [0, 1, 2, 3]


def test_a_gradient_that_differs_is_seen(ordered):
    out = list(ordered.run(by_hand, gpipe(4, 4)))
    next(iter(out[0].values())).view(-1)[0] += 1e-8
    assert not gradients_equal(MODEL, BATCH, out) and not gradients_equal(MODEL, BATCH, out[1:])

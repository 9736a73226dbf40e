"""Do all ranks stop after the same step, and can they go on from there?"""

import threading
import time

import pytest

import minipar
from minipar.nn.gpt import GPT
from minipar.nn.text import Text, text_batch
from minipar.run.on_rank import KEPT
from minipar.run.pool import RemoteError, RemoteInterrupt

SMALL = {"layers": 3, "hidden": 16, "heads": 2, "context": 8}


def plan_of(build, ranks, microbatches):
    return minipar.Plan(minipar.Mesh(pipe=ranks), build(ranks, microbatches))


def seen_steps(w):
    kept = w.state[KEPT]
    return kept.step, kept.whole


def test_a_stopped_training_keeps_the_last_full_step_and_can_go_on(pool):
    model, plan, data = GPT(**SMALL, dtype="float64"), plan_of(minipar.one_f_one_b, 4, 4), Text(4, 8)
    words, caught = [], []

    def go():
        try:
            minipar.train(pool, plan, model, data, steps=100_000, progress=words.append)
        except RemoteInterrupt as error:
            caught.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    until = time.monotonic() + 60
    while not (words and words[-1]["step"] >= 3) and time.monotonic() < until:
        time.sleep(0.02)
    pool.stop()
    thread.join(60)
    assert {"step", "steps", "loss", "tokens_per_second"} == words[0].keys()
    (error,) = caught
    stopped = error.training
    assert stopped.stopped and stopped.step == len(stopped.losses) >= 3
    assert str(error) == f"Stopped after step {stopped.step}: the weights of that step are kept in the workers."
    assert pool.run(seen_steps) == [(stopped.step, True)] * 4
    more = minipar.train(pool, plan, model, data, steps=2, resume=True)
    assert more.step == stopped.step + 2
    straight = minipar.train(pool, plan, model, data, steps=more.step)
    assert straight.losses[-2:] == pytest.approx(more.losses, abs=1e-10)


def test_nothing_to_go_on_from_is_refused(pool):
    with pytest.raises(RemoteError, match="keeps no training of this plan and model to go on from"):
        minipar.train(pool, plan_of(minipar.gpipe, 2, 2), GPT(**SMALL, seed=99), text_batch(4, 8), steps=1, resume=True)


def cut_off_in_between(w):
    w.state[KEPT].step += w.rank  # as if the others had been killed one step later


def test_ranks_that_were_cut_off_after_different_steps_do_not_go_on(pool):
    model, plan = GPT(**SMALL), plan_of(minipar.gpipe, 2, 2)
    minipar.train(pool, plan, model, text_batch(4, 8), steps=1)
    pool.run(cut_off_in_between, ranks=2)
    with pytest.raises(RemoteError, match="cut off after different steps \\[1, 2\\]: train from the start"):
        minipar.train(pool, plan, model, text_batch(4, 8), steps=1, resume=True)

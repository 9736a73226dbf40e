"""The pool in ordinary use: results, state, output, runs in the background, snapshots, refusals."""

import os
import pickle
import time

import pytest
import torch

from minipar.plan.mesh import Mesh
from minipar.run.pool import RemoteInterrupt, WorkerPool, live_pools


def test_results_compare_equal_to_a_list(pool):
    out = pool.run(lambda w, a, b=0: (w.rank, w.ranks, a + b), 1, b=2)
    assert out == [(rank, 4, 3) for rank in range(4)]
    assert out != [1, 2]
    assert repr(out) == repr(list(out))
    assert (len(out), out[2], out[-1], out[1:3]) == (4, (2, 4, 3), (3, 4, 3), [(1, 4, 3), (2, 4, 3)])
    assert out.seconds > 0


def test_it_says_what_it_is(pool):
    assert repr(pool) == "4 workers ready: processes on this CPU, talking through gloo"
    assert pool in live_pools()
    assert not pool.ordered


def test_state_stays_between_calls(pool):
    pool.run(lambda w: w.state.update(number=w.rank * 10))
    assert pool.run(lambda w: w.state.pop("number")) == [0, 10, 20, 30]


def test_the_first_workers_form_the_group(pool):
    def total(w):
        return w.axis().all_reduce(torch.tensor([1.0])).item()

    for ranks in (3, 2, 1, 4):
        assert pool.run(total, ranks=ranks) == [float(ranks)] * ranks
    assert pool.run(total, mesh=None) == [4.0] * 4
    assert pool.run(lambda w: w.axis("pipe").size, mesh=Mesh(pipe=2)) == [2, 2]


def test_a_group_is_kept_between_calls(pool):
    pool.run(lambda w: None)
    group = pool._keeper.group
    pool.run(lambda w: w.axis().barrier())
    pool.run(lambda w: None)
    assert pool._keeper.group == group


def test_workers_see_the_notebooks_folder(pool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pool.run(lambda w: os.getcwd(), ranks=1) == [str(tmp_path)]


def test_output_comes_live_and_by_rank(pool, capsys):
    def talks(w):
        print("hello from", w.rank)
        print("50 %\r100 %")
        print("no end of line", end="")

    pool.run(talks)
    lines = capsys.readouterr().out.splitlines()
    for rank in range(4):
        mine = [line for line in lines if line.startswith(f"[{rank}]")]
        assert mine == [f"[{rank}] {text}" for text in (f"hello from {rank}", "50 %", "100 %", "no end of line")]


def test_a_run_in_the_background(pool, capsys):
    def slow(w):
        print("started")
        w.progress(step=1)
        while not w.stopping:
            time.sleep(0.01)

    run = pool.start(slow)
    assert pool.current is run
    with pytest.raises(RuntimeError, match="this pool is still running slow, started 0 s ago: wait for it, or stop it"):
        pool.run(lambda w: None)
    with pytest.raises(TimeoutError, match="slow is still running after 0.2 s"):
        run.result(0.2)
    while len(run.output) < 4 or not run.progress:
        time.sleep(0.01)
    assert [row["name"] for row in pool.snapshot()] == ["notebook", "rank 0", "rank 1", "rank 2", "rank 3"]
    assert not run.done
    run.stop()
    with pytest.raises(RemoteInterrupt, match="interrupted after"):
        run.result(30)
    assert run.done
    assert isinstance(run.error, RemoteInterrupt)
    assert sorted(run.output[:4]) == [(rank, "started") for rank in range(4)]
    assert capsys.readouterr().out == ""
    assert pool.current is None
    assert pool.run(lambda w: w.rank) == [0, 1, 2, 3]


def test_a_snapshot_counts_the_bytes_each_one_holds(pool):
    def keep(w, x):
        w.state["x"] = x

    before = [row["bytes"] for row in pool.snapshot()]
    x = torch.ones(1000, 1000)
    pool.run(keep, x)
    after = pool.snapshot()
    assert [row["bytes"] - held for row, held in zip(after, before, strict=True)] == [4_000_000] * 5
    assert after[0]["pid"] == os.getpid()
    assert {row["pid"] for row in after[1:]} == set(pool.run(lambda w: os.getpid()))
    assert after[1]["link"] == "gloo"
    pool.run(lambda w: w.state.clear())


REFUSALS = [
    (lambda: WorkerPool(0), ValueError, "a pool has a whole number of workers, 1 or more, not 0"),
    (lambda: WorkerPool(2, backend="mpi"), ValueError, "backend is one of gloo, gloo-ordered, nccl, not 'mpi'"),
    (lambda: WorkerPool(2, device="tpu"), ValueError, 'device is "cpu" or "cuda", not \'tpu\''),
    (lambda: WorkerPool(2, memory_limit=0), ValueError, "memory_limit is a number of bytes, more than 0, not 0"),
]


@pytest.mark.parametrize(("make", "error", "says"), REFUSALS, ids=[says for _, _, says in REFUSALS])
def test_a_pool_that_cannot_be_is_refused(make, error, says):
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == says


def test_calls_that_cannot_be_are_refused(pool):
    for call, says in (
        (lambda: pool.run(3), "pool.run takes a function, as in pool.run(fn, x), and not a int"),
        (lambda: pool.run(print, ranks=5), "the call needs 5 ranks, and this pool has 4 workers"),
        (lambda: pool.run(print, ranks=0), "ranks is how many workers take part, a whole number from 1 to 4, not 0"),
        (lambda: pool.run(print, mesh=Mesh(pipe=5)), "the call needs 5 ranks, and this pool has 4 workers"),
        (
            lambda: pool.run(lambda w: pool),
            "the pool itself cannot travel to a worker: inside the function use its first argument, w",
        ),
    ):
        with pytest.raises((TypeError, ValueError, pickle.PicklingError)) as caught:
            call()
        assert str(caught.value) == says
    assert pool.run(lambda w: w.rank) == [0, 1, 2, 3]


def test_the_workers_need_no_torch_in_the_notebook():
    import subprocess
    import sys

    folder = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    program = ("import sys; from minipar.run.pool import WorkerPool; pool = WorkerPool(1); "
               "print(pool.run(lambda w: w.rank), 'torch' in sys.modules)")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder, timeout=60)
    assert done.stdout.strip() == "[0] False", done.stderr


def test_a_pool_larger_than_allowed_is_refused(monkeypatch):
    monkeypatch.setenv("MINIPAR_WORKERS", "2")
    with pytest.raises(ValueError) as refused:
        WorkerPool(4)
    assert str(refused.value) == (
        "a pool of 4 workers is more than the 2 allowed here (MINIPAR_WORKERS=2, or `minipar lab --workers 2`): "
        "ask for fewer, or start without that limit"
    )

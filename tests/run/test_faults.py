"""Whatever a learner's program does on a rank, it ends as one readable error, and the pool works again."""

import ctypes
import os
import signal
import sys
import threading
import time

import psutil
import pytest
import torch
import torch.distributed as dist

from minipar.run.pool import RemoteError, RemoteInterrupt, WorkerPool


@pytest.fixture(scope="module")
def four():
    with WorkerPool(4) as pool:
        yield pool


def well(w):
    """What a pool that works again can do: talk, and agree."""
    w.send(torch.tensor([w.rank]), to=(w.rank + 1) % w.ranks)
    left = w.recv(source=(w.rank - 1) % w.ranks).item()
    return left, w.axis().all_reduce(torch.tensor([1.0])).item()


def assert_well(pool):
    assert pool.run(well, timeout=30) == [((rank - 1) % 4, 4.0) for rank in range(4)]


def wait_for_rank_2(w):
    return w.recv(source=2)


def raises(w):
    if w.rank == 2:
        raise KeyError("no such thing")
    return wait_for_rank_2(w)


def raises_last(w):
    if w.rank == 3:
        return 1 / 0
    w.axis().all_reduce(torch.ones(3))


def ends_itself(w):
    if w.rank == 2:
        sys.exit(3)
    return wait_for_rank_2(w)


def leaves(w):
    if w.rank == 2:
        os._exit(7)
    return wait_for_rank_2(w)


def is_killed(w):
    if w.rank == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return wait_for_rank_2(w)


def crashes(w):
    if w.rank == 2:
        ctypes.string_at(0)
    return wait_for_rank_2(w)


def everyone_receives(w):
    return w.recv(source=(w.rank - 1) % w.ranks)


def waits_for_one_that_finished(w):
    if w.rank == 1:
        return w.recv(source=0)


def broadcast_against_all_reduce(w):
    value = torch.ones(4)
    if w.rank == 1:
        dist.broadcast(value, src=0)
    else:
        dist.all_reduce(value)


def other_shape(w):
    dist.all_reduce(torch.ones(6 if w.rank == 1 else 4))


def other_dtype(w):
    dist.all_reduce(torch.ones(4, dtype=torch.float64 if w.rank == 1 else torch.float32))


def other_sum(w):
    dist.all_reduce(torch.ones(4), op=dist.ReduceOp.MAX if w.rank == 1 else dist.ReduceOp.SUM)


def uneven_all_to_all(w):
    sends = [1, 1, 1, 1] if w.rank else [2, 1, 1, 1]  # rank 0 keeps two for itself and says so; the others agree
    receives = [1, 1, 1, 1] if w.rank else [2, 1, 1, 1]
    if w.rank == 3:
        sends = [1, 3, 1, 1]  # three for rank 1, which expects one
    out = torch.empty(sum(receives))
    dist.all_to_all_single(out, torch.ones(sum(sends)), receives, sends)


def one_collective_more(w):
    if w.rank == 1:
        w.state["work"] = dist.all_reduce(torch.ones(2), async_op=True)


def cannot_travel(w):
    return threading.Lock() if w.rank == 1 else None


def missing_answer(w):
    if w.rank == 0:
        w.recv(source=1, like=torch.ones(2, 2))
    elif w.rank == 1:
        w.send(torch.ones(3), to=0)


def expects_more(w):
    if w.rank == 0:
        dist.send(torch.ones(4), dst=1)
    elif w.rank == 1:
        dist.recv(torch.ones(6), src=0)


def expects_another_dtype(w):
    if w.rank == 0:
        dist.send(torch.ones(4), dst=1)
    elif w.rank == 1:
        dist.recv(torch.ones(4, dtype=torch.float64), src=0)


FAULTS = [  # program, kind, what its text must say, whether the workers are kept
    (
        raises,
        "raised",
        ["rank 2 raised KeyError: 'no such thing'", "in raises", "waited for a message from rank 2"],
        True,
    ),
    (raises_last, "raised", ["rank 3 raised ZeroDivisionError: division by zero", "return 1 / 0"], True),
    (ends_itself, "raised", ["rank 2 raised SystemExit: 3"], True),
    (leaves, "died", ["rank 2 died: it ended itself with exit code 7"], False),
    (is_killed, "died", ["rank 2 died: killed by SIGKILL"], False),
    (crashes, "died", ["rank 2 died: killed by SIGSEGV"], False),
    (
        everyone_receives,
        "deadlock",
        ["deadlock: rank 0 waits for rank 3, 3 for 2, 2 for 1, 1 for 0", "in everyone_receives"],
        True,
    ),
    (waits_for_one_that_finished, "deadlock", ["deadlock: rank 1 waits for rank 0, which has finished"], True),
    (broadcast_against_all_reduce, "disagree", ["broadcast from 0 of 4 float32", "all_reduce sum of 4 float32"], True),
    (other_shape, "disagree", ["all_reduce sum of 6 float32", "all_reduce sum of 4 float32", "in other_shape"], True),
    (other_dtype, "disagree", ["all_reduce sum of 4 float64", "all_reduce sum of 4 float32"], True),
    (other_sum, "disagree", ["all_reduce max of 4 float32", "all_reduce sum of 4 float32"], True),
    (uneven_all_to_all, "disagree", ["rank 3 sends 3 elements to rank 1, which makes room for 1"], True),
    (
        one_collective_more,
        "disagree",
        ["rank 1 called 1 collective more than rank 0; its last is all_reduce sum of 2 float32 at"],
        True,
    ),
    (expects_more, "disagree", ["rank 0 sends 4 float32, rank 1 expects 6 float32", "in expects_more"], True),
    (expects_another_dtype, "disagree", ["rank 0 sends 4 float32, rank 1 expects 4 float64"], True),
    (cannot_travel, "raised", ["rank 1 raised TypeError", "(a lock) cannot be sent to the notebook"], True),
    (missing_answer, "raised", ["rank 0 expected [2, 2] float32 from rank 1 and got [3] float32"], True),
]


@pytest.mark.parametrize(("program", "kind", "says", "kept"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS])
def test_a_fault_is_told_and_the_pool_works_again(four, program, kind, says, kept):
    four.run(lambda w: w.state.update(model="here"))
    before = four._crew.pids()
    with pytest.raises(RemoteError) as caught:
        four.run(program, timeout=30)
    text = str(caught.value)
    assert caught.value.kind == kind, text
    for words in says:
        assert words in text, text
    assert caught.value.kept is kept, text
    assert four.run(lambda w: w.state.get("model")) == ["here" if kept else None] * 4
    assert (four._crew.pids() == before) is kept
    assert kept or not any(psutil.pid_exists(pid) for pid in before)
    assert_well(four)


def endless_loop(w):
    if w.rank == 1:
        while True:
            pass
    return w.recv(source=1)


def holds_the_interpreter(w):
    if w.rank == 1:
        sum(range(10**12))  # one long loop in C that never lets another thread run
    return w.recv(source=1)


def will_not_go(w):
    try:
        while True:
            time.sleep(0.01)
    finally:
        while True:
            with __import__("contextlib").suppress(KeyboardInterrupt):
                time.sleep(60)


STUCK = [
    (endless_loop, ["rank 1: was in its own code", "in endless_loop", "rank 0: waits for a message from rank 1"], True),
    (holds_the_interpreter, ["rank 1: did not answer (compiled code holds its interpreter)"], False),
    (will_not_go, ["rank 1: was in its own code"], False),
]


@pytest.mark.parametrize(("program", "says", "kept"), STUCK, ids=[fault[0].__name__ for fault in STUCK])
def test_a_timeout_says_where_every_rank_is(four, program, says, kept):
    with pytest.raises(RemoteError) as caught:
        four.run(program, timeout=0.7)
    text = str(caught.value)
    assert caught.value.kind == "timeout"
    assert "timeout: not done after 0.7 s" in text
    for words in says:
        assert words in text, text
    assert caught.value.kept is kept, text
    assert_well(four)


def deadlock_behind_a_signal(w):
    w.state["running"] = True
    print("started")
    if w.rank == 1:
        time.sleep(60)
    return w.recv(source=1)


@pytest.mark.parametrize(
    "program", [endless_loop, deadlock_behind_a_signal, will_not_go], ids=lambda program: program.__name__
)
def test_ctrl_c_stops_a_call_and_nothing_else(four, program):
    """The interrupt reaches this process as Jupyter's does; the call raises, the process goes on."""
    threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(RemoteInterrupt) as caught:
        four.run(program)
    assert str(caught.value).startswith("interrupted after ")
    assert_well(four)


def test_a_second_ctrl_c_kills_at_once(four):
    for delay in (0.3, 0.5):
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(RemoteInterrupt) as caught:
        four.run(will_not_go)
    assert not caught.value.kept
    assert_well(four)


def test_stop_from_another_thread(four):
    threading.Timer(0.5, four.stop).start()
    with pytest.raises(RemoteInterrupt):
        four.run(deadlock_behind_a_signal)
    assert_well(four)


def test_patience_lets_the_ranks_end_their_step(four):
    def steps(w):
        done = 0
        while not w.axis().all_reduce(torch.tensor([float(w.stopping)])).item():
            done += 1
            time.sleep(0.02)
        return done

    threading.Timer(0.5, four.stop).start()
    with pytest.raises(RemoteInterrupt) as caught:
        four.run(steps, patience=10.0)
    assert len(set(caught.value.result)) == 1
    assert caught.value.result[0] > 0


def test_an_isend_nobody_receives_is_named_and_does_no_harm(four, capsys):
    def careless(w):
        if w.rank == 3:
            w.send(torch.ones(3, 5), to=0)
        return w.rank

    out = four.run(careless)
    assert out == [0, 1, 2, 3]
    assert [letter[:4] for letter in out.uncollected] == [(3, 0, 15, "float32")]
    assert "rank 3's message (15 float32) to rank 0 was sent and never collected" in capsys.readouterr().out
    assert_well(four)


def test_a_raw_isend_nobody_receives(four, capsys):
    def careless(w):
        if w.rank == 3:
            dist.isend(torch.ones(4), dst=0)

    four.run(careless)
    assert "to rank 0 was sent and never collected" in capsys.readouterr().out
    assert_well(four)


def test_raw_messages_that_deadlock_are_named_too(four):
    def both_receive(w):
        dist.recv(torch.ones(2), src=(w.rank + 1) % w.ranks)

    with pytest.raises(RemoteError, match="deadlock: rank 0 waits for rank 1, 1 for 2, 2 for 3, 3 for 0"):
        four.run(both_receive)
    assert_well(four)


def test_a_collective_one_rank_never_comes_to(four):
    def three_of_four(w):
        if w.rank != 2:
            w.axis().barrier()

    with pytest.raises(RemoteError, match="deadlock: rank 0 waits for rank 2, which has finished"):
        four.run(three_of_four)
    assert_well(four)


def test_80000_lines_of_output(four, capsys):
    def talks(w):
        for line in range(20_000):
            print("line", line)

    four.run(talks)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 80_000
    assert [line for line in lines if line.startswith("[2]")][-1] == "[2] line 19999"


def test_output_from_below_python(four, capsys):
    four.run(lambda w: os.write(1, b"from C\n") if w.rank == 1 else None)
    assert capsys.readouterr().out == "[1] from C\n"


def test_100_mb_in_and_four_times_100_mb_back(four):
    big = torch.arange(25_000_000, dtype=torch.float32)
    out = four.run(lambda w, big: big, big)
    assert all(torch.equal(each, big) for each in out)


def test_a_view_travels_alone(four):
    big = torch.zeros(25_000_000)
    sizes = four.run(lambda w, part: part.untyped_storage().nbytes(), big[:3])
    assert sizes == [12] * 4
    assert four.run(lambda w: torch.zeros(25_000_000)[:3])[0].untyped_storage().nbytes() == 12


def test_a_data_loader_with_workers_inside_a_rank(four):
    def loads(w):
        loader = torch.utils.data.DataLoader(list(range(8)), batch_size=4, num_workers=1)
        return [batch.tolist() for batch in loader]

    assert four.run(loads) == [[[0, 1, 2, 3], [4, 5, 6, 7]]] * 4


def test_close_twice_and_use_after_it():
    pool = WorkerPool(1)
    pids = pool._crew.pids()
    pool.close()
    pool.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert repr(pool) == "1 worker, closed"
    with pytest.raises(RuntimeError, match="this pool is closed"):
        pool.run(well)


def test_grandchildren_go_too():
    def starts_a_process(w):
        import subprocess

        return subprocess.Popen(["sleep", "600"]).pid

    with WorkerPool(1) as pool:
        (pid,) = pool.run(starts_a_process)
        assert psutil.pid_exists(pid)
    gone = psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)[1]
    assert gone == []


def test_a_worker_that_died_while_idle_is_replaced(four, capsys):
    four.run(lambda w: w.state.update(kept=1))
    os.kill(four._crew.pids()[1], signal.SIGKILL)
    time.sleep(0.2)
    assert_well(four)
    assert "the process of rank 1 was gone: the workers were started again, w.state is empty" in capsys.readouterr().out


def test_memory_limit_is_an_ordinary_error():
    def asks(w, elements):
        w.state["held"] = torch.zeros(5_000_000)
        return torch.zeros(elements).sum().item()

    with WorkerPool(2, memory_limit=100_000_000) as pool:
        assert pool.run(asks, 1_000_000) == [0.0, 0.0]
        with pytest.raises(RemoteError) as caught:
            pool.run(asks, 25_000_000)
        assert caught.value.kind == "memory limit"
        assert "rank 0 asked for 100.0 MB while it held 2" in str(caught.value)
        assert "its limit is 100.0 MB" in str(caught.value)
        assert caught.value.kept
        assert pool.run(asks, 1_000_000) == [0.0, 0.0]


def test_more_workers_than_cores_is_said(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pytest.warns(UserWarning, match="5 workers on 2 cores take turns"):
        WorkerPool(5).close()


def test_a_pool_closed_while_a_call_runs():
    pool = WorkerPool(2)
    run = pool.start(will_not_go)
    time.sleep(0.3)
    pids = pool._crew.pids()
    pool.close()
    with pytest.raises(RemoteInterrupt):
        run.result(20)
    assert not any(psutil.pid_exists(pid) for pid in [*pids, *pool._crew.pids()])


def test_stopped_while_the_workers_start():
    with WorkerPool(2) as pool:
        run = pool.start(will_not_go)  # workers that were quick must not have ended before the stop
        run.stop()
        with pytest.raises(RemoteInterrupt):
            run.result(30)
        assert pool.run(lambda w: w.rank) == [0, 1]


def two_swap_behind_two(w):
    """Ranks 2 and 3 wait for each other; 0 waits for 1, and 1 for 2."""
    if w.rank == 0:
        w.send(torch.ones(1), to=1)
    return w.recv(source=(1, 2, 3, 2)[w.rank])


def test_who_stands_where_is_told_of_every_rank(four):
    with pytest.raises(RemoteError, match="deadlock: rank 2 waits for rank 3, 3 for 2") as caught:
        four.run(two_swap_behind_two)
    assert caught.value.cycle == (2, 3)
    assert {rank: one[:3] for rank, one in caught.value.stuck.items()} == {
        0: ("recv", 1, 1), 1: ("recv", 2, 1), 2: ("recv", 3, 1), 3: ("recv", 2, 1),
    }  # fmt: skip
    assert all("in two_swap_behind_two: return w.recv" in one.at for one in caught.value.stuck.values())
    assert_well(four)


def test_a_timeout_names_the_circle_too(four):
    with pytest.raises(RemoteError, match="timeout: not done after 0.2 s: rank 2 waits for rank 3, 3 for 2") as caught:
        four.run(two_swap_behind_two, timeout=0.2)
    assert (caught.value.kind, caught.value.cycle, list(caught.value.stuck)) == ("timeout", (2, 3), [0, 1, 2, 3])
    assert_well(four)


def test_a_timeout_without_a_circle_names_none(four):
    with pytest.raises(RemoteError, match="^timeout: not done after 0.2 s\n") as caught:
        four.run(endless_loop, timeout=0.2)
    assert (caught.value.cycle, caught.value.stuck) == ((), {})
    assert_well(four)


def test_a_disagreement_knows_what_each_rank_called_and_where(four):
    def three_and_one(w):
        if w.rank == 3:
            return w.axis().broadcast(torch.ones(4))
        return w.axis().all_reduce(torch.ones(4))

    with pytest.raises(RemoteError, match="the ranks disagree on collective") as caught:
        four.run(three_and_one)
    assert caught.value.kind == "disagree"
    assert {rank: call for rank, (call, _) in caught.value.calls.items()} == {
        **dict.fromkeys(range(3), "all_reduce sum of [4] float32"), 3: "broadcast from 0 of [4] float32",
    }  # fmt: skip
    assert [place.rsplit("w.axis().", 1)[1] for _, place in caught.value.calls.values()] == [
        *["all_reduce(torch.ones(4))"] * 3, "broadcast(torch.ones(4))",
    ]  # fmt: skip
    assert_well(four)

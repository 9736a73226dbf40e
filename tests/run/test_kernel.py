"""The process that holds the pool (a notebook's kernel) ends in any way: no worker is left, no other pool notices."""

import os
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
HEAD = """
import os, signal, sys, time
from minipar.run.pool import WorkerPool

def sleeps(w):
    time.sleep(600)

def deadlocks(w):
    import torch.distributed as dist
    time.sleep(600) if w.rank == 1 else dist.barrier()

def spins(w):
    while True:
        pass

def holds_the_interpreter(w):
    sum(range(10**12))

pools = [WorkerPool(2)]
pools[0].run(lambda w: w.rank)

def told(): print("pids", *[pid for pool in pools for pid in pool._crew.pids()], flush=True)
"""


class Kernel:
    """A Python process that plays the kernel; `pids` are its workers once it has told them."""

    def __init__(self, body):
        source = HEAD + textwrap.dedent(body)
        self.process = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, cwd=FOLDER,
                                        start_new_session=True)  # fmt: skip
        self.pids, self.family = [], []

    def wait_for_workers(self):
        for line in self.process.stdout:
            if line.startswith("pids"):
                self.pids = [int(pid) for pid in line.split()[1:]]
                break
        assert self.pids, "the kernel ended before its pool was up"
        self.family = psutil.Process(self.process.pid).children(recursive=True)
        assert set(self.pids) <= {process.pid for process in self.family}
        return self

    def assert_nothing_left(self):
        _, alive = psutil.wait_procs(self.family, timeout=10)
        try:
            assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
        finally:
            for process in alive:
                process.kill()

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(10)


@pytest.fixture
def kernel():
    made = []

    def make(body):
        made.append(Kernel(body))
        return made[-1].wait_for_workers()

    yield make
    for each in made:
        each.process.kill()
        each.process.wait()
        each.process.stdin.close()
        each.process.stdout.close()


def test_the_kernel_is_killed_whatever_its_workers_are_doing(kernel):
    """One pool idles; the others sleep, deadlock, spin and hold the interpreter."""
    dying = kernel("""
    for program in (sleeps, deadlocks, spins, holds_the_interpreter):
        pools.append(WorkerPool(2))
        pools[-1].run(lambda w: w.rank)
        pools[-1].start(program)
    time.sleep(0.5)
    told()
    time.sleep(600)
    """)
    assert len(dying.pids) == 10
    dying.kill()
    dying.assert_nothing_left()


def test_the_kernel_is_restarted(kernel):
    ending = kernel("told(); pools[0].run(deadlocks)")
    ending.kill(signal.SIGTERM)
    ending.assert_nothing_left()


def test_the_kernel_ends_by_itself_and_a_pool_that_nobody_refers_to_any_more_ends_before(kernel):
    ending = kernel("""
    pools.append(WorkerPool(2))
    pools[1].run(lambda w: w.rank)
    told()
    sys.stdin.readline()
    del pools[1]
    sys.stdin.read()
    """)
    ending.process.stdin.write("now\n")
    ending.process.stdin.flush()
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in ending.pids[2:] if psutil.pid_exists(pid)], timeout=10)
    assert alive == []
    assert all(psutil.pid_exists(pid) for pid in ending.pids[:2])
    ending.process.stdin.close()
    ending.process.wait(20)
    assert ending.process.returncode == 0
    ending.assert_nothing_left()


def test_the_fork_server_is_killed(kernel):
    body = """
    from multiprocessing import forkserver
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    time.sleep(0.5)
    print("again", pools[0].run(lambda w: w.rank), flush=True)
    told()
    time.sleep(600)
    """
    again = kernel(body)
    again.kill()
    again.assert_nothing_left()


def test_two_kernels_at_once(kernel):
    first, second = (
        kernel("told(); time.sleep(600)"),
        kernel("told(); time.sleep(1); print(pools[0].run(lambda w: w.rank), flush=True)"),
    )
    first.kill()
    first.assert_nothing_left()
    assert second.process.communicate(timeout=20)[0].strip() == "[0, 1]"
    second.assert_nothing_left()


def test_an_unguarded_script_is_not_run_again_in_the_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "print('top')\nfrom minipar.run.pool import WorkerPool\npool = WorkerPool(2)\n"
        "print(pool.run(lambda w: w.rank))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=FOLDER, timeout=60,
                          env={**os.environ, "PYTHONPATH": FOLDER})  # fmt: skip
    assert done.stdout.splitlines() == ["top", "[0, 1]"], done.stderr

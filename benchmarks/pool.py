"""How long until a function runs on four processes: the first time, and every time after that?

    python -m benchmarks.pool > benchmarks/pool.txt                 see also --rounds

    cold    a fresh interpreter, from before its first import to the answer of a first all-reduce over four ranks
    warm    an empty function called again in the same interpreter, until its four results are there
    1 MB    as warm, and each rank returns a tensor of 1 MB

The peers are the two ways torch itself has of running a function on several processes: `torch.multiprocessing.spawn`
(results come through a queue; there are no results otherwise) and torch elastic (`elastic_launch`, what torchrun calls
inside) in its fastest form, fork, which a notebook that has used its threads or a GPU cannot use. Both start new
processes for every call, so their "warm" is a start from an interpreter that has loaded torch.
Each round asks the three in turn, each in an interpreter of its own; medians over the rounds. One round before, which
does not count, leaves torch compiled to bytecode on the disk, as any earlier import of it does.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

RANKS = 4
AIMS = {"cold": 2.0, "warm": 0.001}
HOW_OFTEN = {"minipar": 200, "spawn": 2, "elastic": 5}
SIDES = {"minipar": "minipar", "spawn": "torch.multiprocessing.spawn", "elastic": "torch elastic"}


# ---- what the ranks do


def summed(w):
    """A first all-reduce in a pool."""
    import torch

    return w.axis().all_reduce(torch.ones(1)).item()


def nothing(w):
    """An empty call."""


def megabyte(w):
    """1 MB from each rank."""
    import torch

    return torch.zeros(2**18)


def work(what, rank, store):
    """The same in a process of torch's."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    if what == "warm":
        return None
    if what == "1 MB":
        return torch.zeros(2**18)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo" if sys.platform == "linux" else "lo0"
    dist.init_process_group("gloo", store=dist.FileStore(store, RANKS), rank=rank, world_size=RANKS)
    total = torch.ones(1)
    dist.all_reduce(total)
    dist.destroy_process_group()
    return total.item()


def spawned(rank, what, store, results):
    """The target of `spawn`."""
    result = work(what, rank, store)
    results.put((rank, result.numpy() if what == "1 MB" else result))  # a tensor would need its process to live on


def launched(what, store):
    """The target of `elastic_launch`; its results are sent home by elastic itself."""
    return work(what, int(os.environ["RANK"]), store)


# ---- the three sides: each gives a call(what) -> results of four ranks


def minipar_side():
    import minipar

    pool = minipar.WorkerPool(RANKS, device="cpu")
    calls = {"cold": summed, "warm": nothing, "1 MB": megabyte}
    return lambda what: list(pool.run(calls[what]))


def spawn_side():
    import torch.multiprocessing as mp

    def call(what):
        results = mp.get_context("spawn").SimpleQueue()
        with tempfile.TemporaryDirectory() as folder:
            running = mp.spawn(spawned, (what, os.path.join(folder, "store"), results), nprocs=RANKS, join=False)
            found = dict(results.get() for _ in range(RANKS))
            while not running.join():
                pass
        return [found[rank] for rank in range(RANKS)]

    return call


def elastic_side():
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    def call(what):
        form = LaunchConfig(1, 1, RANKS, rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=0,
                            monitor_interval=0.01, start_method="fork", run_id="benchmark")  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            found = elastic_launch(form, launched)(what, os.path.join(folder, "store"))
        return [found[rank] for rank in range(RANKS)]

    return call


def one_interpreter(side):
    """Measures one side in this fresh interpreter: {"cold": seconds, "warm": ..., "1 MB": ...}."""
    start = time.perf_counter()
    call = {"minipar": minipar_side, "spawn": spawn_side, "elastic": elastic_side}[side]()
    if call("cold") != [float(RANKS)] * RANKS:
        raise AssertionError("the first all-reduce gave wrong numbers")
    found = {"cold": time.perf_counter() - start}
    for what in ("warm", "1 MB"):
        times = []
        for _ in range(HOW_OFTEN[side]):
            start = time.perf_counter()
            results = call(what)
            times.append(time.perf_counter() - start)
        if what == "1 MB" and [part.nbytes for part in results] != [2**20] * RANKS:
            raise AssertionError("not 1 MB from each rank")
        found[what] = statistics.median(times)
    return found


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--side", choices=SIDES, help="measure one side in this interpreter, for use by this program")
    chosen = options.parse_args()
    if chosen.side:
        print(json.dumps(one_interpreter(chosen.side)))
        return
    python = sys.version.split()[0]
    print(f"{RANKS} ranks on {os.cpu_count()} cores, python {python}; medians of {chosen.rounds} rounds")
    print(f"load before: {os.getloadavg()[0]:.1f}\n")
    rounds = []
    for _ in range(chosen.rounds + 1):
        rounds.append({side: json.loads(fresh(side)) for side in SIDES})
    del rounds[0]
    print(f"{'':6} {'minipar':>12}   {'spawn':>12}   {'elastic':>12}    ratio to spawn, elastic   aim         met")
    for what in ("cold", "warm", "1 MB"):
        ours, *others = (1000 * statistics.median(one[side][what] for one in rounds) for side in SIDES)
        aim = f"<= {1000 * AIMS[what]:g} ms" if what in AIMS else ""
        verdict = "" if what not in AIMS else "yes" if ours <= 1000 * AIMS[what] else "MISSED"
        first, second = (ours / other for other in others)
        print(f"{what:6} {ours:9.2f} ms   {others[0]:9.2f} ms   {others[1]:9.2f} ms    {first:14.4f}, {second:.4f}"
              f"   {aim:10}  {verdict}")  # fmt: skip
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


def fresh(side):
    """What `one_interpreter` says in a fresh one."""
    command = [sys.executable, "-m", "benchmarks.pool", "--side", side]
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=variables)
    return done.stdout.splitlines()[-1]


if __name__ == "__main__":
    main()

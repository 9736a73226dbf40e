"""How fast are importing minipar and simulating a schedule, next to torch's own schedule simulation?

    python -m benchmarks.plan > benchmarks/plan.txt

The peer is ``torch.distributed.pipelining.schedules._simulate_comms_compute`` (private, torch 2.13), which walks the
same GPipe order once its sends and receives are written in; writing them in is not timed, nor is our lowering. Each
prediction is timed in an interpreter of its own.
"""

import statistics
import subprocess
import sys
import time

import minipar

SIZES = ((32, 256, None), (64, 1024, 1.0), (256, 2048, 5.0))  # ranks, microbatches, seconds aimed at


def median(call, runs: int) -> float:
    """Median wall time in seconds, after one run that does not count."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def in_a_fresh_interpreter(code: str) -> float:
    """The number that some code prints in an interpreter of its own: no other run's memory lies about."""
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def import_time(module: str) -> float:
    """Median time of a bare import in a fresh interpreter, seconds; the interpreter's own start is not in it."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return statistics.median(in_a_fresh_interpreter(code) for _ in range(7))


def prediction(name: str, ranks: int, microbatches: int) -> float:
    """Median time of predicting this schedule, seconds, after one run that does not count."""
    return in_a_fresh_interpreter(
        "import minipar; from benchmarks.plan import median; "
        f"schedule = minipar.{name}({ranks}, {microbatches}); print(median(lambda: minipar.predict(schedule), 5))"
    )


def torch_simulation(ranks: int, microbatches: int):
    """A call that simulates GPipe of this size in torch."""
    from torch.distributed.pipelining import schedules as peer

    order = {
        rank: [peer._Action.from_str(str(action)) for action in program]
        for rank, program in enumerate(minipar.gpipe(ranks=ranks, microbatches=microbatches).programs)
    }
    lowered = peer._add_send_recv(order, stage_to_rank=lambda stage: stage, num_stages=ranks)
    return lambda: peer._simulate_comms_compute(lowered, stage_to_rank=lambda stage: stage, num_stages=ranks)


def main() -> None:
    print(f"python {sys.version.split()[0]}; medians\n")
    print(f"import minipar                                {import_time('minipar'):8.3f} s   (aim: 0.1 s)")
    print(f"import torch, for scale                       {import_time('torch'):8.3f} s\n")
    print(f"{'predict':12}{'actions':>10}{'minipar':>11}{'per action':>14}{'torch':>11}   ratio   aim")
    for name in ("gpipe", "one_f_one_b"):
        for ranks, microbatches, aim in SIZES:
            actions = 2 * ranks * microbatches
            ours = prediction(name, ranks, microbatches)
            row = f"{name:12}{actions:10,}{ours:9.3f} s{ours / actions * 1e6:11.2f} us"
            if name == "gpipe":
                theirs = median(torch_simulation(ranks, microbatches), 3)
                row += f"{theirs:9.3f} s{ours / theirs:8.2f}"
            else:
                row += f"{'':>19}"
            met = "" if aim is None else f"{aim:g} s: {'yes' if ours <= aim else 'MISSED'}"
            print(f"{row}   {met}".rstrip(), flush=True)


if __name__ == "__main__":
    main()

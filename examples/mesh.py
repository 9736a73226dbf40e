"""Train a GPT on a mesh of several axes: the same file on a local pool and under torchrun.

    python examples/mesh.py --tensor 2 --pipe 2               starts four workers itself
    torchrun --nproc-per-node 4 examples/mesh.py --tensor 2 --pipe 2

Whatever the axes and their order, the losses are those of one process (`--tensor 1`), but for rounding.
"""

import argparse

import minipar
from minipar.nn.text import Text

AXES = ("tensor", "context", "data", "pipe")


def main():
    """Read the axes, train, print a loss a step and what rank 0 put into collectives in the first one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for axis in AXES:
        parser.add_argument(f"--{axis}", type=int, default=1, help="ranks of this axis")
    parser.add_argument("--order", default="tp-cp-dp-pp", help="rank order as Megatron writes it, the fastest first")
    parser.add_argument("--sequence-parallel", action="store_true", help="norms on slices of the sequence")
    parser.add_argument("--steps", type=int, default=5)
    chosen = parser.parse_args()

    sizes = {axis: getattr(chosen, axis) for axis in AXES if getattr(chosen, axis) > 1}
    mesh = minipar.Mesh.ordered(chosen.order, **(sizes or {"pipe": 1}))
    plan = minipar.Plan(
        mesh,
        schedule=minipar.one_f_one_b(chosen.pipe, microbatches=4),
        sequence_parallel=chosen.sequence_parallel,
    )
    model = minipar.GPT(layers=4, hidden=64, heads=4, context=32, tied=True, dtype="float64")
    with minipar.WorkerPool(mesh.size) as pool:
        training = minipar.train(pool, plan, model, Text(batch=16, context=32), steps=chosen.steps, learning_rate=3e-3)
        for step, loss in enumerate(training.losses, start=1):
            print(f"step {step:3}  loss {loss:.6f}")
        trace = training.trace
        print(f"{mesh}: rank 0 took part in {trace.calls(0)} collectives, with {trace.payload(0):,} bytes in hand")


if __name__ == "__main__":
    main()

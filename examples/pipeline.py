"""Train a GPT, cut into four parts, on four processes: the same file on a local pool and under torchrun.

    python examples/pipeline.py                               starts four workers itself
    torchrun --nproc-per-node 4 examples/pipeline.py          four processes that torchrun started

Both print the same losses: the weights depend on the seed and the layer alone, the batches on the step alone.
"""

import argparse

import minipar
from minipar.nn.text import Text

BUILDERS = {"naive": lambda ranks, _: minipar.naive(ranks), "gpipe": minipar.gpipe, "1f1b": minipar.one_f_one_b}


def main():
    """Read the choices, train, print a loss a step and how much idle time the first step had."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schedule", choices=BUILDERS, default="1f1b")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--microbatches", type=int, default=8)
    parser.add_argument("--tied", action="store_true", help="let the head use the embedding's table")
    chosen = parser.parse_args()

    model = minipar.GPT(layers=8, hidden=64, context=32, tied=chosen.tied)
    schedule = BUILDERS[chosen.schedule](4, chosen.microbatches)
    plan = minipar.Plan(mesh=minipar.Mesh(pipe=4), schedule=schedule)
    with minipar.WorkerPool(4) as pool:
        print(pool)
        data = Text(batch=16, context=32)
        training = minipar.train(pool, plan, model, data, steps=chosen.steps, learning_rate=3e-3)
        for step, loss in enumerate(training.losses, start=1):
            print(f"step {step:3}  loss {loss:.6f}")
        print(f"{schedule.name}: at most {training.trace.peak_in_flight} microbatches in flight")


if __name__ == "__main__":
    main()

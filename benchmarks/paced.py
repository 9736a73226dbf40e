"""How close does a paced step come to its prediction?

    python -m benchmarks.paced > benchmarks/paced.txt               see also --steps

Four ranks, eight microbatches, a forward declared as 50 ms and a backward as 100 ms; a small GPT does the real work
inside, everything is recorded as in the lessons. The peer is the prediction itself: makespan measured over predicted.
"""

import argparse
import os
import statistics

import minipar

PACE = minipar.Cost(F=0.050, B=0.100)
AIM = 1.10
RANKS, MICROBATCHES = 4, 8


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=9)
    steps = options.parse_args().steps
    model = minipar.GPT(layers=8, hidden=64)
    batch = minipar.text_batch(batch=MICROBATCHES, context=64, seed=0)
    print(f"{RANKS} ranks on {os.cpu_count()} cores, M={MICROBATCHES}, F=50 ms, B=100 ms; {steps} steps each")
    print(f"load before: {os.getloadavg()[0]:.1f}\n")
    print("schedule      predicted    measured    ratio (quartiles)    aim   met    actions that overran")
    with minipar.WorkerPool(RANKS, device="cpu") as pool:
        for build in (minipar.gpipe, minipar.one_f_one_b):
            schedule = build(ranks=RANKS, microbatches=MICROBATCHES)
            plan = minipar.Plan(mesh=minipar.Mesh(pipe=RANKS), schedule=schedule)
            predicted = minipar.predict(schedule, PACE).makespan
            traces = [minipar.train_step(pool, plan, model, batch, pace=PACE).trace for _ in range(steps)]
            measured = [trace.makespan for trace in traces]
            low, middle, high = statistics.quantiles((seconds / predicted for seconds in measured), n=4)
            overran = sum(span.note == "overran" for trace in traces for span in trace.actions())
            total = sum(len(trace.actions()) for trace in traces)
            print(f"{schedule.name:12} {1000 * predicted:7.0f} ms {1000 * statistics.median(measured):8.0f} ms"
                  f"   {middle:6.3f} ({low:.3f}, {high:.3f})  {AIM:.2f}  {'yes' if middle <= AIM else 'MISSED'}"
                  f"    {overran} of {total}", flush=True)  # fmt: skip
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

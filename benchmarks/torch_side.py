"""How does torch.distributed.pipelining run the same step?

The peer of benchmarks/pipeline.py and schedules.py, a program of its own: it reads one request a line (JSON) and
answers each with one. Its ranks are plain processes, started as minipar starts its own (a fork server with torch
preloaded) and with as many threads; nothing of minipar is in them. What would only slow it down is off: outputs are not
merged, gradients are not scaled afterwards (the loss is, as in minipar), and torch's objects are kept from the garbage
collector, as in minipar.
"""

import csv
import gc
import json
import multiprocessing
import os
import re
import sys
import tempfile

import torch
import torch.distributed as dist
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe
from torch.distributed.pipelining.schedules import _PipelineScheduleRuntime

from benchmarks.workload import CASES, cut, forget, summed_up, time_steps

SCHEDULES = {"gpipe": ScheduleGPipe, "one_f_one_b": Schedule1F1B}


class Rank:
    """One process: its part of the present case."""

    def __init__(self, rank, ranks, store):
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // ranks))
        os.environ["GLOO_SOCKET_IFNAME"] = "lo" if sys.platform == "linux" else "lo0"
        dist.init_process_group("gloo", store=dist.FileStore(store, ranks), rank=rank, world_size=ranks)
        gc.collect()
        gc.freeze()
        self.rank, self.ranks = rank, ranks

    def prepare(self, case, schedule, microbatches):
        """Build this rank's stages; take a first step, in which torch finds the shapes: its loss and gradients.

        schedule: one that torch has a runtime of its own for, or a CSV file for the runtime that reads them.
        """
        model = CASES[case]
        options = microbatches, lambda y, t: model.loss(y, t) / microbatches
        if schedule in SCHEDULES:
            stages = self.stages(model, self.ranks, [self.rank])
            self.runner = SCHEDULES[schedule](stages[0], *options, scale_grads=False)
        else:
            count, mine = placed(schedule, self.rank)
            stages = self.stages(model, count, mine)
            self.runner = _PipelineScheduleRuntime(stages, *options, scale_grads=False)
            self.runner._load_csv(schedule)
        self.parameters = {name: each for stage in stages for name, each in stage.submod.named_parameters()}
        self.batch, self.losses = model.batch(microbatches), []
        self.given = (self.batch.inputs,) if any(stage.is_first for stage in stages) else ()
        last = any(stage.is_last for stage in stages)
        self.asked = {"target": self.batch.targets, "losses": self.losses} if last else {}
        self.step()
        gradients = {name: parameter.grad for name, parameter in self.parameters.items()}
        return sum(loss.item() for loss in self.losses), gradients

    def stages(self, model, count, mine):
        """torch's stages with these numbers, of so many."""
        cuts = cut(model, count)
        return [PipelineStage(model.build(cuts[stage]), stage, count, torch.device("cpu")) for stage in mine]

    def step(self):
        self.runner.step(*self.given, return_outputs=False, **self.asked)

    def measure(self, steps, before):
        """`before` steps that do not count, then seconds of `steps` steps."""
        parameters = list(self.parameters.values())
        return time_steps(self.step, lambda: forget(parameters), dist.barrier, before + steps)[before:]


def placed(path, rank):
    """(how many stages a schedule in a CSV file has, those of this rank)."""
    with open(path, newline="") as file:
        rows = [{int(stage) for stage in re.findall(r"(\d+)[FBIW]\d", " ".join(row))} for row in csv.reader(file)]
    return 1 + max(max(row) for row in rows), sorted(rows[rank])


def serve(rank, ranks, store, pipe):
    """What a rank's process does."""
    me = Rank(rank, ranks, store)
    while (request := pipe.recv()) is not None:
        name, *arguments = request
        pipe.send(getattr(me, name)(*arguments))
    dist.destroy_process_group()


class Ranks:
    """The processes, seen from outside."""

    def __init__(self, ranks, folder):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["torch.distributed", "torch.distributed.pipelining", "benchmarks.workload"])
        self.pipes, self.processes = [], []
        for rank in range(ranks):
            mine, theirs = context.Pipe()
            arguments = rank, ranks, os.path.join(folder, "store"), theirs
            self.processes.append(context.Process(target=serve, args=arguments))
            self.processes[-1].start()
            self.pipes.append(mine)

    def ask(self, *request):
        """The same request to all; their answers."""
        for pipe in self.pipes:
            pipe.send(request)
        return [pipe.recv() for pipe in self.pipes]

    def end(self):
        for pipe in self.pipes:
            pipe.send(None)
        for process in self.processes:
            process.join()


def main():
    ranks = None
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            match json.loads(line):
                case ["start", count]:
                    ranks, answer = Ranks(count, folder), None
                case ["prepare", *what, file]:
                    parts = ranks.ask("prepare", *what)
                    gradients = {name: gradient for _, own in parts for name, gradient in own.items()}
                    torch.save((sum(loss for loss, _ in parts), gradients), file)
                    answer = None
                case ["measure", steps, before]:
                    answer = summed_up(ranks.ask("measure", steps, before))
            print(json.dumps(answer), flush=True)
        if ranks is not None:
            ranks.end()


if __name__ == "__main__":
    main()

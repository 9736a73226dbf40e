"""How does torch's own pipeline runtime run in a test?  In plain gloo processes, without minipar's pool.

torch tells the messages of two ranks apart by their order alone and warms up with messages of its own; a pool's watch
over who waits for whom would take those for a disagreement.
"""

import contextlib
import multiprocessing
import os
import sys
import traceback

import torch
import torch.distributed as dist

PRELOAD = ["torch.distributed.pipelining", "minipar.nn.gpt", "tests.laws.torch_ranks"]


def serve(rank, ranks, store, pipe):
    """What a rank's process does: run what it is asked until it is asked for nothing."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo" if sys.platform == "linux" else "lo0"
    dist.init_process_group("gloo", store=dist.FileStore(store, ranks), rank=rank, world_size=ranks)
    while (request := pipe.recv()) is not None:
        function, arguments = request
        try:
            pipe.send((function(rank, *arguments), None))
        except BaseException:
            pipe.send((None, traceback.format_exc()))
    dist.destroy_process_group()


class TorchRanks:
    """`ranks` processes in one process group. A context manager."""

    def __init__(self, ranks, folder):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        self.pipes, self.processes = [], []
        for rank in range(ranks):
            mine, theirs = context.Pipe()
            arguments = rank, ranks, os.path.join(folder, f"store{ranks}"), theirs
            self.processes.append(context.Process(target=serve, args=arguments, daemon=True))
            self.processes[-1].start()
            theirs.close()
            self.pipes.append(mine)

    def __enter__(self):
        return self

    def run(self, function, *arguments, patience=180):
        """function(rank, *arguments) on each rank; their answers. RuntimeError with a rank's own words."""
        for pipe in self.pipes:
            pipe.send((function, arguments))
        answers = []
        for rank, pipe in enumerate(self.pipes):
            if not pipe.poll(patience):
                raise RuntimeError(f"rank {rank} gave no answer for {patience} s")
            answer, error = pipe.recv()
            if error:
                raise RuntimeError(f"rank {rank}: {error}")
            answers.append(answer)
        return answers

    def __exit__(self, *_):
        for pipe, process in zip(self.pipes, self.processes, strict=True):
            with contextlib.suppress(OSError):  # it may have ended already
                pipe.send(None)
            process.join(5)
            if process.is_alive():
                process.kill()

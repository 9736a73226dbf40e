"""How does torch slice the same layers and the same loss?

The peer of benchmarks/sliced.py and benchmarks/vocabulary.py, a program of its own: it reads one request a line (JSON)
and answers each with one. Its ranks are plain processes with gloo, started as minipar starts its own (a fork server
with torch preloaded) and with as many threads; nothing of minipar is in them. Layers are cut by `parallelize_module`
with ColwiseParallel and RowwiseParallel; attention's x becomes a DTensor once (PrepareModuleInput), so that its
gradient is summed once, as in minipar. The loss is torch's `loss_parallel`.
"""

import contextlib
import gc
import json
import math
import multiprocessing
import os
import sys
import tempfile

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    loss_parallel,
    parallelize_module,
)
from torch.nn.functional import cross_entropy, gelu

from benchmarks.workload import forget, summed_up, time_steps

LONGEST = 512  # tokens of one text; more tokens are more texts
HEAD_WIDTH = 64
KINDS = ("MLP", "attention")


# ---- the same numbers for both sides


def numbers(kind: str, hidden: int) -> dict[str, torch.Tensor]:
    """The weights of a whole layer, by the names that both sides use."""
    torch.manual_seed(1)
    sizes = {"up": (4 * hidden, hidden), "down": (hidden, 4 * hidden)}
    if kind == "attention":
        sizes = dict.fromkeys(("query", "key", "value", "output"), (hidden, hidden))
    found = {}
    for name, (outputs, inputs) in sizes.items():
        found[f"{name}.weight"] = torch.randn(outputs, inputs) / math.sqrt(inputs)
        found[f"{name}.bias"] = torch.randn(outputs)
    return found


def stream(tokens: int, hidden: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(x, the gradient of y), both [texts, tokens of a text, hidden]."""
    torch.manual_seed(2)
    return torch.randn(2, max(1, tokens // LONGEST), min(tokens, LONGEST), hidden).unbind()


def scores(tokens: int, words: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(logits [tokens, words], targets [tokens])."""
    torch.manual_seed(3)
    return torch.randn(tokens, words), torch.randint(words, (tokens,))


def peak_bytes(step) -> int | None:
    """How far this process's memory rises above where it stood, in a step. None where Linux does not tell."""
    gc.collect()
    with contextlib.suppress(OSError):
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the highest mark starts anew
        before = _status("VmRSS")
        step()
        return _status("VmHWM") - before
    return None


def settled(tensor):
    """A result of DTensor may still be under way: what it is when it has come."""
    return tensor.wait() if isinstance(tensor, AsyncCollectiveTensor) else tensor


def _status(field: str) -> int:
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(field))


# ---- torch's layers


class MLP(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, hidden):
        super().__init__()
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, x):
        return self.down(gelu(self.up(x)))


class Attention(nn.Module):
    """Causal self-attention, its scores written out as minipar's are."""

    def __init__(self, hidden):
        super().__init__()
        self.query, self.key, self.value, self.output = (nn.Linear(hidden, hidden) for _ in range(4))

    def forward(self, x):
        batch, seq = x.shape[:2]
        query, key, value = (
            layer(x).view(batch, seq, -1, HEAD_WIDTH).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        mask = torch.full((seq, seq), -math.inf).triu(diagonal=1)
        weights = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(HEAD_WIDTH) + mask, dim=-1)
        return self.output((weights @ value).transpose(1, 2).flatten(2))


def parallel(kind, hidden, mesh):
    """The layer with the same numbers, cut by torch."""
    layer = MLP(hidden) if kind == "MLP" else Attention(hidden)
    layer.load_state_dict(numbers(kind, hidden))
    if kind == "MLP":
        return parallelize_module(layer, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})
    plan = dict.fromkeys(("query", "key", "value"), ColwiseParallel()) | {"output": RowwiseParallel()}
    once = PrepareModuleInput(input_layouts=(Replicate(),), desired_input_layouts=(Replicate(),))
    return parallelize_module(parallelize_module(layer, mesh, plan), mesh, once)


class Rank:
    """One process: its part of the present case."""

    def __init__(self, rank, ranks, store):
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // ranks))
        os.environ["GLOO_SOCKET_IFNAME"] = "lo" if sys.platform == "linux" else "lo0"
        dist.init_process_group("gloo", store=dist.FileStore(store, ranks), rank=rank, world_size=ranks)
        self.rank, self.ranks, self.mesh = rank, ranks, init_device_mesh("cpu", (ranks,))
        gc.collect()
        gc.freeze()

    def layer(self, kind, tokens, hidden):
        """Build this rank's slice; a first step: its output and x's gradient."""
        layer, (x, gradient) = parallel(kind, hidden, self.mesh), stream(tokens, hidden)
        x.requires_grad_()
        self.held = [x, *layer.parameters()]

        def step():
            y = layer(x)
            (y * gradient).sum().backward()
            settled(x.grad)
            return y

        self.step = step
        return settled(step()).detach(), settled(x.grad)

    def loss(self, tokens, words):
        """Cut the logits; a first step: the loss and this rank's gradient."""
        logits, targets = scores(tokens, words)
        own = logits.chunk(self.ranks, dim=-1)[self.rank].clone().requires_grad_()
        self.held = [own]

        def step():
            whole = DTensor.from_local(own, self.mesh, [Shard(-1)])
            with loss_parallel():
                found = cross_entropy(whole, targets)
                found.backward()
            return found

        self.step = step
        found = step().detach()
        return settled(found.full_tensor() if isinstance(found, DTensor) else found), settled(own.grad)

    def measure(self, steps, before):
        """`before` steps that do not count, then what `steps` steps take."""
        return time_steps(self.step, lambda: forget(self.held), dist.barrier, before + steps)[before:]

    def peak(self):
        """Bytes of one step."""
        forget(self.held)
        return peak_bytes(self.step)


def serve(rank, ranks, store, pipe):
    """What a rank's process does."""
    me = Rank(rank, ranks, store)
    while (request := pipe.recv()) is not None:
        name, *arguments = request
        pipe.send(getattr(me, name)(*arguments))
    dist.destroy_process_group()


def main():
    context, (ranks, file) = multiprocessing.get_context("forkserver"), json.loads(sys.stdin.readline())
    context.set_forkserver_preload(["torch.distributed.tensor.parallel", "benchmarks.workload"])
    pipes, processes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for rank in range(ranks):
            mine, theirs = context.Pipe()
            arguments = rank, ranks, os.path.join(folder, "store"), theirs
            processes.append(context.Process(target=serve, args=arguments))
            processes[-1].start()
            pipes.append(mine)
        for line in sys.stdin:
            request = json.loads(line)
            for pipe in pipes:
                pipe.send(request)
            answers = [pipe.recv() for pipe in pipes]
            if request[0] in ("layer", "loss"):
                torch.save(answers, file)
                answers = None
            print(json.dumps(summed_up(answers) if request[0] == "measure" else answers), flush=True)
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.send(None)
            process.join()


if __name__ == "__main__":
    main()

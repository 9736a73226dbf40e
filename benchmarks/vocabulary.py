"""What does the loss over 50,000 words cost two ranks, in time and in memory, when nobody has all scores?

    python -m benchmarks.vocabulary > benchmarks/vocabulary.txt                 see also --pairs, --tokens, --words

    minipar    vocab_parallel_cross_entropy: three numbers a token travel
    gathered   the scores gathered on each rank, then torch's cross_entropy; over minipar's own axis, in the same pool
    torch      torch's loss_parallel on a DTensor (benchmarks/torch_slices.py), in plain processes

512 tokens, float32, forward and backward; the sides take turns, and losses and gradients are compared first. Peak
bytes are what the system says of the process: how far its memory rises in a step above what it was, own scores not
counted (Linux only).
"""

import argparse
import os

import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy

import minipar
from benchmarks.sliced import MESH, Peer, compared, difference, steps_of
from benchmarks.torch_slices import peak_bytes, scores
from benchmarks.workload import forget, summed_up, time_steps
from minipar.nn.loss import gather_logits, vocab_parallel_cross_entropy


def build(w, way, tokens, words):
    """(a step: forward and backward, this rank's scores)."""
    w.recorder.keeps_spans = False
    logits, targets = scores(tokens, words)
    axis = w.axis("tensor")
    own = logits.chunk(axis.size, dim=-1)[axis.rank].clone().requires_grad_()

    def sliced():
        return vocab_parallel_cross_entropy(axis, own, targets, axis.rank * own.shape[-1])

    def gathered():
        return cross_entropy(gather_logits(axis, own, words), targets)

    def step():
        loss = sliced() if way == "sliced" else gathered()
        loss.backward()
        return loss

    return step, own


def once(w, *case):
    """One step: the loss and this rank's gradient."""
    step, own = build(w, *case)
    return step().detach(), own.grad


def measure(w, steps, before, *case):
    """`before` steps that do not count, then what `steps` steps take."""
    step, own = build(w, *case)
    return time_steps(step, lambda: forget([own]), dist.barrier, before + steps)[before:]


def peak(w, *case):
    """Bytes of one step."""
    step, own = build(w, *case)
    step()
    forget([own])
    return peak_bytes(step)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--words", type=int, default=50_000)
    arguments = parser.parse_args()
    sizes = arguments.tokens, arguments.words
    print(f"torch {torch.__version__}, 2 ranks on {os.cpu_count()} cores; {arguments.tokens} tokens, "
          f"{arguments.words:,} words: {4 * sizes[0] * sizes[1] // 2:,} bytes of scores a rank")  # fmt: skip
    print(f"load before: {os.getloadavg()[0]:.1f}\n")
    peer = Peer(2)
    with minipar.WorkerPool(2, device="cpu") as pool:
        table(pool, peer, sizes, arguments.pairs)
    peer.end()
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


def table(pool, peer, sizes, pairs):
    """Time and bytes of minipar's against each of the others."""

    def ours(steps, way):
        return lambda: summed_up(pool.run(measure, steps, 1, way, *sizes, mesh=MESH))

    mine, theirs = pool.run(once, "sliced", *sizes, mesh=MESH), peer.prepare("loss", *sizes)
    worst = max(difference(mine, theirs), difference(mine, pool.run(once, "gathered", *sizes, mesh=MESH)))
    steps = steps_of(peer.measure(1, 1))
    peaks = {way: max(pool.run(peak, way, *sizes, mesh=MESH), key=lambda bytes: bytes or 0)
             for way in ("sliced", "gathered")}  # fmt: skip
    peaks["torch"] = max(peer.ask("peak"), key=lambda bytes: bytes or 0)
    print(f"{'against':10} {'minipar':>12} {'the other':>12}    ratio (quartiles)    aim   met    processor"
          "   peak bytes")  # fmt: skip
    for name, aim, other in (
        ("gathered", 1.0, ours(steps, "gathered")),
        ("torch", 1.0, lambda: peer.measure(steps, 1)),
    ):
        found = compared(ours(steps, "sliced"), other, pairs)
        print(f"{name:10} {found.line(aim)}   {share(peaks, name)}", flush=True)
    print(f"\nlosses and gradients differ by {worst:.0e}; aim for the peak bytes: 1/2 of gathered")


def share(peaks, name) -> str:
    """minipar's peak against another's, or that it could not be seen."""
    if not peaks["sliced"] or not peaks[name]:
        return "not told by this system"
    return f"{peaks['sliced']:,} of {peaks[name]:,}: {peaks['sliced'] / peaks[name]:.2f}"


if __name__ == "__main__":
    main()

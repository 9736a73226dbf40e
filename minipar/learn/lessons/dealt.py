"""How do the stages of lesson 06 lie on the ranks, and what becomes of a learner's placement and warm-up?

    stage  0  1  2  3 | 4  5  6  7        dealt like cards to 4 ranks: rank 0 has 0 and 4, rank 3 has 3 and 7
    rank   0  1  2  3   0  1  2  3

`cuts` gives a model's layers to the stages, `woven` makes a schedule of a placement and a warm-up, `ForReal` runs one
chunk a rank and several on real processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import minipar
from minipar import learn
from minipar.plan.actions import B, F
from minipar.plan.schedule import Schedule
from minipar.plan.schedules import weave
from minipar.plan.simulate import Cost

NAMES = {1: "one chunk", 2: "two chunks", 4: "four chunks"}


def schedule(chunks: int, ranks: int = 4, microbatches: int = 8) -> Schedule:
    """1F1B for one chunk a rank, interleaved 1F1B for more."""
    if chunks == 1:
        return minipar.one_f_one_b(ranks, microbatches)
    return minipar.interleaved_1f1b(ranks, microbatches, chunks=chunks)


def cost(chunks: int, hop: float = 0.0) -> Cost:
    """F = 1 and B = 2 for a rank's whole share of a microbatch; a chunk takes its part of it."""
    return Cost(F=1 / chunks, B=2 / chunks, hop=hop)


def cuts(model, stages: int) -> tuple[range, ...]:
    """Equally many blocks a stage; the embedding stands with the first, the head with the last.

    ValueError where the blocks cannot be shared out evenly.
    """
    if model.layers % stages:
        raise ValueError(f"{model.layers} blocks cannot be shared by {stages} stages: each takes as many")
    each = model.layers // stages
    ends = [0, *(1 + each * stage for stage in range(1, stages)), model.layers + 2]
    return tuple(range(start, stop) for start, stop in zip(ends, ends[1:], strict=False))


def on_ranks(model, ranks: int, chunks: int) -> str:
    """Blocks and bytes of weights of each rank, in one line."""
    parts = cuts(model, ranks * chunks)
    layers = [[layer for part in parts[rank::ranks] for layer in part] for rank in range(ranks)]
    blocks = " ".join(str(sum(0 < layer <= model.layers for layer in mine)) for mine in layers)
    held = " ".join(f"{model.parameter_bytes(mine):,}" for mine in layers)
    return f"{NAMES[chunks]} a rank: blocks {blocks}, bytes {held}"


def rounds(ranks: int, microbatches: int) -> list[range]:
    """The microbatches of each round: P of them, or a few more where M is no multiple of P."""
    count = max(1, microbatches // ranks)
    sizes = [microbatches // count + (number < microbatches % count) for number in range(count)]
    return [range(sum(sizes[:number]), sum(sizes[: number + 1])) for number in range(count)]


def woven(placement: Sequence[Sequence[int]], warmups: Sequence[int], microbatches: int, name="mine") -> Schedule:
    """Each rank takes round after round through its stages: `warmups[rank]` forwards, then F and B by turns."""
    parts, programs = rounds(len(placement), microbatches), []
    for stages, warmup in zip(placement, warmups, strict=True):
        forwards = [F(stage, m) for part in parts for stage in stages for m in part]
        backwards = [B(stage, m) for part in parts for stage in reversed(stages) for m in part]
        programs.append(tuple(weave(forwards, backwards, warmup)))
    return Schedule(name, tuple(programs))


class ForReal:
    """One chunk a rank and several, trained one paced step each on a pool: what was measured, in one sentence.

    slot: seconds of one forward of a rank's whole share.
    """

    def __init__(self, pool, model, slot: float = 0.1):
        self.pool, self.model, self.slot = pool, model, slot
        self.train: Callable = minipar.train_step

    def __call__(self, microbatches: int, chunks: int, hop: float) -> str:
        """hop: in slots, as latency. ValueError where the model has no block for each stage."""
        told = [self.one(microbatches, each, hop) for each in (1, chunks)]
        times = "; ".join(f"{NAMES[each]} a rank {words}" for each, (words, _) in zip((1, chunks), told, strict=True))
        counted = " and ".join(str(messages) for _, messages in told)
        return (
            f"Really run, paced, {microbatches} microbatches, a hop of {1000 * hop * self.slot:.0f} ms: {times}. "
            f"Each rank ran its list as written; {counted} messages were counted."
        )

    def one(self, microbatches: int, chunks: int, hop: float) -> tuple[str, int]:
        """(measured and predicted seconds in words, messages counted)."""
        made, ranks = schedule(chunks, 4, microbatches), 4
        plan = minipar.Plan(minipar.Mesh(pipe=ranks), made, cuts(self.model, made.stages))
        batch = minipar.text_batch(batch=microbatches, context=self.model.context)
        slots = cost(chunks, hop).times(self.slot)
        pace = learn.paced(Cost(F=slots.F, B=slots.B, hop=slots.hop, unit="s"))
        trace = self.train(self.pool, plan, self.model, batch, pace=pace).trace
        for rank, program in enumerate(made.programs):
            if trace.order(rank) != program:
                raise RuntimeError(f"Rank {rank} ran another order than its list.")
        predicted = minipar.predict(made, pace).makespan
        return f"{trace.makespan:.2f} s (predicted {predicted:.2f})", len(trace.messages)

    def stop(self) -> None:
        """End the run that is under way."""
        self.pool.stop()

"""How does one model lie on one set of devices?

    layers   embedding  1  2 | 3  4 | 5  6 | 7  8  head      cuts: which layers are which stage
    pipe            0        |   1  |   2  |     3           schedule: who runs which stage, and in which order
    tensor   every stage's matrices, heads and words in equal slices
    data     every stage again, for other texts of the batch
    context  every stage again, for other positions of the texts
    expert   layers of experts divide the ranks of a stage once more, among different experts

A microbatch is the same texts of the batch however many data ranks share it; each of them takes one piece in a row.

A plan is data: nothing is built and no process is asked. The cuts may be left open until a model is there to be cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from minipar.plan.actions import B, F
from minipar.plan.check import problems
from minipar.plan.deal import DEALS, deal
from minipar.plan.mesh import Mesh
from minipar.plan.schedule import Schedule
from minipar.plan.simulate import Cost, predict
from minipar.plan.slices import even, require_own_tokens
from minipar.plan.split import split
from minipar.plan.trace import Trace

AXES = ("pipe", "data", "tensor", "context")  # those of the product; experts divide them again (mesh.py)
COLLECTIVES = ("backend", "ring")


@dataclass(frozen=True)
class Plan:
    """A mesh of any of the axes pipe, data, tensor and context; a schedule; and, if given, the cuts.

    schedule: for the ranks of the pipe axis; without a pipe axis one stage does the whole batch at once, or in the
    microbatches of a schedule for one rank. cuts: one range of layer numbers a stage, in order; without them
    `cut(model)` balances the model's own costs. sequence_parallel: between the sliced layers each tensor rank holds
    its own positions only. overlap: the backward's sum over the tensor axis runs beside the weight gradient's product.
    deal: how positions are dealt over the context axis ("zigzag", "contiguous", "striped"). collectives: "backend", or
    "ring" for our own from send and receive alone, whose every message stands in the trace.

    ValueError when the schedule needs other ranks than the mesh has, or the cuts are not one range for each stage.
    """

    mesh: Mesh
    schedule: Schedule | None = None
    cuts: tuple[range, ...] | None = None
    sequence_parallel: bool = False
    overlap: bool = False
    deal: str = "zigzag"
    collectives: str = "backend"

    def __post_init__(self):
        unknown = [name for name in self.mesh.axes if name not in AXES]
        if unknown:
            raise ValueError(f"{self.mesh!r} has an axis {unknown[0]!r}: a plan knows {', '.join(AXES)}")
        if self.schedule is None:
            object.__setattr__(self, "schedule", _one_stage(self.mesh))
        self._match_ranks()
        _choose("deal", self.deal, DEALS)
        _choose("collectives", self.collectives, COLLECTIVES)
        if self.overlap and self.sequence_parallel:
            raise ValueError(
                "overlap hides the backward's all-reduce, and with sequence_parallel there is none: choose one"
            )
        if self.cuts is not None:
            object.__setattr__(self, "cuts", _as_ranges(self.cuts, self.schedule.stages))

    def _match_ranks(self) -> None:
        ranks, mesh = self.schedule.ranks, self.mesh
        if "pipe" not in mesh.axes and ranks > 1:
            raise ValueError(f"{mesh!r} has no axis for the pipeline: write Mesh(pipe={ranks})")
        if self.size("pipe") != ranks:
            where = "" if len(mesh.axes) == 1 else " on its pipe axis"
            raise ValueError(f"the schedule is for {ranks} ranks, and {mesh!r} has {self.size('pipe')}{where}")

    @property
    def ranks(self) -> int:
        """How many workers it takes."""
        return self.mesh.size

    def size(self, axis: str) -> int:
        """How many ranks this axis has, those of experts too: 1 where the mesh does not name it."""
        return self.mesh.axes.get(axis) or self.mesh.expert_axes.get(axis, 1)

    def mesh_for(self, model) -> Mesh:
        """The mesh to run a model on: one with experts has an expert axis, if only of one rank."""
        return self.mesh.with_experts() if getattr(model, "experts", 0) else self.mesh

    def place(self, rank: int) -> dict[str, int]:
        """This rank's place on each of the four axes: 0 where the mesh does not name one."""
        return {**dict.fromkeys(AXES, 0), **self.mesh.coordinates(rank)}

    @property
    def pipelines(self) -> tuple[tuple[int, ...], ...]:
        """The groups of ranks that run the schedule together, each in the order of the pipe axis."""
        if "pipe" in self.mesh.axes:
            return self.mesh.groups("pipe")
        return tuple((rank,) for rank in range(self.ranks))

    def pipeline_of(self, rank: int) -> tuple[int, ...]:
        """The pipeline that this rank belongs to."""
        return next(ranks for ranks in self.pipelines if rank in ranks)

    def cut(self, model) -> tuple[range, ...]:
        """The layers of each stage, for a model with `costs()`. ValueError when the cuts do not cover its layers."""
        layers = len(model.costs())
        if self.cuts is None:
            return split(model.costs(), self.schedule.stages)
        if self.cuts[-1].stop != layers:
            raise ValueError(f"the cuts end before layer {self.cuts[-1].stop}, and the model has {layers} layers")
        return self.cuts

    def stages_of(self, rank: int) -> tuple[int, ...]:
        """The stages that stand on this rank."""
        home = self.place(rank)["pipe"]
        return tuple(stage for stage, there in enumerate(self.schedule.placement) if there == home)

    def microbatches_of(self, texts: int) -> tuple[range, ...]:
        """Which texts of a batch of so many are in each microbatch, on all data ranks together."""
        data, count = self.size("data"), self.schedule.microbatches
        each, more = divmod(texts // data, count)
        ends = [data * (each * number + min(number, more)) for number in range(count + 1)]
        return tuple(map(range, ends, ends[1:]))

    def texts_of(self, rank: int, texts: int) -> tuple[int, ...]:
        """Which texts of a batch of so many this rank reads: of each microbatch the piece of its data place."""
        data, at = self.size("data"), self.place(rank)["data"]
        found = []
        for part in self.microbatches_of(texts):
            share = len(part) // data
            found += part[at * share : (at + 1) * share]
        return tuple(found)

    def positions_of(self, rank: int, length: int) -> tuple[int, ...]:
        """Which positions of a text of this length this rank reads, as they are dealt over the context axis."""
        return deal(self.deal, self.place(rank)["context"], self.size("context"), length)

    def tokens_of_ranks(self, texts: int, length: int) -> list[list[int]]:
        """Which tokens (text · length + position) of a microbatch each rank of one pipeline stage holds."""
        share, found = texts // self.size("data"), []
        for rank in range(self.ranks):
            place = self.place(rank)
            if place["pipe"]:
                continue
            positions = self.positions_of(rank, length)
            if self.sequence_parallel:
                part = even(len(positions), self.size("tensor"), "positions")[place["tensor"]]
                positions = positions[part.start : part.stop]
            first = place["data"] * share
            found.append([text * length + at for text in range(first, first + share) for at in positions])
        return found

    def predict(self, cost: Cost | None = None) -> Trace:
        """What the schedule alone should take, on every pipeline of the mesh: to be laid under a measured trace."""
        one, pipelines = predict(self.schedule, cost or Cost()), self.pipelines
        if len(pipelines) == 1:
            return one
        spans = [span._replace(rank=ranks[span.rank]) for ranks in pipelines for span in one.spans]
        places = [self.place(rank)["pipe"] for rank in range(self.ranks)]
        ledger = tuple(one.ledger[place] for place in places) if one.ledger else ()
        return replace(one, spans=tuple(spans), ranks=self.ranks, ledger=ledger, pipelines=pipelines)

    def require_sound(self) -> None:
        """ValueError with every problem of the schedule in a sentence, if it has one."""
        found = problems(self.schedule)
        if found:
            raise ValueError("This schedule cannot run. " + " ".join(str(problem) for problem in found))

    def require_batch(self, texts: int, length: int | None = None) -> None:
        """ValueError where a batch of so many texts, each so long, cannot be shared out evenly.

        length: not needed where no axis cuts the positions.
        """
        count, data, slices = self.schedule.microbatches, self.size("data"), self.size("tensor")
        if texts % data:
            raise ValueError(f"a batch of {texts} texts cannot be shared by data={data} ranks: each takes as many")
        if texts // data < count:
            batch = f"a batch of {texts // data}" + (f" on each of {data} data ranks" if data > 1 else "")
            raise ValueError(f"{count} microbatches cannot be cut from {batch}: each needs at least one text.")
        if length is None:
            return
        here = len(self.positions_of(0, length))  # refuses a length that cannot be dealt
        if self.sequence_parallel and here % slices:
            raise ValueError(
                f"sequence_parallel cuts {here} positions into tensor={slices} equal parts, and {here} / {slices} "
                f"is not whole"
            )


    def require_experts(self, experts: int) -> None:
        """ValueError where a model with so many experts in a layer (0: none) cannot lie on this mesh."""
        ranks = self.size("expert")
        if not experts and ranks > 1:
            raise ValueError(f"{self.mesh!r} has ranks for different experts, and this model has none")
        if experts:
            require_own_tokens(self.size("tensor"), self.sequence_parallel)
            even(experts, ranks, "experts")


def _one_stage(mesh: Mesh) -> Schedule:
    """Forward and backward of the whole batch at once, for a mesh whose pipe axis has one rank or is not there."""
    ranks = mesh.axes.get("pipe", 1)
    if ranks > 1:
        raise ValueError(
            f"{mesh!r} has a pipeline of {ranks} ranks and no schedule: "
            f"give one, as in schedule=minipar.one_f_one_b({ranks}, microbatches=8)"
        )
    return Schedule("one stage", ((F(0, 0), B(0, 0)),))


def _choose(name: str, word: str, words) -> None:
    if word not in words:
        raise ValueError(f"{name}={word!r}: choose {' or '.join(map(repr, words))}")


def _as_ranges(cuts: Sequence, stages: int) -> tuple[range, ...]:
    """Cuts as ranges that follow one another."""
    ranges = tuple(cuts)
    if len(ranges) != stages:
        raise ValueError(f"there are {stages} stages and {len(ranges)} cuts: give one range of layers for each stage")
    expected = 0
    for stage, part in enumerate(ranges):
        if not isinstance(part, range) or part.step != 1:
            raise ValueError(f"the cut of stage {stage} is {part!r}: write range(first, last + 1)")
        if part.start > expected:
            raise ValueError(f"layer {expected} is in no stage: stage {stage} starts at layer {part.start}")
        if part.start < expected:
            raise ValueError(f"layer {part.start} is in stage {stage - 1} and in stage {stage}")
        if not part:
            raise ValueError(f"stage {stage} has no layer")
        expected = part.stop
    return ranges

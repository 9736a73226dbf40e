"""How does one model lie on one set of devices?

    layers   embedding  1  2 | 3  4 | 5  6 | 7  8  head      cuts: which layers are which stage
    ranks            0       |   1  |   2  |     3           schedule: which rank runs which stage, and in which order

A plan is data: nothing is built and no process is asked. The cuts may be left open until a model is there to be cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from minipar.plan.check import problems
from minipar.plan.mesh import Mesh
from minipar.plan.schedule import Schedule
from minipar.plan.split import split


@dataclass(frozen=True)
class Plan:
    """A mesh, a schedule and, if given, the cuts: one range of layer numbers a stage, in order.

    Without cuts, `cut(model)` balances the model's own costs. ValueError when the schedule needs other ranks than the
    mesh has, or the cuts are not one range for each stage.
    """

    mesh: Mesh
    schedule: Schedule
    cuts: tuple[range, ...] | None = None

    def __post_init__(self):
        if "pipe" not in self.mesh.axes:
            raise ValueError(f"{self.mesh!r} has no axis for the pipeline: write Mesh(pipe={self.schedule.ranks})")
        if self.mesh.axes["pipe"] != self.schedule.ranks or self.mesh.size != self.schedule.ranks:
            raise ValueError(f"the schedule is for {self.schedule.ranks} ranks, and {self.mesh!r} has {self.mesh.size}")
        if self.cuts is not None:
            object.__setattr__(self, "cuts", _as_ranges(self.cuts, self.schedule.stages))

    @property
    def ranks(self) -> int:
        """How many workers it takes."""
        return self.schedule.ranks

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
        return tuple(stage for stage, home in enumerate(self.schedule.placement) if home == rank)

    def require_sound(self) -> None:
        """ValueError with every problem of the schedule in a sentence, if it has one."""
        found = problems(self.schedule)
        if found:
            raise ValueError("This schedule cannot run. " + " ".join(str(problem) for problem in found))


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

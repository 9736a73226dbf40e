"""What is a schedule, before anything has run?

For each rank, an ordered tuple of actions; no times and no gaps:

    rank 0   0F0 0F1 0B0 0B1
    rank 1   1F0 1F1 1B0 1B1

Ranks, stages, microbatches and placement are derived from those programs, so they cannot disagree with them.
"""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from minipar.plan.actions import Action, Overlap, halves, parse


@dataclass(frozen=True)
class Schedule:
    """A named order of actions for every rank. Pure data: compare it, print it, parse it, edit it.

    ``Schedule.parse(str(s), s.name) == s``. A schedule may be wrong; ``minipar.problems(s)`` says how.
    """

    name: str
    programs: tuple[tuple[Action | Overlap, ...], ...]

    def __post_init__(self):
        programs = tuple(tuple(program) for program in self.programs)
        for rank, program in enumerate(programs):
            for action in program:
                if not isinstance(action, Action | Overlap):
                    raise TypeError(f"rank {rank} holds {action!r}, which is no action: yield F(stage, microbatch)")
        object.__setattr__(self, "programs", programs)

    @property
    def ranks(self) -> int:
        return len(self.programs)

    @functools.cached_property
    def stages(self) -> int:
        """One more than the highest stage number anywhere."""
        return 1 + max((half.stage for row in self.programs for step in row for half in halves(step)), default=-1)

    @functools.cached_property
    def microbatches(self) -> int:
        """One more than the highest microbatch number anywhere."""
        return 1 + max((half.microbatch for row in self.programs for step in row for half in halves(step)), default=-1)

    @functools.cached_property
    def placement(self) -> tuple[int | None, ...]:
        """``placement[stage]`` is the rank that first runs this stage; None where no rank does."""
        home: dict[int, int] = {}
        for rank, program in enumerate(self.programs):
            for action in (half for step in program for half in halves(step)):
                home.setdefault(action.stage, rank)
        return tuple(home.get(stage) for stage in range(self.stages))

    @property
    def actions(self) -> int:
        """How many actions there are in all; a pair that overlaps is two."""
        return sum(len(halves(step)) for program in self.programs for step in program)

    def __str__(self) -> str:
        return "\n".join(" ".join(map(str, program)) for program in self.programs)

    def __repr__(self) -> str:
        return f"Schedule({self.name}, ranks={self.ranks}, stages={self.stages}, microbatches={self.microbatches})"

    @classmethod
    def parse(cls, text: str, name: str = "by hand") -> "Schedule":
        """Read one line per rank, actions separated by blanks; empty lines at either end do not count.

        ValueError names the rank, the word and its position when a word is no action, and the rank of an empty line.
        """
        lines = text.strip().splitlines()
        if not lines:
            raise ValueError("the text is empty: write one line a rank, as in 0F0 0B0")
        programs = []
        for rank, line in enumerate(lines):
            if not line.split():
                raise ValueError(f"line {rank + 1} is empty: rank {rank} has no action, write one line a rank")
            programs.append(tuple(_words(rank, line.split())))
        return cls(name, tuple(programs))


def _words(rank: int, words: Iterable[str]):
    for position, word in enumerate(words):
        try:
            yield parse(word)
        except ValueError as error:
            raise ValueError(f"rank {rank}, word {position + 1}: {error}") from None


def schedule(program: Callable) -> Callable[..., Schedule]:
    """Turn a generator of one rank's actions into a builder of schedules.

        @minipar.schedule
        def mine(rank, ranks, microbatches):
            for m in range(microbatches):
                yield F(rank, m)
            for m in range(microbatches):
                yield B(rank, m)

        mine(ranks=4, microbatches=8)     # a Schedule

    ValueError if ranks or microbatches are not whole numbers from 1.
    """

    @functools.wraps(program)
    def build(ranks: int, microbatches: int, **options) -> Schedule:
        require_positive(ranks=ranks, microbatches=microbatches)
        return Schedule(
            getattr(build, "title", program.__name__),
            tuple(tuple(program(rank, ranks, microbatches, **options) or ()) for rank in range(ranks)),
        )

    return build


def require_positive(**numbers: int) -> None:
    """Refuse, by name, what is not a whole number from 1."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} must be a whole number, 1 or more, not {number!r}")

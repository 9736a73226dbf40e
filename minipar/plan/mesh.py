"""How are ranks arranged, and who belongs to one group?

Named axes over ranks, the last one varying fastest: ``Mesh(data=2, pipe=4)`` puts rank 5 at data 1, pipe 1. A group
along an axis is the ranks that differ in that coordinate alone. Arithmetic only; no process is asked.

Megatron writes an order as a string and reads it the other way round, the first one varying fastest:

    Mesh.ordered("tp-cp-ep-dp-pp", tensor=2, pipe=2)      ==      Mesh(pipe=2, tensor=2)

    pipe 0   0 1        neighbours in number are neighbours on the tensor axis, which talks most:
    pipe 1   2 3        ranks of one box are numbered in a row, so the busiest axis stays inside the box

Experts lie on the same ranks a second time. `expert` is no factor of the product: it divides the ranks of one pipeline
stage, and layers of experts see these ranks in an order of their own, expert_tensor fastest, then expert:

    Mesh(data=2, tensor=2, expert=2)        dense layers     data 0: 0 1   data 1: 2 3       tensor: 0 1 | 2 3
                                            expert layers    expert: 0 1 | 2 3               expert_data: 0 2 | 1 3

So rank 0 and 1 hold different experts and send each other tokens; rank 2 has the experts of rank 0 again. The ranks of
a stage together are the group "microbatch": their tokens are counted together.
"""

from itertools import product
from math import prod

#: How Megatron's order strings call the axes (tensor, context, expert, data and pipeline parallel).
SHORT = {"tp": "tensor", "cp": "context", "ep": "expert", "dp": "data", "pp": "pipe"}

#: How layers of experts see the ranks of one pipeline stage, slowest first.
EXPERT_VIEW = ("expert_data", "expert", "expert_tensor")


class Mesh:
    """Named axes over ranks. ``Mesh(pipe=4).groups("pipe") == ((0, 1, 2, 3),)``. Immutable, compares by its axes.

    expert, expert_tensor: how layers of experts divide the ranks of one pipeline stage again: among ranks with
    different experts, and each expert among ranks with slices of it. They are not in `axes`, and `groups` knows them.
    ValueError where they do not divide these ranks.
    """

    __slots__ = ("_axes", "_expert")

    def __init__(self, **axes: int):
        for name, size in axes.items():
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise ValueError(f"axis {name} must have a whole number of ranks, 1 or more, not {size!r}")
        expert = {name: axes.pop(name) for name in ("expert", "expert_tensor") if name in axes}
        if "expert_data" in axes:
            raise ValueError("expert_data is what is left of a stage's ranks: give expert, and it follows")
        if not axes:
            like = "Mesh(data=4, expert=2)" if expert else "Mesh(pipe=4)"
            raise ValueError(f"a mesh needs at least one axis{' to divide' if expert else ''}, as in {like}")
        object.__setattr__(self, "_axes", tuple(axes.items()))
        object.__setattr__(self, "_expert", tuple(expert.items()))
        self._require_divided()

    def _require_divided(self) -> None:
        given = dict(self._expert)
        parts = [(name, size) for name, size in self._axes if name != "pipe" and size > 1]
        ranks, wanted = prod(size for _, size in parts), prod(given.values())
        if ranks % wanted:
            said = " · ".join(f"{name}={size}" for name, size in given.items())
            have = " · ".join(f"{name} {size}" for name, size in parts) or "1 rank"
            raise ValueError(f"{said}{f' = {wanted}' if len(given) > 1 else ''} must divide the ranks of one pipeline "
                             f"stage, {have}{f' = {ranks}' if len(parts) > 1 else ''}")  # fmt: skip

    @classmethod
    def ordered(cls, order: str, **axes: int) -> "Mesh":
        """A mesh in the rank order of a string such as "tp-cp-ep-dp-pp": the first axis varies fastest.

        Axes of the string that are not given are left out, and so is a given axis of one rank that the string does not
        name; "ep" stands for expert, and its place says nothing. ValueError for a larger one, for a word that is no
        axis, and for an axis that stands twice. Source: Megatron-LM, `RankGenerator`.
        """
        words = order.split("-")
        for word in words:
            if word not in SHORT:
                known = ", ".join(f"{short} ({name})" for short, name in SHORT.items())
                raise ValueError(f"the order {order!r} names {word!r}, which is no axis: there are {known}")
            if words.count(word) > 1:
                raise ValueError(f"the order {order!r} names {word} {words.count(word)} times: once is enough")
        names = [SHORT[word] for word in words]
        apart = {name: size for name, size in axes.items() if name == "expert_tensor"}
        for name in axes:
            if name not in names and name not in apart and axes[name] != 1:
                raise ValueError(f"{name}={axes[name]} has no place in the order {order!r}")
        return cls(**{name: axes[name] for name in reversed(names) if name in axes}, **apart)

    def __setattr__(self, name, value):
        raise AttributeError("a mesh does not change: make a new one")

    @property
    def axes(self) -> dict[str, int]:
        """Axis name -> number of ranks, in order."""
        return dict(self._axes)

    @property
    def expert_axes(self) -> dict[str, int]:
        """What layers of experts see: expert_data, expert and expert_tensor with their sizes; {} if not given."""
        if not self._expert:
            return {}
        given = {"expert": 1, "expert_tensor": 1, **dict(self._expert)}
        ranks = self.size // self.axes.get("pipe", 1)
        return {"expert_data": ranks // (given["expert"] * given["expert_tensor"]), **{
            name: given[name] for name in EXPERT_VIEW[1:]}}  # fmt: skip

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that `groups` knows: the axes and, with experts, their view and "microbatch"."""
        return (*self.axes, *self.expert_axes, *(("microbatch",) if self._expert else ()))

    def with_experts(self) -> "Mesh":
        """The same, with expert=1 where no expert axis is given: all experts on every rank."""
        return self if self._expert else Mesh(**self.axes, expert=1)

    @property
    def order(self) -> str:
        """The rank order as Megatron writes it, fastest first: "tp-pp" for Mesh(pipe=2, tensor=2)."""
        short = {name: word for word, name in SHORT.items()}
        return "-".join(short.get(name, name) for name, _ in reversed(self._axes))

    @property
    def size(self) -> int:
        """How many ranks the mesh has."""
        return prod(size for _, size in self._axes)

    def coordinates(self, rank: int) -> dict[str, int]:
        """Axis name -> this rank's place on it. ValueError if the mesh has no such rank."""
        if not 0 <= rank < self.size:
            raise ValueError(f"rank {rank} is not on this mesh: its ranks are numbered 0 to {self.size - 1}")
        found = {}
        for name, size in reversed(self._axes):
            rank, found[name] = divmod(rank, size)
        return {name: found[name] for name, _ in self._axes}

    def coordinate(self, rank: int, axis: str) -> int:
        """This rank's place on one axis, also of those that experts have."""
        self._require(axis)
        return self.coordinates(rank)[axis] if axis in self.axes else self.group(axis, rank).index(rank)

    def rank(self, **coordinates: int) -> int:
        """The rank at these coordinates, one for each axis."""
        if set(coordinates) != set(self.axes):
            raise ValueError(f"give one coordinate for each axis of {self!r}, not {sorted(coordinates)}")
        found = 0
        for name, size in self._axes:
            if not 0 <= coordinates[name] < size:
                raise ValueError(f"{name}={coordinates[name]} is outside the axis: it has {size} ranks, from 0")
            found = found * size + coordinates[name]
        return found

    def groups(self, axis: str) -> tuple[tuple[int, ...], ...]:
        """The groups along an axis, each in order of its coordinate; also of the view that experts have."""
        self._require(axis)
        if axis not in self.axes:
            return self._expert_groups(axis)
        others = [[(name, at) for at in range(size)] for name, size in self._axes if name != axis]
        return tuple(
            tuple(self.rank(**dict(fixed), **{axis: at}) for at in range(self.axes[axis])) for fixed in product(*others)
        )

    def group(self, axis: str, rank: int) -> tuple[int, ...]:
        """The group along ``axis`` that this rank belongs to."""
        self.coordinates(rank)
        return next(group for group in self.groups(axis) if rank in group)

    def _expert_groups(self, axis: str) -> tuple[tuple[int, ...], ...]:
        stages: dict[int, list[int]] = {}
        for rank in range(self.size):
            stages.setdefault(self.coordinates(rank).get("pipe", 0), []).append(rank)
        if axis == "microbatch":
            return tuple(map(tuple, stages.values()))
        view = Mesh(**{f"of {name}": size for name, size in self.expert_axes.items()})  # a mesh of one stage's ranks
        groups = view.groups(f"of {axis}")
        return tuple(tuple(ranks[at] for at in group) for ranks in stages.values() for group in groups)

    def _require(self, axis: str) -> None:
        if axis not in self.names:
            raise ValueError(f"this mesh has no axis {axis!r}: it has {', '.join(self.names)}")

    def __eq__(self, other):
        return isinstance(other, Mesh) and (self._axes, self._expert) == (other._axes, other._expert)

    def __hash__(self):
        return hash((self._axes, self._expert))

    def __reduce__(self):
        return _mesh, (self._axes + self._expert,)

    def __repr__(self):
        return f"Mesh({', '.join(f'{name}={size}' for name, size in self._axes + self._expert)})"


def _mesh(axes) -> Mesh:
    return Mesh(**dict(axes))

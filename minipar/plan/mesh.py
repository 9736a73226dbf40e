"""How are ranks arranged, and who belongs to one group?

Named axes over ranks, the last one varying fastest: ``Mesh(data=2, pipe=4)`` puts rank 5 at data 1, pipe 1. A group
along an axis is the ranks that differ in that coordinate alone. Arithmetic only; no process is asked.

Megatron writes an order as a string and reads it the other way round, the first one varying fastest:

    Mesh.ordered("tp-cp-ep-dp-pp", tensor=2, pipe=2)      ==      Mesh(pipe=2, tensor=2)

    pipe 0   0 1        neighbours in number are neighbours on the tensor axis, which talks most:
    pipe 1   2 3        ranks of one box are numbered in a row, so the busiest axis stays inside the box
"""

from itertools import product
from math import prod

#: How Megatron's order strings call the axes (tensor, context, expert, data and pipeline parallel).
SHORT = {"tp": "tensor", "cp": "context", "ep": "expert", "dp": "data", "pp": "pipe"}


class Mesh:
    """Named axes over ranks. ``Mesh(pipe=4).groups("pipe") == ((0, 1, 2, 3),)``. Immutable, compares by its axes."""

    __slots__ = ("_axes",)

    def __init__(self, **axes: int):
        if not axes:
            raise ValueError("a mesh needs at least one axis, as in Mesh(pipe=4)")
        for name, size in axes.items():
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise ValueError(f"axis {name} must have a whole number of ranks, 1 or more, not {size!r}")
        object.__setattr__(self, "_axes", tuple(axes.items()))

    @classmethod
    def ordered(cls, order: str, **axes: int) -> "Mesh":
        """A mesh in the rank order of a string such as "tp-cp-ep-dp-pp": the first axis varies fastest.

        Axes of the string that are not given are left out, and so is a given axis of one rank that the string does not
        name. ValueError for a larger one, for a word that is no axis, and for an axis that stands twice. Source:
        Megatron-LM, `RankGenerator`.
        """
        words = order.split("-")
        for word in words:
            if word not in SHORT:
                known = ", ".join(f"{short} ({name})" for short, name in SHORT.items())
                raise ValueError(f"the order {order!r} names {word!r}, which is no axis: there are {known}")
            if words.count(word) > 1:
                raise ValueError(f"the order {order!r} names {word} {words.count(word)} times: once is enough")
        names = [SHORT[word] for word in words]
        for name in axes:
            if name not in names and axes[name] != 1:
                raise ValueError(f"{name}={axes[name]} has no place in the order {order!r}")
        return cls(**{name: axes[name] for name in reversed(names) if name in axes})

    def __setattr__(self, name, value):
        raise AttributeError("a mesh does not change: make a new one")

    @property
    def axes(self) -> dict[str, int]:
        """Axis name -> number of ranks, in order."""
        return dict(self._axes)

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
        """This rank's place on one axis."""
        self._require(axis)
        return self.coordinates(rank)[axis]

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
        """The groups along an axis, each in order of its coordinate."""
        self._require(axis)
        others = [[(name, at) for at in range(size)] for name, size in self._axes if name != axis]
        return tuple(
            tuple(self.rank(**dict(fixed), **{axis: at}) for at in range(self.axes[axis])) for fixed in product(*others)
        )

    def group(self, axis: str, rank: int) -> tuple[int, ...]:
        """The group along ``axis`` that this rank belongs to."""
        self.coordinates(rank)
        return next(group for group in self.groups(axis) if rank in group)

    def _require(self, axis: str) -> None:
        if axis not in self.axes:
            raise ValueError(f"this mesh has no axis {axis!r}: it has {', '.join(self.axes)}")

    def __eq__(self, other):
        return isinstance(other, Mesh) and self._axes == other._axes

    def __hash__(self):
        return hash(self._axes)

    def __reduce__(self):
        return _mesh, (self._axes,)

    def __repr__(self):
        return f"Mesh({', '.join(f'{name}={size}' for name, size in self._axes)})"


def _mesh(axes) -> Mesh:
    return Mesh(**dict(axes))

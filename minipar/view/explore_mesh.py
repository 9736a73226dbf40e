"""Which ranks belong together on each axis of a mesh, and what does the order of the axes decide?

    order [tp-cp-dp-pp ▾]   colour [tensor ▾]   box ──●── 4        more: sizes of the axes, of the model, of the batch
    tensor sends most: 113 MB · leaves the box: 0 %
    ranks in boxes coloured by group, a table of who talks to whom, a bar an axis

The order is Megatron's: the first axis varies fastest, so its ranks are neighbours. The bytes are those of `cost.axes`,
equal to what a real step sends with ring collectives.
"""

from __future__ import annotations

import dataclasses
from itertools import permutations

from minipar.cost.axes import Load, step_traffic
from minipar.cost.model import Shape
from minipar.plan.mesh import SHORT, Mesh
from minipar.view import controls
from minipar.view.drawing import Drawing
from minipar.view.explorer import Explorer, Task
from minipar.view.mesh import MOST_RANKS, Talk, page
from minipar.view.words import amount, share

AXES = ("tensor", "context", "data", "pipe")
ORDERS = tuple("-".join(words) for words in permutations(("tp", "cp", "dp", "pp")))
SIZES, BOXES = (1, 2, 4, 8), (1, 2, 4, 8, 16)
HIDDEN, POSITIONS, TEXTS = (64, 256, 1024, 4096), (64, 256, 1024, 4096), (8, 16, 32, 64)
LAYERS, HEADS, WORDS, MICROBATCHES = 16, 16, 32_000, 4


@dataclasses.dataclass(frozen=True)
class MeshState:
    """The order, the coloured axis, ranks in a box, sizes of the axes, width, texts and positions of a step."""

    order: str = "tp-cp-dp-pp"
    axis: str = "tensor"
    box: int = 4
    tensor: int = 2
    context: int = 1
    data: int = 2
    pipe: int = 2
    hidden: int = 1024
    positions: int = 1024
    texts: int = 32
    sequence_parallel: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        """The axes of more than one rank."""
        return {axis: getattr(self, axis) for axis in AXES if getattr(self, axis) > 1}


class MeshExplorer(Explorer):
    """Axes, their order, and one axis in colour. ``ex.mesh`` is the mesh itself."""

    title = "Mesh"
    shown = ("order", "axis", "box")

    @property
    def mesh(self) -> Mesh:
        return self.result.mesh

    def make_controls(self, state):
        sizes = {axis: controls.steps(axis, getattr(state, axis), words(SIZES)) for axis in AXES}
        return {
            "order": controls.choice("order", state.order, [(order, order) for order in ORDERS]),
            "axis": controls.choice("colour", state.axis, [(axis, axis) for axis in AXES]),
            "box": controls.steps("ranks a box", state.box, words(BOXES)),
            **sizes,
            "hidden": controls.steps("hidden", state.hidden, words(HIDDEN)),
            "positions": controls.steps("positions", state.positions, words(POSITIONS)),
            "texts": controls.steps("texts", state.texts, words(TEXTS)),
            "sequence_parallel": controls.switch("norms on slices of the sequence", state.sequence_parallel),
        }

    def make_view(self):
        return Drawing("", (10, 10), (), "")

    def compute(self, state) -> Talk:
        mesh = mesh_of(state)
        axis = state.axis if state.axis in mesh.axes else next(iter(reversed(mesh.axes)))
        shape = Shape(LAYERS, state.hidden, HEADS, WORDS, state.positions)
        load = Load(state.texts, state.positions, min(MICROBATCHES, state.texts // state.data), state.sequence_parallel)
        return Talk(mesh, axis, min(state.box, mesh.size), step_traffic(mesh, shape, load))

    def draw(self, result):
        self.view.show("", *page(result), repr(self))

    def facts(self, result):
        found = [(f"{axis}, sent by a rank", amount(result.sent(axis))) for axis in reversed(result.traffic)]
        return [("rank order", result.mesh.order), *found]

    def sentence(self, result):
        busiest = result.busiest
        away = result.leaves(busiest)
        if result.box >= result.mesh.size:
            return f"{busiest.capitalize()} talks most. All ranks are in one box."
        if not away:
            return f"{busiest.capitalize()} talks most, and none of it leaves a box."
        said = f"{busiest.capitalize()} talks most, and {share(away)} of it leaves the box"
        size = result.mesh.axes[busiest]
        if size > result.box:
            return f"{said}: a group of {size} does not fit in a box of {result.box}."
        return f"{said}: put it first in the order."

    def describe(self, result):
        sizes = ", ".join(f"{axis}={size}" for axis, size in reversed(result.mesh.axes.items()))
        sent = ", ".join(
            f"{axis} {amount(result.sent(axis))} ({share(result.leaves(axis))} between boxes)"
            for axis in reversed(result.traffic)
        )
        return f"{result.mesh.order}: {sizes}, {result.box} ranks a box; {result.axis} in colour; a rank sends {sent}"

    def figure(self):
        return self.view.figure()


def mesh_of(state: MeshState) -> Mesh:
    """The mesh of a state; ValueError for one rank, and for more than the picture shows."""
    sizes = state.sizes
    if not sizes:
        raise ValueError("Every axis has one rank: give one of them more.")
    mesh = Mesh.ordered(state.order, **sizes)
    if mesh.size > MOST_RANKS:
        product = " · ".join(f"{axis} {size}" for axis, size in sizes.items())
        raise ValueError(f"{product} = {mesh.size} ranks: this picture shows {MOST_RANKS} at most.")
    return mesh


def words(values) -> list[tuple[str, int]]:
    """Options of a slider over these numbers."""
    return [(f"{value:,}", value) for value in values]


def mesh(tensor: int = 2, context: int = 1, data: int = 2, pipe: int = 2, order: str = "tp-cp-dp-pp",
         axis: str | None = None, box: int = 4, task=None) -> MeshExplorer:  # fmt: skip
    """An explorer of ranks on a mesh: who belongs to whose group, who talks to whom, how many bytes a step.

    tensor, context, data, pipe: ranks of each axis, 1, 2, 4 or 8, together at most 16. order: as Megatron writes it,
    the first axis fastest ("tp-cp-ep-dp-pp"; ep is left out here). axis: the one in colour, the first of the order if
    not given. box: ranks that sit in one machine. The model: 16 layers of 16 heads, 32,000 words, float32; 4
    microbatches. ValueError for what is not among these.
    """
    sizes = {"tensor": tensor, "context": context, "data": data, "pipe": pipe}
    for name, value, allowed in [*((name, size, SIZES) for name, size in sizes.items()), ("box", box, BOXES)]:
        if value not in allowed:
            raise ValueError(f"{name} is one of {', '.join(map(str, allowed))}, not {value!r}.")
    order = whole_order(order)
    if axis is None:
        axis = next((SHORT[word] for word in order.split("-") if sizes[SHORT[word]] > 1), AXES[0])
    if axis not in AXES:
        raise ValueError(f"axis is one of {', '.join(AXES)}, not {axis!r}.")
    return MeshExplorer(MeshState(order=order, axis=axis, box=box, **sizes), task)


def whole_order(order: str) -> str:
    """An order of all four axes: what is not named goes to the end."""
    Mesh.ordered(order, **{SHORT.get(word, word): 1 for word in order.split("-")})  # refuses what is no axis, or twice
    named = [word for word in order.split("-") if word != "ep"]
    return "-".join([*named, *(word for word in ("tp", "cp", "dp", "pp") if word not in named)])


def busiest_inside() -> Task:
    """The task "find an order in which nothing of the busiest axis leaves its box"."""

    def met(explorer: MeshExplorer) -> bool:
        talk = explorer.result
        return talk.box < talk.mesh.size and talk.leaves(talk.busiest) == 0

    return Task("Find an order in which nothing of the axis that talks most leaves its box.", met)

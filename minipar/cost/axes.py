"""How many bytes does one training step send along each axis of a mesh, and from whom to whom?

    tensor     4 sums a block and microbatch     of the stream: texts · positions · hidden      most, and in the way
    context    keys and values round the ring    of every block, forward once, backward twice
    pipe       one message a microbatch          of the stream, there and back                  few, and only neighbours
    data       one sum a step                    of all gradients a rank holds                  once, at the end

Closed forms for the model of the lessons (`cost.model.Shape`, or a `minipar.GPT`) with ring collectives, one stage a
rank of the pipe axis; nothing is run. tests/cost/test_axes.py holds them against the bytes that a real step sent. Left
out: the norm of the whole gradient (four numbers), and recompute (which sends everything forward twice).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from minipar.cost.comm import traffic
from minipar.cost.model import NUMBER, depth
from minipar.plan.mesh import Mesh
from minipar.plan.slices import heads, padded
from minipar.plan.split import split

Table = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Load:
    """What a step works on: texts in the batch, positions in each, microbatches, and whether norms lie on slices."""

    texts: int = 8
    positions: int = 64
    microbatches: int = 1
    sequence_parallel: bool = False


def step_traffic(mesh: Mesh, model, load: Load = Load(), cuts: Sequence[range] | None = None) -> dict[str, Table]:
    """Bytes sent in one step, for each axis as rows ``[source][target]``.

    model: anything with the fields of `cost.model.Shape`. cuts: the layers of each stage; balanced if not given.
    ValueError where heads or words cannot be cut, or there are fewer layers than stages.
    """
    step = _Step(mesh, model, load, cuts)
    for axis in mesh.axes:
        if mesh.axes[axis] > 1:
            getattr(step, axis)()
    return {axis: tuple(map(tuple, table)) for axis, table in step.tables.items()}


def layer_costs(model) -> tuple[float, ...]:
    """Multiplications a token in each layer's forward, with a block as 1: embedding, blocks, head."""
    keys = model.hidden * kv_heads(model) // model.heads
    block = 10 * model.hidden**2 + 2 * model.hidden * keys + 2 * model.context * model.hidden
    return (model.hidden / block, *(1.0,) * depth(model), model.vocabulary * model.hidden / block)


def kv_heads(model) -> int:
    """Key/value heads; as many as heads where a model does not say."""
    return getattr(model, "kv_heads", None) or model.heads


class _Step:
    """One step's messages, written into one table an axis."""

    def __init__(self, mesh: Mesh, model, load: Load, cuts):
        self.mesh, self.model, self.load = mesh, model, load
        self.item, size = NUMBER[model.dtype], mesh.axes.get
        self.tensor_size, self.context_size = size("tensor", 1), size("context", 1)
        self.slices = self.tensor_size if load.sequence_parallel else 1
        self.cuts = cuts or split(layer_costs(model), size("pipe", 1))
        self.tables = {axis: [[0] * mesh.size for _ in range(mesh.size)] for axis in mesh.axes}
        share, more = divmod(load.texts // size("data", 1), load.microbatches)
        self.microbatches = [share + (number < more) for number in range(load.microbatches)]
        self.here = load.positions // self.context_size  # positions a rank's attention has

    def place(self, rank: int, axis: str) -> int:
        return self.mesh.coordinate(rank, axis) if axis in self.mesh.axes else 0

    def layers(self, rank: int) -> range:
        """The layers on this rank."""
        return self.cuts[self.place(rank, "pipe")]

    def stream(self, texts: int) -> int:
        """Numbers in the stream between two layers, for so many texts."""
        return texts * self.here * self.model.hidden

    def put(self, axis: str, source: int, target: int, numbers: int) -> None:
        self.tables[axis][source][target] += numbers * self.item

    def ring(self, axis: str, ranks: tuple[int, ...], collective: str, numbers: int) -> None:
        """One collective of so many numbers in this group."""
        table = traffic(collective, "ring", len(ranks), numbers * self.item, self.item)
        for source, row in zip(ranks, table, strict=True):
            for target, size in zip(ranks, row, strict=True):
                self.tables[axis][source][target] += size

    # ---- one axis each

    def tensor(self) -> None:
        for ranks in self.mesh.groups("tensor"):
            for texts in self.microbatches:
                for layer in self.layers(ranks[0]):
                    self._tensor_layer(ranks, layer, self.stream(texts), texts * self.here)
            if self.slices > 1:
                self.ring("tensor", ranks, "all_reduce", sum(map(self._partial, self.layers(ranks[0]))))
            self._twins(ranks)

    def _tensor_layer(self, ranks, layer: int, stream: int, tokens: int) -> None:
        halves = ("reduce_scatter", "all_gather") if self.slices > 1 else ("all_reduce",)
        first, last = layer == 0, layer == depth(self.model) + 1
        for collective in halves * (1 if first or last else 4):
            self.ring("tensor", ranks, collective, stream)
        if last:  # the loss: the largest score, then the sum and the target's score
            self.ring("tensor", ranks, "all_reduce", tokens)
            self.ring("tensor", ranks, "all_reduce", 2 * tokens)

    def _partial(self, layer: int) -> int:
        """Numbers of a layer's gradients that are partial where norms lie on slices of the sequence."""
        if layer == 0:
            return self.model.context * self.model.hidden
        return (2 if layer == depth(self.model) + 1 else 6) * self.model.hidden

    def _twins(self, ranks) -> None:
        """Key/value heads that several ranks hold: their gradients are summed among these."""
        blocks = sum(1 <= layer <= depth(self.model) for layer in self.layers(ranks[0]))
        for holders in self._heads().copies:
            if len(holders) > 1:
                numbers = blocks * 2 * self._kv_width(holders[0]) * (self.model.hidden + 1)
                self.ring("tensor", tuple(ranks[holder] for holder in holders), "all_reduce", numbers)

    def context(self) -> None:
        for ranks in self.mesh.groups("context"):
            blocks = sum(1 <= layer <= depth(self.model) for layer in self.layers(ranks[0]))
            passes = 3 * len(ranks) - 2  # K and V forward, again backward, and their gradients once more, home
            for texts in self.microbatches:
                held = 2 * texts * self.here * self._kv_width(self.place(ranks[0], "tensor"))
                for source, target in zip(ranks, (*ranks[1:], ranks[0]), strict=True):
                    self.put("context", source, target, blocks * passes * held)
            self.ring("context", ranks, "all_reduce", self.held(ranks[0]))

    def pipe(self) -> None:
        for ranks in self.mesh.groups("pipe"):
            for source, target in zip(ranks, ranks[1:], strict=False):
                for texts in self.microbatches:
                    self.put("pipe", source, target, self.stream(texts) // self.slices)
                    self.put("pipe", target, source, self.stream(texts) // self.slices)
            if self.model.tied:
                table = self._words(ranks[0]) * self.model.hidden
                self.put("pipe", ranks[0], ranks[-1], table)
                self.put("pipe", ranks[-1], ranks[0], table)

    def data(self) -> None:
        for ranks in self.mesh.groups("data"):
            self.ring("data", ranks, "all_reduce", self.held(ranks[0]))

    # ---- what a rank holds

    def held(self, rank: int) -> int:
        """Numbers of weights on this rank."""
        end, layers = depth(self.model) + 1, self.layers(rank)
        table = self._words(rank) * self.model.hidden
        total = sum(self._block(rank) for layer in layers if 0 < layer < end)
        total += table + self.model.context * self.model.hidden if 0 in layers else 0
        total += table + 2 * self.model.hidden if end in layers else 0
        return total - (table if self.model.tied and 0 in layers and end in layers else 0)

    def _block(self, rank: int) -> int:
        hidden, mine = self.model.hidden, self.model.hidden // self.tensor_size
        kv = self._kv_width(self.place(rank, "tensor"))
        attention = (hidden + 1) * (mine + 2 * kv) + hidden * mine + hidden
        return attention + 8 * hidden * mine + 4 * mine + hidden + 4 * hidden

    def _words(self, rank: int) -> int:
        return len(padded(self.model.vocabulary, self.tensor_size)[self.place(rank, "tensor")])

    def _heads(self):
        return heads(self.model.heads, kv_heads(self.model), self.tensor_size)

    def _kv_width(self, place: int) -> int:
        """Width of the keys that the tensor rank at this place holds."""
        return len(self._heads().kv[place]) * (self.model.hidden // self.model.heads)

"""What fills a device, and what makes it fit?

batch ──●── 8   sequence ──●── 64   optimizer [AdamW ▾]      [more: layers, hidden, recompute, cap]
at the start  ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒┊▒▒▒▒      31 MB
now           ████▓▓▓▓░░░░░░░░▒▒▒▒▒▒ ┊           24 MB, fits
"""

from __future__ import annotations

import dataclasses

from minipar.cost.model import Bytes, Optimizer, Shape, depth, parameters, step_bytes
from minipar.plan.trace import MEMORY_KINDS
from minipar.view import bars, controls
from minipar.view.explorer import Explorer, Task
from minipar.view.theme import PALETTE
from minipar.view.words import amount

MB = 1_000_000
BATCHES = (1, 2, 4, 8, 16, 32, 64)
SEQUENCES = (8, 16, 32, 64, 128, 256)
WIDTHS = (32, 64, 128, 256, 512)


@dataclasses.dataclass(frozen=True)
class MemoryState:
    """What the controls say; `cap` in megabytes."""

    batch: int = 8
    sequence: int = 32
    optimizer: str = "AdamW"
    layers: int = 8
    hidden: int = 128
    recompute: bool = False
    cap: float = 24.0


class Memory(Explorer):
    """Bytes of one training step by kind, from the closed forms of `minipar.cost.model`, under a cap."""

    title = "Memory"
    shown = ("batch", "sequence", "optimizer")

    def __init__(self, state: MemoryState, shape: Shape, task=None):
        self.shape = shape
        super().__init__(state, task)

    def make_controls(self, state):
        return {
            "batch": controls.steps("batch", state.batch, with_value(BATCHES, state.batch)),
            "sequence": controls.steps("sequence", state.sequence, with_value(SEQUENCES, state.sequence)),
            "optimizer": controls.choice("optimizer", state.optimizer, [one.value for one in Optimizer]),
            "layers": controls.whole("layers", state.layers, 1, 32),
            "hidden": controls.steps("hidden", state.hidden, with_value(WIDTHS, state.hidden)),
            "recompute": controls.switch("recompute", state.recompute),
            "cap": controls.number("cap, MB", state.cap, 0.5, max(100, 2 * state.cap), 0.1),
        }

    def make_view(self):
        return bars.Bars(name="bytes of one training step by kind")

    def compute(self, state) -> Bytes:
        return step_bytes(self.model(state), state.batch, state.sequence, state.optimizer)

    def model(self, state) -> Shape:
        """The shape with what the controls say; positions grow with the sequence where they have to."""
        return dataclasses.replace(
            self.shape,
            layers=state.layers,
            hidden=state.hidden,
            recompute=state.recompute,
            context=max(self.shape.context, state.sequence),
        )

    def draw(self, result):
        self.view.show(self.rows(result), [self.line()])

    def line(self) -> bars.Line:
        return bars.Line(self.state.cap * MB, f"cap {amount(self.state.cap * MB)}")

    def rows(self, result: Bytes) -> list[bars.Row]:
        start = self.compute(self.initial)
        over = result.total > self.state.cap * MB
        now = bars.Row("now", parts(result), amount(result.total) + (": over the cap" if over else ": fits"), over=over)
        if self.state == self.initial:
            return [now]
        return [bars.Row("at the start", parts(start), amount(start.total), faded=True), now]

    def facts(self, result):
        weights = parameters(self.model(self.state))
        states = (result.parameter + result.gradient + result.optimizer) // weights
        return [
            ("held in all", amount(result.total)),
            ("parameters", f"{weights:,}"),
            ("weights, gradients, optimizer", f"{states} bytes a parameter"),
            ("activations", amount(result.activation)),
        ]

    def sentence(self, result):
        over = result.total - self.state.cap * MB
        if over > 0:
            return f"{amount(over)} too much for the cap."
        return f"Fits, with {amount(-over)} to spare."

    def describe(self, result):
        state = self.state
        extra = ", recompute" if state.recompute else ""
        fits = "over" if result.total > state.cap * MB else "under"
        return (
            f"batch={state.batch}, sequence={state.sequence}, {state.optimizer}, layers={state.layers}, "
            f"hidden={state.hidden}{extra}: {result.total:,} bytes = {result.parameter:,} parameters "
            f"+ {result.gradient:,} gradients + {result.optimizer:,} optimizer "
            f"+ {result.batch:,} batch + {result.activation:,} activations, {fits} the cap of {amount(state.cap * MB)}"
        )

    def figure(self):
        return bars.figure("Bytes of one training step, by kind", self.rows(self.result), [self.line()])


def parts(result: Bytes) -> tuple[bars.Part, ...]:
    """A bar's parts, one for each kind that is there, in the order of every memory picture."""
    held = {kind: getattr(result, kind, 0) for kind in MEMORY_KINDS}
    return tuple(
        bars.Part(kind, size, amount(size), PALETTE.memory[kind].fill, PALETTE.memory[kind].ink)
        for kind, size in held.items()
        if size
    )


def with_value(options, value) -> list:
    """The steps of a slider, with the value asked for among them."""
    return sorted({*options, value})


def memory(model=None, batch=8, sequence=None, optimizer="AdamW", recompute=None, cap=None, task=None) -> Memory:
    """An explorer of what fills a device.

    model: a `minipar.GPT`, or anything with its sizes; by default 8 layers, 128 wide.
    sequence: tokens of one text, the model's context by default. cap: bytes; by default less than the start needs.
    ValueError for an optimizer that is none.
    """
    model = model or Shape(hidden=128, context=32)
    shape = Shape(
        depth(model), model.hidden, model.heads, model.vocabulary, model.context, model.tied, dtype=model.dtype
    )
    sequence = sequence or model.context
    recompute = model.recompute if recompute is None else recompute
    state = MemoryState(batch, sequence, Optimizer.named(optimizer).value, shape.layers, shape.hidden, recompute)
    cap = cap or cap_between(dataclasses.replace(shape, recompute=recompute), batch, sequence, optimizer)
    return Memory(dataclasses.replace(state, cap=cap / MB), shape, task)


def cap_between(model, batch: int, sequence: int, optimizer: str) -> float:
    """A cap that the start is over, and that a batch of 1 or an optimizer without averages gets under, each alone."""
    start = step_bytes(model, batch, sequence, optimizer).total
    one_way = step_bytes(model, 1, sequence, optimizer).total
    other_way = step_bytes(model, batch, sequence, Optimizer.SGD).total
    return round((start + max(one_way, other_way)) / 2 / MB, 1) * MB


def two_ways_under_the_cap() -> tuple[Task, Task]:
    """Lesson 01's task: under the cap twice, once with the batch untouched, once with the optimizer untouched."""

    def fits(explorer: Memory) -> bool:
        state, start = explorer.state, explorer.initial
        return state.cap <= start.cap and explorer.result.total <= state.cap * MB

    return (
        Task(
            "Stay under the cap without touching the batch.",
            lambda explorer: fits(explorer) and explorer.state.batch == explorer.initial.batch,
        ),
        Task(
            "Stay under the cap another way, without touching the optimizer.",
            lambda explorer: fits(explorer) and explorer.state.optimizer == explorer.initial.optimizer,
        ),
    )

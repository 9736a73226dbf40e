"""Where should a list of layers be cut, and who is the slowest then?

devices ──●── 4      layers each [8 9 9 8]
▁▇▇▇▇▇▇▇│▇▇▇▇▇▇▇▇▇│▇▇▇▇▇▇▇▇▇│▇▇▇▇▇▇▇█     drag a cut, or Tab to it and use the arrow keys
device 0  ███████▏      7.1
device 3  █████████▌    9.5   slowest            ┊ 8.9 is possible
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import anywidget
import ipywidgets as widgets
import traitlets

from minipar.plan.split import split as best_split
from minipar.view import bars, controls
from minipar.view.elements import script
from minipar.view.explorer import Explorer, Task
from minipar.view.theme import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, WHITE, YELLOW
from minipar.view.words import amount, share

DEVICES = ((BLUE, WHITE), (ORANGE, BLACK), (GREEN, BLACK), (PURPLE, BLACK))
DEVICES += ((SKY, BLACK), (VERMILION, BLACK), (YELLOW, BLACK), ("#7A7A7A", BLACK))


class Cuts(anywidget.AnyWidget):
    """The strip of layers with a handle at each cut. `starts` holds the first layer of every device but the first."""

    _esm = script("cuts.js")
    _css = Path(__file__).parent / "explorer.css"

    costs = traitlets.List().tag(sync=True)
    names = traitlets.List().tag(sync=True)
    starts = traitlets.List().tag(sync=True)
    fills = traitlets.List([fill for fill, _ in DEVICES]).tag(sync=True)


@dataclasses.dataclass(frozen=True)
class SplitState:
    """How many devices, and how many layers each of them gets, in order."""

    parts: int
    layers: tuple[int, ...]


class Parts(NamedTuple):
    """Cost and memory of every device, and the cost of the slowest device of the best cut."""

    costs: tuple[float, ...]
    memory: tuple[int, ...]
    best: float

    @property
    def slowest(self) -> int:
        return self.costs.index(max(self.costs))


class Split(Explorer):
    """Cuts over a list of layer costs. ``ex.set(layers=(9, 8, 9, 8))`` or ``ex.set(layers="9 8 9 8")`` moves them."""

    title = "Split"
    shown = ("parts", "layers")

    def __init__(self, costs: Sequence[float], memory: Sequence[int], names: Sequence[str], parts: int, task=None):
        self.costs, self.memory, self.names = tuple(costs), tuple(memory), tuple(names)
        super().__init__(SplitState(parts, evenly(len(self.costs), parts)), task)
        self.cuts.observe(self._dragged, "starts")

    def make_controls(self, state):
        most = min(len(DEVICES), len(self.costs))
        return {
            "parts": controls.whole("devices", state.parts, 1, most),
            "layers": controls.words("layers each", " ".join(map(str, state.layers))),
        }

    def make_view(self):
        self.cuts = Cuts(costs=list(self.costs), names=list(self.names), starts=starts(self.state.layers))
        self.bars = bars.Bars(name="cost of each device")
        return widgets.VBox([self.cuts, self.bars])

    def set(self, **values):
        if not isinstance(values.get("layers", ""), str):
            values["layers"] = " ".join(map(str, values["layers"]))
        return super().set(**values)

    def read(self):
        return {"parts": self.controls["parts"].value, "layers": tuple(counts(self.controls["layers"].value))}

    def limits(self, state):
        """A new number of devices starts from even cuts; typed cuts say themselves how many devices there are."""
        if state.parts != self.state.parts and len(state.layers) != state.parts:
            state = dataclasses.replace(state, layers=evenly(len(self.costs), state.parts))
            self.controls["layers"].value = " ".join(map(str, state.layers))
        elif len(state.layers) != state.parts and 1 <= len(state.layers) <= self.controls["parts"].max:
            state = dataclasses.replace(state, parts=len(state.layers))
            self.controls["parts"].value = state.parts
        return state

    def compute(self, state) -> Parts:
        check(state.layers, len(self.costs), len(DEVICES))
        ends = list(accumulate(state.layers))
        pieces = [slice(end - count, end) for end, count in zip(ends, state.layers, strict=True)]
        best = max(sum(self.costs[layer] for layer in part) for part in best_split(self.costs, state.parts))
        memory = tuple(sum(self.memory[piece]) for piece in pieces) if self.memory else ()
        return Parts(tuple(sum(self.costs[piece]) for piece in pieces), memory, best)

    def draw(self, result):
        self.cuts.starts = starts(self.state.layers)
        self.bars.show(self.rows(result), self.lines(result), legend=False)

    def lines(self, result) -> list[bars.Line]:
        return [bars.Line(result.best, f"best possible {result.best:.3g}")]

    def rows(self, result) -> list[bars.Row]:
        rows = []
        for device, cost in enumerate(result.costs):
            note = [f"cost {cost:.3g}", amount(result.memory[device]) if result.memory else ""]
            note.append("slowest" if device == result.slowest else "")
            layers = self.state.layers[device]
            piece = bars.Part("", cost, f"{layers} layer{'' if layers == 1 else 's'}", *DEVICES[device])
            over = device == result.slowest
            rows.append(bars.Row(f"device {device}", (piece,), ", ".join(filter(None, note)), over=over))
        return rows

    def facts(self, result):
        slowest = max(result.costs)
        found = [("slowest device", f"{slowest:.3g}"), ("best possible", f"{result.best:.3g}")]
        found.append(("busy, all devices together", share(sum(result.costs) / (slowest * len(result.costs)))))
        if result.memory:
            found.append(("most memory", amount(max(result.memory))))
        return found

    def sentence(self, result):
        if is_best(result):
            return "No cut is better: the slowest device decides how often a microbatch can pass."
        device, over = result.slowest, max(result.costs) / result.best - 1
        return f"Device {device} is the slowest, {share(over)} over the best possible: give it less."

    def describe(self, result):
        memory = f", memory {' '.join(amount(size) for size in result.memory)}" if result.memory else ""
        layers = " ".join(map(str, self.state.layers))
        found = f"slowest {max(result.costs):.4g}, best possible {result.best:.4g}"
        return f"{len(self.costs)} layers as {layers}: {found}{memory}"

    def figure(self):
        return bars.figure("Cost of each device", self.rows(self.result), self.lines(self.result))

    def _dragged(self, change) -> None:
        """A cut was dragged or moved by keys in the browser; whatever is typed in the text field follows."""
        bounds = [0, *change.new, len(self.costs)]
        self.controls["layers"].value = " ".join(
            str(end - start) for start, end in zip(bounds, bounds[1:], strict=False)
        )


def best_cut() -> Task:
    """The task "make the slowest stage as fast as it can be", met at any cut as good as the best one."""
    return Task("Make the slowest stage as fast as it can be.", lambda explorer: is_best(explorer.result))


def is_best(result: Parts) -> bool:
    """Whether this cut is as good as the best one, sums of floats being what they are."""
    return max(result.costs) <= result.best * (1 + 1e-9)


def counts(text: str) -> list[int]:
    """The whole numbers in "8, 9 9 8"; ValueError names a word that is none."""
    words = re.split(r"[\s,;]+", text.strip())
    for word in words:
        if not word.isdecimal():
            raise ValueError(f"'{word}' is no number of layers: write one whole number a device, as in 8 9 9 8.")
    return [int(word) for word in words]


def check(layers: Sequence[int], many: int, most: int) -> None:
    """ValueError in a sentence where these numbers do not cut `many` layers into parts."""
    if len(layers) > most:
        raise ValueError(f"{len(layers)} devices are more than this picture shows: {most} at most.")
    if 0 in layers:
        raise ValueError(f"Device {layers.index(0)} has no layer: every device needs one.")
    total = sum(layers)
    if total != many:
        odd = many - total
        rest = f"{odd} {'is' if odd == 1 else 'are'} on no device" if odd > 0 else f"that is {-odd} too many"
        raise ValueError(f"{' + '.join(map(str, layers))} = {total} layers, and there are {many}: {rest}.")


def evenly(many: int, parts: int) -> tuple[int, ...]:
    """Numbers of layers as equal as can be, the larger ones first."""
    return tuple(many // parts + (part < many % parts) for part in range(parts))


def starts(layers: Sequence[int]) -> list[int]:
    """The first layer of every device but the first."""
    return list(accumulate(layers))[:-1]


def split(costs, parts: int = 4, memory: Sequence[int] = (), task=None) -> Split:
    """An explorer of cuts.

    costs: one number a layer, or a `minipar.GPT`, which knows the costs and weights of its layers.
    memory: bytes of each layer, if the readout is to say what each device holds.
    ValueError where costs and memory differ in length, or where there are fewer layers than devices.
    """
    names: Sequence[str] = ()
    if hasattr(costs, "costs"):
        names = costs.layer_names
        memory = memory or [costs.parameter_bytes([layer]) for layer in range(len(names))]
        costs = costs.costs()
    if memory and len(memory) != len(costs):
        raise ValueError(f"There are {len(costs)} costs and {len(memory)} sizes: one of each for every layer.")
    best_split(costs, parts)  # refuses in a sentence what cannot be cut at all
    return Split(costs, memory, names or [f"layer {layer}" for layer in range(len(costs))], parts, task)

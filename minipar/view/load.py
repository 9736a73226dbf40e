"""Who holds up whom, and does the load even out while the router learns?

    stragglers(routing)                                       loads(steps)
    rank 0 ▒█████ expert 0 ██████│█████ expert 1 ████▒ 156    91 ╲___                   expert 0
    rank 1 ▒██│███ ╱╱╱╱╱ waits for rank 0 ╱╱╱╱╱╱╱╱╱╱╱▒  33    65 ──__╲______
    rank 2 ▒██│██ ╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱▒  28    32 ┄┄┄┄┄┄┄═══════════════   mean
    rank 3 ▒███│██ ╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱╱▒  39    13 __╱                     step ─►

All ranks of a step begin its combine together, when the busiest has done its last row. Several routings stand under
each other on one axis, each with its price. `loads` also grows live: ``view.add(load)`` after each step of a training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from minipar.cost.machine import Link
from minipar.cost.routing import Links, StepTime, step
from minipar.plan.balance import max_over_mean
from minipar.plan.placement import Placement
from minipar.plan.routing import DROPPED, Once, Routing
from minipar.view.drawing import INK, QUIET, Drawing, Shape, Text, tile
from minipar.view.explore_split import DEVICES
from minipar.view.flow import NUMBERS
from minipar.view.theme import BLACK, GREY
from minipar.view.words import duration

WIDTH, LEFT, RIGHT = 760, 62, 590  # the sheet, the edges of the bars
ROW, BAR, TOP = 27, 22, 26  # a bar with its gap, a bar, a heading
LOW = 0.76  # of that height where there are more than two panels
FREE = Links(Link(0, 0), Link(0, 0))
Parts = list[Shape | Text]


# ---- who waits for whom -------------------------------------------------------------------------------------------


def stragglers(routings: Routing | Mapping[str, Routing], title: str | None = None, *, row: float = 1.0,
               unit: str = "slots", links: Links = FREE, once: str | Once = Once.CHOICE,
               notes: Mapping[str, str] | None = None, times: Mapping[str, StepTime] | None = None,
               home: Placement | None = None) -> Drawing:  # fmt: skip
    """What each rank computes and how long it waits, predicted from a routing; several by name on one axis.

    row: time of a row in one expert, in `unit` ("slots" or "s"). links: price of a row (none: links cost nothing), and
    once: how often a token travels. notes: a price tag for each name. times: measured parts of the step by name, in
    place of the predicted ones. home: experts have the colour of the rank on which this placement has them (default:
    of the rank that computes them). ValueError for no routing at all.
    """
    panels = {"": routings} if isinstance(routings, Routing) else dict(routings)
    if not panels:
        raise ValueError("there is no routing to draw: give one, or several by name")
    times = times or {name: step(one, row, 1, links, once) for name, one in panels.items()}
    longest, parts, y = max(time.total for time in times.values()) or 1.0, [], 0.0
    for name, one in panels.items():
        if name:
            parts.append(Text(0, y + 10, name, 14, INK, "start", bold=True))
            parts.append(Text(WIDTH, y + 10, (notes or {}).get(name, ""), 13, INK, "end"))
            y += TOP
        parts += rows(one, times[name], LEFT, y, (RIGHT - LEFT) / longest, unit, home)
        y += ROW * one.ranks + 12
    if len(panels) > 2:  # all of them on one screen
        y, parts = y * LOW, list(_squeezed(parts))
    first = next(iter(panels))
    return Drawing(finding(panels[first]) if title is None else title, (WIDTH, y), parts, summary(panels, times, unit))


def _squeezed(parts: Parts) -> Iterable[Shape | Text]:
    """The same, less high."""
    for part in parts:
        if isinstance(part, Text):
            yield part._replace(y=part.y * LOW)
        else:
            yield part._replace(points=tuple((x, y * LOW) for x, y in part.points))


def finding(routing: Routing) -> str:
    """Who waits, in words: "Three ranks wait for rank 0"."""
    busiest, most = _busiest(routing)
    waiting = sum(rows < 0.95 * most for rows in routing.computed)
    if not waiting:
        return "Nobody waits: all ranks have the same work"
    return f"{NUMBERS[min(waiting, 8)]} rank{'s wait' if waiting > 1 else ' waits'} for rank {busiest}"


def _busiest(routing: Routing) -> tuple[int, int]:
    most = max(routing.computed)
    return routing.computed.index(most), most


def summary(panels: Mapping[str, Routing], times: Mapping[str, StepTime], unit: str) -> str:
    """One line that stands for the picture."""
    told = [
        f"{name + ': ' if name else ''}rows {' '.join(map(str, one.computed))}, "
        f"busiest / mean {one.max_over_mean:.2f}, {duration(times[name].total, unit)}"
        for name, one in panels.items()
    ]
    return f"Stragglers({'; '.join(told)})"


def rows(routing: Routing, time: StepTime, x: float, y: float, scale: float, unit: str = "slots",
         home: Placement | None = None) -> Parts:  # fmt: skip
    """A bar a rank: dispatch, its experts, hatched waiting, combine; its rows at the end."""
    busiest, most = _busiest(routing)
    starts, ends = x + time.dispatch * scale, x + (time.dispatch + time.experts) * scale
    parts: Parts = []
    for rank, held in enumerate(shares(routing)):
        top, fill = y + rank * ROW, DEVICES[rank % len(DEVICES)]
        parts.append(Text(x - 8, top + BAR / 2, f"rank {rank}", 13, INK, "end"))
        parts += _sending(x, starts, ends, ends + time.combine * scale, top)
        row = time.work[rank] * scale / max(1, routing.computed[rank])
        parts += _work({(expert, paint(expert, rank, home)): many for expert, many in held.items()}, starts, top, row)
        done = starts + time.work[rank] * scale
        parts += _padding(sum(held.values()), routing.computed[rank], starts, top, row, fill[0])
        parts += _waiting(done, ends, top, busiest, routing)
        parts.append(Text(RIGHT + 12, top + BAR / 2, f"{routing.computed[rank]:,}", 15, INK, "start",
                          bold=routing.computed[rank] == most))  # fmt: skip
    if unit == "s" or time.dispatch:
        said = f"step {duration(time.total, unit)}"
    else:
        said = f"{routing.max_over_mean:.2f} × mean"
    parts.append(Text(WIDTH, y + busiest * ROW + BAR / 2, said, 13, INK, "end"))
    return parts


def shares(routing: Routing) -> tuple[dict[int, int], ...]:
    """By rank: its experts and the rows of each that it computes."""
    found = tuple(dict.fromkeys(held, 0) for held in routing.placement.slots)
    for kept, to in zip(routing.kept, routing.targets, strict=True):
        for expert, rank in zip(kept, to, strict=True):
            if expert != DROPPED:
                found[rank][expert] += 1
    return found


def paint(expert: int, rank: int, home: Placement | None) -> tuple[str, str]:
    """Fill and ink of an expert that is computed on this rank."""
    return DEVICES[(rank if home is None else home.holders[expert][0]) % len(DEVICES)]


def _work(held: Mapping[tuple, int], x: float, top: float, row: float) -> Iterable[Shape | Text]:
    for (expert, (fill, ink)), many in held.items():
        if many * row > 0.3:
            tip = f"expert {expert}: {many} row{'' if many == 1 else 's'}"
            yield tile(x, top, many * row, BAR, fill, tip=tip)
            fits = ((f"expert {expert}", 66), (str(expert), 18))
            words = next((said for said, wide in fits if many * row > wide), "")
            if words:
                yield Text(x + many * row / 2, top + BAR / 2, words, 12, ink)
            x += many * row


def _padding(many: int, computed: int, x: float, top: float, row: float, fill: str) -> Iterable[Shape | Text]:
    if computed > many:
        tip = f"{computed - many} empty rows"
        yield tile(x + many * row, top, (computed - many) * row, BAR, "", edge=fill, tip=tip)
        if (computed - many) * row > 60:
            yield Text(x + (computed + many) / 2 * row, top + BAR / 2, "padding", 12, INK)


def _waiting(done: float, end: float, top: float, busiest: int, routing: Routing) -> Iterable[Shape | Text]:
    if end - done > 0.5:
        yield tile(done, top, end - done, BAR, "", hatch=QUIET, edge=QUIET, tip=f"waits for rank {busiest}")
        if end - done > 130:
            yield Text((done + end) / 2, top + BAR / 2, f"waits for rank {busiest}", 12, INK, plate=True)


def _sending(x: float, starts: float, ends: float, home: float, top: float) -> Iterable[Shape | Text]:
    for left, right, name in ((x, starts, "dispatch"), (ends, home, "combine")):
        if right - left > 0.5:
            yield tile(left, top, right - left, BAR, GREY, tip=name)  # not the purple of messages: that is rank 3's
            if right - left > 58:
                yield Text((left + right) / 2, top + BAR / 2, name, 12, BLACK)


# ---- load over steps ----------------------------------------------------------------------------------------------

BACK = "#8C8C8C"  # lines that stay in the background, on light paper and on dark
HIGH, FLOOR, SIDE, END = 210, 250, 46, 620  # the chart's height, its lower edge, its left and right edges


class LoadView(Drawing):
    """Lines of load over steps. ``add(load)`` appends a step and draws."""

    def __init__(self, steps: Iterable = (), title: str | None = None, names: Sequence[str] = ()):
        self.steps: list[tuple[float, ...]] = []
        self.heading, self.names = title, tuple(names)
        super().__init__("", (WIDTH, FLOOR + 34), (), "")
        for one in steps:
            self._take(one)
        self._draw()

    def add(self, load) -> LoadView:
        """One more step: the load of each expert. ValueError where their number is another than before."""
        self._take(load)
        self._draw()
        return self

    def _take(self, one) -> None:
        load = tuple(getattr(one, "load", one))
        if self.steps and len(load) != len(self.steps[0]):
            raise ValueError(f"step {len(self.steps)} has loads of {len(load)} experts, the steps before had "
                             f"{len(self.steps[0])}")  # fmt: skip
        self.steps.append(load)

    @property
    def uneven(self) -> list[float]:
        """Busiest against mean, step by step."""
        return [max_over_mean(load) for load in self.steps]

    def _draw(self) -> None:
        text = self.describe()
        title = self.heading or (evened(self.uneven) if self.steps else "No step yet")
        self.show(title, (WIDTH, FLOOR + 34), chart(self.steps, self.names) if self.steps else (), text)

    def describe(self) -> str:
        """One line that stands for the picture."""
        if not self.steps:
            return "Loads(no step yet)"
        last = " ".join(f"{load:g}" for load in self.steps[-1])
        return (f"Loads({len(self.steps)} steps, {len(self.steps[0])} experts: busiest / mean {self.uneven[0]:.2f} at "
                f"first, {self.uneven[-1]:.2f} at last; loads at last {last})")  # fmt: skip


def loads(steps: Iterable = (), title: str | None = None) -> LoadView:
    """Load of each expert over the steps of a training: rows of loads, or steps of `minipar.plan.balance.taught`."""
    return LoadView(steps, title)


def evened(uneven: Sequence[float]) -> str:
    """The finding: "The busiest expert falls from 2.84 to 1.16 times the mean"."""
    first, last = uneven[0], uneven[-1]
    if len(uneven) == 1 or abs(first - last) < 0.1:
        return f"The busiest expert has {last:.2f} times the mean"
    return f"The busiest expert {'falls' if last < first else 'rises'} from {first:.2f} to {last:.2f} times the mean"


def chart(steps: Sequence[Sequence[float]], names: Sequence[str] = ()) -> Parts:
    """A line an expert, in colour for those that began 1.5 times above the mean or were the busiest of all."""
    most = max(max(map(max, steps)), 1e-9)
    across, up = (END - SIDE) / max(1, len(steps) - 1), HIGH / most
    parts: Parts = [Text(0, 14, "rows of each expert", 12, QUIET, "start")]
    mean = [sum(load) / len(load) for load in steps]
    loud = [expert for expert, load in enumerate(steps[0]) if load > 1.5 * mean[0]]
    loud = sorted(loud, key=lambda expert: -steps[0][expert])[: len(DEVICES)]
    for expert in range(len(steps[0])):
        if expert not in loud:
            parts.append(_line([load[expert] for load in steps], across, up, 1.4, BACK, f"expert {expert}"))
    for expert in reversed(loud):
        fill = DEVICES[loud.index(expert)][0]
        parts.append(_line([load[expert] for load in steps], across, up, 3.4, fill, f"expert {expert}"))
    parts.append(_line(mean, across, up, 2, INK, "mean"))
    parts += _labels(steps, mean[-1], loud, up, names)
    return parts + _axis(len(steps), across)


def _line(values: Sequence[float], across: float, up: float, wide: float, fill: str, tip: str) -> Shape:
    points = [(SIDE + at * across, FLOOR - value * up) for at, value in enumerate(values)]
    if len(points) == 1:
        points.append((points[0][0] + 12, points[0][1]))
    last = len(points) - 1
    sides = [_aside(points[max(0, at - 1)], points[min(at + 1, last)], wide / 2) for at in range(last + 1)]
    there = [(x + right, y + down) for (x, y), (right, down) in zip(points, sides, strict=True)]
    back = [(x - right, y - down) for (x, y), (right, down) in zip(points, sides, strict=True)]
    return Shape((*there, *reversed(back)), fill, tip=tip)


def _aside(before: tuple[float, float], after: tuple[float, float], far: float) -> tuple[float, float]:
    """A step of length `far` across the direction from one point to the other."""
    right, down = after[0] - before[0], after[1] - before[1]
    length = math.hypot(right, down) or 1.0
    return -down / length * far, right / length * far


def _labels(steps, mean: float, loud: Sequence[int], up: float, names: Sequence[str]) -> list[Text]:
    """Names at the right end, kept apart; the loads of the first step at the left."""
    last = {expert: steps[-1][expert] for expert in loud}
    wanted = [(FLOOR - value * up, names[expert] if names else f"expert {expert}", f"{value:g}", True)
              for expert, value in last.items()]  # fmt: skip
    wanted.append((FLOOR - mean * up, "mean", f"{mean:g}" if mean == int(mean) else f"{mean:.1f}", False))
    parts, free = [], 8.0
    for y, name, value, bold in sorted(wanted):
        free = max(y, free)
        parts.append(Text(END + 10, free, f"{name}: {value}", 13, INK, "start", bold=bold))
        free += 17
    parts += [Text(SIDE - 6, FLOOR - steps[0][expert] * up, f"{steps[0][expert]:g}", 13, INK, "end", bold=True)
              for expert in loud[:2]]  # fmt: skip
    return [*parts, Text(SIDE - 6, FLOOR, "0", 12, QUIET, "end")]


def _axis(many: int, across: float) -> Parts:
    """The floor with the number of some steps."""
    every = max(1, next((jump for jump in (1, 2, 5, 10, 20, 50, 100, 200, 500) if many / jump <= 8), many))
    ticks = [Text(SIDE + at * across, FLOOR + 14, str(at), 12, QUIET) for at in range(0, many, every)]
    floor = tile(SIDE, FLOOR, END - SIDE, 1, QUIET, edge=QUIET)
    return [floor, *ticks, Text((SIDE + END) / 2, FLOOR + 28, "step of the training →", 12, QUIET)]

"""When is a sliced MLP quicker than a whole one?

ranks ●── 2   hidden ──●── 128   tokens ──●── 64           an MLP hidden → 4 hidden → hidden, forward, column→row
one process   ██████████████████████████  336 µs           by formula: nothing runs
each of 2     █████████████░░░░░░░░░░░▒   320 µs            work, then one all-reduce: waits and bytes

    saved by a rank   (P-1)/P · 16 · tokens · hidden²  operations
    sent by a rank    2(P-1)/P · 4 · tokens · hidden   bytes            saved / sent = 2 · hidden, at any P
    waits             2(P-1) messages of a ring, one after another
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from minipar.cost import comm
from minipar.view import bars, controls
from minipar.view.explorer import Explorer, Task
from minipar.view.theme import BLACK, BLUE, GREY, PURPLE, WHITE
from minipar.view.words import count

BYTES = 4  # of a float32
RANKS = (2, 4, 8, 16, 32, 64)
HIDDEN = tuple(2**power for power in range(5, 15))
TOKENS = (1, 4, 16, 64, 256, 1024, 4096)
WAITS = (1, 2, 5, 10, 20, 35, 70, 140, 300)
SPEEDS = (1e9, 2.8e9, 10e9, 50e9, 100e9, 450e9)
RATES = (10e9, 50e9, 200e9, 1e12, 10e12, 100e12, 989e12)


@dataclasses.dataclass(frozen=True)
class SlicesState:
    """Sizes, and the machine: microseconds a message waits, bytes a second, operations a second of one rank."""

    ranks: int = 2
    hidden: int = 64
    tokens: int = 64
    alpha: float = 70
    speed: float = 2.8e9
    rate: float = 50e9


class Price(NamedTuple):
    """Seconds and bytes of one forward pass: `alone` on one process; `work`, `wait` and `sending` of each rank."""

    alone: float
    work: float
    wait: float
    sending: float
    bytes: int
    messages: int

    @property
    def saved(self) -> float:
        return self.alone - self.work

    @property
    def message(self) -> float:
        return self.wait + self.sending

    @property
    def pays(self) -> bool:
        return self.saved > self.message


class SlicesExplorer(Explorer):
    """What slicing an MLP saves in work and costs in messages. ``ex.set(hidden=1024, tokens=1)`` moves the controls."""

    title = "Slicing"
    shown = ("ranks", "hidden", "tokens")

    def make_controls(self, state):
        def slider(label, value, values, words="{:,}".format):
            return controls.steps(label, value, [(words(one), one) for one in sorted({*values, value})])

        return {
            "ranks": slider("ranks P", state.ranks, RANKS),
            "hidden": slider("hidden", state.hidden, HIDDEN),
            "tokens": slider("tokens", state.tokens, TOKENS),
            "alpha": slider("alpha: a wait", state.alpha, WAITS, "{:g} µs".format),
            "speed": slider("1/beta: bytes", state.speed, SPEEDS, lambda one: f"{one / 1e9:g} GB/s"),
            "rate": slider("operations", state.rate, RATES, operations),
        }

    def make_view(self):
        return bars.Bars(name="one process against each of the ranks")

    def compute(self, state) -> Price:
        return price(state)

    def rows(self, found: Price) -> list[bars.Row]:
        def part(name, seconds, fill, ink):
            return bars.Part(name, seconds * 1e6, short(seconds) if seconds > 0.08 * longest else "", fill, ink)

        longest = max(found.alone, found.work + found.message)
        whole = (part("operations", found.alone, BLUE, WHITE),)
        sliced = (
            part("operations", found.work, BLUE, WHITE),
            part("waits", found.wait, GREY, BLACK),
            part("bytes on the way", found.sending, PURPLE, BLACK),
        )
        each = f"each of {count(self.state.ranks, 'rank')}"
        return [
            bars.Row("one process", whole, short(found.alone)),
            bars.Row(each, sliced, short(found.work + found.message), over=found.pays),
        ]

    def draw(self, found):
        self.view.show(self.rows(found))

    def facts(self, found):
        return [
            ("bytes a rank sends", f"{found.bytes:,} B"),
            ("work saved", short(found.saved)),
            (f"wait, {count(found.messages, 'message')}", short(found.wait)),
            ("bytes on the way", short(found.sending)),
            ("operations saved a byte", f"{2 * self.state.hidden:,}"),
        ]

    def sentence(self, found):
        if found.pays:
            said = f"Slicing pays: it saves {short(found.saved)} and costs {short(found.message)}."
        elif found.wait > found.saved:
            said = f"It does not pay: the wait alone ({short(found.wait)}) is longer than the work it saves."
        else:
            said = f"It does not pay: it saves {short(found.saved)} and costs {short(found.message)}."
        return f"{said} By formula, one forward pass in float32; each rank has a device of its own. Nothing was run."

    def describe(self, found):
        state = self.state
        machine = f"{state.alpha:g} µs, {state.speed / 1e9:g} GB/s, {operations(state.rate)}"
        return (
            f"P={state.ranks}, hidden={state.hidden}, tokens={state.tokens}, {machine}: {found.bytes:,} B, "
            f"saves {short(found.saved)}, waits {short(found.wait)}, {'pays' if found.pays else 'does not pay'}"
        )

    def figure(self):
        return bars.figure("An MLP forward, whole and sliced (by formula)", self.rows(self.result))


def price(state: SlicesState) -> Price:
    """The formulas of the module's docstring."""
    alone = 16 * state.tokens * state.hidden**2 / state.rate
    whole = BYTES * state.tokens * state.hidden
    sent = max(comm.sent("all_reduce", "ring", state.ranks, whole))
    messages = 2 * (state.ranks - 1)
    return Price(alone, alone / state.ranks, messages * state.alpha * 1e-6, sent / state.speed, sent, messages)


def short(seconds: float) -> str:
    """0.16 µs, 140 µs, 1.2 ms, 3.4 s."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 0.9995:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def operations(rate: float) -> str:
    """ "50 Gflop/s"."""
    return f"{rate / 1e12:g} Tflop/s" if rate >= 1e12 else f"{rate / 1e9:g} Gflop/s"


def until_it_pays(tokens: int = 64) -> tuple[Task, Task]:
    """Raise hidden until the saving exceeds the message; then one token."""
    return (
        Task(
            f"{tokens} tokens: raise hidden until the saving exceeds the message.",
            lambda ex: ex.state.tokens == tokens and ex.result.pays,
        ),
        Task(
            "Then 1 token: what now decides?",
            lambda ex: ex.met[0] and ex.state.tokens == 1,
        ),
    )


def slices(ranks: int = 2, hidden: int = 64, tokens: int = 64, alpha: float = 70, speed: float = 2.8e9,
           rate: float = 50e9, task=None) -> SlicesExplorer:  # fmt: skip
    """An explorer of what slicing an MLP saves and costs.

    alpha: microseconds that each message waits. speed: bytes a second. rate: operations a second of one rank.
    """
    return SlicesExplorer(SlicesState(ranks, hidden, tokens, alpha, speed, rate), task)

"""Which real card holds a model of this many parameters, to serve it and to train it?

parameters ──────●──── 10 billion                 ┊ serve: 20 GB          ┊ train: 160 GB
NVIDIA T4     ███        16 GB    serve: 2 cards, train: 10
NVIDIA A100   ████████   80 GB    serve: 1 card,  train: 2
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from minipar.cost.machine import CARDS, GB, Card, cards_needed
from minipar.cost.model import TO_SERVE, TO_TRAIN
from minipar.view import bars, controls
from minipar.view.explorer import Explorer
from minipar.view.theme import BLACK, GREEN, GREY, SKY
from minipar.view.words import amount

MILLION, BILLION = 10**6, 10**9
SIZES = tuple(m * 10**e for e in (8, 9, 10, 11) for m in (1, 2, 3, 5, 7)) + (10**12,)
RIGHT_EDGE = 200 * GB


@dataclasses.dataclass(frozen=True)
class CardsState:
    """The number of parameters."""

    parameters: int = 10 * BILLION


class Need(NamedTuple):
    """One card, and how many of it hold the model to serve and to train."""

    card: Card
    serve: int
    train: int


class Cards(Explorer):
    """A number of parameters against a row of real cards. Computed, not run."""

    title = "Cards"
    shown = ("parameters",)

    def make_controls(self, state):
        options = [(big(size), size) for size in sorted({*SIZES, state.parameters})]
        return {"parameters": controls.steps("parameters", state.parameters, options)}

    def make_view(self):
        return bars.Bars(name="memory of real cards against the need")

    def compute(self, state) -> tuple[Need, ...]:
        return tuple(
            Need(card, cards_needed(TO_SERVE * state.parameters, card), cards_needed(TO_TRAIN * state.parameters, card))
            for card in CARDS
        )

    def lines(self) -> list[bars.Line]:
        size = self.state.parameters
        return [
            bars.Line(TO_SERVE * size, f"serve {amount(TO_SERVE * size)}"),
            bars.Line(TO_TRAIN * size, f"train {amount(TO_TRAIN * size)}"),
        ]

    def rows(self, needs) -> list[bars.Row]:
        return [
            bars.Row(
                card.name, (part(need),), f"{need.serve} to serve, {need.train} to train", hint=f"source: {card.source}"
            )
            for need in needs
            for card in [need.card]
        ]

    def draw(self, needs):
        self.view.show(self.rows(needs), self.lines(), RIGHT_EDGE)

    def facts(self, needs):
        size = self.state.parameters
        return [
            ("weights in FP16", amount(TO_SERVE * size)),
            ("to train with AdamW", amount(TO_TRAIN * size)),
            ("of these hold the weights", f"{sum(need.serve == 1 for need in needs)} of {len(needs)}"),
            ("of these train it alone", f"{sum(need.train == 1 for need in needs)} of {len(needs)}"),
        ]

    def sentence(self, needs):
        return (
            "Beside each card: how many of it hold the model, at 2 bytes a parameter to serve and 16 to train (mixed "
            "precision, AdamW, before activations). Computed, not run. "
            "Sizes from data sheets: point at a card for its source."
        )

    def describe(self, needs):
        size = self.state.parameters
        each = ", ".join(f"{need.card.name} {need.serve}/{need.train}" for need in needs)
        serve, train = amount(TO_SERVE * size), amount(TO_TRAIN * size)
        return f"{big(size)} parameters: serve {serve}, train {train}; cards to serve/train: {each}"

    def sources(self) -> str:
        """Where each number comes from, one line a card."""
        return "\n".join(f"{card.name}: {amount(card.memory)}, {card.source}" for card in CARDS)

    def summary(self):
        return f"{super().summary()}\n{self.sources()}"

    def figure(self):
        return bars.figure("Memory of real cards against the need", self.rows(self.result), self.lines(), RIGHT_EDGE)


def part(need: Need) -> bars.Part:
    """A card's bar, coloured by what it can do alone."""
    memory, text = need.card.memory, amount(need.card.memory)
    if need.train == 1:
        return bars.Part("trains it alone", memory, text, GREEN, BLACK)
    if need.serve == 1:
        return bars.Part("serves it alone", memory, text, SKY, BLACK)
    return bars.Part("too small alone", memory, text, GREY, BLACK)


def big(size: int) -> str:
    """10 billion; 700 million."""
    return f"{size / BILLION:g} billion" if size >= BILLION else f"{size / MILLION:g} million"


def cards(parameters: int = 10 * BILLION) -> Cards:
    """An explorer of parameters against real cards, each with the source of its memory (``print(ex.sources())``)."""
    return Cards(CardsState(parameters))

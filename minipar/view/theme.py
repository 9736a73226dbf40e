"""Which colour means what, and can everybody read it?

    forward  ████ blue     white letters        memory:  parameter      grey
    backward ████ orange   black letters                 gradient       orange
    weights  ████ green    black letters                 optimizer      vermilion
    message  ████ purple   black letters                 batch          yellow
    idle     ╱╱╱╱ hatched, dotted edge                   activation     blue
                                                         communication  purple

The colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which stay apart for every common kind of
colour blindness. One palette, `PALETTE`, serves the canvas, the plotly figures and the drawings. Colour never stands
alone: bars carry a letter and a number, and an edge of `darker(fill)`.
"""

import enum
from typing import NamedTuple


class Kind(enum.Enum):
    """What one rectangle of a timeline shows; the value is the word in the legend."""

    FORWARD = "forward"
    BACKWARD = "backward"
    INPUT_GRADIENT = "input gradient"
    WEIGHT_GRADIENT = "weight gradient"
    RECOMPUTE = "recompute"
    OPTIMIZER = "optimizer"
    COMMUNICATION = "communication"
    OTHER = "own program"
    WAIT = "waiting"
    IDLE = "idle"

    __hash__ = object.__hash__  # a member is itself; Enum's own hash costs a Python call per look-up


class Paint(NamedTuple):
    """How one kind is drawn: the fill, the colour of letters on it, and the letter of its bars ("" for none)."""

    fill: str
    ink: str
    letter: str = ""


class Palette(NamedTuple):
    """Every colour of the project: bars by kind, memory by its name, and the plain figures' paper and ink."""

    bars: dict[Kind, Paint]
    memory: dict[str, Paint]
    paper: str
    ink: str
    quiet: str
    grid: str
    cap: str
    font: str


WHITE, BLACK = "#FFFFFF", "#000000"
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, VERMILION, YELLOW, GREY, PALE = "#56B4E9", "#D55E00", "#F0E442", "#A6ACB3", "#5B9FCA"

PALETTE = Palette(
    bars={
        Kind.FORWARD: Paint(BLUE, WHITE, "F"),
        Kind.BACKWARD: Paint(ORANGE, BLACK, "B"),
        Kind.INPUT_GRADIENT: Paint(ORANGE, BLACK, "I"),
        Kind.WEIGHT_GRADIENT: Paint(GREEN, BLACK, "W"),
        Kind.RECOMPUTE: Paint(SKY, BLACK),
        Kind.OPTIMIZER: Paint(VERMILION, BLACK),
        Kind.COMMUNICATION: Paint(PURPLE, BLACK),
        Kind.OTHER: Paint(GREY, BLACK),
        Kind.WAIT: Paint("", ""),
        Kind.IDLE: Paint("", ""),
    },
    memory={
        "parameter": Paint(GREY, BLACK),
        "gradient": Paint(ORANGE, BLACK),
        "optimizer": Paint(VERMILION, BLACK),
        "batch": Paint(YELLOW, BLACK),
        "activation": Paint(BLUE, WHITE),
        "communication": Paint(PURPLE, BLACK),
        "in flight": Paint(PALE, BLACK),
        "waits for I": Paint(PALE, BLACK),
        "waits for W": Paint(GREEN, BLACK),
    },
    paper="#FFFFFF",
    ink="#1F1F1F",
    quiet="#5A5A5A",
    grid="#E3E3E3",
    cap="#B00020",
    font="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif",
)

SMALLEST_TEXT = 12


def darker(colour: str, share: float = 0.3) -> str:
    """The edge of a bar: its colour with `share` of the light taken away."""
    return "#" + "".join(f"{round(channel * (1 - share)):02X}" for channel in channels(colour))


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of "#RRGGBB", each 0 to 255."""
    if len(colour) != 7 or not colour.startswith("#"):
        raise ValueError(f"{colour!r} is no colour: it is written #RRGGBB, for example {BLUE}.")
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def luminance(colour: str) -> float:
    """Relative luminance, 0 for black to 1 for white (WCAG 2.2, section "relative luminance")."""
    red, green, blue = (linear(channel / 255) for channel in channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def linear(share: float) -> float:
    """One sRGB channel as linear light."""
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21; small text wants 4.5 (WCAG 2.2, success criterion 1.4.3)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)

"""Which few controls do the explorers use?  All labelled, all moved by keys.

whole("ranks", 4, 1, 16)      ranks  ──●────── 4      arrows: one step; Page up and down: five; Home, End
number("hop", 0, 0, 4, 0.1)   hop    ●──────── 0.0
choice("schedule", [...])     schedule [GPipe ▾]
switch("recompute", False)    ☐ recompute
words("cuts", "8 9 8 9")      cuts [8 9 8 9   ]
"""

from __future__ import annotations

import ipywidgets as widgets

LABEL = {"description_width": "92px"}


def _layout(**more) -> widgets.Layout:
    return widgets.Layout(width="auto", max_width="400px", margin="2px 12px 2px 0", **more)


def whole(label: str, value: int, low: int, high: int, step: int = 1) -> widgets.IntSlider:
    """A whole number between two bounds."""
    return widgets.IntSlider(
        value, low, max(high, value), step, description=label, style=LABEL, layout=_layout(), continuous_update=True
    )


def number(label: str, value: float, low: float, high: float, step: float = 0.1) -> widgets.FloatSlider:
    """A number between two bounds, shown without trailing noise."""
    return widgets.FloatSlider(
        value,
        min=low,
        max=max(high, value),
        step=step,
        readout_format=".1f",
        description=label,
        style=LABEL,
        layout=_layout(),
    )


def steps(label: str, value, options) -> widgets.SelectionSlider:
    """A slider over a list of (words, value): sizes that double, for example."""
    return widgets.SelectionSlider(options=options, value=value, description=label, style=LABEL, layout=_layout())


def choice(label: str, value, options) -> widgets.Dropdown:
    """One of several, given as (words, value)."""
    return widgets.Dropdown(options=options, value=value, description=label, style=LABEL, layout=_layout())


def switch(label: str, value: bool) -> widgets.Checkbox:
    """On or off."""
    return widgets.Checkbox(value=value, description=label, indent=True, style=LABEL, layout=_layout())


def words(label: str, value: str) -> widgets.Text:
    """A line of text, read as it is typed."""
    return widgets.Text(value=value, description=label, style=LABEL, layout=_layout(), continuous_update=True)


def narrow() -> widgets.Layout:
    """The layout of a button beside the controls."""
    return widgets.Layout(width="110px", margin="2px 0 2px 8px")

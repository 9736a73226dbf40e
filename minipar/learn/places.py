"""Where does a result appear? A place in a cell that is empty now and fills in by itself.

    Place ──── a container; before: one quiet sentence, after: what ``draw(results)`` gave
    Words ──── facts or a formula's rows: aligned plain text, and a table where there is a screen
    show_now ─ nobody there: what was drawn, printed and displayed as it is

A drawing may be a widget, a plotly figure, anything with a mime bundle, a sentence, or a list of these.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from minipar.learn.safely import story
from minipar.view.presence import plain_bundle


class Words:
    """Exact lines of text: ``pairs`` of (label, value), or ``rows`` of (label, by the formula, in the run)."""

    def __init__(self, pairs: Iterable[Sequence] = (), rows: Iterable[Sequence] = ()):
        self.pairs = [(str(label), str(value)) for label, value in pairs]
        self.rows = [tuple(str(cell) for cell in row) for row in rows]

    def __repr__(self) -> str:
        lines = [f"{label}: {value}" for label, value in self.pairs]
        if self.rows:
            lines += columns([("", "formula", "run"), *self.rows])
        return "\n".join(lines)

    def html(self) -> str:
        rows = [f"<tr><td>{html.escape(a)}</td><td class='value'>{html.escape(b)}</td></tr>" for a, b in self.pairs]
        if self.rows:
            rows.append("<tr><th></th><th>formula</th><th>run</th></tr>")
            rows += [
                f"<tr><td>{html.escape(a)}</td><td class='value'>{html.escape(b)}</td>"
                f"<td class='value'>{html.escape(c)}</td></tr>"
                for a, b, c in self.rows
            ]
        return f"<div class='minipar-panel'><table>{''.join(rows)}</table></div>"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


class Chart:
    """A plotly figure as text and its own mime type: nothing that a saved notebook should not hold."""

    def __init__(self, figure):
        self.figure = figure if figure.layout.height else type(figure)(figure).update_layout(height=360)

    def __repr__(self) -> str:
        return f"Chart({self.figure.layout.title.text or 'no title'})"

    def _repr_mimebundle_(self, **_) -> dict:
        return plain_bundle(repr(self), self.figure)


class Place:
    """A container in a cell's output; ``fill`` may be called from any thread."""

    def __init__(self, draw: Callable[[Any], Any], waiting: str):
        from ipywidgets import VBox

        self.draw = draw
        self.waiting = waiting
        self.box = VBox([])
        self.empty()

    def empty(self) -> None:
        self.box.children = (_sentence(self.waiting, quiet=True),) if self.waiting else ()

    def fill(self, results) -> None:
        try:
            drawn = self.draw(results)
        except Exception as error:  # an exception in a callback shows nowhere: say it here
            drawn = story(error)
        self.box.children = tuple(as_widget(part) for part in parts(drawn))


def parts(drawn: Any) -> list[Any]:
    """A drawing as a list: nothing, one thing, or several."""
    several = drawn if isinstance(drawn, list | tuple) else [drawn]
    return [Chart(part) if hasattr(part, "to_plotly_json") else part for part in several if part is not None]


def as_widget(part: Any):
    """Anything that a cell could show, as a widget that can stand in a container."""
    from ipywidgets import HTML, Output, Widget

    if isinstance(part, Widget):
        return part
    if isinstance(part, Words):
        return HTML(part.html())
    if isinstance(part, str):
        return _sentence(part)
    if isinstance(getattr(part, "panel", None), Widget):  # an explorer: its controls and its picture
        return part.panel
    bundle = getattr(part, "_repr_mimebundle_", None)
    data = dict(bundle()) if bundle is not None else {"text/plain": repr(part)}
    return Output(outputs=({"output_type": "display_data", "data": data, "metadata": {}},))


def _sentence(text: str, quiet: bool = False):
    from ipywidgets import HTML

    tone = "font-style:italic;opacity:.85;" if quiet else ""
    style = f"color:var(--jp-ui-font-color1);font-size:14px;line-height:1.5;white-space:pre-wrap;{tone}"
    return HTML(f"<div style='{style}'>{html.escape(text)}</div>")


def show_now(drawn: Any):
    """Nobody there: text is printed, one drawing is handed to the cell, several are displayed in turn."""
    several = parts(drawn)
    if len(several) == 1 and not isinstance(several[0], str):
        return several[0]
    from IPython.display import display

    for part in several:
        print(part) if isinstance(part, str | Words) else display(part)
    return None

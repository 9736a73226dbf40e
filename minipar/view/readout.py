"""How does an explorer say its finding?

    ✓ Find the smallest M with less than 10 % idle on 4 ranks
    33 slots   27.3 %         37.5 %            8 8 8 8
    time       idle of all    idle to useful    most in flight

Numbers stand as text, in one region that a screen reader reads out when it changes. What went wrong stands in the
same place, in words.
"""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

from minipar.view.elements import script


class Readout(anywidget.AnyWidget):
    """Tasks, facts, a sentence and a problem. ``facts`` is a list of [label, value], ``tasks`` of [sentence, met]."""

    _esm = script("readout.js")
    _css = Path(__file__).parent / "explorer.css"

    name = traitlets.Unicode("readout").tag(sync=True)
    facts = traitlets.List().tag(sync=True)
    tasks = traitlets.List().tag(sync=True)
    sentence = traitlets.Unicode("").tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)

    @property
    def text(self) -> str:
        """All of it as lines of text: what a person reads."""
        ticks = [f"{'✓' if met else '○'} {sentence}" for sentence, met in self.tasks]
        facts = [f"{label}: {value}" for label, value in self.facts]
        return "\n".join(part for part in [*ticks, *facts, self.sentence, self.problem] if part)

"""What does a learner press and read? Three small panels, drawn by plain JavaScript in ``static/``.

    AskPanel ── options, "Lock my answer"
    RunPanel ── Run, Stop, progress, what was printed, the score
    CheckPanel ─ the verdict, and behind buttons three hints and the solution

A panel holds words and calls back; it decides nothing.  The solution's text is not in the panel before it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anywidget
import traitlets

STATIC = Path(__file__).parent / "static"


class Panel(anywidget.AnyWidget):
    """A panel answers the messages ``{"do": name}`` of its buttons with its method of that name."""

    _css = (STATIC / "panel.css").read_text(encoding="utf-8")

    def __init__(self, **traits):
        super().__init__(**traits)
        self.does: dict[str, Callable[[], None]] = {}
        self.on_msg(self._received)

    def _received(self, _widget, content, _buffers) -> None:
        action = self.does.get(content.get("do") if isinstance(content, dict) else None)
        if action is not None:
            action()


class AskPanel(Panel):
    _esm = (STATIC / "ask.js").read_text(encoding="utf-8")
    questions = traitlets.List().tag(sync=True)  # [{"text": …, "options": [text, …]}]
    chosen = traitlets.List().tag(sync=True)  # position of the chosen option of each question, -1 for none
    locked = traitlets.Bool(False).tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)


class RunPanel(Panel):
    _esm = (STATIC / "run.js").read_text(encoding="utf-8")
    state = traitlets.Enum(["locked", "ready", "running", "done", "failed", "stopped"], "locked").tag(sync=True)
    said = traitlets.Unicode("").tag(sync=True)
    fraction = traitlets.Float(-1.0).tag(sync=True)  # 0 to 1, or below 0 where nobody can know
    log = traitlets.Unicode("").tag(sync=True)
    score = traitlets.List().tag(sync=True)  # blocks of lines; the first line of a block is its headline


class CheckPanel(Panel):
    _esm = (STATIC / "check.js").read_text(encoding="utf-8")
    verdict = traitlets.List().tag(sync=True)  # lines; the first is "Right." or "Not yet."
    right = traitlets.Bool(False).tag(sync=True)
    buttons = traitlets.List().tag(sync=True)  # ["hint 1", "hint 2", "hint 3", "the solution"]
    opened = traitlets.List().tag(sync=True)  # [[name, text, is it code], …]
    printed = traitlets.Unicode("").tag(sync=True)  # what the learner's own code printed while it was checked

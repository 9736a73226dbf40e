"""What does minipar remember about a learner? One small file, theirs to read and to delete.

    {"version": 1, "lessons": {"04": {"answers": [2], "answered": "2026-07-29",
                                      "said": ["c) 27 %"], "measured": ["9 of 33 slots"], "right": [true],
                                      "passed": "2026-07-29"}}}

It stands in ``~/.minipar/progress.json``, or in the folder that MINIPAR_STATE names.  It is written in one piece
(a new file that takes the old one's place), so that a closed lid never leaves half a file.  Whoever shows
answers (a question, a run) listens here: ``listen`` is told the lesson's id after every change.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

_listeners: dict[str, list[Callable[[], None]]] = {}
_unsaved: dict[Path, dict[str, dict]] = {}  # where the folder cannot be written: kept until the kernel ends


def path() -> Path:
    """Where the progress file stands (it need not exist yet)."""
    folder = os.environ.get("MINIPAR_STATE")
    return (Path(folder) if folder else Path.home() / ".minipar") / "progress.json"


def today() -> str:
    return datetime.date.today().isoformat()


def read() -> dict[str, dict]:
    """All lessons' entries by id; empty where there is no file.  A damaged file is put aside, never overwritten."""
    if path() in _unsaved:
        return _unsaved[path()]
    try:
        data = json.loads(path().read_text(encoding="utf-8"))
        lessons = data["lessons"]
        if not all(isinstance(entry, dict) for entry in lessons.values()):
            raise ValueError("an entry is not an object")
        return lessons
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        with contextlib.suppress(OSError):
            path().replace(path().with_suffix(".damaged.json"))
        return {}


def entry(lesson_id: str) -> dict:
    """What is known about one lesson; empty at first."""
    return read().get(lesson_id, {})


def update(lesson_id: str, **changes) -> dict:
    """Set entries of one lesson (None removes one), write the file, tell whoever listens."""
    lessons = read()
    known = lessons.setdefault(lesson_id, {})
    for name, value in changes.items():
        if value is None:
            known.pop(name, None)
        else:
            known[name] = value
    try:
        _write({"version": 1, "lessons": lessons})
    except OSError:
        _unsaved[path()] = lessons
    tell(lesson_id)
    return known


def _write(data: dict) -> None:
    target = path()
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".progress-", suffix=".json")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1, ensure_ascii=False)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def listen(lesson_id: str, told: Callable[[], None]) -> None:
    """Call ``told()`` after every change of this lesson, for as long as this kernel lives."""
    _listeners.setdefault(lesson_id, []).append(told)


def tell(lesson_id: str) -> None:
    for told in list(_listeners.get(lesson_id, ())):
        told()

"""How does pip run so that a person sees it move, and sees why when it fails?

Standard library only, and it must parse on Python 3.8 (see _setup.py).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parent / "constraints.txt"
HIDDEN = ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__")  # they would let pip see packages that are not in .venv
SEEN = re.compile(
    r"\s*(?:(?:Collecting|Requirement already satisfied:) |Processing .*[/\\](?=.*-\d))(\w[\w.]*(?:-[A-Za-z]\w*)*)"
)


class PipFailed(Exception):
    """One installer call failed; `lines` are the last ones it printed."""

    def __init__(self, lines):
        super().__init__("\n".join(lines))
        self.lines = lines


class Progress:
    """One line that moves: rewritten in place on a terminal, a new line every 15 seconds in a log."""

    def __init__(self, title, out=None):
        self.title, self.out = title, out or sys.stdout
        self.start = self.said = time.monotonic()
        self.live = self.out.isatty()
        self.width = shutil.get_terminal_size().columns - 1

    def show(self, packages, word, last=False):
        now = time.monotonic()
        if not self.live and not last and now - self.said < 15:
            return
        self.said = now
        count = f", {packages} packages" if packages > 1 else ""
        text = f"{self.title}: {now - self.start:.0f} s{count}{'' if last or not word else ' (' + word + ')'}"
        if self.live:
            text = "\r\033[K" + text[: self.width]
        print(text, end="\n" if last or not self.live else "", file=self.out, flush=True)


def pip_install(python, *words):
    """The words of one `pip install`; each carries the constraints, or a bare range lets pip climb to a CUDA build."""
    quiet = ["--disable-pip-version-check", "--progress-bar", "off"]
    return [python, "-m", "pip", "install", "--no-compile", *quiet, "-c", CONSTRAINTS, *words]


def run_installer(command, title, folder="."):
    """Run pip or uv under one progress line; PipFailed with its last lines when it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    environment.update(PIP_USER="0", PIP_NO_INPUT="1", PYTHONNOUSERSITE="1", PYTHONUNBUFFERED="1")
    lines, packages = deque(maxlen=40), set()
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=str(folder),
        encoding="utf-8",
        errors="replace",
    )

    def read():
        for line in process.stdout:
            if not line.startswith("WARNING"):
                lines.append(line.rstrip())
            found = SEEN.match(line)
            if found:
                packages.add(re.sub(r"[-_.]+", "-", found.group(1)).lower())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    progress = Progress(title)
    try:
        while reader.is_alive():
            reader.join(0.5)
            progress.show(len(packages), lines[-1].split(" (")[0].strip()[:60] if lines else "")
        code = process.wait()
    except BaseException:  # Ctrl-C too: nothing goes on behind the learner's back
        process.terminate()
        process.wait()
        raise
    progress.show(len(packages), "", last=True)
    if code:
        raise PipFailed([text for text in lines if text][-8:])

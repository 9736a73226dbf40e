"""What helps when it does not come? Three hints, each closer; then the solution, read from the course's own file.

The solution stands once, in ``notebooks/solutions/NN_title.py`` (in an installed package under ``_course``), as one
marked block a stub cell: the same block that the tests splice into the notebook.
"""

from __future__ import annotations

from pathlib import Path

from minipar.learn.lesson import Lesson

PACKAGE = Path(__file__).resolve().parent.parent


SOLUTION = "the solution"


def names(of: Lesson, solved: bool = False) -> list[str]:
    """The buttons, in the order in which they open; whoever has solved it needs no hint."""
    return [SOLUTION] if solved else [*(f"hint {number}" for number, _ in enumerate(of.hints, 1)), SOLUTION]


def text(of: Lesson, name: str) -> tuple[str, str, bool]:
    """(title, text, is it code) of the button with this name."""
    if name == SOLUTION:
        return name.capitalize(), solution(of), True
    return name.capitalize(), of.hints[int(name.split()[-1]) - 1], False


def solution(of: Lesson) -> str:
    """The code that replaces the stub cell; a sentence where the file is not there."""
    for folder in (PACKAGE.parent / "notebooks", PACKAGE / "_course" / "notebooks"):
        file = folder / "solutions" / f"{of.file}.py"
        if file.is_file():
            blocks = read_blocks(file.read_text(encoding="utf-8"))
            return "\n\n".join(code for cell, code in blocks.items() if cell.startswith(of.stub))
    return "The solutions were not installed with this copy of minipar; they stand in its repository."


def read_blocks(text: str) -> dict[str, str]:
    """Blocks of a solutions file by the id of the cell they replace: each opens with ``# %% cell-id``."""
    blocks: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for line in text.splitlines():
        if line.startswith("# %% "):
            lines = blocks.setdefault(line[5:].split()[0], [])
        elif lines is not None:
            lines.append(line)
    return {cell: "\n".join(code).strip("\n") for cell, code in blocks.items()}

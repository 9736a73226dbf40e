'''How does a solution get into a notebook?

    notebooks/solutions/04_gpipe.py              a copy of notebooks/04_gpipe.ipynb

    # %% stub                                    the code that replaces the cell with this id
    by_hand = minipar.edit("""…""")

    # %% wrong stub-2: no warm-up                a listed mistake in place of cell stub-2
    # says: Legal, 1 in flight everywhere, and   the sentence that answers it, word for word;
    # says: 96 slots … Par is 33.                "{number}" stands for a number that only the run knows
    @minipar.schedule
    def mine(rank, ranks, microbatches): ...

`solved` replaces the stubs by their solutions. `with_mistakes` appends, to the solved notebook, each mistake and the
check cell once more: one run of the notebook tries them all. (The course's solution button reads the same blocks.)
'''

import copy
import re
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]*_*.ipynb"))
OPENING = re.compile(r"# %% (?P<wrong>wrong )?(?P<cell>[\w-]+)(?:: (?P<name>.+))?$")
SAYS = "# says: "


class Mistake(NamedTuple):
    """A listed wrong answer: the stub it replaces, its code, and the sentence that the check must answer."""

    name: str
    cell: str
    code: str
    sentence: str

    def said_in(self, text: str) -> bool:
        """Is the sentence, and nothing else, one of the lines of `text`?"""
        pattern = re.escape(self.sentence).replace(re.escape("{number}"), r"\d+(?:\.\d+)?")
        return any(re.fullmatch(pattern, line.strip()) for line in text.splitlines())


def read(lesson: str) -> NotebookNode:
    """The committed notebook of a lesson."""
    return nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", 4)


def blocks(text: str) -> tuple[dict[str, str], list[Mistake]]:
    """A solutions file: code by cell id, and the mistakes. ValueError for an opening line that cannot be read."""
    solutions: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for part in re.split(r"^(?=# %%)", text, flags=re.MULTILINE)[1:]:
        opening, *lines = part.rstrip().splitlines()
        found = OPENING.match(opening)
        if found is None or bool(found["wrong"]) != bool(found["name"]):
            raise ValueError(f"{opening!r} is neither '# %% CELL' nor '# %% wrong CELL: NAME'")
        sentence = " ".join(line.removeprefix(SAYS).strip() for line in lines if line.startswith(SAYS))
        code = "\n".join(line for line in lines if not line.startswith(SAYS)).strip("\n")
        if found["wrong"]:
            mistakes.append(Mistake(found["name"], found["cell"], code, sentence))
        else:
            solutions[found["cell"]] = code
    return solutions, mistakes


def blocks_of(lesson: str) -> tuple[dict[str, str], list[Mistake]]:
    """The blocks of a lesson's solutions file."""
    return blocks((NOTEBOOKS / "solutions" / f"{lesson}.py").read_text(encoding="utf-8"))


def solved(notebook: NotebookNode, solutions: dict[str, str]) -> NotebookNode:
    """A copy with the stubs replaced; KeyError for a solution that has no cell."""
    made = copy.deepcopy(notebook)
    cells = {cell.id: cell for cell in made.cells}
    for name, code in solutions.items():
        if name not in cells:
            raise KeyError(f"there is no cell {name!r} to replace")
        cells[name].source = code
    return made


def with_mistakes(notebook: NotebookNode, solutions: dict[str, str], mistakes: list[Mistake]) -> NotebookNode:
    """The solved notebook, then for each mistake: every stub again, one of them wrong, and the check."""
    made = solved(notebook, solutions)
    check = next(cell.source for cell in made.cells if cell.id == "check")
    for number, mistake in enumerate(mistakes):
        for name, code in {**solutions, mistake.cell: mistake.code}.items():
            made.cells.append(nbformat.v4.new_code_cell(code, id=f"mistake-{number}-{name}"))
        made.cells.append(nbformat.v4.new_code_cell(check, id=f"mistake-{number}-check"))
    return made


def printed(cell: NotebookNode) -> str:
    """Everything that a cell showed as text."""
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "\n".join(texts)

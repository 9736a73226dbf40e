"""What may a lesson's notebook look like? Faults in a notebook, as sentences; an empty list means none.

beats      the cells and headings of the pattern, in its order
lengths    cells, lines of code, words
links      files, anchors of the word list, alternative text of drawings
outputs    what is committed below the cells: text and plain figures, made by `minipar render`
"""

import json
import re
from itertools import pairwise
from pathlib import Path

CELLS = (
    "head", "setup", "idea", "predict", "run", "see", "facts", "explain", "formula", "play", "build", "stub", "check",
    "transfer", "close",
)  # fmt: skip
BEATS = ("Predict", "Run", "See", "Explain", "Build", "Transfer")
MOST_CELLS, MOST_CODE, MOST_LINES, MOST_BYTES = 20, 11, 12, 300_000
WORDS_BETWEEN, WORDS = 180, (600, 900)
IGNORED = "nbval-ignore-output"
PLOTLY = "application/vnd.plotly.v1+json"
FORBIDDEN = {
    r"vnd\.jupyter\.widget": "a widget",
    r'"display_id"': "a display id",
    r"\d+it/s|█{3,}": "a progress bar's text",
    r"0x[0-9a-fA-F]{6,}": "an address",
    r"/(?:home|root|tmp|work|Users|usr|opt)/\w|[A-Z]:\\\\\w": "a path of this machine",
    r"cdn\.plot\.ly|<script": "a script",
}


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def words(text: str) -> int:
    """How many words a reader reads: no tags, no addresses, no formulas, no alternative text."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)|\$\$.*?\$\$|<[^>]+>", " ", text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return len([word for word in text.split() if re.search(r"\w", word)])


def beats(notebook) -> list[str]:
    """The pattern's cells by id, and a heading for each beat, all in order."""
    ids = [cell.id for cell in notebook.cells]
    found = [f"there is no cell {name!r}" for name in CELLS if name not in ids]
    if not found and [name for name in ids if name in CELLS] != list(CELLS):
        found.append(f"the cells stand in the order {', '.join(name for name in ids if name in CELLS)}")
    if len(set(ids)) != len(ids):
        found.append("two cells have the same id")
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    if headings != list(BEATS):
        found.append(f"the headings are {', '.join(headings)}")
    if not notebook.cells[0].source.split("\n\n")[1].startswith("# "):
        found.append("the first cell has no title below its links")
    return found


def lengths(notebook) -> list[str]:
    """How much there is to read at once."""
    found = []
    if not 13 <= len(notebook.cells) <= MOST_CELLS:
        found.append(f"{len(notebook.cells)} cells")
    if len(code(notebook)) > MOST_CODE:
        found.append(f"{len(code(notebook))} cells with code")
    for cell in code(notebook):
        lines = len(cell.source.splitlines())
        if lines > MOST_LINES:
            found.append(f"cell {cell.id} has {lines} lines")
    at = [number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for first, second in pairwise(at):
        between = sum(words(cell.source) for cell in notebook.cells[first + 1 : second])
        if between > WORDS_BETWEEN:
            found.append(f"{between} words before cell {notebook.cells[second].id}")
    total = sum(words(cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    if not WORDS[0] <= total <= WORDS[1]:
        found.append(f"{total} words in all")
    return found


def anchors(notebook) -> set[str]:
    """The addresses of a notebook's headings, as Lab forms them."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return {heading.strip().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def links(notebook, folder: Path, map_anchors: set[str]) -> list[str]:
    """Links lead to files, and to words of the course map; drawings have alternative text."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        for drawing, text, address in re.findall(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", cell.source):
            file, _, anchor = address.partition("#")
            if re.match(r"\w+:", address):
                continue
            if file and not (folder / file).is_file():
                found.append(f"cell {cell.id} links to {file}, which is not there")
            elif file == "index.ipynb" and anchor and anchor not in map_anchors:
                found.append(f"cell {cell.id} links to the word {anchor!r}, which the course map does not have")
            if drawing and words(text) < 4:
                found.append(f"cell {cell.id} has a drawing without words for who cannot see it")
    return found


def outputs(notebook, size: int) -> list[str]:
    """What stands below the cells."""
    found = [f"the file has {size:,} bytes"] if size > MOST_BYTES else []
    if "widgets" in notebook.metadata:
        found.append("the notebook keeps widgets in its metadata")
    for number, cell in enumerate(code(notebook), start=1):
        if cell.execution_count != number:
            found.append(f"cell {cell.id} was not run by `minipar render`")
        for output in cell.outputs:
            bundle = output.get("data", {})
            if output.output_type == "error" or output.get("name") == "stderr":
                found.append(f"cell {cell.id} shows an error or a warning")
            if PLOTLY in bundle and "image/png" not in bundle:
                found.append(f"cell {cell.id} has a figure without its picture")
            text = json.dumps({**output, "data": {kind: it for kind, it in bundle.items() if kind != "image/png"}})
            found += [f"cell {cell.id} shows {what}" for pattern, what in FORBIDDEN.items() if re.search(pattern, text)]
    return found


def compared(notebook) -> int:
    """How many cells nbval compares with what stands in the file."""
    return sum(bool(cell.outputs) and IGNORED not in cell.metadata.get("tags", ()) for cell in code(notebook))

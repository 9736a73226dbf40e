"""How do the lessons get the outputs that stand in the repository?

    python3 -m minipar render          all notebooks
    python3 -m minipar render 04 05    these
    python3 -m minipar render --again  also what is normally kept (below)

    notebooks/04_gpipe.ipynb ──copy──► real JupyterLab, nobody there ──► outputs
            ▲                                                              │ text, and plain figures with the
            └──────────────── settle(): sources untouched ◄────────────────┘ PNG that Lab stores beside them

Rendering twice changes nothing: a stored PNG is kept while its figure is the same, and a cell tagged
`nbval-ignore-output` (what it shows is measured, and differs each time) keeps its stored outputs while its own source
and every code cell above it are unchanged. The notebook's metadata remember what these sources were, as a hash.

To write a lesson, edit the notebook in `minipar lab --author` or with nbformat, and render it: render writes outputs
only. nbval (`minipar test`) then compares each cell that is not tagged with what stands in the file.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
import time
from pathlib import Path

from minipar._python import ROOT, Refusal

IGNORED = "nbval-ignore-output"
PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def main(words: list[str]) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="minipar render", description="Run the lessons and save them with outputs.")
    parser.add_argument(
        "lessons", nargs="*", metavar="NN", help="which notebooks (01, index, …); all when none is named"
    )
    parser.add_argument("--again", action="store_true", help="also renew measured outputs that would be kept")
    options = parser.parse_args(words)
    files = chosen(options.lessons)
    from minipar._browser import LabBrowser
    from minipar._lab import LabServer

    bad = 0
    with tempfile.TemporaryDirectory(prefix="minipar-render-") as folder:
        for name in ("notebooks", "assets"):
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns(".*", "solutions"))
        nobody = {"MINIPAR_UNATTENDED": "1", "MINIPAR_STATE": str(Path(folder) / "state"), "MINIPAR_PACE": ""}
        with LabServer(folder, nobody) as server, LabBrowser() as browser:
            for file in files:
                bad += not render(file, server, browser, options.again)
    return 1 if bad else 0


def chosen(words: list[str]) -> list[Path]:
    """The notebooks meant by "04", "index", a file's name, or nothing at all."""
    files = sorted((ROOT / "notebooks").glob("*.ipynb"))
    words = [Path(word).stem for word in words]

    def means(word: str, file: Path) -> bool:
        """A bare number is that lesson alone: 07 is not the side lesson 07b."""
        return file.stem.split("_")[0] == word if word.isdigit() else file.stem.startswith(word)

    unknown = [word for word in words if not any(means(word, file) for file in files)]
    if unknown or not files:
        there = ", ".join(file.stem for file in files) or "none"
        raise Refusal(f"there is no notebook {' or '.join(unknown) or 'to render'}; there are: {there}.")
    return [file for file in files if not words or any(means(word, file) for word in words)]


def render(file: Path, server, browser, again: bool) -> bool:
    """Run one notebook in Lab and save it; False, and nothing saved, when it shows what no lesson may show."""
    import nbformat

    started = time.monotonic()
    stored = nbformat.read(file, 4)
    page = browser.open(server, f"notebooks/{file.name}")
    try:
        page.run_all()
        drawn = with_pictures(page)
    finally:
        page.close()
    problems = faults(drawn)
    for problem in problems:
        print(f"{file.stem}: not saved: {problem}", flush=True)
    if problems:
        return False
    settled, kept = settle(stored, drawn, again)
    text = nbformat.writes(settled) + "\n"
    changed = text != file.read_text(encoding="utf-8")
    if changed:
        file.write_text(text, encoding="utf-8")
    words = [f"{file.stem}: {'saved' if changed else 'unchanged'}, {time.monotonic() - started:.0f} s"]
    words += [f"kept as they were (--again renews them): {', '.join(kept)}"] if kept else []
    print("; ".join(words), flush=True)
    return True


def with_pictures(page, seconds: float = 60):
    """The notebook as Lab holds it, once Lab has stored a PNG beside every figure; each PNG made small."""
    import nbformat

    end = time.monotonic() + seconds
    while True:
        notebook = nbformat.from_dict(page.notebook())
        bundles = [output.get("data", {}) for cell in code_cells(notebook) for output in cell.outputs]
        if all("image/png" in bundle for bundle in bundles if PLOTLY in bundle):
            for bundle in bundles:
                if "image/png" in bundle:
                    bundle["image/png"] = small(page, bundle["image/png"])
            return notebook
        if time.monotonic() > end:
            raise Refusal(f"{page.path}: after {seconds} s JupyterLab has still not drawn every figure.")
        page.page.wait_for_timeout(100)


PIXELS = """async data => {
    const image = new Image();
    image.src = 'data:image/png;base64,' + data;
    await image.decode();
    const pen = new OffscreenCanvas(image.width, image.height).getContext('2d');
    pen.fillStyle = 'white';
    pen.fillRect(0, 0, image.width, image.height);
    pen.drawImage(image, 0, 0);
    const bytes = pen.getImageData(0, 0, image.width, image.height).data;
    let text = '';
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    return [image.height, image.width, btoa(text)]; }"""


def small(page, picture: str) -> str:
    """The same PNG (as base64 text) on white paper, with a palette: a quarter of the size."""
    import base64

    import numpy

    from minipar._picture import palette_png

    height, width, text = page.page.evaluate(PIXELS, picture)
    pixels = numpy.frombuffer(base64.b64decode(text), numpy.uint8).reshape(height, width, 4)
    return base64.b64encode(palette_png(pixels[..., :3])).decode()


def faults(notebook) -> list[str]:
    """Sentences about outputs that must not be committed: errors, warnings, widgets."""
    found = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"cell {cell.id} ended in {output.ename}: {output.evalue}")
            elif output.output_type == "stream" and output.name == "stderr":
                found.append(f"cell {cell.id} wrote to stderr: {output.text.strip().splitlines()[-1]}")
            elif WIDGET in output.get("data", {}):
                found.append(f"cell {cell.id} shows a widget though nobody is there")
    return found


def settle(stored, drawn, again: bool = False):
    """The stored notebook with the drawn outputs in their committed form, and the ids of cells that kept theirs.

    stored, drawn: nbformat notebooks with the same cells. Sources, ids and cell metadata are the stored ones.
    """
    import copy

    notebook = copy.deepcopy(stored)
    known = stored.metadata.get("minipar", {}).get("rendered", {})
    fresh = {cell.id: cell for cell in code_cells(drawn)}
    rendered, kept, above = {}, [], hashlib.sha256()
    for number, cell in enumerate(code_cells(notebook), start=1):
        above.update(cell.source.encode() + b"\0")
        outputs = [plain(output) for output in fresh[cell.id].outputs]
        if IGNORED in cell.metadata.get("tags", ()):
            rendered[cell.id] = above.hexdigest()[:16]
            if cell.outputs and known.get(cell.id) == rendered[cell.id] and not again:
                kept.append(cell.id)
                outputs = cell.outputs
        keep_pictures(cell.outputs, outputs)
        cell.outputs, cell.execution_count = outputs, number
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
    notebook.metadata.clear()
    notebook.metadata.update({**METADATA, **({"minipar": {"rendered": rendered}} if rendered else {})})
    return notebook, kept


def plain(output):
    """An output without what only lives while Lab is open."""
    output.pop("transient", None)
    if "metadata" in output:
        output.metadata = {}
    return output


def keep_pictures(before: list, after: list) -> None:
    """Put the stored PNG of each unchanged figure back: two drawings of one figure may differ by a pixel."""
    for old, new in zip(before, after, strict=False):
        was, now = old.get("data", {}), new.get("data", {})
        if PLOTLY in now and was.get(PLOTLY) == now[PLOTLY] and "image/png" in was:
            now["image/png"] = was["image/png"]


def code_cells(notebook) -> list:
    """The code cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]

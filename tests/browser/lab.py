"""What does a learner see, and what do their hands do?

    notebook(cells)  a notebook made of cell sources
    LearnerPage      an open notebook that can also be examined, clicked and moved

Servers, browsers and waiting are minipar._lab's and minipar._browser's; here is only what tests ask on top of it. A
test in this folder takes the fixture `open_notebook` (conftest.py):

    def test_a_slider_moves_the_picture(open_notebook):
        page = open_notebook(["import minipar", ("play", "minipar.explore.pipeline()")])
        page.run_all()
        before = page.fingerprint("play")
        page.press("microbatches", "ArrowRight")
        page.until(lambda: page.fingerprint("play") != before)
        page.assert_sound()
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import nbformat
import pytest

from minipar._browser import NO_BROWSER, NotebookPage, find_browser

OUTPUT = Path(__file__).parents[1] / "output"  # where pictures go; git does not see it
PICTURE = "canvas, svg.main-svg, img, .minipar-strip, svg.minipar-drawing"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
BROKEN = (
    "Error displaying widget", "Loading widget", "Could not create a view", "Error creating widget",
    "Model not found", "model not found", "Please install anywidget",
)  # fmt: skip


def require_browser() -> None:
    """Without a Chromium: skip on a laptop, with the line that installs one; fail where CI is set."""
    if find_browser() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_BROWSER)


def notebook(cells: Iterable[str | tuple[str, str] | nbformat.NotebookNode]) -> nbformat.NotebookNode:
    """A notebook of code cells: each a source, or (id, source), or a whole cell; ids are c0, c1, … unless given."""
    made = []
    for number, cell in enumerate(cells):
        if not isinstance(cell, nbformat.NotebookNode):
            name, source = (f"c{number}", cell) if isinstance(cell, str) else cell
            cell = nbformat.v4.new_code_cell(source, id=name)
        made.append(cell)
    return nbformat.v4.new_notebook(cells=made, metadata=KERNEL)


# Words in outputs whose contrast with the first opaque colour behind them is below `least` (WCAG's formula).
FAINT = r"""least => {
    const parts = colour => (colour.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const light = colour => parts(colour).slice(0, 3).map(part => part / 255)
        .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = node => {
        for (; node; node = node.parentElement) {
            const colour = getComputedStyle(node).backgroundColor, alpha = parts(colour)[3];
            if (alpha === undefined || alpha > 0.5) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    const found = [];
    for (const output of document.querySelectorAll('.jp-OutputArea-output')) {
        const walker = document.createTreeWalker(output, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const node = walker.currentNode.parentElement, words = walker.currentNode.textContent.trim();
            if (!words || !node.checkVisibility() || node.closest('style, :disabled, .plotly-notifier')) continue;
            const style = getComputedStyle(node), drawn = node.closest('svg text');
            if (drawn && node.closest('.bars, .annotation')) continue;  // words on a bar: its fill is behind them
            const paper = drawn && node.closest('.js-plotly-plot')?.querySelector('.main-svg') || node;
            const [one, two] = [light(drawn ? style.fill : style.color), light(behind(paper))].sort((a, b) => b - a);
            const ratio = (one + 0.05) / (two + 0.05);
            if (ratio < least) found.push(`${words.slice(0, 60)} (${ratio.toFixed(1)})`);
        }
    }
    return found; }"""


class LearnerPage(NotebookPage):
    """An open notebook with a learner in front of it."""

    # -- seeing ------------------------------------------------------------------------------------------------

    def cell_errors(self) -> list[str]:
        """Each error that a cell ended in, as "id: Name: message"."""
        return [
            f"{cell['id']}: {output['ename']}: {output['evalue']}"
            for cell in self.notebook()["cells"]
            for output in cell.get("outputs", ())
            if output["output_type"] == "error"
        ]

    def broken(self) -> list[str]:
        """Outputs that show a widget's failure, or its bare text because nothing drew it."""
        return self.page.evaluate(
            r"""broken => [...document.querySelectorAll('.jp-OutputArea-output')].map(
                    output => [output, (output.innerText || '').trim()])
                .filter(([output, text]) => broken.some(words => text.includes(words))
                    || (output.getAttribute('data-mime-type') === 'text/plain'
                        && /^(FigureWidget\(|[A-Z]\w*(Slider|Box|Dropdown|Button|Output|Widget|Panel)\()/.test(text)))
                .map(([, text]) => text.slice(0, 200))""",
            list(BROKEN),
        )

    def assert_sound(self) -> None:
        """No cell error, no broken widget, no script error, nothing asked for beyond loopback."""
        seen = {
            "cell errors": self.cell_errors(),
            "broken widgets": self.broken(),
            "script errors": self.script_errors,
            "requests beyond loopback": self.outside,
        }
        assert not any(seen.values()), {name: what for name, what in seen.items() if what}

    def drawn(self) -> list[str]:
        """Ids of the code cells that show a drawing."""
        return self.page.evaluate(
            """picture => (window.jupyterapp || window.jupyterlab).shell.currentWidget.content.widgets
                 .filter(cell => [...cell.node.querySelectorAll('.jp-Cell-outputArea, .jp-RenderedMarkdown')]
                     .some(area => area.querySelector(picture))).map(cell => cell.model.id)""",
            PICTURE,
        )

    def fingerprint(self, cell: str) -> str:
        """A hash of what the cell's outputs show: canvas pixels, SVG, images, words."""
        return self.cell(cell).evaluate(
            """async node => {
                 const area = node.querySelector('.jp-Cell-outputArea'), seen = [area.innerText];
                 area.querySelectorAll('canvas').forEach(canvas => seen.push(canvas.toDataURL()));
                 area.querySelectorAll('svg').forEach(drawing => seen.push(drawing.innerHTML));
                 area.querySelectorAll('img').forEach(image => seen.push(image.src));
                 const hash = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(seen.join()));
                 return [...new Uint8Array(hash)].map(byte => byte.toString(16).padStart(2, '0')).join(''); }"""
        )

    def faint(self, least: float = 3) -> list[str]:
        """Words in outputs that hardly differ from what is behind them: white on white and the like."""
        return self.page.evaluate(FAINT, least)

    # -- acting ------------------------------------------------------------------------------------------------

    def click(self, cell: str, name: str) -> None:
        """Press the button of this name in the cell's output."""
        self.cell(cell).locator(".jp-Cell-outputArea").get_by_role("button", name=name).first.click()

    def slider(self, description: str):
        """The handle of the ipywidgets slider with this label (playwright's locator)."""
        label = self.page.locator(".widget-label", has_text=description)
        return self.page.locator(".widget-slider").filter(has=label).first.locator(".noUi-handle").first

    def press(self, description: str, key: str = "ArrowRight", times: int = 1) -> None:
        """Move a slider by keys, as a person without a mouse does."""
        handle = self.slider(description)
        handle.scroll_into_view_if_needed()
        for _ in range(times):
            handle.press(key)

    def until(self, true: Callable[[], object], seconds: float = 30, what: str = "") -> None:
        """Wait until `true()` is; an AssertionError that says what was awaited."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"{what or true} did not come true within {seconds} s"
            self.page.wait_for_timeout(50)

    def pictures(self, name: str, cells: Iterable[str] | None = None) -> list[Path]:
        """Save light and dark pictures of every cell with a drawing to tests/output/NAME_CELL_light.png and _dark."""
        cells = self.drawn() if cells is None else list(cells)
        files = []
        for theme in ("light", "dark"):
            self.theme(theme)
            files += [self.picture(OUTPUT / f"{name}_{cell}_{theme}.png", cell) for cell in cells]
        self.theme("light")
        return files

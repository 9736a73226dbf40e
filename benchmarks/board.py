"""How long from a key press to the painted picture, with ten thousand bars on it?

    python -m benchmarks.board > benchmarks/board.txt             see also --keys

A real JupyterLab in Chromium, 8 ranks with 625 microbatches each way: 10,000 bars. Four pictures, one after the other:

    puzzle     Enter places a piece: to the kernel, which judges it, and back
    board      an arrow key moves the cursor over a schedule
    timeline   an arrow key moves the cursor over a trace
    slider     a key on a slider has the kernel send another trace (9,984 bars, predicted beforehand)

The clock runs from the key's event to the end of the frame that shows the last change of the canvas, with all that the
kernel had to say. The first frame after the key, in which a cursor stands on its bar already, is told too. What is on
the canvas at the end is checked: its number of bars.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import nbformat

from minipar._browser import LabBrowser
from minipar._lab import LabServer

AIM = 100
RANKS, MICROBATCHES, OPEN = 8, 625, 60

PUZZLE = f"""
import minipar
from minipar.plan.puzzle import Rules
from minipar.plan.score import Level
from minipar.view.puzzle import Puzzle
made = minipar.one_f_one_b({RANKS}, {MICROBATCHES})
level = Level("ten thousand", Rules(tuple(range({RANKS})), {MICROBATCHES}), 3 * {MICROBATCHES}, "", "", "", made)
puzzle = Puzzle([level])
rows = [[str(action) for action in row if action.microbatch < {MICROBATCHES - OPEN}] for row in made.programs]
puzzle.set(text="\\n".join(" ".join(row) for row in rows))
puzzle
"""
BOARD = f"import minipar\nminipar.board(minipar.one_f_one_b({RANKS}, {MICROBATCHES}))"
TIMELINE = f"import minipar\nminipar.timeline(minipar.predict(minipar.one_f_one_b({RANKS}, {MICROBATCHES})))"
SLIDER = f"""
import ipywidgets, minipar
traces = [minipar.predict(minipar.one_f_one_b({RANKS}, m)) for m in (623, 624)]
drawn = minipar.timeline(traces[0])
slider = ipywidgets.IntSlider(value=0, min=0, max=1, description="m")
slider.observe(lambda change: drawn.show(traces[change["new"]]), "value")
ipywidgets.VBox([slider, drawn])
"""
BARS = "node => node.querySelector('canvas').minipar.bars"


# In the page. A frame's animation callbacks come before it is painted; a message posted in them is read after that.
WATCH = """node => {
  const after = does => { const line = new MessageChannel(); line.port1.onmessage = does; line.port2.postMessage(0); };
  let pressed = 0, first = 0, last = 0;
  document.addEventListener('keydown', event => { pressed = event.timeStamp; first = last = 0; }, true);
  const changed = () => after(() => { last = performance.now(); first = first || last; });
  new MutationObserver(changed).observe(node.querySelector('canvas'), { attributeFilter: ['data-rev'] });
  window.taken = () => new Promise(tell => {
    const wait = () => {
      if (last && performance.now() - last > 400) tell([first - pressed, last - pressed]); else setTimeout(wait, 20); };
    wait(); });
}"""


class Picture:
    """One notebook with one picture, open in Lab."""

    def __init__(self, browser, server, name, source):
        cell = nbformat.v4.new_code_cell(source.strip(), id="play")
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), server.root / f"{name}.ipynb")
        self.notebook = browser.open(server, f"{name}.ipynb")
        self.notebook.run_all()
        self.page, self.name = self.notebook.page, name
        self.area = self.notebook.cell("play")
        self.page.wait_for_timeout(3000)
        self.area.evaluate(WATCH)
        self.odd = False

    def press(self):
        """One key; milliseconds until the picture stood there, and until its last change."""
        if self.name == "slider":
            self.area.locator(".noUi-handle").first.focus()
            self.odd = not self.odd
            self.page.keyboard.press("ArrowRight" if self.odd else "ArrowLeft")
        else:
            self.area.locator("canvas").first.focus()
            self.page.keyboard.press("Enter" if self.name == "puzzle" else "ArrowRight")
        return self.page.evaluate("() => window.taken()")

    def visit(self, keys):
        """Three keys that do not count, then some that do; in the puzzle each of them has to place one bar."""
        self.page.bring_to_front()
        if self.name == "puzzle":
            self.area.locator("canvas").first.focus()
            self.page.keyboard.press("l")
            self.page.wait_for_timeout(500)
        for _ in range(3):
            self.press()
        if self.name != "puzzle":
            return [self.press() for _ in range(keys)]
        before = self.area.evaluate(BARS)
        taken = [self.press() for _ in range(keys)]
        after = self.area.evaluate(BARS)
        if after != before + keys:
            raise AssertionError(f"{keys} keys placed {after - before} bars")
        return taken


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--keys", type=int, default=30)
    chosen = options.parse_args()
    print(f"{RANKS} ranks, {2 * RANKS * MICROBATCHES:,} bars when full; {chosen.keys} keys a picture")
    print(f"load before: {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder, LabServer(Path(folder)) as server, LabBrowser() as browser:
        print(f"browser: Chromium {browser.browser.version}\n")
        print("             whole picture, median (quartiles)   first frame", flush=True)
        for name, source in (("puzzle", PUZZLE), ("board", BOARD), ("timeline", TIMELINE), ("slider", SLIDER)):
            taken = Picture(browser, server, name, source).visit(chosen.keys)
            low, middle, high = statistics.quantiles([last for _, last in taken], n=4)
            first = statistics.median(first for first, _ in taken)
            verdict = "yes" if middle <= AIM else "MISSED"
            said = f"{name:10}{middle:9.1f} ms ({low:.1f}, {high:.1f})"
            print(f"{said:44}{first:6.1f} ms   whole picture at most {AIM} ms: {verdict}", flush=True)
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

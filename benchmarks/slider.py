"""How long from a key on a slider to the painted picture, next to plotly's live figure?

    python -m benchmarks.slider > benchmarks/slider.txt             see also --rounds, --keys

A real JupyterLab in Chromium. Two notebooks, each with a slider for the number of microbatches, 96 or 95: GPipe on
eight ranks, 1,536 bars. One is `minipar.explore.pipeline`, with its strips and its readout; the other is the same
prediction as a bar chart in a plotly FigureWidget, its arrays replaced in one batch. A key is pressed on the slider's
handle; the clock runs from that key's event to the end of the frame that shows the last change of the picture (the
canvas, or the SVG's bars). The two take turns. What is on the screen at the end is checked: its number of bars, its
number of microbatches.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import nbformat

from minipar._browser import LabBrowser
from minipar._lab import LabServer

AIM, SHARE = 60, 1 / 3
RANKS, MICROBATCHES = 8, 96

OURS = f"""
import minipar
minipar.explore.pipeline("gpipe", ranks={RANKS}, microbatches={MICROBATCHES})
"""

PEER = f"""
import ipywidgets
import plotly.graph_objects as go
import minipar
from minipar.plan.actions import Op


def bars(microbatches):
    trace = minipar.predict(minipar.gpipe({RANKS}, microbatches), minipar.Cost(F=1, B=2))
    spans = trace.actions()
    return dict(y=[span.rank for span in spans], base=[span.start for span in spans],
                x=[span.end - span.start for span in spans],
                marker=dict(color=["#4477aa" if span.what.op is Op.F else "#228833" for span in spans], line_width=0))


slider = ipywidgets.IntSlider({MICROBATCHES}, 1, 128, description="microbatches")
figure = go.FigureWidget(go.Bar(orientation="h", **bars(slider.value)))
figure.update_layout(height=400, yaxis_autorange="reversed")


def moved(change):
    with figure.batch_update():
        figure.data[0].update(**bars(change.new))


slider.observe(moved, "value")
ipywidgets.VBox([slider, figure])
"""

# In the page. A frame's animation callbacks come before it is painted; a message posted in them is read after that.
WATCH = """node => {
  const after = does => { const line = new MessageChannel(); line.port1.onmessage = does; line.port2.postMessage(0); };
  let inFrame = false;
  const frame = () => { inFrame = true; after(() => { inFrame = false; }); requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  let pressed = 0, painted = 0, last = 0;
  document.addEventListener('keydown', event => { pressed = event.timeStamp; painted = 0; }, true);
  const changed = () => {
    last = performance.now();
    const done = () => { painted = performance.now(); };
    if (inFrame) after(done); else requestAnimationFrame(() => after(done));
  };
  const observer = new MutationObserver(changed);
  const picture = node.querySelector('canvas') || node.querySelector('.cartesianlayer');
  observer.observe(picture, { attributes: true, childList: true, subtree: true });
  window.taken = () => new Promise(tell => {
    const wait = () => { const now = performance.now();
      if (painted && now - last > 300 && now - painted > 200) tell(painted - pressed); else setTimeout(wait, 20); };
    wait(); });
}"""


class Side:
    """One of the two notebooks, open in Lab."""

    def __init__(self, browser, server, name, source, shows):
        cell = nbformat.v4.new_code_cell(source.strip(), id="play")
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), server.root / f"{name}.ipynb")
        self.notebook, self.shows, self.value = browser.open(server, f"{name}.ipynb"), shows, MICROBATCHES
        self.notebook.run_all()
        self.page = self.notebook.page
        self.area = self.notebook.cell("play")
        self.page.wait_for_timeout(2000)
        self.area.evaluate(WATCH)

    def press(self):
        """One key on the slider; milliseconds until the picture stood there."""
        label = self.page.locator(".widget-label", has_text="microbatches")
        handle = self.page.locator(".widget-slider").filter(has=label).first.locator(".noUi-handle").first
        handle.focus()
        key, self.value = ("ArrowLeft", 95) if self.value == 96 else ("ArrowRight", 96)
        self.page.keyboard.press(key)
        taken = self.page.evaluate("() => window.taken()")
        found = self.area.evaluate(self.shows)
        if found != self.value:
            raise AssertionError(f"the picture shows {found} microbatches and the slider {self.value}")
        return taken

    def visit(self, keys):
        """Two keys that do not count, then some that do."""
        self.page.bring_to_front()
        return [self.press() for _ in range(keys + 2)][2:]


SHOWS_OURS = "node => Number(/(\\d+) microbatches/.exec(node.querySelector('canvas').ariaLabel)[1])"
SHOWS_PEER = f"node => node.querySelectorAll('.barlayer .point').length / {2 * RANKS}"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--keys", type=int, default=10)
    chosen = options.parse_args()
    taken = ([], [])
    bars = f"{2 * RANKS * MICROBATCHES:,} bars"
    print(f"{RANKS} ranks, {bars}; {chosen.rounds} visits to each side, {chosen.keys} keys a visit")
    print(f"load before: {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder, LabServer(Path(folder)) as server, LabBrowser() as browser:
        sides = (
            Side(browser, server, "ours", OURS, SHOWS_OURS),
            Side(browser, server, "peer", PEER, SHOWS_PEER),
        )
        print(f"browser: Chromium {browser.browser.version}\n", flush=True)
        for number in range(chosen.rounds):
            for side in (0, 1) if number % 2 else (1, 0):
                taken[side].extend(sides[side].visit(chosen.keys))
    ours, peer = (statistics.quantiles(side, n=4) for side in taken)
    ratio = ours[1] / peer[1]
    verdict = "yes" if ours[1] <= AIM and ratio <= SHARE else "MISSED"
    print("                             median (quartiles)")
    print(f"minipar.explore.pipeline   {ours[1]:7.1f} ms ({ours[0]:.1f}, {ours[2]:.1f})")
    print(f"plotly FigureWidget        {peer[1]:7.1f} ms ({peer[0]:.1f}, {peer[2]:.1f})")
    print(f"ratio {ratio:.3f}   aim: at most {AIM} ms and a third of the peer's   met: {verdict}")
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

"""How does a program use a notebook in JupyterLab the way a person does?

    LabBrowser    one Chromium; its pages reach nothing beyond this machine, and note what they were asked for
    NotebookPage  one open notebook: run it, wait for it, read it, save it

`python3 -m minipar render` and the tests in tests/browser both stand on these. They need playwright (it comes with the
`test` extra) and a Chromium on this machine; nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.parse
from pathlib import Path

from minipar._lab import LabServer

BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
BROWSER_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
NO_BROWSER = (
    "No Chromium or Chrome on this machine. Install one (Debian, Ubuntu: apt install chromium; macOS: brew install "
    "--cask google-chrome), or set MINIPAR_BROWSER to the path of yours."
)


def find_browser() -> str | None:
    """The path of a Chromium: $MINIPAR_BROWSER first, then the usual names and places; None when there is none."""
    chosen = os.environ.get("MINIPAR_BROWSER")
    if chosen:
        return shutil.which(chosen)
    found = (shutil.which(name) for name in (*BROWSER_NAMES, *BROWSER_PLACES))
    return next((path for path in found if path), None)


class LabBrowser:
    """One Chromium, a context manager. Its pages share a cache, so that Lab itself is loaded only once."""

    def __init__(self, executable: str | None = None, width: int = 1280, height: int = 720):
        self.executable = executable or find_browser()
        self.viewport = {"width": width, "height": height}

    def __enter__(self) -> LabBrowser:
        from playwright.sync_api import sync_playwright

        if self.executable is None:
            raise RuntimeError(NO_BROWSER)
        self.playwright = sync_playwright().start()
        try:
            quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
            alone = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
            self.browser = self.playwright.chromium.launch(executable_path=self.executable, args=[*quiet, alone])
            self.context = self.browser.new_context(viewport=self.viewport)
            self.context.set_default_timeout(60_000)
        except BaseException:
            self.playwright.stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        try:
            self.browser.close()
        finally:
            self.playwright.stop()

    def open(self, server: LabServer, path: str, page_class: type[NotebookPage] | None = None) -> NotebookPage:
        """Open the notebook at `path` (relative to the server's root) alone on a page, its kernel connected."""
        notebook = (page_class or NotebookPage)(self.context.new_page(), server, path)
        notebook.open()
        return notebook


# In the page: the notebook's panel, whichever way Lab was opened.
PANEL = "const panel = (window.jupyterapp || window.jupyterlab).shell.currentWidget;"


class NotebookPage:
    """One notebook open in Lab. Cells are named by their ids; `page` is playwright's own page for all else."""

    def __init__(self, page, server: LabServer, path: str):
        self.page, self.server, self.path = page, server, path
        self.outside: list[str] = []  # addresses beyond loopback that something asked for; each was refused
        self.script_errors: list[str] = []
        page.on("pageerror", lambda error: self.script_errors.append(str(error)))
        page.on("console", lambda said: self.script_errors.append(said.text) if said.type == "error" else None)
        page.on("request", self._note_if_outside)

    def open(self) -> None:
        """Load the page and wait until cells are there and a kernel is connected."""
        address = f"{self.server.address}/doc/tree/{urllib.parse.quote(self.path)}?token={self.server.token}"
        self.page.goto(address)
        self.wait_open()

    def wait_open(self, seconds: float = 90) -> None:
        """Wait for cells and a connected kernel: before that, `run_all` would run nothing, silently."""
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", state="attached", timeout=seconds * 1000)
        self.page.wait_for_function(
            """() => { const lab = window.jupyterapp || window.jupyterlab;
                    const kernel = lab?.shell.currentWidget?.sessionContext?.session?.kernel;
                    return kernel?.connectionStatus === 'connected' && ['idle', 'busy'].includes(kernel.status); }""",
            timeout=seconds * 1000,
        )

    def reload(self) -> None:
        """Save, and reload the page as a person does; the kernel goes on."""
        self.save()
        self.page.reload()
        self.wait_open()

    def close(self) -> None:
        """Close the page and end the notebook's kernel."""
        self.page.close()
        self.server.end_kernels(self.path)

    def command(self, name: str, wait: bool = True) -> None:
        """Run one of Lab's commands; with `wait`, until it is done."""
        call = f"(window.jupyterapp || window.jupyterlab).commands.execute({json.dumps(name)})"
        self.page.evaluate(f"() => {call}.then(() => null)" if wait else f"() => {{ {call}; }}")

    def run_all(self, wait: bool = True) -> None:
        """Run > Run All Cells; with `wait`, until the kernel is idle and every picture drawn."""
        self.command("notebook:run-all-cells", wait=wait)
        if wait:
            self.wait_idle()
            self.wait_drawn()

    def interrupt(self) -> None:
        """The square button: interrupt the kernel."""
        self.command("notebook:interrupt-kernel", wait=False)

    def wait_idle(self, seconds: float = 120, quiet: float = 0.3) -> None:
        """Wait until the kernel has been idle for `quiet` seconds and no cell is marked as running."""
        end, since = time.monotonic() + seconds, None
        while time.monotonic() < end:
            if self.page.evaluate(
                f"""() => {{ {PANEL} const waiting = [...document.querySelectorAll('.jp-InputPrompt')];
                    return panel.sessionContext.session?.kernel?.status === 'idle'
                        && !waiting.some(prompt => prompt.textContent.includes('*')); }}"""
            ):
                since = since or time.monotonic()
                if time.monotonic() - since >= quiet:
                    return
            else:
                since = None
            self.page.wait_for_timeout(50)
        raise TimeoutError(f"{self.path}: the kernel was not idle after {seconds} s")

    def wait_drawn(self, seconds: float = 60) -> None:
        """Wait until no output says "Loading widget" and each plotly figure is drawn (or its stored picture shown)."""
        self.page.wait_for_function(
            """() => ![...document.querySelectorAll('.jp-OutputArea-output')].some(
                  output => output.textContent.includes('Loading widget')
                      || (output.matches('.jp-RenderedPlotly') && !output.querySelector('svg.main-svg, img')))""",
            timeout=seconds * 1000,
        )

    def notebook(self) -> dict:
        """The notebook as Lab holds it now (nbformat's JSON, as a dictionary)."""
        return self.page.evaluate(f"() => {{ {PANEL} return panel.content.model.toJSON(); }}")

    def outputs(self, cell: str) -> list[dict]:
        """The outputs of the cell with this id, as nbformat stores them."""
        return next(one for one in self.notebook()["cells"] if one.get("id") == cell).get("outputs", [])

    def cell(self, cell: str):
        """Playwright's locator of the cell with this id."""
        number = self.page.evaluate(
            f"id => {{ {PANEL} return panel.content.widgets.findIndex(one => one.model.id === id); }}", cell
        )
        if number < 0:
            raise KeyError(f"{self.path} has no cell {cell!r}")
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def text(self, cell: str) -> str:
        """What a person reads below the cell with this id."""
        return "\n".join(self.cell(cell).locator(".jp-OutputArea-output").all_inner_texts())

    def save(self) -> None:
        """Save the notebook to its file."""
        self.command("docmanager:save")

    def theme(self, name: str) -> None:
        """Switch the page, and with it Lab, to "light" or "dark"."""
        self.page.emulate_media(color_scheme=name)
        body = f'body[data-jp-theme-light="{str(name == "light").lower()}"]'
        self.page.wait_for_selector(body, state="attached")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def picture(self, file: Path | str, cell: str | None = None) -> Path:
        """Save what the window shows as a PNG, with `cell` (if any) scrolled to the top."""
        if cell:
            self.cell(cell).evaluate("element => element.scrollIntoView({block: 'start'})")
            self.page.wait_for_timeout(100)
        file = Path(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(file))
        return file

    def _note_if_outside(self, request) -> None:
        parts = urllib.parse.urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "file", "about") and parts.hostname not in ("127.0.0.1", "localhost"):
            self.outside.append(request.url)

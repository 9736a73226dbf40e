"""How does a program start JupyterLab, and end it again?

    with LabServer(folder) as server:        jupyter lab on 127.0.0.1, a token of its own
        server.address, server.token         settings, workspaces, kernels' files: in a folder that is thrown away

`python3 -m minipar render` and the tests in tests/browser both stand on it; _browser.py looks at what it serves.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

# Lab as a newcomer has it, but still: no news pop-up, every cell attached to the page (Lab leaves distant cells out
# of the document, and a broken picture below the fold would not be seen), and a theme that follows the page's.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "apputils-extension/themes": {"adaptive-theme": True},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


def free_port() -> int:
    """A port of the loopback device that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class LabServer:
    """JupyterLab serving `root`; a context manager. `environment` is added to what its kernels see."""

    def __init__(self, root: Path | str, environment: dict[str, str] | None = None):
        self.root = Path(root).resolve()
        self.environment = environment or {}
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> LabServer:
        self.folder = Path(tempfile.mkdtemp(prefix="minipar-lab-"))
        for name, body in SETTINGS.items():
            file = self.folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(body))
        with open(self.folder / "server.log", "w") as log:
            # Its working folder is our own empty one: Python puts that folder first on its path, and a file named
            # like a standard module beside the notebooks would break the server.
            self.process = subprocess.Popen(
                self._command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._variables(),
                cwd=self.folder,
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers(180)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                self.request("POST", "/api/shutdown")  # asked first, it ends its kernels too
                self.process.wait(15)
        for end in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            if self.process is not None and self.process.poll() is None:
                self.process.send_signal(end)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def request(self, method: str, path: str) -> object:
        """Ask the server's REST interface; the decoded answer, or None when it is empty."""
        request = urllib.request.Request(
            self.address + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def end_kernels(self, path: str) -> None:
        """End the kernels of the notebook at `path` (relative to the root)."""
        for session in self.request("GET", "/api/sessions"):
            if session["path"] == path:
                self.request("DELETE", f"/api/sessions/{session['id']}")

    def log(self) -> str:
        """What the server has written so far."""
        return (self.folder / "server.log").read_text(errors="replace")

    def _command(self) -> list[str]:
        command = [
            sys.executable, "-m", "jupyterlab", "--no-browser",
            "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.root}",
            "--LabApp.expose_app_in_browser=True",
            f"--LabApp.user_settings_dir={self.folder / 'settings'}",
            f"--LabApp.workspaces_dir={self.folder / 'workspaces'}",
        ]  # fmt: skip
        root_user = hasattr(os, "geteuid") and os.geteuid() == 0
        return [*command, "--allow-root"] if root_user else command

    def _variables(self) -> dict[str, str]:
        own = {f"JUPYTER_{name.upper()}_DIR": str(self.folder / name) for name in ("config", "runtime", "data")}
        here = str(Path(__file__).resolve().parents[1])  # kernels import the same minipar as this process
        path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
        return {**os.environ, **own, "IPYTHONDIR": str(self.folder / "ipython"), "PYTHONPATH": path, **self.environment}

    def _wait_until_it_answers(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError("JupyterLab ended while starting. It wrote:\n" + self.log())
            try:
                self.request("GET", "/api/status")
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError(f"JupyterLab did not answer within {seconds} s. It wrote:\n" + self.log())

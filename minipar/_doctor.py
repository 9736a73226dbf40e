"""What on this machine would stop a lesson, and what is to be done about it?

Prints one line for each thing looked at: ok, note (lessons run all the same) or BAD (they would not).  It installs and
changes nothing.  Standard library only, and it must parse on Python 3.8 (see _setup.py); torch is asked in a child.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

from minipar import _lessons, _setup
from minipar._installer import CONSTRAINTS
from minipar._python import ROOT, Refusal, find_python, is_clone, requirements, span, suitable, unmet

OK, NOTE, BAD = "ok", "note", "BAD"
GB = 1024**3
Line = namedtuple("Line", "mark subject text")

ASK_TORCH = """
import json, torch, torch.distributed as dist
gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda,
                  "gpus": [torch.cuda.get_device_name(i) for i in range(gpus)],
                  "gloo": dist.is_available() and dist.is_gloo_available()}))
"""


def ask(command, seconds):
    """The lines that a command prints; raises OSError or SubprocessError when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=seconds, check=True)
    return done.stdout.decode(errors="replace").strip().splitlines()


def python():
    """The Python that runs this, or the one that the first run would take."""
    here = f"{platform.python_version()} ({sys.executable})"
    if suitable(sys.version_info):
        if is_clone() and not _setup.inside(ROOT / ".venv"):
            try:
                find_python()
            except Refusal as refusal:
                if unmet(requirements()):
                    return Line(BAD, "Python", str(refusal))
        return Line(OK, "Python", here)
    try:
        return Line(OK, "Python", f"{find_python()} will be used; this one is {here}, and {span()} is needed")
    except Refusal as refusal:
        return Line(BAD, "Python", str(refusal))


def environment():
    """Is what runs here in step with what pyproject and constraints ask for?"""
    home = ROOT / ".venv"
    if not suitable(sys.version_info):
        return Line(NOTE, "environment", "none yet; `python3 -m minipar lab` makes it")
    missing = unmet(requirements())
    if is_clone() and _setup.inside(home):
        if _setup.in_step(home):
            return Line(OK, "environment", f"{home}, in step with pyproject.toml and constraints.txt")
        return Line(NOTE, "environment", f"{home} is out of step; the next `lab` or `test` brings it in step")
    if not missing:
        return Line(OK, "environment", f"{sys.prefix}, which has every package")
    if not is_clone():
        return Line(BAD, "environment", f"lacks {', '.join(missing)}; pip install minipar")
    if os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX"):
        return Line(NOTE, "environment", f"the active one lacks {', '.join(missing)}; `lab` will make .venv beside it")
    return Line(NOTE, "environment", "none yet; `python3 -m minipar lab` makes .venv (about 1.2 GB)")


def packages():
    """The versions of the main packages beside those that the course is tested with."""
    from importlib.metadata import PackageNotFoundError, version

    pins = dict(re.findall(r"(?m)^([a-z0-9-]+)==([0-9.]+)", CONSTRAINTS.read_text(encoding="utf-8")))
    for name in ("torch", "numpy", "jupyterlab", "ipywidgets", "plotly", "anywidget", "cloudpickle"):
        try:
            have = version(name)
        except PackageNotFoundError:
            yield f"{name} -"
            continue
        tested = pins.get(name, "")
        same = _setup.torch_pin() == have.split("+")[0] if name == "torch" else have == tested
        # numpy has one pin per Python version, so another number there is no finding
        yield f"{name} {have}" + ("" if same or name == "numpy" else f" (tested with {tested})")


def torch_and_gpus():
    """The torch build, and whether it can use the GPU that is there."""
    driver = nvidia_driver()
    try:
        facts = json.loads(ask([sys.executable, "-c", ASK_TORCH], 180)[-1])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        if unmet([("torch", "")]):
            yield Line(NOTE, "torch", "not installed yet; the first `lab` brings it")
        else:
            yield Line(BAD, "torch", "is installed but does not start; delete .venv and run `lab` again")
        yield Line(OK, "GPU", driver or "no NVIDIA driver; lessons run on the CPU, which is enough")
        return
    build = f"CUDA {facts['cuda']}" if facts["cuda"] else "CPU build"
    yield Line(OK, "torch", f"{facts['version']}, {build}")
    if not facts["gloo"]:
        yield Line(BAD, "gloo", "this torch was built without gloo, which carries messages between CPU processes")
    if facts["gpus"]:
        count = len(facts["gpus"])
        way = "one for each rank" if count > 1 else "which several ranks share"
        yield Line(OK, "GPU", f"{count} x {facts['gpus'][0]}, {way}; {driver}")
    elif driver:
        yield Line(NOTE, "GPU", f"GPU present but torch cannot use it ({driver}); lessons run on the CPU. "
                   "MINIPAR_TORCH=any with a deleted .venv takes the CUDA build")  # fmt: skip
    else:
        yield Line(OK, "GPU", "none; lessons run on the CPU, which is enough")


def nvidia_driver():
    """The GPU and driver in the driver's own words, or '' when there is none."""
    if not _setup.has_nvidia_driver():
        return ""
    try:
        lines = ask(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], 30)
        return "the driver names " + "; ".join(lines)
    except (OSError, subprocess.SubprocessError):
        return "an NVIDIA driver is loaded, but nvidia-smi does not answer"


def cpu():
    """Cores that this process may use; four ranks on two cores are paced, on one they crawl."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores == 1:
        return Line(NOTE, "CPU", f"1 core, {platform.machine()}; four ranks on one core are slow, but they run")
    return Line(OK, "CPU", f"{cores} cores, {platform.machine()}")


def memory():
    """Memory of the machine, or of the container around us."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return Line(NOTE, "memory", "cannot be read here; 4 GB are enough")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(limit).read_text()))
        except (OSError, ValueError):
            continue
    text = f"{total / GB:.1f} GB"
    return Line(OK, "memory", text) if total >= 3.5 * GB else Line(NOTE, "memory", text + "; 4 GB are advised")


def shared_memory():
    """Many containers give 64 MB to /dev/shm."""
    if not os.path.isdir("/dev/shm"):
        return Line(OK, "/dev/shm", "not used on this system")
    size = shutil.disk_usage("/dev/shm").total
    if size < GB / 4:
        return Line(NOTE, "/dev/shm", f"{size >> 20} MB, small; should a worker die of a bus error: --shm-size=1g")
    return Line(OK, "/dev/shm", f"{size / GB:.1f} GB")


def loopback():
    """The ranks talk over 127.0.0.1: can this machine talk to itself?"""
    try:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(1)
            with socket.create_connection(server.getsockname(), timeout=5) as client:
                client.sendall(b"ping")
                peer, _ = server.accept()
                with peer:
                    peer.settimeout(5)
                    if peer.recv(4) == b"ping":
                        return Line(OK, "loopback", "127.0.0.1 works")
        reason = "the message did not arrive"
    except OSError as error:
        reason = str(error)
    return Line(BAD, "loopback", f"127.0.0.1 does not work ({reason}); allow it in the firewall, ranks talk over it")


def browser():
    """Only the browser tests need a Chromium; a learner may use any browser."""
    if not suitable(sys.version_info):
        return Line(NOTE, "browser", "not looked for on this Python")
    from minipar._browser import find_browser

    found = find_browser()
    text = "no Chromium: any browser will do for lessons, only the browser tests are skipped (apt install chromium)"
    return Line(OK, "browser", found) if found else Line(NOTE, "browser", text)


def folders():
    """Can the environment and the lessons be written?"""
    where = _lessons.own_folder()
    nearest = where if where.exists() else where.parent
    if not os.access(str(nearest), os.W_OK):
        return Line(BAD, "folder", f"{nearest} cannot be written; run minipar from a folder of your own")
    free = shutil.disk_usage(str(nearest)).free
    complete = suitable(sys.version_info) and not unmet(requirements())
    if not complete and free < 2e9:
        return Line(BAD, "folder", f"{free / 1e9:.1f} GB free in {nearest}; the set-up needs about 2")
    return Line(OK, "folder", f"lessons in {where}, {free / 1e9:.0f} GB free")


def examine():
    """All lines, in the order a person would ask."""
    yield Line(OK, "system", platform.platform())
    yield python()
    yield environment()
    if suitable(sys.version_info):
        yield Line(OK, "packages", ", ".join(packages()))
        yield from torch_and_gpus()
    for look in (cpu, memory, shared_memory, loopback, browser, folders):
        yield look()
    if os.name == "nt":
        yield Line(NOTE, "Windows", "untested; WSL2 is the safe way, where everything is as on Linux")


def main():
    """Print what was found; 1 when something would stop lessons."""
    bad = 0
    for line in examine():
        print(f"{line.mark:<5} {line.subject:<12} {line.text}", flush=True)
        bad += line.mark == BAD
    print(
        f"\n{bad} of these would stop the lessons; each BAD line says what to do."
        if bad
        else "\nLessons will run here."
    )
    return 1 if bad else 0

"""How does a bare machine get an environment that can run minipar?

    python3 -m minipar lab
        |
        +-- this Python already has every package?  yes: go on here   (conda, an activated venv; never when CI is set)
        |
        +-- .venv is in step with pyproject and constraints?  yes: go on in there
        |
        +-- make or repair .venv, then go on in there

Standard library only, and it must parse on Python 3.8: it runs before anything is installed, and on an old Python it
still has to say which one is wanted.  A set-up that was cut off leaves no stamp, so the next run starts it afresh
(what pip has downloaded by then is in its cache).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time

from minipar._installer import CONSTRAINTS, PipFailed, pip_install, run_installer
from minipar._python import ROOT, Refusal, find_python, is_clone, requirements, suitable, unmet

STAMP = "minipar-stamp.json"  # .venv is complete, and this is what for
UNFINISHED = "minipar-unfinished"  # pip was at work in .venv: if it never finished, a package may be half there
WINDOWS = os.name == "nt"


def say(text):
    """One line to the person at the terminal."""
    print("minipar: " + text, flush=True)


def venv_python(home):
    """The interpreter of the virtual environment `home`."""
    return home / ("Scripts/python.exe" if WINDOWS else "bin/python")


def inside(home):
    """True when this very process runs in the virtual environment `home`."""
    return os.path.realpath(sys.prefix) == os.path.realpath(str(home))


# ---- which torch ----------------------------------------------------------------------------------------------------


def torch_pin():
    """The torch version that constraints.txt names; the pin stands there and nowhere else."""
    return re.search(r"(?m)^torch==([0-9.]+)", CONSTRAINTS.read_text(encoding="utf-8")).group(1)


def has_nvidia_driver():
    """True when an NVIDIA driver is loaded or its tool is on PATH."""
    return os.path.exists("/proc/driver/nvidia/version") or bool(shutil.which("nvidia-smi"))


def torch_attempts(system, driver, wish):
    """What to try, in order: [(installer, requirement, heads-up)].

    Plain torch on Linux comes with 3 GB of CUDA libraries: wanted where there is a GPU, never taken silently.
    `wish` is MINIPAR_TORCH: "any" accepts that build, "cpu" declines it even where there is a driver.
    """
    pin = torch_pin()
    if system != "Linux":
        return [("pip", f"torch=={pin}", "")]
    if wish == "any" or (driver and wish != "cpu"):
        why = "MINIPAR_TORCH=any" if wish == "any" else "this machine has an NVIDIA driver; MINIPAR_TORCH=cpu declines"
        return [("pip", f"torch=={pin}", f"torch with its CUDA libraries is a download of about 3 GB ({why})")]
    return [("pip", f"torch=={pin}+cpu", ""), ("uv", f"torch=={pin}", "")]


def torch_in(home):
    """The version of torch that lies in a virtual environment, found without starting it; '' when there is none."""
    where = "Lib/site-packages" if WINDOWS else "lib/*/site-packages"
    for folder in home.glob(where + "/torch-*.dist-info"):
        return folder.name[len("torch-") : -len(".dist-info")]
    return ""


def install_torch(home):
    """Put the right torch into `home`, or refuse in a sentence."""
    python, wish, pin = venv_python(home), os.environ.get("MINIPAR_TORCH", ""), torch_pin()
    if torch_in(home).split("+")[0] == pin and not wish:
        return
    failed = []
    attempts = torch_attempts(platform.system(), has_nvidia_driver(), wish)
    for tool, requirement, heads_up in attempts:
        if heads_up:
            say(heads_up)
        try:
            if tool == "uv":
                command = [*uv(python), "pip", "install", "--python", python, "--torch-backend", "cpu"]
                run_installer([*command, "-c", CONSTRAINTS, requirement], "  torch, by uv")
            else:
                run_installer(pip_install(python, requirement), "  torch")
            return
        except PipFailed as error:
            failed = error.lines
    said = "\n  ".join(failed[-4:])
    if len(attempts) == 1:
        raise Refusal(f"pip could not install torch {pin}; run the same command again to go on. It said:\n  {said}")
    raise Refusal(
        f"no CPU build of torch {pin} could be had for {os.path.realpath(str(python))}. MINIPAR_TORCH=any accepts the "
        f"usual build (about 3 GB); or activate an environment that already has torch. The last attempt said:\n  {said}"
    )


def uv(python):
    """The words that start uv, which knows where CPU builds of torch are kept."""
    if shutil.which("uv"):
        return [shutil.which("uv")]
    run_installer(pip_install(python, "uv"), "  uv, to look for a CPU build of torch")
    return [python, "-m", "uv"]


# ---- the stamp: is .venv in step? -----------------------------------------------------------------------------------


def fingerprint(home, root=ROOT):
    """What the stamp must say: where the clone lies, its Python, and what pyproject and constraints ask for."""
    asked = hashlib.sha256()
    for path in (root / "pyproject.toml", CONSTRAINTS):
        asked.update(path.read_bytes())
    return {"root": str(root), "python": os.path.realpath(str(venv_python(home))), "asked": asked.hexdigest()}


def read_stamp(home):
    """The stamp as a dictionary; empty when there is none or it is damaged."""
    try:
        return dict(json.loads((home / STAMP).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def write_stamp(home, extras, root=ROOT):
    """Say that `home` is complete; whole or not at all."""
    partial = home / (STAMP + ".partial")
    partial.write_text(json.dumps(dict(fingerprint(home, root), extras=sorted(extras)), indent=1), encoding="utf-8")
    os.replace(str(partial), str(home / STAMP))


def in_step(home, extra="", root=ROOT):
    """True when `home` holds what pyproject and constraints ask for now, and `extra` too."""
    stamp = read_stamp(home)
    return (
        venv_python(home).exists()
        and all(stamp.get(key) == value for key, value in fingerprint(home, root).items())
        and (not extra or extra in stamp.get("extras", []))
    )


# ---- one at a time --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def one_at_a_time(path):
    """Hold the lock file while setting up, so that two first runs do not write into one .venv; the second waits."""
    try:
        file = path.open("a+")
    except OSError as error:
        raise Refusal(
            f"cannot write in {path.parent} ({error.strerror}), so no .venv can be made there; put the clone into a "
            "folder of your own, or activate an environment that has minipar's packages."
        ) from None
    with file:
        if not take_lock(file, wait=False):
            say("another set-up is at work in this folder; waiting for it to finish (Ctrl-C gives up)")
            take_lock(file, wait=True)
        yield


def take_lock(file, wait):
    """Lock a file until it is closed or the process ends, however it ends.  False when another holds it."""
    if WINDOWS:
        import msvcrt

        while True:
            try:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                return True
            except OSError:
                if not wait:
                    return False
                time.sleep(0.5)
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks: go on without one
    return True


# ---- making .venv ---------------------------------------------------------------------------------------------------


def usable(home, root=ROOT):
    """True when `home` is a virtual environment made here, with a suitable Python and a pip that starts."""
    if read_stamp(home).get("root", str(root)) != str(root):
        return False  # the clone was moved or copied: scripts in there still point to the old place
    if (home / UNFINISHED).exists():
        return False
    ask = "import sys, pip; print(*sys.version_info[:2], sys.prefix)"
    try:
        done = subprocess.run([str(venv_python(home)), "-c", ask], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        major, minor, prefix = done.stdout.decode().split(None, 2)
    except (OSError, ValueError):
        return False
    return suitable((int(major), int(minor))) and os.path.realpath(prefix.strip()) == os.path.realpath(str(home))


def make(home, extra, root=ROOT):
    """Make `home`, or bring it in step.  The caller holds the lock; the stamp is written last."""
    extras = set(read_stamp(home).get("extras", [])) | ({extra} if extra else set())
    try:
        if usable(home, root):
            say(f"bringing {home} in step with pyproject.toml and constraints.txt")
        else:
            make_venv(find_python(), home, root)
        (home / UNFINISHED).touch()
        with contextlib.suppress(OSError):
            (home / STAMP).unlink()
        install_torch(home)
        project = "." + (f"[{','.join(sorted(extras))}]" if extras else "")
        run_installer(pip_install(venv_python(home), "-e", project), "  packages", root)
    except PipFailed as error:
        said = "\n  ".join(error.lines)
        raise Refusal(
            "pip could not install what minipar needs (is there a network?); run the same command again to go on. "
            f"It said:\n  {said}"
        ) from None
    write_stamp(home, extras, root)
    (home / UNFINISHED).unlink()


def make_venv(python, home, root=ROOT):
    """An empty virtual environment at `home`, in place of whatever was there."""
    free = shutil.disk_usage(str(root)).free
    if free < 2e9:
        raise Refusal(f"{root} has {free / 1e9:.1f} GB free, and the set-up needs about 2; make room and try again.")
    say(f"first run: making {home} with {python} (about 1.2 GB, a minute or two, only once)")
    command = [str(python), "-m", "venv", "--clear", str(home)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        last = "\n  ".join(done.stdout.decode(errors="replace").strip().splitlines()[-4:])
        raise Refusal(f"{python} could not make {home}. It said:\n  {last}")


# ---- going on in the right place ------------------------------------------------------------------------------------


def enter(extra, words):
    """Return when this process can go on itself; else set up what is missing and go on in .venv, never to return."""
    entered = os.environ.pop("MINIPAR_ENTERED", "")
    home = ROOT / ".venv"
    if not is_clone():
        missing = unmet(requirements(extra))
        if missing:
            what = f"minipar[{extra}]" if extra else "minipar"
            raise Refusal(f"this environment lacks {', '.join(missing)}; pip install '{what}' brings it.")
        return
    if here_is_enough(home, extra):
        return
    if not in_step(home, extra):
        with one_at_a_time(ROOT / ".venv.lock"):
            if not in_step(home, extra):  # the one before us may have made it
                make(home, extra)
    elif inside(home):
        return
    if entered and not inside(home):
        raise Refusal(f"{venv_python(home)} does not run inside {home}; delete that folder and try again.")
    go_on_in(venv_python(home), words)


def here_is_enough(home, extra):
    """True when the running Python is not .venv's and has everything itself; never when CI is set."""
    if inside(home) or os.environ.get("CI") or not suitable(sys.version_info) or unmet(requirements(extra)):
        return False
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))  # kernels start elsewhere and must find minipar
    return True


def go_on_in(python, words):
    """Continue this command in another Python: exec where there is one, else a child whose exit code is passed on."""
    command = [str(python), "-m", "minipar", *words]
    os.environ["MINIPAR_ENTERED"] = "1"
    sys.stdout.flush()
    if WINDOWS:
        sys.exit(subprocess.call(command))
    os.execv(str(python), command)


def enter_if_there(words):
    """Go on in a working .venv without making or changing one, or in the first Python that could make it."""
    entered = os.environ.pop("MINIPAR_ENTERED", "")
    home = ROOT / ".venv"
    if entered or not is_clone() or inside(home) or (suitable(sys.version_info) and here_is_enough(home, "")):
        return
    if usable(home):
        go_on_in(venv_python(home), words)

"""Which Python can run minipar, and does it have every package?

Standard library only, and it must parse on Python 3.8 (see _setup.py).
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 11), (3, 14)
NAMES = ("python3", "python3.13", "python3.12", "python3.11", "python3.14", "python")

ASK = """
import sys
try:
    import ensurepip, venv
    pip = 1
except ImportError:
    pip = 0
print(sys.version_info[0], sys.version_info[1], pip)
"""


class Refusal(Exception):
    """A command cannot go on; the message is the sentence to show, and says what to do."""


# ---- packages --------------------------------------------------------------------------------------------------------


def is_clone(root=ROOT):
    """True in a clone, False where minipar was installed from a wheel (then pip has looked after the packages)."""
    return (root / "pyproject.toml").is_file()


def numbers(version):
    """The release numbers of a version: '2.13.0+cpu' -> (2, 13); trailing zeros do not count."""
    found = [int(n) for n in re.findall(r"\d+", re.match(r"[0-9.]*", version.split("+")[0]).group())]
    while found and found[-1] == 0:
        found.pop()
    return tuple(found)


def satisfies(version, wanted):
    """True when `version` lies in a range such as '>=2.11,<2.16' or '==0.11.*' (all that pyproject uses)."""
    have = numbers(version)
    for clause in filter(None, (part.strip() for part in wanted.split(","))):
        sign, bound = re.match(r"(>=|<=|==|<|>)\s*(.+)", clause).groups()
        if bound.endswith(".*"):
            stem = tuple(int(n) for n in bound[:-2].split("."))
            good = (have + (0,) * len(stem))[: len(stem)] == stem
        else:
            other = numbers(bound)
            order = (have > other) - (have < other)
            good = order in {">=": (0, 1), "<=": (-1, 0), "==": (0,), "<": (-1,), ">": (1,)}[sign]
        if not good:
            return False
    return True


def requirements(extra="", root=ROOT):
    """[(name, range)] that pyproject asks for (or, outside a clone, that the installed wheel asks for)."""
    if is_clone(root):
        import tomllib

        with open(root / "pyproject.toml", "rb") as file:
            project = tomllib.load(file)["project"]
        lines = list(project["dependencies"])
        lines += project["optional-dependencies"][extra] if extra else []
    else:
        from importlib.metadata import requires

        lines = []
        for line in requires("minipar") or []:
            line, _, marker = line.partition(";")
            if "extra" not in marker or (extra and extra in marker):
                lines.append(line.strip())
    return [re.match(r"([A-Za-z0-9_.-]+)\s*(.*)", line).groups() for line in lines]


def unmet(wanted):
    """The requirements that this Python does not meet, as words: ['plotly>=6 (not installed)']."""
    from importlib.metadata import PackageNotFoundError, version

    missing = []
    for name, bounds in wanted:
        try:
            have = version(name)
        except PackageNotFoundError:
            missing.append(f"{name}{bounds} (not installed)")
            continue
        if not satisfies(have, bounds):
            missing.append(f"{name}{bounds} (here: {have})")
    return missing


# ---- interpreters ----------------------------------------------------------------------------------------------------


def suitable(version):
    """True for a version that minipar runs on: (3, 11) to (3, 14)."""
    return OLDEST <= tuple(version)[:2] <= NEWEST


def span():
    """The versions that minipar runs on, as words."""
    return f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"


def ask_python(path):
    """(major, minor, can make a virtual environment) of an interpreter, or None when it does not really run."""
    try:
        done = subprocess.run(
            [str(path), "-c", ASK],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=30,
        )
        major, minor, pip = (int(word) for word in done.stdout.split()[-3:])
    except (OSError, ValueError, subprocess.SubprocessError):
        return None  # a version manager's shim may exist and only print an error
    return major, minor, bool(pip)


def candidates():
    """This Python, then every python on PATH."""
    yield sys.executable
    for name in NAMES:
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            path = shutil.which(name, path=folder) if folder else None
            if path:
                yield path


def find_python(paths=None):
    """The first suitable Python that really runs and can make a virtual environment; Refusal when there is none."""
    seen, without_pip = set(), None
    for path in candidates() if paths is None else paths:
        if not path or path in seen:
            continue
        seen.add(path)
        answer = ask_python(path)
        if answer and suitable(answer[:2]):
            if answer[2]:
                return path
            without_pip = without_pip or (path, f"{answer[0]}.{answer[1]}")
    if without_pip:
        path, version = without_pip
        raise Refusal(
            f"{path} is Python {version} but has no ensurepip, which a virtual environment needs; on Debian and "
            f"Ubuntu: apt install python{version}-venv"
        )
    raise Refusal(
        f"minipar needs Python {span()}, and there is none on this machine's PATH (this one is "
        f"{platform.python_version()}); install one and run the same command again."
    )

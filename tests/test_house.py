"""Does the code keep the house's rules: who may import whom, small files, a question on every door?"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minipar

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minipar"

# floor -> (floors of ours, packages of others) that it may import besides the standard library and itself
FLOORS = {
    "plan": ((), ()),
    "cost": (("plan",), ()),
    "run": (("plan", "cost"), ("torch", "cloudpickle")),
    "nn": (("plan", "cost", "run.worker"), ("torch", "safetensors")),
    "view": (("plan", "cost"), ("plotly", "ipywidgets", "anywidget", "traitlets", "IPython")),
    "learn": (("plan", "cost", "run", "nn", "view", ""), ("torch", "numpy", "plotly", "ipywidgets", "anywidget",
                                                          "traitlets", "IPython")),
}  # fmt: skip
# These run before anything is installed.
BARE = ("__init__", "__main__", "_setup", "_python", "_installer", "_lessons", "_doctor")
TOOLS = ("_lab", "_browser", "_render", "_picture")  # drive a real JupyterLab; only the commands and tests import them
MAY_START_TOOLS = ("__main__", "_doctor")

MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 60  # the house aims at 300 and 40

# Test files of a floor that mirror no module, each with its reason.
NOT_MIRRORS = {
    "run/test_faults.py": "the list of faults that must end in a readable error; they go through the whole floor",
    "run/test_kernel.py": "what is left when the kernel that owns a pool ends",
    "run/test_meshes.py": "training on every mesh against one process; goes through the whole floor",
    "run/test_jupyter.py": "a pool inside a real kernel: interrupt, restart, two kernels at once",
    "nn/test_oracle.py": "the table of sliced layers and their whole twins, all modules of the floor",
    "learn/test_locked.py": "the table of storyboards: somebody there or not, locked or not; goes through the floor",
}


def modules(package=PACKAGE):
    return sorted(path for path in package.rglob("*.py") if "_course" not in path.parts)


def dotted(path, package=PACKAGE):
    """'plan.actions' for minipar/plan/actions.py; '' for minipar/__init__.py."""
    parts = list(path.relative_to(package).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(text, name, is_package=False):
    """Every module that a source text imports, wherever the import stands, as absolute dotted names."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = ["minipar", *name.split(".")] if name else ["minipar"]
                up = node.level - (1 if is_package else 0)
                base = ".".join([*here[: len(here) - up], *filter(None, [base])])
            for alias in node.names:  # `from minipar import plan` may mean a floor
                inner = f"{base}.{alias.name}"
                yield inner if base == "minipar" or is_ours(inner) else base


def is_ours(name):
    path = ROOT / Path(*name.split("."))
    return name.startswith("minipar.") and (path.is_dir() or path.with_suffix(".py").exists())


def refusals(text, name, is_package=False):
    """One sentence for each import that the floors forbid to module `name` ('plan.actions')."""
    floor = name.split(".")[0]
    for found in imports(text, name, is_package):
        top, _, inner = found.partition(".")
        if top in sys.stdlib_module_names or floor in TOOLS:
            continue
        ours, others = FLOORS.get(floor) or ((*BARE, *(TOOLS if floor in MAY_START_TOOLS else ())), ())
        if top != "minipar":
            good = top in others
        elif "." not in inner and not inner.startswith("_") and not is_ours(found):
            good = "" in ours  # the vocabulary: `import minipar`, `from minipar import Cost`
        else:
            good = any(inner == room or inner.startswith(room + ".") for room in (floor, *ours) if room)
        if not good:
            yield f"minipar/{name.replace('.', '/')} must not import {found}"


def test_floors():
    found = []
    for path in modules():
        name = dotted(path)
        found += refusals(path.read_text(), name or "__init__", path.name == "__init__.py")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "name, line, refused",
    [
        ("plan.trace", "import torch", "torch"),
        ("plan.trace", "import numpy as np", "numpy"),
        ("plan.trace", "def f():\n    from minipar.run.pool import WorkerPool", "minipar.run.pool"),
        ("plan.trace", "from minipar import Cost", "minipar.Cost"),
        ("plan.trace", "from minipar import view", "minipar.view"),
        ("plan.trace", "from ..view import timeline", "minipar.view.timeline"),
        ("cost.model", "import torch", "torch"),
        ("nn.gpt", "from minipar.run import pool", "minipar.run.pool"),
        ("run.pool", "import plotly.graph_objects as go", "plotly.graph_objects"),
        ("run.pool", "from minipar.nn.gpt import GPT", "minipar.nn.gpt"),
        ("view.timeline", "import torch", "torch"),
        ("view.timeline", "from minipar.run import recorder", "minipar.run.recorder"),
        ("view.timeline", "from minipar.learn import ask", "minipar.learn"),
        ("_setup", "import tomli", "tomli"),
        ("_setup", "from minipar.plan import split", "minipar.plan.split"),
        ("learn.state", "from minipar import _lab", "minipar._lab"),
    ],
)
def test_a_planted_import_is_refused(name, line, refused):
    assert list(refusals(line, name)) == [f"minipar/{name.replace('.', '/')} must not import {refused}"]


@pytest.mark.parametrize(
    "name, line",
    [
        ("plan.trace", "import heapq\nfrom minipar.plan.actions import F\nfrom .actions import B"),
        ("run.pool", "import torch.distributed as dist\nfrom minipar.plan.mesh import Mesh"),
        ("nn.linear", "from minipar.run.worker import Axis"),
        ("view.timeline", "import anywidget\nfrom minipar.plan import trace"),
        ("learn.check", "import minipar\nfrom minipar import Cost\nimport torch"),
        ("__main__", "from minipar import _setup, _render"),
    ],
)
def test_an_allowed_import_passes(name, line):
    assert list(refusals(line, name)) == []


# ---- nothing heavy before it is needed ------------------------------------------------------------------------------


def loaded_after(code):
    """The top-level modules in a fresh Python after running some lines."""
    code += "\nimport sys\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_minipar_is_light():
    heavy = {"torch", "numpy", "plotly", "IPython", "ipywidgets", "anywidget", "cloudpickle", "multiprocessing"}
    assert not heavy & loaded_after("import minipar")


def test_planning_checking_and_simulating_load_neither_torch_nor_plotly():
    loaded = loaded_after("""
import minipar
s = minipar.one_f_one_b(ranks=4, microbatches=8)
assert minipar.problems(s) == []
minipar.lower(s), minipar.lower(s, ordered=True)
assert minipar.predict(s, minipar.Cost(F=1, B=2)).makespan == 33
assert minipar.split([1, 2, 3, 4], 2)
minipar.Mesh(pipe=4).groups("pipe")
""")
    assert not {"torch", "numpy", "plotly", "IPython", "ipywidgets", "anywidget"} & loaded


def test_pictures_never_load_torch():
    names = [name for name in map(dotted, modules()) if name.split(".")[0] in ("view", "cost")]
    assert "view.timeline" in names
    assert "torch" not in loaded_after("\n".join(f"import minipar.{name}" for name in names))


def test_every_word_of_the_vocabulary_is_there_and_explained():
    for word in minipar.__all__:
        found = getattr(minipar, word)
        assert not callable(found) or found.__doc__, f"minipar.{word} has no docstring"


# ---- small, and with a question on the door -------------------------------------------------------------------------


def sources():
    return modules() + sorted((ROOT / "examples").rglob("*.py")) + sorted((ROOT / "benchmarks").rglob("*.py"))


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_question_opens_every_module_and_nothing_is_too_long(path):
    text = path.read_text()
    tree = ast.parse(text)
    first = (ast.get_docstring(tree) or "").splitlines()[:1]
    asks = bool(first) and ("?" in first[0] or ROOT / "examples" in path.parents)  # an example shows, it need not ask
    assert asks, "the docstring's first line asks the question that the module answers"
    assert len(text.splitlines()) <= MOST_LINES, "a sitting per file"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length <= MOST_LINES_OF_A_FUNCTION, f"{node.name} has {length} lines: a screen per function"


def test_the_linter_is_content():
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format", "concise"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_room_for_leftovers():
    for path in modules():
        assert path.stem not in ("utils", "util", "helpers", "misc", "common"), path
        assert len(path.relative_to(PACKAGE).parts) <= 3, f"{path}: two folder levels, never three"


def test_test_files_mirror_modules():
    strangers = []
    for floor in FLOORS:
        for path in sorted((ROOT / "tests" / floor).rglob("test_*.py")):
            relative = path.relative_to(ROOT / "tests").as_posix()
            mirrored = any((PACKAGE / floor).rglob(path.name.removeprefix("test_")))
            if not mirrored and relative not in NOT_MIRRORS:
                strangers.append(relative)
    assert not strangers, f"rename them after the module they test, or give a reason in NOT_MIRRORS: {strangers}"
    assert all((ROOT / "tests" / name).exists() for name in NOT_MIRRORS), "a reason for a file that is gone"


# ---- nothing of one machine -----------------------------------------------------------------------------------------

MACHINE = re.compile(
    "|".join(
        [
            r"/(?:root|work|Users)/", r"/home/\w", r"/opt/(?:wheels|pypi)", "file" + "://", r"\bpypi" + r"\.org",
            "download" + r"\.pytorch\.org", r"(?:extra-)?index" + "-url[ =]", r"\bfind" + "-links",
        ]
    )
)  # fmt: skip


def tracked():
    """What git has, or would take; every file where there is no git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]
    skipped = {".venv", "my-lessons", "output", "__pycache__"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not skipped & set(path.relative_to(ROOT).parts)]


def test_no_file_names_a_machine_or_an_index():
    found = []
    for path in tracked():
        if path == Path(__file__) or path.suffix in (".png", ".jpg", ".gif", ".woff2"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            hit = MACHINE.search(line)
            if hit and not allowed(path, hit.group(), line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def allowed(path, hit, line):
    """The one flag that constraints.txt quotes: it keeps index addresses out."""
    return path.name == "constraints.txt" and "--no-emit-index-url" in line


def test_a_planted_path_is_found():
    for line in ("see /root/x", "/home/ada/minipar", "--index" + "-url https://x", "file" + ":///x"):
        assert MACHINE.search(line), line


def test_links_of_the_readme_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text()
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / target).exists(), f"{name} links to {target}"


def test_the_file_map_is_the_tree():
    text = (ROOT / "README.md").read_text()
    folders = {p.parent.relative_to(ROOT).as_posix() for p in PACKAGE.glob("*/__init__.py")}
    folders |= {name for name in ("notebooks", "assets", "examples", "benchmarks", "tests") if (ROOT / name).is_dir()}
    for folder in folders:
        assert f"`{folder}/`" in text, f"README's file map lacks {folder}"
    for path in re.findall(r"`((?:minipar|notebooks|assets|examples|benchmarks|tests|\.ci)[\w/.]*)`", text):
        assert (ROOT / path).exists(), f"README names {path}"


def test_lessons_of_the_readme_are_the_notebooks():
    text = (ROOT / "README.md").read_text()
    listed = {m.group(1) for m in re.finditer(r"(?m)^\| (\d\db?) \d*[A-Z]", text)}
    there = {path.name.split("_")[0] for path in (ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb")}
    assert listed == there

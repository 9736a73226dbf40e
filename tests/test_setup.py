"""Does one command bring a bare machine to the lessons, and does each thing that can go wrong end in one sentence?"""

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from minipar import __main__ as front
from minipar import _installer, _lessons, _python, _setup
from minipar._python import ROOT, Refusal

SETUP_FILES = ("__main__", "__init__", "_setup", "_python", "_installer", "_lessons", "_doctor")
PINS = dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", _installer.CONSTRAINTS.read_text()))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


# ---- the first word on an old Python --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETUP_FILES)
def test_set_up_files_parse_on_python_3_8(name):
    ast.parse((ROOT / "minipar" / f"{name}.py").read_text(), feature_version=(3, 8))


def test_the_first_suitable_python_that_really_runs(tmp_path):
    shim = script(tmp_path / "shim", "echo 'command not found' >&2; exit 127")
    liar = script(tmp_path / "liar", "echo hello")
    old = script(tmp_path / "old", "echo 3 8 1")
    new = script(tmp_path / "new", "echo 3 15 1")
    good = script(tmp_path / "good", "echo 3 12 1")
    assert _python.find_python([shim, liar, old, new, str(tmp_path / "absent"), good, sys.executable]) == good


def test_every_folder_of_path_is_searched_past_a_broken_shim(tmp_path, monkeypatch):
    shim = script(tmp_path / "a" / "python3.12", "exit 127")
    good = script(tmp_path / "b" / "python3.12", "echo 3 12 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'b'}")
    assert [shim, good] == [path for path in _python.candidates() if path.startswith(str(tmp_path))]
    monkeypatch.setattr(sys, "executable", script(tmp_path / "old", "echo 3 8 1"))
    assert _python.find_python() == good


def test_no_suitable_python_is_one_sentence(tmp_path):
    with pytest.raises(
        Refusal, match=r"^minipar needs Python 3\.11 to 3\.14, and there is none .* run the same command"
    ):
        _python.find_python([script(tmp_path / "old", "echo 3 8 1")])


def test_missing_ensurepip_names_the_package(tmp_path):
    bare = script(tmp_path / "bare", "echo 3 12 0")
    with pytest.raises(Refusal, match=r"Python 3\.12 but has no ensurepip.*apt install python3\.12-venv$"):
        _python.find_python([bare])
    assert _python.find_python([bare, sys.executable]) == sys.executable


# ---- is an environment complete? ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "version, wanted, answer",
    [
        ("2.13.0+cpu", ">=2.11,<2.16", True),
        ("2.10.1", ">=2.11,<2.16", False),
        ("2.16.0", ">=2.11,<2.16", False),
        ("2.9", ">=2.11", False),
        ("0.11.0", "==0.11.*", True),
        ("0.12.0", "==0.11.*", False),
        ("3", ">=3.0.0", True),
        ("3.0.0rc1", ">=3", True),
        ("8.1.9", ">=8.1,<9", True),
        ("1", "", True),
    ],
)
def test_satisfies(version, wanted, answer):
    assert _python.satisfies(version, wanted) is answer


def test_unmet_names_what_is_missing():
    assert _python.unmet([("pytest", ">=8"), ("no-such-package", ">=1"), ("pytest", ">=999")]) == [
        "no-such-package>=1 (not installed)",
        f"pytest>=999 (here: {pytest.__version__})",
    ]


def test_an_environment_with_everything_is_used_but_never_under_ci(monkeypatch, tmp_path):
    monkeypatch.setattr(_setup, "unmet", lambda wanted: [])
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.delenv("CI", raising=False)
    assert _setup.here_is_enough(tmp_path / ".venv", "test")
    assert os.environ["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)
    monkeypatch.setenv("CI", "1")
    assert not _setup.here_is_enough(tmp_path / ".venv", "test")
    monkeypatch.delenv("CI")
    monkeypatch.setattr(_setup, "unmet", lambda wanted: ["plotly>=6 (not installed)"])
    assert not _setup.here_is_enough(tmp_path / ".venv", "test")


# ---- which torch ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "system, driver, wish, tried",
    [
        ("Darwin", False, "", ["pip torch==PIN"]),
        ("Windows", True, "", ["pip torch==PIN"]),
        ("Linux", False, "", ["pip torch==PIN+cpu", "uv torch==PIN"]),
        ("Linux", True, "cpu", ["pip torch==PIN+cpu", "uv torch==PIN"]),
        ("Linux", True, "", ["pip torch==PIN 3 GB"]),
        ("Linux", False, "any", ["pip torch==PIN 3 GB"]),
    ],
)
def test_torch_attempts(system, driver, wish, tried):
    pin = _setup.torch_pin()
    found = [
        f"{tool} {what.replace(pin, 'PIN')}" + (" 3 GB" if "3 GB" in heads_up else "")
        for tool, what, heads_up in _setup.torch_attempts(system, driver, wish)
    ]
    assert found == tried


def test_no_cpu_torch_to_be_had_is_one_sentence(monkeypatch, tmp_path):
    calls = []

    def failing(command, title, folder="."):
        calls.append([str(word) for word in command])
        raise _installer.PipFailed(["ERROR: No matching distribution found"])

    monkeypatch.setattr(_setup, "run_installer", failing)
    monkeypatch.setattr(_setup, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(_setup.platform, "system", lambda: "Linux")
    monkeypatch.setattr(_setup.shutil, "which", lambda name: "/somewhere/uv")
    monkeypatch.delenv("MINIPAR_TORCH", raising=False)
    with pytest.raises(Refusal, match="no CPU build of torch .* MINIPAR_TORCH=any accepts .*\n  ERROR: No matching"):
        _setup.install_torch(tmp_path)
    assert [call[-1] for call in calls] == [f"torch=={_setup.torch_pin()}+cpu", f"torch=={_setup.torch_pin()}"]
    assert calls[1][calls[1].index("--torch-backend") + 1] == "cpu"
    assert all("-c" in call and call[call.index("-c") + 1].endswith("constraints.txt") for call in calls)


def test_a_torch_that_is_there_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(_setup, "run_installer", lambda *a: pytest.fail("nothing to install"))
    monkeypatch.delenv("MINIPAR_TORCH", raising=False)
    (tmp_path / f"lib/python3.11/site-packages/torch-{_setup.torch_pin()}+cpu.dist-info").mkdir(parents=True)
    assert _setup.torch_in(tmp_path) == _setup.torch_pin() + "+cpu"
    _setup.install_torch(tmp_path)


# ---- the installer's line -------------------------------------------------------------------------------------------


def test_a_failing_installer_shows_its_last_lines(capsys):
    said = ["Collecting a-b>=1 (from c)", "Processing /x/c_d-2.0-py3-none-any.whl", "WARNING: dull", "ERROR: no"]
    code = f"print(*{said}, sep='\\n'); exit(1)"
    with pytest.raises(_installer.PipFailed) as failed:
        _installer.run_installer([sys.executable, "-c", code], "  packages")
    assert failed.value.lines[-2:] == [said[1], said[3]]
    assert re.search(r"^  packages: \d+ s, 2 packages$", capsys.readouterr().out.strip("\n"), re.M)


def test_ctrl_c_ends_the_installer_too(tmp_path, monkeypatch):
    monkeypatch.setattr(_installer.Progress, "show", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    note = tmp_path / "pid"
    code = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    command = [sys.executable, "-c", f"{code}"]
    with pytest.raises(KeyboardInterrupt):
        _installer.run_installer(command, "  packages")
    if note.exists() and note.read_text():
        with pytest.raises(ProcessLookupError):
            os.kill(int(note.read_text()), 0)


def test_no_pip_call_sees_packages_from_outside(monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    code = "import os; assert 'PYTHONPATH' not in os.environ and os.environ['PIP_USER'] == '0'"
    _installer.run_installer([sys.executable, "-c", code], "  packages")


# ---- the stamp ------------------------------------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A small clone: the set-up files, pyproject, one lesson; a .venv of nothing but Python, in step."""
    root = tmp_path / "clone"
    (root / "minipar").mkdir(parents=True)
    for name in (*SETUP_FILES, "_lab", "_browser"):
        shutil.copy(ROOT / "minipar" / f"{name}.py", root / "minipar")
    for path in ("minipar/constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / path, root / path)
    (root / "notebooks").mkdir()
    (root / "notebooks/index.ipynb").write_text('{"cells": [], "metadata": {}}')
    venv.create(root / ".venv", with_pip=False, symlinks=True)
    _setup.write_stamp(root / ".venv", {"test"}, root)
    return root


def minipar_in(root, *words, **environment):
    """Run `python -m minipar` in a clone with this Python, as somebody on a bare machine would."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MINIPAR_", "PYTHONPATH"))}
    return subprocess.run(
        [sys.executable, "-m", "minipar", *words],
        cwd=root, env={**kept, "CI": "1", **environment}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_stamp_notices_every_change(clone):
    home = clone / ".venv"
    assert _setup.in_step(home, "", clone) and _setup.in_step(home, "test", clone)
    _setup.write_stamp(home, set(), clone)
    assert _setup.in_step(home, "", clone) and not _setup.in_step(home, "test", clone)
    with (clone / "pyproject.toml").open("a") as file:
        file.write("# a pull changed this\n")
    assert not _setup.in_step(home, "", clone)
    _setup.write_stamp(home, set(), clone)
    (home / _setup.STAMP).write_text("{damaged")
    assert not _setup.in_step(home, "", clone)
    _setup.write_stamp(home, set(), clone)
    clone.rename(clone.parent / "moved")
    assert not _setup.in_step(clone.parent / "moved/.venv", "", clone.parent / "moved")
    assert not _setup.usable(clone.parent / "moved/.venv", clone.parent / "moved")


def test_a_cut_off_set_up_leaves_no_stamp_and_the_next_run_repairs(clone, monkeypatch, capsys):
    steps = []
    (next((clone / ".venv").glob("lib/*/site-packages")) / "pip.py").touch()
    assert _setup.usable(clone / ".venv", clone)
    monkeypatch.setattr(_setup, "make_venv", lambda python, home, root: steps.append("venv"))
    monkeypatch.setattr(_setup, "install_torch", lambda home: steps.append("torch"))

    def interrupted(command, title, folder="."):
        raise KeyboardInterrupt

    monkeypatch.setattr(_setup, "run_installer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _setup.make(clone / ".venv", "", clone)
    assert not _setup.in_step(clone / ".venv", "", clone)
    assert not _setup.usable(clone / ".venv", clone), "a package may be half there, whatever pip thinks"
    monkeypatch.setattr(_setup, "run_installer", lambda command, title, folder=".": steps.append(str(command[-1])))
    _setup.make(clone / ".venv", "test", clone)
    assert _setup.in_step(clone / ".venv", "test", clone) and not (clone / ".venv" / _setup.UNFINISHED).exists()
    assert steps == ["torch", "venv", "torch", ".[test]"]


def test_ctrl_c_is_one_sentence(monkeypatch, capsys):
    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(front, "dispatch", interrupted)
    assert front.main(["lab"]) == 130
    assert "stopped; the same command takes it up again" in capsys.readouterr().err


def test_a_failing_pip_is_one_sentence(clone, monkeypatch):
    def failing(command, title, folder="."):
        raise _installer.PipFailed(["Retrying", "ERROR: Could not find a version"])

    monkeypatch.setattr(_setup, "make_venv", lambda python, home, root: None)
    monkeypatch.setattr(_setup, "install_torch", lambda home: None)
    monkeypatch.setattr(_setup, "run_installer", failing)
    with pytest.raises(
        Refusal, match=r"pip could not install .* network.*\n  Retrying\n  ERROR: Could not find a version$"
    ):
        _setup.make(clone / ".venv", "", clone)
    assert not _setup.in_step(clone / ".venv", "", clone)


# ---- two at once, nowhere to write ----------------------------------------------------------------------------------


def test_the_second_set_up_waits_for_the_first(clone):
    lock = clone / ".venv.lock"
    hold = (
        "import sys; from pathlib import Path; from minipar import _setup\n"
        f"with _setup.one_at_a_time(Path({str(lock)!r})):\n"
        "    print('held', flush=True); sys.stdin.readline()\nprint('mine', flush=True)"
    )
    command = [sys.executable, "-c", hold]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, **pipes) as first, subprocess.Popen(command, **pipes) as second:
        told = [first.stdout.readline(), second.stdout.readline()]
        assert any(line.startswith("minipar: another set-up is at work in this folder; waiting") for line in told)
        waiting, holder = (second, first) if "held" in told[0] else (first, second)
        holder.communicate("\n", timeout=60)
        out, _ = waiting.communicate("\n", timeout=60)
        assert "held\nmine" in out


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    with (
        pytest.raises(Refusal, match="cannot write in .* put the clone into a folder of your own"),
        _setup.one_at_a_time(tmp_path / "absent" / ".venv.lock"),
    ):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match="cannot write the lessons to"):
        _lessons.copy_lessons(tmp_path / "file")


# ---- the hand-over, for real ----------------------------------------------------------------------------------------


def test_lab_goes_on_inside_venv(clone):
    purelib = next((clone / ".venv").glob("lib/*/site-packages"))
    (purelib / "jupyterlab.py").write_text(
        "import sys, os\nprint(sys.prefix, *sys.argv[1:], os.environ.get('MINIPAR_WORKERS'))"
    )
    done = minipar_in(clone, "lab", "--no-browser", "--workers", "2", "--LabApp.collaborative=True")
    assert done.returncode == 0, done.stderr
    prefix, *words, workers = done.stdout.splitlines()[-1].split()
    assert os.path.realpath(prefix) == os.path.realpath(clone / ".venv")
    assert "--ServerApp.ip=127.0.0.1" in words and "--no-browser" in words
    assert "--LabApp.default_url=/lab/tree/index.ipynb" in words
    assert f"--ServerApp.root_dir={clone / 'my-lessons'}" in words
    assert words[-1] == "--LabApp.collaborative=True" and workers == "2"
    assert "1 notebook copied to" in done.stdout


def test_author_opens_the_lessons_themselves(clone):
    purelib = next((clone / ".venv").glob("lib/*/site-packages"))
    (purelib / "jupyterlab.py").write_text("import sys\nprint(*sys.argv[1:])")
    words = minipar_in(clone, "lab", "--author", "--no-browser").stdout.splitlines()[-1].split()
    assert f"--ServerApp.root_dir={clone}" in words and "--LabApp.default_url=/lab/tree/notebooks/index.ipynb" in words
    assert not (clone / "my-lessons").exists()


def test_a_module_of_the_learners_own_does_not_break_the_server(clone):
    """-P keeps the current folder off the server's path: html.py in it must not shadow Python's own."""
    purelib = next((clone / ".venv").glob("lib/*/site-packages"))
    (purelib / "jupyterlab.py").write_text("import html\nprint(html.escape('<'))")
    (clone / "html.py").write_text("raise RuntimeError('shadowed')")
    assert minipar_in(clone, "lab", "--no-browser").stdout.splitlines()[-1] == "&lt;"


def test_doctor_installs_nothing(clone):
    shutil.rmtree(clone / ".venv")
    before = sorted(path.name for path in clone.iterdir())
    done = minipar_in(clone, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^note  environment .*`python3 -m minipar lab`|^ok    environment", done.stdout, re.M)
    assert sorted(path.name for path in clone.iterdir()) == before


@pytest.mark.slow
def test_without_any_index_the_first_run_ends_in_a_sentence(clone):
    shutil.rmtree(clone / ".venv")
    nothing = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "UV_OFFLINE": "1"}
    done = minipar_in(clone, "lab", MINIPAR_TORCH="cpu", UV_NO_CONFIG="1", UV_FIND_LINKS="", **nothing)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith(("minipar: no CPU build of torch", "minipar: pip could not install torch"))
    assert not (clone / ".venv" / _setup.STAMP).exists()


# ---- lab and test ---------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_one_sentence():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(Refusal, match=f"port {port} of 127.0.0.1 is already in use; leave --port out"):
            front.choose_port(port)
        assert front.choose_port(None) != port


def test_one_pytest_run_over_everything():
    words = front.test_words([])
    assert words[:2] == ["tests", "notebooks"] and "--nbval" in words and "--nbval-lax" not in words
    assert "--nbval-sanitize-with=tests/nbval_sanitize.cfg" in words
    assert words[words.index("-n") + 1] == "2" and words[words.index("--dist") + 1] == "loadfile"
    assert front.test_words(["-x", "-k", "deadlock"])[:2] == ["tests", "notebooks"]
    one = front.test_words(["tests/test_setup.py::test_satisfies"])
    assert "tests" not in one and "-n" not in one


def test_test_has_its_own_progress_file_and_short_paces(monkeypatch):
    seen = {}

    def pytest_main(name, **_):
        seen.update(os.environ, argv=sys.argv, there=Path(os.environ["MINIPAR_STATE"]).is_dir())
        raise SystemExit(3)

    monkeypatch.setattr(front.runpy, "run_module", pytest_main)
    for name in ("MINIPAR_STATE", "MINIPAR_PACE"):
        monkeypatch.setenv(name, "before")
    monkeypatch.setattr(sys, "argv", [])
    assert front.test(["-k", "x"]) == 3
    assert seen["MINIPAR_PACE"] == "fast" and seen["there"] and not Path(seen["MINIPAR_STATE"]).exists()
    assert seen["argv"][-2:] == ["-k", "x"]


# ---- in step --------------------------------------------------------------------------------------------------------


def names_and_ranges(lines):
    return dict(re.match(r"([A-Za-z0-9_.-]+)\s*(.*)", line).groups() for line in lines)


def test_constraints_pin_everything_asked_for_within_its_range():
    asked = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    for name, bounds in names_and_ranges(asked).items():
        assert name in PINS, f"{name} has no pin"
        assert _python.satisfies(PINS[name], bounds), f"{name}: {PINS[name]} is outside {bounds}"


def test_constraints_hold_versions_and_nothing_else():
    for line in _installer.CONSTRAINTS.read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[a-z0-9-]+==[0-9][0-9.]*( ; .+)?", line), line
    assert not [name for name in PINS if name.startswith(("nvidia", "cuda", "triton"))]


def test_environment_yml_asks_for_the_same():
    text = (ROOT / "environment.yml").read_text()
    lines = dict(re.findall(r"(?m)^  - ([a-z]+)([<>=].*)$", text))
    assert lines.pop("python") == PROJECT["requires-python"] + ",<3.15"
    lines["torch"] = lines.pop("pytorch")  # conda-forge's name for it
    assert lines == names_and_ranges(PROJECT["dependencies"])
    assert "- -e .[test]" in text


def test_python_versions_are_the_same_everywhere():
    readme = (ROOT / "README.md").read_text()
    assert PROJECT["requires-python"] == ">=3.11" and _python.OLDEST == (3, 11) and _python.NEWEST == (3, 14)
    assert f"Python {_python.span()}" in readme


def test_readme_and_the_commands_agree():
    readme = (ROOT / "README.md").read_text()
    for words in ("lab", "test", "doctor", "lab --fresh 05"):
        assert f"python3 -m minipar {words}" in readme
    for option in ("--port", "--no-browser", "--workers", "--author"):
        assert option in readme and option in front.parser().format_help() + lab_help()
    for variable in ("MINIPAR_TORCH=any", "MINIPAR_TORCH=cpu"):
        assert variable in readme


def lab_help():
    done = subprocess.run([sys.executable, "-m", "minipar", "lab", "-h"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout


def test_ci_runs_the_one_command():
    path = ROOT / ".ci/run"
    text = path.read_text()
    assert os.access(path, os.X_OK) and text.startswith("#!/usr/bin/env bash") and len(text.splitlines()) <= 12
    assert text.rstrip().splitlines()[-1] == 'exec python3 -m minipar test "$@"'
    assert "PYTHONUNBUFFERED=1" in text

"""Do learners get copies that are theirs: without answers, never overwritten, the same from a wheel as from a clone?"""

import json
import os
import re
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from minipar import __main__ as front
from minipar import _lessons
from minipar._python import ROOT, Refusal


def write_lesson(path, source="1 + 1"):
    output = {"output_type": "execute_result", "data": {"text/plain": "2"}, "metadata": {}, "execution_count": 1}
    cells = [
        {"id": "head", "cell_type": "markdown", "metadata": {}, "source": ["![house](../assets/house.svg)\n", "text"]},
        {"id": "stub", "cell_type": "code", "metadata": {"tags": ["x"], "execution": {"time": 1}}, "source": [source],
         "outputs": [output], "execution_count": 1},
    ]  # fmt: skip
    path.write_text(json.dumps({"cells": cells, "metadata": {"widgets": {}}, "nbformat": 4, "nbformat_minor": 5}))


@pytest.fixture
def course(tmp_path):
    source = tmp_path / "course"
    (source / "notebooks/solutions").mkdir(parents=True)
    (source / "notebooks/solutions/05_one.py").write_text("answer = 42")
    (source / "assets").mkdir()
    (source / "assets/house.svg").write_text("<svg/>")
    for name in ("index", "04_gpipe", "05_one"):
        write_lesson(source / f"notebooks/{name}.ipynb")
    return source


def test_copies_carry_no_outputs_and_no_answers(course, tmp_path):
    mine = tmp_path / "mine"
    assert _lessons.copy_lessons(mine, source=course) == [f"3 notebooks copied to {mine}"]
    head, stub = json.loads((mine / "05_one.ipynb").read_text())["cells"]
    assert (stub["outputs"], stub["execution_count"], stub["metadata"]) == ([], None, {"tags": ["x"]})
    assert head["source"] == ["![house](assets/house.svg)\n", "text"] and (mine / "assets/house.svg").exists()
    assert not list(mine.rglob("*.py")), "solutions stay where they are"
    assert _lessons.copy_lessons(mine, source=course) == []


def test_a_changed_copy_is_never_overwritten_and_an_unchanged_one_follows(course, tmp_path):
    mine = tmp_path / "mine"
    _lessons.copy_lessons(mine, source=course)
    (mine / "04_gpipe.ipynb").write_text("my work")
    assert _lessons.copy_lessons(mine, source=course) == []
    for name in ("04_gpipe", "05_one"):
        write_lesson(course / f"notebooks/{name}.ipynb", "2 + 2")
    assert _lessons.copy_lessons(mine, source=course) == [
        f"1 notebook copied to {mine}",
        "the course has newer versions of 04_gpipe; yours are kept (--fresh NN renews one)",
    ]
    assert (mine / "04_gpipe.ipynb").read_text() == "my work"
    assert "2 + 2" in (mine / "05_one.ipynb").read_text()


def test_what_lab_adds_on_opening_is_no_change_but_a_result_is(course, tmp_path):
    mine = tmp_path / "mine"
    _lessons.copy_lessons(mine, source=course)
    opened, run = mine / "04_gpipe.ipynb", mine / "05_one.ipynb"
    for path in (opened, run):
        notebook = json.loads(path.read_text())
        notebook["metadata"]["language_info"] = {"name": "python"}
        if path == run:
            notebook["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["2\n"]}]
        path.write_text(json.dumps(notebook))
        write_lesson(course / f"notebooks/{path.name}", "2 + 2")
    _lessons.copy_lessons(mine, source=course)
    assert "2 + 2" in opened.read_text() and "2 + 2" not in run.read_text()


def test_without_its_memory_nothing_is_overwritten(course, tmp_path):
    mine = tmp_path / "mine"
    _lessons.copy_lessons(mine, source=course)
    (mine / "04_gpipe.ipynb").write_text("my work")
    (mine / _lessons.MANIFEST).write_text("{damaged")
    _lessons.copy_lessons(mine, source=course)
    assert (mine / "04_gpipe.ipynb").read_text() == "my work"


@pytest.mark.parametrize("word", ["05", "5", "05_one", "05_one.ipynb"])
def test_fresh_renews_one_lesson_and_keeps_the_old(course, tmp_path, word):
    mine = tmp_path / "mine"
    _lessons.copy_lessons(mine, source=course)
    (mine / "05_one.ipynb").write_text("my work")
    (mine / "04_gpipe.ipynb").write_text("my other work")
    lines = _lessons.copy_lessons(mine, [word], source=course)
    kept = list(mine.glob("05_one_kept_*.ipynb"))
    assert [path.read_text() for path in kept] == ["my work"]
    assert lines[0] == f"05_one.ipynb is new again; yours is kept as {kept[0].name}"
    assert "1 + 1" in (mine / "05_one.ipynb").read_text()
    assert (mine / "04_gpipe.ipynb").read_text() == "my other work"


@pytest.mark.parametrize(("word", "name"), [("05", "05_one"), ("5", "05_one"), ("05b", "05b_two"), ("5b", "05b_two")])
def test_a_side_lesson_has_a_name_of_its_own(word, name):
    names = ["05_one.ipynb", "05b_two.ipynb", "15_other.ipynb", "index.ipynb"]
    assert _lessons.chosen(names, [word]) == {f"{name}.ipynb"}


def test_fresh_refuses_a_lesson_that_is_not_there(course, tmp_path):
    with pytest.raises(Refusal, match=r"no lesson '17' to renew; there are 04_gpipe, 05_one, index\."):
        _lessons.copy_lessons(tmp_path / "mine", ["17"], source=course)


def test_my_lessons_lie_in_the_clone_or_else_here(tmp_path):
    assert _lessons.own_folder(here=ROOT / "tests") == ROOT / "my-lessons"
    assert _lessons.own_folder(here=tmp_path) == tmp_path / "my-lessons"
    ignored = subprocess.run(["git", "check-ignore", "my-lessons/index.ipynb"], cwd=ROOT, capture_output=True)
    assert ignored.returncode in (0, 128), "128: no git here"


# ---- the wheel ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_wheel_holds_lessons_and_package_data(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    data = [
        p.relative_to(ROOT).as_posix()
        for p in (ROOT / "minipar").rglob("*")
        if p.suffix in (".js", ".css", ".txt", ".json")
    ]
    assert "minipar/view/timeline.js" in data and set(data) <= inside
    for lesson in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"minipar/_course/notebooks/{lesson.name}" in inside
    for solution in (ROOT / "notebooks/solutions").glob("*.py"):
        assert f"minipar/_course/notebooks/solutions/{solution.name}" in inside
    assert not [name for name in inside if ".ipynb_checkpoints" in name or "__pycache__" in name or "tests" in name]


@pytest.mark.slow
def test_lab_from_a_wheel_somewhere_else(wheel, tmp_path):
    """In a fresh environment (its packages borrowed from this one) and an empty folder: the lessons are served."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    purelib = next((tmp_path / "env").glob("lib/*/site-packages"))
    zipfile.ZipFile(wheel).extractall(purelib)
    (purelib / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    here = tmp_path / "here"
    here.mkdir()
    share = Path(sys.prefix, "share", "jupyter")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "JUPYTER", "MINIPAR"))}
    environment.update(JUPYTERLAB_DIR=str(share / "lab"), JUPYTER_PATH=str(share), IPYTHONDIR=str(tmp_path / "ipython"))
    environment.update({f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "DATA", "RUNTIME")})
    log = tmp_path / "log"
    command = [
        tmp_path / "env/bin/python",
        "-m",
        "minipar",
        "lab",
        "--no-browser",
        "--port",
        str(front.choose_port(None)),
    ]
    with log.open("w") as out, subprocess.Popen(command, cwd=here, env=environment, stdout=out, stderr=out) as server:
        try:
            address = wait_for_address(log, server)
            where, token = re.fullmatch(
                r"(http://127\.0\.0\.1:\d+)/lab(?:/tree/index\.ipynb)?\?token=(\w+)", address
            ).groups()
            with urllib.request.urlopen(f"{where}/api/contents?token={token}", timeout=30) as answer:
                served = {entry["name"] for entry in json.load(answer)["content"]}
            setting = f"{where}/lab/api/settings/@jupyterlab/apputils-extension:notification?token={token}"
            with urllib.request.urlopen(setting, timeout=30) as answer:
                assert json.load(answer)["schema"]["properties"]["fetchNews"]["default"] == "false"
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(f"{where}/api/contents", timeout=30)
        finally:
            server.terminate()
            server.wait(30)
    assert {path.name for path in (ROOT / "notebooks").glob("*.ipynb")} <= served
    assert str(here / "my-lessons") in log.read_text()


def wait_for_address(log, server, seconds=60):
    for _ in range(seconds * 5):
        found = re.search(r"http://127\.0\.0\.1:\S+token=\w+", log.read_text())
        if found:
            return found.group()
        assert server.poll() is None, log.read_text()
        time.sleep(0.2)
    pytest.fail(f"no address within {seconds} s:\n{log.read_text()}")

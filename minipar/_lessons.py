"""Where are the learner's own copies of the lessons, and which of them may be renewed?

    notebooks/04_gpipe.ipynb   (with outputs: tested, and they give the answers away)
        |  outputs removed
        v
    my-lessons/04_gpipe.ipynb  the learner's; once it differs from what was copied, it is never overwritten

A hidden file in my-lessons remembers the hash of each copy, so "differs" is exact.  Standard library only, and it must
parse on Python 3.8 (see _setup.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path

from minipar._python import ROOT, Refusal, is_clone

FOLDER = "my-lessons"
MANIFEST = ".minipar-lessons.json"
FIRST = "index.ipynb"


def course(root=ROOT):
    """The folder that holds notebooks/ and assets/: the clone, or minipar/_course/ in an installed wheel."""
    return root if is_clone(root) else root / "minipar" / "_course"


def own_folder(root=ROOT, here=None):
    """my-lessons: beside the course when called from within the clone, else in the current folder."""
    here = Path.cwd() if here is None else here
    within = is_clone(root) and (here == root or root in here.parents)
    return (root if within else here) / FOLDER


def stripped(text):
    """A notebook as a learner first sees it: no outputs, no counts, drawings looked for in assets/ beside it."""
    notebook = json.loads(text)
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
            cell["metadata"].pop("execution", None)
        else:
            whole = "".join(cell["source"]).replace("../assets/", "assets/")
            cell["source"] = whole.splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def digest(data):
    """The hash that the hidden file keeps: of what a learner can change or make, not of the whole file.

    Lab marks a notebook as unsaved as soon as it is opened, and saves it with metadata of its own; that is no work of
    the learner's.  An edit is, and so is a result.
    """
    try:
        cells = json.loads(data.decode("utf-8"))["cells"]
        made = [[cell["cell_type"], "".join(cell["source"]), cell.get("outputs", [])] for cell in cells]
        data = json.dumps(made, sort_keys=True).encode("utf-8")
    except (ValueError, KeyError, TypeError):
        pass  # no notebook (any more): the bytes count
    return hashlib.sha256(data).hexdigest()


def read_manifest(folder):
    """{file name: hash of what was copied}; empty when there is none or it is damaged."""
    try:
        return dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def write(path, data):
    """Write a file whole or not at all."""
    partial = path.with_name("." + path.name + ".partial")
    partial.write_bytes(data)
    os.replace(str(partial), str(path))


def chosen(names, fresh):
    """The file names that `--fresh` means: '05', '5', '7b', '05_one_f_one_b' or the file's own name."""
    found = set()
    for word in fresh:
        stem = word[: -len(".ipynb")] if word.endswith(".ipynb") else word
        number = "0" + stem if re.match(r"\d[a-z]?$", stem) else stem
        match = [name for name in names if name == stem + ".ipynb" or name.split("_")[0] == number]
        if not match:
            stems = ", ".join(name[: -len(".ipynb")] for name in names)
            raise Refusal(f"there is no lesson {word!r} to renew; there are {stems}.")
        found.update(match)
    return found


def keep_aside(path):
    """Give a learner's file a name that says what it is, and return that name."""
    kept = path.with_name(f"{path.stem}_kept_{time.strftime('%Y-%m-%d_%H-%M-%S')}{path.suffix}")
    os.replace(str(path), str(kept))
    return kept.name


def copy_lessons(folder, fresh=(), source=None):
    """Bring `folder` up to date with the course; returns one line for each thing worth saying.

    A file that is not there is copied; one that the learner never changed follows the course; a changed one is left
    alone, unless `fresh` names it: then it is kept beside the new one.
    """
    source = course() if source is None else source
    lessons = sorted((source / "notebooks").glob("*.ipynb"))
    wanted = chosen([path.name for path in lessons], fresh)
    lines, copied, newer = [], 0, []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        manifest = read_manifest(folder)
        for lesson in lessons:
            data = stripped(lesson.read_text(encoding="utf-8")).encode("utf-8")
            mine = folder / lesson.name
            there = mine.read_bytes() if mine.exists() else None
            changed = there is not None and digest(there) not in (digest(data), manifest.get(lesson.name))
            if changed and lesson.name not in wanted:
                if manifest.get(lesson.name) != digest(data):
                    newer.append(lesson.stem)
                continue
            if changed:
                lines.append(f"{lesson.name} is new again; yours is kept as {keep_aside(mine)}")
            if there is None or digest(there) != digest(data):
                write(mine, data)
                copied += 1
            manifest[lesson.name] = digest(data)
        write(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode("utf-8"))
        if (source / "assets").is_dir():
            shutil.copytree(str(source / "assets"), str(folder / "assets"), dirs_exist_ok=True)
    except OSError as error:
        raise Refusal(
            f"cannot write the lessons to {folder} ({error.strerror}); run minipar from a folder that you may write to."
        ) from None
    if copied:
        lines.append(f"{copied} notebook{'s' if copied > 1 else ''} copied to {folder}")
    if newer:
        lines.append(f"the course has newer versions of {', '.join(newer)}; yours are kept (--fresh NN renews one)")
    return lines

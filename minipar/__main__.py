"""What can a person do with minipar from a terminal?

    python3 -m minipar lab       lessons in JupyterLab; the first run sets everything up
    python3 -m minipar test      every test; further words go to pytest
    python3 -m minipar doctor    what is wrong with this machine, if anything
    python3 -m minipar render    run the lessons in a real JupyterLab and save them with outputs (for authors)

Standard library only, and it must parse on Python 3.8 (see _setup.py).
"""

from __future__ import annotations

import argparse
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from minipar import _lessons, _setup
from minipar._python import ROOT, Refusal, is_clone

INTERRUPTED = 130
LAB_DEFAULTS = Path(__file__).resolve().parent / "_jupyter"  # no question about news, no request to a web site


def parser():
    """The words that `minipar` understands."""
    top = argparse.ArgumentParser(prog="minipar", description="Learn model parallelism: plan it, run it, see it.")
    commands = top.add_subparsers(dest="command", metavar="lab | test | doctor | render")
    lab = commands.add_parser(
        "lab",
        help="open the lessons in JupyterLab; the first run sets everything up",
        epilog="Everything else is handed to JupyterLab.",
        allow_abbrev=False,
    )
    lab.add_argument("--fresh", action="append", default=[], metavar="NN", help="renew lesson NN, keep yours beside it")
    lab.add_argument("--author", action="store_true", help="open the clone's notebooks/ itself, not a copy")
    lab.add_argument("--port", type=int, help="the port on 127.0.0.1 (else the first free one from 8888)")
    lab.add_argument("--no-browser", action="store_true", help="print the address instead of opening a browser")
    lab.add_argument("--workers", type=int, metavar="N", help="start at most N worker processes (MINIPAR_WORKERS)")
    for name, text in (
        ("test", "every test: unit, processes, notebooks, browser; further words go to pytest"),
        ("doctor", "say what is wrong with this machine, if anything"),
        ("render", "for authors: run the lessons and save them with outputs"),
    ):
        commands.add_parser(name, help=text, add_help=name == "doctor", allow_abbrev=False)
    return top


# ---- lab -------------------------------------------------------------------------------------------------------------


def is_free(port):
    """True when nobody listens on this port of the loopback device."""
    with socket.socket() as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def choose_port(asked):
    """The port asked for, or a Refusal when it is taken; else the first free one from 8888."""
    if asked is not None:
        if not is_free(asked):
            raise Refusal(f"port {asked} of 127.0.0.1 is already in use; leave --port out or name another.")
        return asked
    for port in range(8888, 8988):
        if is_free(port):
            return port
    raise Refusal("no free port between 8888 and 8987 on 127.0.0.1; name one with --port.")


def lab_command(folder, first, port, browser, rest):
    """The words that start JupyterLab on the course map.  -P: a learner's html.py must not shadow Python's own."""
    where = "/lab/tree/" + first if (folder / first).exists() else "/lab"
    return [
        sys.executable, "-P", "-m", "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--LabApp.default_url={where}",
        *([] if browser else ["--no-browser"]),
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),  # containers
        *rest,
    ]  # fmt: skip


def lab(options, rest):
    """Bring the lessons up to date and hand over to JupyterLab."""
    port = choose_port(options.port)
    if options.author:
        if not is_clone():
            raise Refusal("--author edits the lessons themselves and needs a clone of the project.")
        folder, first = ROOT, "notebooks/" + _lessons.FIRST  # served from above, so that drawings in assets/ show
    else:
        folder, first = _lessons.own_folder(), _lessons.FIRST
        for line in _lessons.copy_lessons(folder, options.fresh):
            _setup.say(line)
    paths = [str(LAB_DEFAULTS), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
    if options.workers:
        os.environ["MINIPAR_WORKERS"] = str(options.workers)
    _setup.say(f"JupyterLab starts with the lessons in {(folder / first).parent}; Ctrl-C here ends it")
    command = lab_command(folder, first, port, not options.no_browser, rest)
    sys.stdout.flush()
    if os.name == "nt":
        return subprocess.call(command)
    os.execv(command[0], command)


# ---- test ------------------------------------------------------------------------------------------------------------


def test_words(rest, root=ROOT):
    """The words for pytest: everything, in two processes file by file, or only the files and folders that are named."""
    named = [word for word in rest if not word.startswith("-") and (root / word.split("::")[0]).exists()]
    beside = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    return [
        *([] if named else ["tests", "notebooks", *beside]),
        "--nbval",
        "--nbval-current-env",
        "--nbval-sanitize-with=tests/nbval_sanitize.cfg",
        "--nbval-cell-timeout=120",
        *rest,
    ]


def test(rest):
    """One pytest run over everything, with a progress file of its own and short paces."""
    if not is_clone():
        raise Refusal("the tests are in the clone of the project, not in the installed package.")
    os.chdir(str(ROOT))
    os.environ["MINIPAR_PACE"] = "fast"
    with tempfile.TemporaryDirectory(prefix="minipar-") as state:
        os.environ["MINIPAR_STATE"] = state
        sys.argv = ["pytest", *test_words(rest)]
        try:
            runpy.run_module("pytest", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            return end.code
    return 0


# ---- the front door --------------------------------------------------------------------------------------------------


def dispatch(words):
    """Run one command; returns its exit code."""
    options, rest = parser().parse_known_args(words)
    if options.command in ("test", "render"):
        rest = list(words[1:])  # in the order in which they were typed
    if options.command in ("lab", "test", "render"):
        _setup.enter("" if options.command == "lab" else "test", words)
    elif options.command == "doctor":
        _setup.enter_if_there(words)
    if options.command == "lab":
        return lab(options, rest)
    if options.command == "test":
        return test(rest)
    if options.command == "render":
        from minipar import _render

        return _render.main(rest)
    if options.command == "doctor":
        from minipar import _doctor

        return _doctor.main()
    parser().print_help()
    return 2


def main(words=None):
    """The entry point of `minipar` and `python3 -m minipar`."""
    words = sys.argv[1:] if words is None else words
    try:
        return dispatch(words)
    except Refusal as refusal:
        print(f"minipar: {refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nminipar: stopped; the same command takes it up again.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # somebody closed the pipe we print to, as in `doctor | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())

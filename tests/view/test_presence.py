"""Is somebody there? Asked of a real kernel, in each of the ways in which a cell can be sent to one."""

import os
import subprocess
import sys

import pytest
from jupyter_client.manager import start_new_kernel
from plotly.graph_objects import Figure

from minipar.view import presence

QUESTION = "from minipar.view.presence import somebody_there\nprint(somebody_there())"


def answer(client, allow_stdin):
    said = []
    hook = lambda message: said.append(message["content"].get("text"))  # noqa: E731
    client.execute_interactive(QUESTION, allow_stdin=allow_stdin, timeout=60, output_hook=hook)
    return "".join(text for text in said if text).strip()


@pytest.fixture(scope="module")
def kernel():
    environment = {key: value for key, value in os.environ.items() if key != "MINIPAR_UNATTENDED"}
    manager, client = start_new_kernel(kernel_name="python3", env=environment)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_front_end_that_can_ask_has_somebody(kernel):
    assert answer(kernel, allow_stdin=True) == "True"


def test_a_runner_of_notebooks_has_nobody(kernel):
    assert answer(kernel, allow_stdin=False) == "False"


def test_the_switch_overrides_it(kernel):
    kernel.execute_interactive("import os; os.environ['MINIPAR_UNATTENDED'] = '1'", timeout=60)
    assert answer(kernel, allow_stdin=True) == "False"
    kernel.execute_interactive("del os.environ['MINIPAR_UNATTENDED']", timeout=60)


def test_a_plain_script_has_nobody():
    done = subprocess.run([sys.executable, "-c", QUESTION], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_figure_in_front_of_somebody_keeps_its_height_when_the_theme_changes(monkeypatch):
    figure = Figure()
    for there, responsive in ((True, False), (False, True)):
        monkeypatch.setattr(presence, "somebody_there", lambda there=there: there)
        assert presence.plain_bundle("words", figure)[presence.PLOTLY]["config"]["responsive"] is responsive

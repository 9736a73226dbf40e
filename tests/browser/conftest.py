"""What do the browser tests share?  One JupyterLab on a learner's copy of the lessons, and one Chromium."""

import shutil
from pathlib import Path

import nbformat
import pytest

from minipar.__main__ import LAB_DEFAULTS
from minipar._browser import LabBrowser
from minipar._lab import LabServer
from minipar._lessons import copy_lessons
from tests.browser.lab import LearnerPage, notebook, require_browser

HERE = Path(__file__).parent
AS_A_LEARNER = {"MINIPAR_UNATTENDED": "", "MINIPAR_PACE": ""}


def pytest_collection_modifyitems(items):
    """Mark this folder's tests as browser tests."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests: skipped on a laptop that has none, an error where CI is set."""
    require_browser()
    with LabBrowser() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    """JupyterLab on a learner's folder, the lessons in it as `minipar lab` copies them; `state` is for the progress."""
    folder = tmp_path_factory.mktemp("learner")
    copy_lessons(folder)
    state = tmp_path_factory.mktemp("state")
    environment = {**AS_A_LEARNER, "MINIPAR_STATE": str(state), "JUPYTER_CONFIG_PATH": str(LAB_DEFAULTS)}
    with LabServer(folder, environment) as server:
        server.state = state
        yield server


@pytest.fixture
def open_notebook(lab, browser, request):
    """Open a notebook in Lab: a list of cells (see tests.browser.lab.notebook), a file, or a lesson's name.

    Each starts with nothing answered. Pages and kernels end with the test.
    """
    pages = []

    def open_(what):
        shutil.rmtree(lab.state, ignore_errors=True)
        if isinstance(what, str):
            path = what
        else:
            made = nbformat.read(what, 4) if isinstance(what, Path) else notebook(what)
            path = f"{request.node.originalname}_{len(pages)}.ipynb"
            nbformat.write(made, lab.root / path)
        pages.append(browser.open(lab, path, LearnerPage))
        return pages[-1]

    yield open_
    for page in pages:
        page.close()


@pytest.fixture
def page(open_notebook, request):
    """The cells that a test file calls CELLS, open in Lab, run and drawn; fresh for each test."""
    page = open_notebook(request.module.CELLS)
    page.run_all()
    page.wait_drawn()
    return page

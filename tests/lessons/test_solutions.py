"""Can each lesson be solved, and does each listed wrong answer meet its own sentence?

Each notebook is run once, in a temporary copy: its solutions in place of the stubs, then every mistake and the check
cell again. What learners see is the notebook as given; nbval and tests/browser run that.
"""

import os
import shutil

import nbclient
import pytest

from tests.lessons.splice import LESSONS, NOTEBOOKS, Mistake, blocks, blocks_of, printed, read, solved, with_mistakes


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Run a lesson's notebook, solved and mistaken, once; its cells by id."""
    done = {}

    def play(lesson):
        if lesson not in done:
            folder = tmp_path_factory.mktemp(lesson)
            shutil.copytree(NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns(".*"))
            notebook = with_mistakes(read(lesson), *blocks_of(lesson))
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = [], None
            client = nbclient.NotebookClient(
                notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": folder / "notebooks"}}
            )
            done[lesson] = {cell.id: cell for cell in client.execute(env=variables(folder)).cells}
        return done[lesson]

    return play


def variables(folder):
    """What the kernel's processes see: our minipar, short paces, nobody's progress."""
    path = os.pathsep.join(filter(None, (str(NOTEBOOKS.parent), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "MINIPAR_PACE": "fast", "MINIPAR_STATE": str(folder / "state")}


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS)
def test_solved_the_check_says_right(played, lesson):
    assert printed(played(lesson)["check"]).splitlines()[0] == "Right."


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_stub_has_a_solution(lesson):
    stubs = [cell.id for cell in read(lesson).cells if cell.id.startswith("stub")]
    assert sorted(blocks_of(lesson)[0]) == stubs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lesson", "number"),
    [
        pytest.param(lesson, number, id=f"{lesson}-{mistake.name}")
        for lesson in LESSONS
        for number, mistake in enumerate(blocks_of(lesson)[1])
    ],
)
def test_a_listed_mistake_meets_its_sentence(played, lesson, number):
    mistake = blocks_of(lesson)[1][number]
    said = printed(played(lesson)[f"mistake-{number}-check"])
    assert mistake.sentence and mistake.said_in(said), f"expected the line\n{mistake.sentence}\nthe check said\n{said}"


@pytest.mark.parametrize(
    ("lesson", "count"),
    [("00_devices", 4), ("01_memory", 3), ("02_messages", 6), ("03_layer_split", 4), ("04_gpipe", 4),
     ("05_one_f_one_b", 5), ("06_interleaved", 8), ("07_zero_bubble", 11), ("07b_hangs", 6),
     ("08_columns_rows", 5), ("09_heads_vocabulary", 6), ("11_experts", 5), ("11b_balance", 6)],
)
def test_every_mistake_of_the_storyboard_is_listed(lesson, count):
    assert len(blocks_of(lesson)[1]) >= count


def test_blocks_are_read_and_spliced():
    text = "# %% stub\nx = 1\n\n# %% wrong stub: two\n# says: It is {number},\n# says: not 1.\nx = 2\n"
    solutions, mistakes = blocks(text)
    assert solutions == {"stub": "x = 1"}
    assert mistakes == [Mistake("two", "stub", "x = 2", "It is {number}, not 1.")]
    assert mistakes[0].said_in("Not yet.\nIt is 2, not 1.") and not mistakes[0].said_in("It is 2, not 1. Or is it?")


@pytest.mark.parametrize("line", ["# %%", "# %% wrong stub", "# %% stub: two"])
def test_an_opening_line_that_cannot_be_read_is_refused(line):
    with pytest.raises(ValueError, match="is neither"):
        blocks(f"{line}\nx = 1\n")


def test_a_solution_without_a_cell_is_refused():
    with pytest.raises(KeyError, match="no cell 'stub-9'"):
        solved(read(LESSONS[0]), {"stub-9": "x = 1"})

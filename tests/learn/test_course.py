"""The course map: every lesson with its question, and where to go on."""

import json
from pathlib import Path

import pytest

from minipar import learn
from minipar.learn.course import QUESTIONS, CourseMap
from minipar.learn.lesson import COURSE, lesson

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def test_with_nobody_there_it_has_no_ticks(monkeypatch):
    monkeypatch.setenv("MINIPAR_UNATTENDED", "1")
    assert "✓" not in repr(learn.course())
    assert repr(learn.course()).endswith("Begin here: 00 Devices.")


@pytest.mark.parametrize(
    ("passed", "sentence"),
    [
        ({"00": True}, "Continue here: 01 Memory."),
        ({"01": True}, "Begin here: 00 Devices."),
        (dict.fromkeys(COURSE, True), "All checks have passed. The next lessons are not written yet."),
    ],
)
def test_where_to_go_on(passed, sentence):
    made = CourseMap(passed)
    assert made.sentence == sentence
    assert repr(made).count("✓") == len(passed)


def test_it_links_to_every_lesson():
    shown = CourseMap({})._repr_html_()
    assert all(f"href='{lesson(lesson_id).file}.ipynb'" in shown for lesson_id in COURSE)


@pytest.mark.parametrize("lesson_id", COURSE)
def test_the_minutes_are_those_of_the_lesson(lesson_id):
    notebook = json.loads((NOTEBOOKS / f"{lesson(lesson_id).file}.ipynb").read_text(encoding="utf-8"))
    assert f"{QUESTIONS[lesson_id][1]} minutes" in "".join(notebook["cells"][0]["source"])

"""One file, the learner's own: written in one piece, damaged ones put aside, deletable at any time."""

import os
import sys

from minipar.learn import state
from minipar.learn.lesson import COURSE, Results

progress = sys.modules["minipar.learn.progress"]


def test_the_folder_is_the_users_or_the_one_named(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIPAR_STATE", str(tmp_path))
    assert state.path() == tmp_path / "progress.json"
    monkeypatch.delenv("MINIPAR_STATE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state.path() == tmp_path / ".minipar" / "progress.json"


def test_deleting_the_file_starts_anew(made_up):
    state.update("99", answers=[1])
    state.path().unlink()
    assert state.read() == {} and state.entry("99") == {}


def test_no_half_file_and_nothing_left_beside_it(made_up, monkeypatch):
    state.update("99", answers=[1])
    whole = state.path().read_text()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    state.update("99", answers=[2])
    assert state.path().read_text() == whole
    assert [file.name for file in state.path().parent.iterdir()] == ["progress.json"]
    assert state.entry("99")["answers"] == [2], "kept in this kernel all the same"
    monkeypatch.setattr(state, "_unsaved", {})


def test_a_damaged_file_is_put_aside(made_up):
    state.update("99", answers=[1])
    state.path().write_text('{"version": 1, "less')
    assert state.read() == {}
    assert (state.path().parent / "progress.damaged.json").read_text() == '{"version": 1, "less'


def test_the_table_and_the_line_for_a_teacher(made_up, somebody):
    state.update(
        "00", said=["b) the notebook only"], measured=["4 MB, 0, 0, 0, 0"], right=[True], answered="2026-03-01"
    )
    state.update("00", passed="2026-03-02")
    state.update("01", said=["a) all <four>"], measured=["activations only"], right=[False], answered="2026-03-03")
    table = progress.progress()
    text = repr(table).splitlines()
    assert text[0].split("  ")[0] == "lesson" and len(table.rows) == len(COURSE)
    assert table.rows[0] == ("00 Devices", "b) the notebook only", "4 MB, 0, 0, 0, 0", "yes", "2026-03-02")
    assert table.rows[1][3:] == ("not yet", "2026-03-03") and table.rows[2][1:] == ("–", "–", "not yet", "–")
    passed = f"checks passed 1 of {len(COURSE)} (00)"
    assert table.line == f"minipar: {passed}; predictions confirmed 1 of 2; last 2026-03-03"
    assert "a) all &lt;four&gt;" in table._repr_html_() and "point" not in repr(table)


def test_with_nobody_there_the_table_is_empty(made_up, nobody):
    state.update("00", passed="2026-03-02")
    assert progress.progress().line.startswith("minipar: checks passed 0 of")


def test_results_are_read_by_name():
    results = Results({"a": 1})
    assert results.a == results["a"] == 1
    for wrong, sentence in [(None, "returned nothing"), ([1], "a list"), ({"see": 1}, "'see'")]:
        try:
            Results(wrong)
        except TypeError as error:
            assert sentence in str(error)
        else:
            raise AssertionError(wrong)

"""The editor: a schedule as text with a live picture and sentences while typing."""

import pytest

from minipar.plan.schedules import gpipe, one_f_one_b
from minipar.view.edit import edit, read, tidy


def test_a_sound_text_says_time_idle_share_and_peaks():
    editor = edit(gpipe(3, 4), par=18)
    assert repr(editor) == "Editor(ranks=3, microbatches=4, T = 18 slots, idle 33.3 % of all, peak 4 4 4)"
    assert editor.readout.facts[0] == ["time", "18 slots (par 18 slots)"]
    assert editor.schedule.programs == gpipe(3, 4).programs and editor.sound


def test_typing_reads_the_text_at_every_change():
    editor = edit(gpipe(4, 4), peaks=(4, 3, 2, 1))
    assert editor.readout.facts[2] == ["most in flight, rank 0, 1, …", "4 4 4 4 (wanted 4 3 2 1)"]
    editor.controls["text"].value = str(one_f_one_b(4, 4))
    assert editor.readout.facts[2] == ["most in flight, rank 0, 1, …", "4 3 2 1 (wanted 4 3 2 1)"]
    assert editor.readout.facts[0] == ["time", "21 slots"] and editor.schedule.programs == one_f_one_b(4, 4).programs


def test_a_word_that_is_no_action_is_named_and_the_last_picture_fades():
    editor = edit(gpipe(2, 2))
    before = editor.view.head
    editor.set(text="0F0 0F1 0B0 0B\n1F0 1F1 1B0 1B1")
    assert editor.readout.problem.startswith("Rank 0, word 4: '0B' is no action")
    assert editor.schedule is None and editor.view.head == before and "minipar-stale" in editor.view._dom_classes
    editor.set(text=str(gpipe(2, 2)))
    assert editor.readout.problem == "" and "minipar-stale" not in editor.view._dom_classes


def test_a_stuck_schedule_is_explained_and_drawn_as_far_as_it_runs():
    editor = edit("0F0 0B0 0F1 0B1\n1F1 1F0 1B0 1B1")
    assert editor.readout.problem == (
        "Stuck: rank 0 waits at 0B0 for 1B0; rank 1 waits at 1F1 for 0F1; 0F1 stands behind 0B0."
    )
    assert [str(span.what) for span in editor.trace.spans] == ["0F0"]
    assert editor.view.panels[0].heading == "Not sound yet: 1 of 8 actions run"
    assert editor.schedule is not None and not editor.sound


def test_many_problems_are_cut_to_three_and_counted():
    editor = edit("0F0 0F1 0F2 0F3 0F4\n1F0")
    lines = editor.readout.problem.splitlines()
    assert lines[0] == "0B0 is missing: rank 0 never runs microbatch 0 backward."
    assert len(lines) == 4 and lines[3].startswith("… and ") and lines[3].endswith(" more.")


@pytest.mark.parametrize(
    "text", ["", "   \n ", "0F0\n\n1F0", "F", "0F0 ☃", "9F9", "0W0", "0F0 0F0 0B0", "-1F0", "0F0,0B0"]
)
def test_nothing_that_can_be_typed_raises(text):
    editor = edit(gpipe(2, 2))
    editor.set(text=text)
    assert editor.readout.problem and not editor.error
    assert read(text).sentences


def test_words_stand_under_each_other():
    assert tidy("  0F0 0B10 0F1\n 1F0   1B0 1F1 ") == "0F0  0B10 0F1\n1F0  1B0  1F1"


def test_the_text_area_is_labelled_and_large_enough():
    area = edit(gpipe(4, 4)).controls["text"]
    assert area.rows == 5 and area.tooltip.startswith("the schedule") and "minipar-code" in area._dom_classes

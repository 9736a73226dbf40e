"""A verdict in words: first failing case, one cause; whatever the learner's code does, the kernel lives."""

import contextlib
import sys
import time

import pytest

from minipar.learn import hints, safely, state, verdict


def say(capsys, work):
    verdict.check("99", work)
    return capsys.readouterr().out.splitlines()


def test_right(made_up, nobody, capsys):
    assert say(capsys, lambda xs: [2 * x for x in xs]) == ["Right.", "Every entry came out twice as large."]
    assert not state.path().exists()


def test_the_first_failing_case_and_its_cause(made_up, nobody, capsys):
    assert say(capsys, lambda xs: [2 + x for x in xs]) == [
        "Not yet.",
        "Tried: [1, 2]",
        "Expected: [2, 4]",
        "Got: [3, 4]",
        "You added, the task was to double.",
    ]


def test_an_unknown_cause_is_not_guessed(made_up, nobody, capsys):
    assert say(capsys, lambda xs: None) == ["Not yet.", "Tried: [1, 2]", "Expected: [2, 4]", "Got: None"]


def test_a_cause_that_says_not_yet_stands_first():
    lines = verdict.not_yet("Not yet: all wait.", tried="4 ranks").lines()
    assert lines == ["Not yet: all wait.", "Tried: 4 ranks"]


def stub(xs):
    """Twice each: [1, 2] -> [2, 4]"""
    ...


def half(xs):
    out = []
    for _ in xs:
        ...
    return out


def indexes(xs):
    return xs[..., 0]


def test_dots_left_in_are_not_started(made_up, nobody, capsys):
    assert say(capsys, stub) == ["Not started yet."]
    assert say(capsys, half) == ["Not started yet."]
    assert say(capsys, None) == ["Not started yet."]
    assert not verdict.unfinished(indexes)
    assert verdict.unfinished("0F0 ...") and not verdict.unfinished("0F0 0B0")
    source = "def nowhere(x):\n    'text'\n    ...\ndef somewhere(x):\n    return x + 1"
    exec(compile(source, "<gone>", "exec"), made := {})
    assert verdict.unfinished(made["nowhere"]) and not verdict.unfinished(made["somewhere"])


def raises(xs):
    return xs + 1


def loops(xs):
    while True:
        xs = list(xs)


def swallows(xs):
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.001)


def leaves(xs):
    sys.exit(3)


def digs(xs):
    return digs(xs)


def changes(xs):
    for at in range(len(xs)):
        xs[at] *= 2
    return xs


def generates(xs):
    for x in xs:
        yield 2 * x


@pytest.mark.parametrize(
    ("work", "sentence"),
    [
        (raises, 'raises stopped with TypeError: can only concatenate list (not "int") to list (line'),
        (loops, "loops had not finished after 0.5 s. Does it loop for ever?"),
        (swallows, "swallows had not finished after 0.5 s. Does it loop for ever?"),
        (leaves, "leaves called exit(). Let it return its result instead."),
        (digs, "digs called itself too often: nothing ended the recursion."),
        (lambda: 1, "<lambda> stopped with TypeError:"),
    ],
)
def test_whatever_it_does_it_ends_in_a_sentence(made_up, nobody, capsys, work, sentence):
    first, second = say(capsys, work)[:2]
    assert first == "Not yet."
    assert second.startswith(sentence)
    assert "Traceback" not in second


def test_the_line_at_fault_is_shown(made_up, nobody, capsys):
    assert say(capsys, raises)[1].endswith(": `return xs + 1`)")


def test_copies_go_in(made_up, nobody, capsys):
    mine = [1, 2]
    assert safely.call(changes, mine) == [2, 4] and mine == [1, 2]
    assert say(capsys, changes)[0] == "Right."
    assert say(capsys, generates)[0] == "Right."


def test_the_verdict_is_fast_and_prints_of_the_learner_reach_the_panel(made_up, somebody, capsys):
    def talks(xs):
        print("I see", xs)
        return [2 * x for x in xs]

    before = sys.stdout
    verdict.check("99", talks)
    panel = somebody[-1].children[0]
    assert panel.printed == "I see [1, 2]" and capsys.readouterr().out == ""
    assert sys.stdout is before
    assert panel.verdict[0] == "Right." and panel.verdict[-1] == "Lesson 99 is ticked."
    assert state.entry("99")["passed"] == state.today()


def test_the_learners_own_picture_when_right(made_up, somebody, words_in):
    verdict.check("99", lambda xs: [2 * x for x in xs])
    assert "2 4" in words_in(somebody[-1].children[1])
    assert somebody[-1].children[0].buttons == ["the solution"], "whoever has solved it needs no hint"


def test_hints_and_solution_open_one_by_one(made_up, somebody, words_in, monkeypatch):
    monkeypatch.setattr(hints, "solution", lambda of: "def mine(xs): ...")
    verdict.check("99", stub)
    panel = somebody[-1].children[0]
    assert panel.buttons == ["hint 1", "hint 2", "hint 3", "the solution"] and panel.opened == []
    assert "Look at the sign." not in words_in(somebody[-1])
    for count in range(1, 5):
        panel.does["help"]()
        assert len(panel.opened) == count
    panel.does["help"]()
    assert [name for name, *_ in panel.opened] == ["Hint 1", "Hint 2", "Hint 3", "The solution"]
    assert panel.opened[-1] == ["The solution", "def mine(xs): ...", True]
    assert state.entry("99") == {}, "asking for help leaves no mark"


def test_a_wrong_number_of_works_is_told(made_up, nobody, capsys):
    verdict.check("99")
    assert "wants one thing of yours and was given 0" in capsys.readouterr().out


def test_two_parts_in_order(made_up, nobody, capsys, monkeypatch):
    import dataclasses

    from minipar.learn.lessons import made_up as module

    monkeypatch.setattr(module, "LESSON", dataclasses.replace(made_up, checks=made_up.checks * 2))
    good = changes
    verdict.check("99", good, stub)
    assert capsys.readouterr().out == "Not started yet: stub. Right already: changes.\n"
    verdict.check("99", good, lambda xs: xs)
    assert capsys.readouterr().out.splitlines()[:2] == ["Not yet.", "Right already: changes."]
    verdict.check("99", good, good)
    assert capsys.readouterr().out.splitlines()[0] == "Right."

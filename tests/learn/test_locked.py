"""The table "Locked until answered": one test a state, and the ways between them."""

import json

import pytest

from minipar.learn import predict, runner, state


def experiment():
    return {"total": 42}


def press_and_wait(run):
    run._press_run()
    run._thread.join(10)
    assert not run._thread.is_alive()


def cells(lesson_id="99"):
    """What Run All does in a lesson."""
    predict.ask(lesson_id)
    run = runner.run(lesson_id, experiment)
    return run, run.see(), run.facts(), run.formula(guess=41), run.show(lambda r: f"own {r.total}")


def test_somebody_there_and_not_locked(made_up, somebody, words_in):
    run, *below = cells()
    asked, panel = somebody
    assert not asked.locked and asked.chosen == [-1]
    assert panel.children[0].state == "locked" and panel.children[0].said == "Lock your answer first"
    for box in below:
        assert words_in(box).count("Press Run above: this fills in by itself") == 1
    assert not state.path().exists(), "nothing is written before an answer is locked"
    everything = " ".join(words_in(widget) for widget in [*somebody, *below])
    for given_away in ("Yes, 42.", "One short.", "picture of", "Right"):
        assert given_away not in everything
    run._press_run()
    assert run._thread is None, "a grey Run runs nothing, however it is pressed"


def test_somebody_there_and_locked(made_up, somebody, words_in):
    run, *below = cells()
    asked, panel = somebody
    asked.chosen = [0]
    asked.does["lock"]()
    assert asked.locked and asked.chosen == [0]
    assert panel.children[0].state == "ready"
    assert json.loads(state.path().read_text())["lessons"]["99"]["answers"] == [0]
    for box in below:
        assert "Press Run above" in words_in(box), "empty until run"
    press_and_wait(run)
    assert panel.children[0].state == "done"
    assert panel.children[0].score == [["Not as you predicted.", "You said: a) 41", "Measured: 42", "One short."]]
    for text, box in zip(["a picture of 42", "total", "41", "own 42"], below, strict=True):
        assert text in words_in(box)
    entry = json.loads(state.path().read_text())["lessons"]["99"]
    assert (entry["said"], entry["measured"], entry["right"]) == (["a) 41"], ["42"], [False])


def test_nobody_there(made_up, nobody, capsys):
    run, see, facts, formula, own = cells()
    printed = capsys.readouterr().out
    assert printed == "What is 20 + 22?\n  a) 41\n  b) 42\n  c) 43\nMeasured: 42\na picture of 42\nown 42\n"
    assert repr(facts) == "total: 42\neven: True"
    assert repr(formula) == "     formula  run\nsum  41       42"
    assert (see, own, nobody) == (None, None, [])
    assert run.total == 42
    assert not state.path().exists(), "the progress file is untouched"


def test_a_locked_answer_cannot_be_changed_until_reset(made_up, somebody, capsys, words_in):
    run, *below = cells()
    asked, panel = somebody
    asked.chosen = [2]
    asked.does["lock"]()
    press_and_wait(run)
    asked.chosen = [1]
    asked.does["lock"]()
    predict.ask("99")
    assert somebody[-1].chosen == [2] and somebody[-1].locked
    predict.reset("99")
    assert "answer is forgotten" in capsys.readouterr().out
    assert not asked.locked and asked.chosen == [-1]
    assert panel.children[0].state == "locked" and panel.children[0].score == []
    assert all("Press Run above" in words_in(box) for box in below)


def test_lock_without_a_choice_locks_nothing(made_up, somebody):
    predict.ask("99")
    somebody[0].does["lock"]()
    assert not somebody[0].locked and not state.path().exists()


def test_a_result_before_the_run_is_not_yet_and_never_raises(made_up, somebody):
    run = runner.run("99", experiment)
    early = run.total
    assert repr(early) == "not yet: press Run above, then run this cell again"
    assert f"{early.anything[3](1) / 2:.2f} {round(early)}".startswith("not yet")
    assert list(early) == [] and not early and not (early > 3)


def test_the_picture_stands_under_the_button_until_its_own_cell_was_run(made_up, somebody, words_in):
    state.update("99", answers=[1])
    run = runner.run("99", experiment)
    panel = somebody[-1]
    press_and_wait(run)
    assert "a picture of 42" in words_in(panel.children[1])
    assert "a picture of 42" in words_in(run.see())
    assert panel.children[1].children == ()


def test_running_the_cell_again_keeps_the_places_below(made_up, somebody, words_in):
    state.update("99", answers=[1])
    first = runner.run("99", experiment)
    facts = first.facts()
    again = runner.run("99", lambda: {"total": 7})
    press_and_wait(again)
    assert ">7<" in words_in(facts)


def test_an_experiment_that_raises_becomes_a_sentence_in_the_panel(made_up, somebody):
    state.update("99", answers=[1])

    def broken():
        print("so far so good")
        raise ValueError("no such rank")

    run = runner.run("99", broken)
    press_and_wait(run)
    panel = somebody[-1].children[0]
    assert panel.state == "failed" and panel.log.startswith("so far so good\nValueError: no such rank")
    assert "Traceback" not in panel.log and 'raise ValueError("no such rank")' in panel.log


def test_an_experiment_that_returns_nothing_is_told_so(made_up, somebody):
    state.update("99", answers=[1])
    run = runner.run("99", lambda: None)
    press_and_wait(run)
    assert "experiment() returned nothing" in somebody[-1].children[0].log


def test_nobody_there_an_error_is_an_error(made_up, nobody):
    with pytest.raises(ZeroDivisionError):
        runner.run("99", lambda: 1 / 0)


def test_stop_ends_an_experiment_that_has_no_workers(made_up, somebody):
    import threading
    import time

    state.update("99", answers=[1])
    begun = threading.Event()

    def endless():
        begun.set()
        while True:
            time.sleep(0.01)

    run = runner.run("99", endless)
    run._press_run()
    assert begun.wait(10)
    assert somebody[-1].children[0].state == "running"
    run._press_stop()
    run._thread.join(10)
    assert not run._thread.is_alive()
    assert somebody[-1].children[0].state == "stopped"


def test_stop_reaches_the_pools_that_work(made_up, somebody, monkeypatch):
    import threading

    stopped, begun = threading.Event(), threading.Event()

    class Pool:
        current = object()

        def stop(self):
            stopped.set()

    pool = Pool()
    monkeypatch.setattr(runner, "busy_pools", lambda: [pool])
    monkeypatch.setattr(runner, "_reported", dict)
    state.update("99", answers=[1])

    def waits():
        begun.set()
        stopped.wait(10)
        raise KeyboardInterrupt

    run = runner.run("99", waits)
    run._press_run()
    assert begun.wait(10)
    run._press_stop()
    run._thread.join(10)
    assert stopped.is_set() and somebody[-1].children[0].state == "stopped"


def test_a_training_that_stopped_when_asked_is_shown_and_not_scored(made_up, somebody, words_in):
    import threading

    begun, asked = threading.Event(), threading.Event()

    def trains():
        begun.set()
        asked.wait(10)
        return {"total": 7}

    state.update("99", answers=[1])
    run = runner.run("99", trains)
    facts = run.facts()
    run._press_run()
    assert begun.wait(10)
    run._stopped = True
    asked.set()
    run._thread.join(10)
    panel = somebody[-1].children[0]
    assert panel.state == "stopped" and panel.score == [] and ">7<" in words_in(facts)
    assert "measured" not in state.entry("99")


def test_progress_names_what_is_at_work():
    assert runner.progress_words(("M = 4", 1, 3), {}) == ("M = 4 (2 of 3)", 1 / 3)
    assert runner.progress_words(None, {"step": 5, "steps": 20, "loss": 3.14159}) == ("step 5 of 20, loss 3.142", 0.25)
    assert runner.progress_words(None, {}) == ("Running", -1.0)
    assert list(runner.steps([1, 4], "M = {}")) == [1, 4]

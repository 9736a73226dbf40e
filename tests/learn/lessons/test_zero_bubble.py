"""Does lesson 07 say the right numbers, and does its whole check end in a real run?"""

import re

import pytest

import minipar
from minipar.learn.lesson import Results
from minipar.learn.lessons import parking, zero_bubble
from minipar.learn.lessons.orders import SLOTS
from minipar.learn.verdict import judge
from tests.learn.lessons.test_two_halves import SOLVED, defined


@pytest.fixture(scope="module")
def results(pool):
    """The lesson's experiment with a smaller model, at full speed."""
    model, batch = minipar.GPT(layers=2, hidden=8, heads=2, context=8), minipar.text_batch(batch=8, context=8)
    whole, h1, h2 = (build(4, 8) for build in (minipar.one_f_one_b, minipar.zb_h1, minipar.zb_h2))
    cut = minipar.Schedule.parse(re.sub(r"(\d)B(\d)", r"\1I\2 \1W\2", str(whole)), name="cut only")
    pace = minipar.Cost(F=0.001, B=0.002, unit="s")
    steps = [
        minipar.train_step(pool, minipar.Plan(mesh=minipar.Mesh(pipe=4), schedule=made), model, batch, pace=pace)
        for made in (whole, cut, h1, h2)
    ]
    return Results({"steps": steps, "unpaced": steps[::2]})


def test_every_number_of_the_storyboard(results):
    facts = dict(zero_bubble.facts(results))
    held = "4 3 2 1 · 4 3 2 1 · 4 4 4 4 · 7 7 7 7"
    assert re.fullmatch(r"(\d+ and \d+ MB( · )?){4}", facts.pop("activations at most, rank 0 and rank 3"))
    assert facts == {
        "slots": "33, 30, 27, 27",
        "idle on each rank": "9, 6, 3, 3",
        "idle inside a rank's own span": "9 6 3 0 · 6 4 2 0 · 3 2 1 0 · 0 0 0 0",
        "most held until W, predicted": held,
        "most held until W, measured": held,
        "most W that waited, measured": "0 0 0 0 · 1 1 1 1 · 1 2 3 4 · 1 3 5 7",
        "messages, counted": "48, 48, 48, 48",
        "gradients equal to the whole backward's": True,
    }


def test_formula_picture_and_answers(results):
    rows = zero_bubble.formula(results, cut=30, best=27, cap=4, cap_of_h2=7)
    assert [str(by) == str(run) for _, by, run in rows] == [True] * 4
    drawn, sentence = zero_bubble.see(results)
    assert [len(panel.callouts) for panel in drawn.panels] == [0, 1, 1, 1]
    assert "Not compared." in sentence
    a, b = zero_bubble.LESSON.questions
    assert (a.options[a.right].text, a.found(results)) == ("30", "30 slots.")
    assert b.options[b.right].text == "27" and b.found(results).startswith("27 slots")


def test_what_is_gained_where_messages_are_late_and_on_sixteen_ranks():
    late = minipar.Cost(F=1, B=2, hop=0.5)
    builds = minipar.one_f_one_b, minipar.zb_h1, minipar.zb_h2
    assert [minipar.predict(build(4, 8), late).makespan for build in builds] == [41, 33, 28.5]
    many = [minipar.predict(build(16, 64), SLOTS) for build in builds]
    assert [t.makespan for t in many] == [237, 207, 207]
    assert [round(100 * t.bubble, 1) for t in many] == [19.0, 7.2, 7.2]
    assert [max(t.peak_in_flight) for t in many] == [16, 16, 31]


def test_the_whole_check_ends_in_a_real_run(pool, monkeypatch):
    monkeypatch.setattr(parking.learn, "workers", lambda count: pool)
    monkeypatch.setenv("MINIPAR_PACE", "fast")
    world = defined("\n\n".join(SOLVED.values()))
    verdict, done = judge(zero_bubble.LESSON, [world[n] for n in ("input_gradient", "weight_gradient", "mine")])
    assert verdict.good and "measured peaks 4 4 4 4" in verdict.sentence, verdict.sentence
    assert done == ["input_gradient", "weight_gradient", "mine"]
    assert "mine" in repr(verdict.picture())

"""Lesson 06: every number of its text, its facts from a real run, and each listed mistake word for word."""

import nbformat
import pytest

import minipar
from minipar.learn.lesson import Results
from minipar.learn.lessons import dealt, interleaved
from minipar.learn.verdict import judge_one
from minipar.plan.actions import Action
from minipar.plan.schedule import Schedule
from minipar.plan.simulate import Cost, predict
from tests.lessons.splice import NOTEBOOKS, blocks_of


@pytest.fixture(scope="module")
def results(pool):
    """What the notebook's own experiment returns."""
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOKS / "06_interleaved.ipynb", 4).cells}
    model = minipar.GPT(layers=8, hidden=16, heads=2, context=16)
    names = {"pool": pool, "model": model, "minipar": minipar, "learn": minipar.learn, "dealt": dealt}
    exec(cells["run"].split("run = learn")[0].replace("context=128", "context=16"), names)
    return Results(names["experiment"]())


def test_the_facts_are_those_of_the_storyboard(results):
    assert [f"{label}: {value}" for label, value in interleaved.facts(results)] == [
        "slots: 33 and 28.5",
        "idle on each rank: 9/33 and 4.5/28.5",
        "messages counted: 48 and 112",
        "chunks in flight, predicted: 4 3 2 1 and 11 9 7 5",
        "chunks in flight, measured: 4 3 2 1 and 11 9 7 5",
        "in shares of a rank: 4 3 2 1 and 5.5 4.5 3.5 2.5",
        "gradients equal: True",
    ]
    (question,) = interleaved.LESSON.questions
    assert question.found(results) == "112 messages, 48 with one chunk."


def test_the_formula_stands_beside_the_run(results):
    rows = interleaved.formula(results, 112, 28.5, lambda r: 4 + 2 * (3 - r) + 1)
    assert [row[1:] for row in rows] == [(112, 112), ("28.5", "28.5"), (11, 11), (9, 9), (7, 7), (5, 5)]


def test_the_picture_has_two_panels_and_three_callouts(results):
    picture, sentence = interleaved.see(results)
    one, two = picture.panels
    assert [note[2] for note in two.callouts] == ["round trip: rank 3 → rank 0", "second chunk", "idle 4.5, was 9"]
    assert one.peaks == (4, 3, 2, 1) and two.peaks == (5.5, 4.5, 3.5, 2.5)
    assert "112 messages counted: 7 borders × 8 microbatches × 2 ways." in two.readings
    assert "unpaced" in sentence


# ---- numbers of the text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ranks", "microbatches", "chunks", "slots", "idle", "messages", "peak"),
    [
        (4, 8, 1, 33, 9, 48, 4),
        (4, 8, 2, 28.5, 4.5, 112, 11),
        (4, 8, 4, 26.25, 2.25, 240, 19),
        (8, 64, 1, 213, 21, 896, 8),
        (8, 64, 2, 202.5, 10.5, 1920, 23),
        (8, 64, 4, 197.25, 5.25, 3968, 39),
    ],
)
def test_slots_messages_and_peaks(ranks, microbatches, chunks, slots, idle, messages, peak):
    made = dealt.schedule(chunks, ranks, microbatches)
    trace = predict(made, dealt.cost(chunks))
    assert (trace.makespan, trace.makespan - trace.busy(0)) == (slots, idle)
    assert minipar.lower(made).messages == messages == 2 * microbatches * (ranks * chunks - 1)
    assert trace.peak_in_flight[0] == peak
    assert slots == microbatches * 3 + (ranks - 1) * 3 / chunks


def test_one_round_of_six_and_one_of_four():
    six, four = (predict(dealt.schedule(2, 4, m), dealt.cost(2)) for m in (6, 4))
    assert (six.makespan, six.peak_in_flight) == (22.5, (12, 11, 9, 7))
    first_back = [[a.op for a in four.order(rank)].index(minipar.B) for rank in range(4)]
    assert first_back == [8, 8, 7, 5]  # all 8 forwards first on ranks 0 and 1


def test_the_two_that_really_run_with_a_hop():
    assert [predict(dealt.schedule(v, 4, 4), dealt.cost(v, 1.25)).makespan for v in (1, 2)] == [33.5, 35]


def test_two_neighbouring_stages_a_rank_are_one_chunk():
    """What the first mistake is told: as many messages and the whole triangle."""
    rows = [[half for a in row for half in halves(a)] for row in minipar.one_f_one_b(4, 8).programs]
    made = Schedule("neighbours", tuple(map(tuple, rows)))
    assert minipar.problems(made) == [] and minipar.lower(made).messages == 48
    assert predict(made, Cost(F=0.5, B=1)).makespan == 33


def halves(action):
    there = (0, 1) if action.op is minipar.F else (1, 0)
    return [Action(2 * action.stage + half, action.op, action.microbatch) for half in there]


# ---- the check ---------------------------------------------------------------------------------------------------


def functions(code):
    names = {}
    exec(code, names)
    return names["placement"], names["warmup"]


SOLUTION = functions(blocks_of("06_interleaved")[0]["stub"])


def test_the_solution_passes_and_runs_on_four_processes(pool):
    assert judge_one(interleaved.check_placement, SOLUTION[0]).good
    verdict = judge_one(interleaved.check_warmup, SOLUTION[1])
    assert verdict.good and "112 messages" in verdict.sentence


def test_the_examples_of_the_text():
    placement, warmup = SOLUTION
    assert placement(4, 2) == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert [warmup(rank, 4, 8, 2, 4) for rank in range(4)] == [10, 8, 6, 4]
    woven = dealt.woven(placement(4, 2), [10, 8, 6, 4], 8)
    assert woven.programs == minipar.interleaved_1f1b(4, 8, chunks=2).programs


@pytest.mark.parametrize("mistake", blocks_of("06_interleaved")[1], ids=lambda mistake: mistake.name)
def test_each_listed_mistake_word_for_word(mistake):
    placement, warmup = functions(mistake.code)
    verdict = judge_one(interleaved.check_placement, placement)
    if verdict.good:
        verdict = judge_one(interleaved.check_warmup, warmup)
    assert not verdict.good and verdict.sentence == mistake.sentence


PLACEMENTS = [
    (lambda p, v: "0 4", "A list of 4 lists is wanted, the stages of each rank, as in"),
    (lambda p, v: [[0], [1], [2], [3]], "Stage 4 is on no rank: 4 ranks with 2 chunks are stages 0 to 7."),
    (lambda p, v: [[3, 7], [0, 4], [1, 5], [2, 6]], "Stage 0 stands on rank 1, and the deal begins at rank 0."),
    (lambda p, v: [[0, 4, 4], [1, 5], [2, 6], [3, 7]], "9 places for 8 stages: each stage stands once, on one rank."),
    (lambda p, v: [[4, 0], [5, 1], [6, 2], [7, 3]], "The right stages on each rank, but not in the order in which"),
    (lambda p, v: [[0, 7], [1, 4], [2, 5], [3, 6]], "Stage 4 stands on rank 1, and stage 3 stands on rank 3."),
    (lambda p, v: [[0, 4], [1, 5], [2, 6], [3, 7]], "A list of 2 lists is wanted"),
]


@pytest.mark.parametrize(("placement", "said"), PLACEMENTS)
def test_other_placements(placement, said):
    assert judge_one(interleaved.check_placement, placement).sentence.startswith(said)


WARMUPS = [
    (lambda r, p, m, v, g: (v - 1) * p + 2 * (p - 1 - r), "A round has 6 microbatches here (`group`), not 4."),
    (lambda r, p, m, v, g: (v - 1) * g + 2 * (p - 1 - r) + 1, "peaks 12 10 8 6: one too many on each rank."),
    (lambda r, p, m, v, g: -1, "warmup gave -1 for rank 0: it counts forwards, 0 or more."),
    (lambda r, p, m, v, g: [10, 8, 6, 4][r], "peaks 8 8: 5 3 are enough."),
    (lambda r, p, m, v, g: p * v * m, "28.5 slots, the right time, but peaks 16 16 16 16: 11 9 7 5 are enough."),
]


@pytest.mark.parametrize(("warmup", "said"), WARMUPS)
def test_other_warmups(warmup, said):
    verdict = judge_one(interleaved.check_warmup, warmup)
    assert not verdict.good and said in verdict.sentence, verdict.sentence

"""What does lesson 04 ask, measure and check? Cut the batch, and the same devices overlap."""

from __future__ import annotations

import dataclasses

import minipar
from minipar.learn.lesson import Lesson, Option, Question, Results
from minipar.learn.lessons import orders
from minipar.learn.lessons.real_run import drawn, really, same
from minipar.learn.verdict import Verdict, not_yet, right
from minipar.plan.schedules import recognised

BY_HAND = (3, 4)  # ranks, microbatches of the text exercise
START = "0F0\n1F0\n2F0"
SIZES = ((4, 8), (3, 4), (1, 1), (2, 1), (1, 5), (6, 9), (5, 2), (2, 7), (3, 9), (6, 1), (4, 3), (5, 6))


def measured(r: Results) -> str:
    t = slots(8)
    return f"with M = 8, {idle(t)} of the slots are idle: {t.bubble:.0%}."


def slots(microbatches: int):
    return minipar.predict(minipar.gpipe(ranks=4, microbatches=microbatches), orders.SLOTS)


def idle(trace) -> str:
    """ "9/33": idle against all, in slots of one rank on average."""
    return f"{trace.makespan - trace.busy(0):g}/{trace.makespan:g}"


def see(r: Results):
    """Three measured timelines on one time axis, the prediction behind each; the memory under the last one."""
    *first, last = (step.trace for step in r.steps.values())
    traces = [*(dataclasses.replace(trace, ledger=()) for trace in first), last]
    ghosts = [minipar.predict(minipar.gpipe(ranks=4, microbatches=m), step.pace) for m, step in r.steps.items()]
    titles = ["M = 1: one device works, three wait", "M = 4: the work overlaps", "M = 8: the triangles shrink"]
    unpaced = ", ".join(f"M = {m}: {step.trace.makespan * 1000:.0f} ms" for m, step in r.unpaced.items())
    return [
        minipar.timelines(traces, titles=titles, ghosts=ghosts, in_flight=False),
        f"The same three steps unpaced, on this machine's own cores: {unpaced}. "
        "Four busy processes on a few cores share them; the overlap needs four devices.",
    ]


def facts(r: Results):
    """Exact on any machine: slots are counted, gradients compared, peaks follow from the order that really ran."""
    one, *others = r.steps.values()
    return [
        ("slots", ", ".join(f"{slots(m).makespan:g}" for m in r.steps)),
        ("idle", ", ".join(idle(slots(m)) for m in r.steps)),
        ("loss and gradients equal for all three", all(same(one, other) for other in others)),
        ("peaks at M = 8, measured", " ".join(map(str, r.steps[8].trace.peak_in_flight))),
        ("messages at M = 8, measured", len(r.steps[8].trace.messages)),
    ]


def formula(r: Results, idle_share):
    """The cell's formula of M beside the idle slots of each run."""
    return [(f"M = {m}", f"{idle_share(m):.1%}", f"{idle(slots(m))} = {slots(m).bubble:.1%}") for m in r.steps]


def check_by_hand(work) -> Verdict:
    """The text for 3 ranks and 4 microbatches: legal, and within par (18)."""
    text = getattr(work, "text", work)
    if str(text).split() == START.split():
        return not_yet("Not started yet.")
    tried = orders.attempt(orders.from_text(str(text)), *BY_HAND)
    if tried.trace.makespan > tried.par:
        return not_yet(orders.too_slow(tried))
    return right(f"{tried.slots}: par. {named(tried)}", picture=lambda: minipar.timeline(tried.trace))


def check_mine(work) -> Verdict:
    """The generator: every size legal and within par, then four real processes run what it says."""
    failed = orders.first_failure(work, SIZES, lambda a: orders.too_slow(a) if a.trace.makespan > a.par else "")
    if failed:
        return failed
    tried = orders.attempt(orders.from_builder(work, 4, 8), 4, 8)
    wrong, step = really(tried.schedule)
    if wrong:
        return not_yet(wrong, tried="4 ranks, 8 microbatches, for real")
    return right(
        f"Within par on {len(SIZES)} sizes, and four processes ran your list as written, with the gradients of the "
        f"whole model. {named(tried)}",
        picture=lambda: drawn(tried.schedule, step),
    )


def named(tried: orders.Attempt) -> str:
    """Which order of the catalogue this is; a learner's own gets its credit."""
    name = recognised(tried.schedule)
    if name == "1F1B":
        return "This is 1F1B: two lessons in one."
    return f"This is {name}." if name else "It is not in the catalogue: this order is yours."


LESSON = Lesson(
    id="04",
    file="04_gpipe",
    title="GPipe",
    questions=(
        Question(
            "Four ranks. With M = 4 microbatches, 43 % of all device time is idle (9 of 21 slots). "
            "With M = 8, what share is idle?",
            options=(
                Option("43 %, as before", "The idle slots stay 9, but the step around them grows from 21 to 33 slots."),
                Option("37 %", "3/8 is idle against useful; the question was idle of all: 9/33."),
                Option("27 %", "Right: the idle slots stay 9, the step grows from 21 to 33: 9/33."),
                Option("21 %, half", "The idle slots stay 9, the total grows from 21 to 33: 9/33."),
            ),
            right=2,
            measured=measured,
        ),
    ),
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_by_hand, check_mine),
    hints=(
        "Rank 0 waits for nobody. What can it do four times in a row before anything comes back?",
        "Each rank runs all its forwards in the order of arrival. Then the backwards: in which order do they arrive?",
        "for m in range(microbatches): yield F(rank, m). Then the same once more with B.",
    ),
)

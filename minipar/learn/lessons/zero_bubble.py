"""What does lesson 07 ask, measure and check? The backward is two jobs, and somebody waits only for the first."""

from __future__ import annotations

import minipar
from minipar.learn.lesson import Lesson, Option, Question, Results
from minipar.learn.lessons import orders
from minipar.learn.lessons.parking import check_mine, most_parked, own_idle, words
from minipar.learn.lessons.real_run import same
from minipar.learn.verdict import Verdict
from minipar.plan.trace import Trace

TITLES = (
    "1F1B: each backward in one piece",
    "Cut only: the rank before waits for I alone",
    "ZB-H1: W fills gaps, and no drawer is above 1F1B's largest",
    "ZB-H2: no gap inside any rank, for a drawer of 7",
)


def predicted(step) -> Trace:
    """What this step's schedule takes in slots: F = I = W = 1, B = 2."""
    return minipar.predict(step.schedule, orders.SLOTS)


def see(r: Results):
    """Four steps on one axis, under them what each rank holds; then two of them without a pace, not compared."""
    traces = [step.trace for step in r.steps]
    told = [
        f"Predicted {minipar.predict(step.schedule, step.pace).makespan:.2f} s at this pace, measured "
        f"{step.trace.makespan:.2f} s."
        for step in r.steps
    ]
    drawn = minipar.timelines(traces, titles=list(TITLES), facts=told, in_flight=True, callouts=callouts(r.steps))
    times = " and ".join(f"{step.schedule.name} {step.trace.makespan * 1000:.0f} ms" for step in r.unpaced)
    return [drawn, f"Without a pace, four processes on this machine's cores: {times}. Not compared."]


def callouts(steps) -> list[list[tuple]]:
    """Where to look: at a W that nobody waits for, at one that fills a gap, and at what stays."""
    _, cut, h1, h2 = (step.trace for step in steps)
    return [
        [],
        [(3, late(cut, 3, minipar.W(3, 0)), "I leaves, W stays")],
        [(1, late(h1, 1, minipar.W(1, 5)), "filled")],
        [(3, (h2.start + h2.actions(3)[0].start) / 2, "still 3 at the start")],
    ]


def late(trace: Trace, rank: int, action) -> float:
    """Near the end of an action's bar, beside its letter."""
    span = next(span for span in trace.actions(rank) if span.what == action)
    return span.start + 0.9 * (span.end - span.start)


def facts(r: Results):
    """Slots and idle as counted, what each rank held and parked as measured, messages and gradients."""
    times, ran = [predicted(step) for step in r.steps], [step.trace for step in r.steps]
    return [
        ("slots", ", ".join(f"{t.makespan:g}" for t in times)),
        ("idle on each rank", ", ".join(f"{t.makespan - t.busy(0):g}" for t in times)),
        ("idle inside a rank's own span", each(own_idle(t) for t in times)),
        ("most held until W, predicted", each(t.peak_in_flight for t in times)),
        ("most held until W, measured", each(t.peak_in_flight for t in ran)),
        ("most W that waited, measured", each(most_parked(t) for t in ran)),
        ("activations at most, rank 0 and rank 3", each_megabytes(ran)),
        ("messages, counted", ", ".join(str(len(t.messages)) for t in ran)),
        ("gradients equal to the whole backward's", all(same(r.steps[0], step) for step in r.steps[1:])),
    ]


def each(rows) -> str:
    return " · ".join(map(words, rows))


def each_megabytes(traces) -> str:
    """Of each trace the most bytes of activations that its first and its last rank held, parked ones too."""
    most = [[max(held.get("activation", 0) for _, held in t.memory(rank)) for rank in (0, t.ranks - 1)] for t in traces]
    return " · ".join(f"{first / 1e6:.0f} and {last / 1e6:.0f} MB" for first, last in most)


def formula(r: Results, cut=None, best=None, cap=None, cap_of_h2=None):
    """The cell's formulas beside the slots and the measured peaks."""
    _, only, h1, h2 = r.steps
    return [
        ("slots, cut only", cut, f"{predicted(only).makespan:g}"),
        ("slots, ZB-H1", best, f"{predicted(h1).makespan:g}"),
        ("largest drawer, ZB-H1", cap, max(h1.trace.peak_in_flight)),
        ("largest drawer, ZB-H2", cap_of_h2, max(h2.trace.peak_in_flight)),
    ]


def check_input(work) -> Verdict:
    from minipar.learn.lessons.two_halves import check_input_gradient

    return check_input_gradient(work)


def check_weight(work) -> Verdict:
    from minipar.learn.lessons.two_halves import check_weight_gradient

    return check_weight_gradient(work)


LESSON = Lesson(
    id="07",
    file="07_zero_bubble",
    title="Zero bubble",
    questions=(
        Question(
            "1F1B takes 33 slots. Cut each B into I and W, W right behind its I, nothing moved. Now it takes…",
            options=(
                Option("33", "The rank before may start after I: 1 slot instead of 2 on each of 3 ways back."),
                Option("30", "Right: the rank before may start after I. One slot less on each of 3 ways back."),
                Option("27", "The 3 slots on the way back fell to I alone; 27 needs W to move as well."),
                Option("24", "24 slots is the work of one rank; rank 3 cannot even start before 3."),
            ),
            right=1,
            measured=lambda r: f"{predicted(r.steps[1]).makespan:g} slots.",
            name="A",
        ),
        Question(
            "Now every W may move, same work. The best is…",
            options=(
                Option("33", "That is 1F1B with whole backwards; the cut alone already takes 30."),
                Option("30", "That is the cut alone; the gaps are still empty."),
                Option("27", "Right: rank 3 cannot start before 3, and then it works for 24 slots without a gap."),
                Option("24, no idle slot at all", "Rank 3 cannot start before 3: 3 + 24 = 27."),
            ),
            right=2,
            measured=lambda r: f"{predicted(r.steps[2]).makespan:g} slots under ZB-H1, and as many under ZB-H2.",
            name="B",
        ),
    ),
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_input, check_weight, check_mine),
    hints=(
        "Warm up with P−r forwards, then go on with I and F in turn.",
        "After each I ask: how many W wait here?",
        "As soon as more than r wait on rank r, run the oldest.",
    ),
)

"""What does lesson 06 ask, measure and check? Two half-size stages a rank halve the triangle, and what that costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minipar
from minipar.learn.lesson import Lesson, Option, Question, Results
from minipar.learn.lessons import dealt, orders
from minipar.learn.lessons.real_run import drawn, really, same
from minipar.learn.safely import Trouble
from minipar.learn.verdict import Verdict, call, not_yet, right
from minipar.plan.actions import B, F
from minipar.plan.check import problems
from minipar.plan.schedule import Schedule
from minipar.plan.simulate import predict
from minipar.plan.trace import Trace
from minipar.view.panel import Panel, Strip
from minipar.view.timeline import Timeline, scaled

SIZES = ((4, 8, 2), (2, 4, 2), (3, 6, 2), (4, 8, 4), (4, 6, 2), (4, 4, 2))  # ranks, microbatches, chunks
PLACED = ((4, 2), (2, 2), (3, 2), (4, 4), (5, 3), (1, 2))  # ranks, chunks
LATE = 0.1  # the hop, in slots, at which work has to be waiting


def predicted(chunks: int) -> Trace:
    return predict(dealt.schedule(chunks), dealt.cost(chunks))


def words(numbers) -> str:
    return " ".join(f"{number:g}" for number in numbers)


# ---- see, facts, formula -------------------------------------------------------------------------------------------


def see(r: Results):
    """Both steps on one time axis, the second chunk striped, and under each what is held in shares of a rank."""
    steps = {1: r.one, 2: r.two}
    titles = {
        1: "1F1B: 9 slots idle on each rank, 48 messages",
        2: "Two chunks a rank: the triangle is half as wide, the drawer is fuller, 112 messages",
    }
    panels = []
    for chunks, step in steps.items():
        ghost = scaled(predict(dealt.schedule(chunks), step.pace), step.trace)
        notes = callouts(step.trace) if chunks == 2 else ()
        panels.append(Panel(step.trace, titles[chunks], ghost, None, Strip.SHARES, notes, borders(step)))
    unpaced = " and ".join(f"{step.trace.makespan * 1000:.0f} ms" for step in r.unpaced)
    return [
        Timeline(panels),
        f"The same two steps unpaced, on this machine's own cores: {unpaced}. "
        "Four busy processes on a few cores share them; the gain needs four devices.",
    ]


def callouts(trace: Trace) -> tuple:
    """Where a microbatch comes round, the second chunk, and the idle time that is left."""
    at = {span.what: span for span in trace.actions()}
    middle = {action: (at[action].start + at[action].end) / 2 for action in (F(4, 0), B(6, 3))}
    return (
        (0, middle[F(4, 0)], "round trip: rank 3 → rank 0"),
        (2, middle[B(6, 3)], "second chunk"),
        (3, (trace.actions(3)[-1].end + trace.end) / 2, "idle 4.5, was 9"),
    )


def borders(step) -> str:
    """ "48 messages counted: 3 borders × 8 microbatches × 2 ways."."""
    stages, microbatches = step.schedule.stages, step.schedule.microbatches
    return f"{len(step.trace.messages)} messages counted: {stages - 1} borders × {microbatches} microbatches × 2 ways."


def facts(r: Results):
    """Slots and idle time are counted, peaks predicted and measured, messages counted as they were sent."""
    t = {chunks: predicted(chunks) for chunks in (1, 2)}
    measured = [step.trace.peak_in_flight for step in (r.one, r.two)]
    return [
        ("slots", " and ".join(f"{trace.makespan:g}" for trace in t.values())),
        ("idle on each rank", " and ".join(f"{tr.makespan - tr.busy(0):g}/{tr.makespan:g}" for tr in t.values())),
        ("messages counted", " and ".join(str(len(step.trace.messages)) for step in (r.one, r.two))),
        ("chunks in flight, predicted", " and ".join(words(trace.peak_in_flight) for trace in t.values())),
        ("chunks in flight, measured", " and ".join(words(peaks) for peaks in measured)),
        ("in shares of a rank", f"{words(measured[0])} and {words(peak / 2 for peak in measured[1])}"),
        ("gradients equal", same(r.one, r.two)),
    ]


def formula(r: Results, messages=0, slots=0, peak=lambda rank: 0):
    """The cell's formulas beside the run's messages and peaks and the predicted slots."""
    rows = [
        ("messages", messages, len(r.two.trace.messages)),
        ("slots", f"{slots:g}", f"{predicted(2).makespan:g}"),
    ]
    measured = r.two.trace.peak_in_flight
    return [*rows, *((f"rank {rank} holds", peak(rank), measured[rank]) for rank in range(4))]


# ---- placement -----------------------------------------------------------------------------------------------------


def check_placement(work) -> Verdict:
    """Every stage once, dealt like cards: stage s on rank s mod P."""
    for ranks, chunks in PLACED:
        rows = call(work, ranks, chunks)
        sentence = misplaced(rows, ranks, chunks)
        if sentence:
            want = [list(range(rank, ranks * chunks, ranks)) for rank in range(ranks)]
            return not_yet(sentence, tried=f"{ranks} ranks, {chunks} chunks", expected=want, got=rows)
    return right(f"Dealt like cards on {len(PLACED)} sizes.")


def misplaced(rows: Any, ranks: int, chunks: int) -> str:
    """What is wrong with these stages of each rank, in a sentence; nothing if they are dealt round."""
    stages = ranks * chunks
    good = isinstance(rows, list | tuple) and len(rows) == ranks and all(isinstance(row, list | tuple) for row in rows)
    if not good or any(isinstance(one, bool) or not isinstance(one, int) for row in rows for one in row):
        return f"A list of {ranks} lists is wanted, the stages of each rank, as in [[0, 4], [1, 5], [2, 6], [3, 7]]."
    rows = [list(row) for row in rows]
    if ranks > 1 and rows == [list(range(chunks * rank, chunks * (rank + 1))) for rank in range(ranks)]:
        sent = minipar.lower(minipar.one_f_one_b(ranks, 8)).messages
        return (
            f"Stage 1 stands beside stage 0 on rank 0: {sent} messages and the whole triangle, as with one chunk. "
            "The next stage belongs on the next rank."
        )
    if ranks > 1 and chunks == 2 and [sorted(row) for row in rows] == [[r, stages - 1 - r] for r in range(ranks)]:
        return down_and_back([sorted(row) for row in rows])
    home = {stage: rank for rank, row in enumerate(rows) for stage in row}
    for stage in range(stages):
        if stage not in home:
            return f"Stage {stage} is on no rank: {ranks} ranks with {chunks} chunks are stages 0 to {stages - 1}."
        if home[stage] != stage % ranks:
            before = f"stage {stage - 1} stands on rank {(stage - 1) % ranks}" if stage else "the deal begins at rank 0"
            return (
                f"Stage {stage} stands on rank {home[stage]}, and {before}. The next stage belongs on the next rank, "
                "and after the last rank comes rank 0."
            )
    if sum(map(len, rows)) != stages:
        return f"{sum(map(len, rows))} places for {stages} stages: each stage stands once, on one rank."
    if any(row != sorted(row) for row in rows):
        return "The right stages on each rank, but not in the order in which a microbatch comes to them."
    return ""


def down_and_back(rows: list[list[int]]) -> str:
    ranks = len(rows)
    warmups = [ranks + 2 * (ranks - 1 - rank) for rank in range(ranks)]
    stuck = [str(problem) for problem in problems(dealt.woven(rows, warmups, 8 if ranks == 4 else 2 * ranks))]
    how = stuck[0].split(";")[0].removeprefix("Stuck: ") if stuck else "the ranks wait for each other"
    return (
        f"That is the V, level 10 of the board. With this lesson's order it sticks: {how}. "
        f"Deal the cards round: 0, {ranks}."
    )


# ---- warm-up -------------------------------------------------------------------------------------------------------


def check_warmup(work) -> Verdict:
    """Woven into lists on every size: no problems, as short as the catalogue's with hops and without, no fuller."""
    for ranks, microbatches, chunks in SIZES:
        sentence = what_is_off(work, ranks, microbatches, chunks)
        if sentence:
            return not_yet(sentence, tried=f"{ranks} ranks, {microbatches} microbatches, {chunks} chunks")
    made, _ = weave(work, 4, 8, 2)
    wrong, step = really(made, layers=8)
    if not wrong and len(step.trace.messages) != minipar.lower(made).messages:
        wrong = f"{len(step.trace.messages)} messages were counted, {minipar.lower(made).messages} expected."
    if wrong:
        return not_yet(wrong, tried="4 ranks, 8 microbatches, 2 chunks, for real")
    return right(
        f"As short as can be on {len(SIZES)} sizes, also when messages are late. Four processes ran your lists as "
        f"written: {len(step.trace.messages)} messages, gradients equal to the whole model's.",
        picture=lambda: drawn(made, step),
    )


def weave(work: Callable, ranks: int, microbatches: int, chunks: int) -> tuple[Schedule, list[int]]:
    """The learner's warm-ups with the stages dealt round, as a schedule; Trouble where one is no number."""
    group = len(dealt.rounds(ranks, microbatches)[0])
    warmups = [call(work, rank, ranks, microbatches, chunks, group) for rank in range(ranks)]
    for rank, one in enumerate(warmups):
        if isinstance(one, bool) or not isinstance(one, int) or one < 0:
            raise Trouble(f"warmup gave {one!r} for rank {rank}: it counts forwards, 0 or more.")
    placement = [range(rank, ranks * chunks, ranks) for rank in range(ranks)]
    return dealt.woven(placement, warmups, microbatches), warmups


def what_is_off(work: Callable, ranks: int, microbatches: int, chunks: int) -> str:
    """Order first, then time, then what is held, then late messages: one cause in a sentence, or nothing."""
    made, warmups = weave(work, ranks, microbatches, chunks)
    found = problems(made)
    group = len(dealt.rounds(ranks, microbatches)[0])
    if found:
        return stuck(made, found[0], warmups, group)
    model = dealt.schedule(chunks, ranks, microbatches)
    par, tried = predict(model, dealt.cost(chunks)), predict(made, dealt.cost(chunks))
    slots, peaks, want = f"{tried.makespan:g} slots", tried.peak_in_flight, par.peak_in_flight
    if tried.makespan > par.makespan + 1e-9:
        if len(set(peaks)) == 1:
            last = (chunks - 1) * group
            return f"{slots}, peaks {words(peaks)}: rank {ranks - 1} can turn round after {last}."
        return f"{slots}, par is {par.makespan:g}. {orders.longest_wait(tried)}"
    if any(peak > allowed for peak, allowed in zip(peaks, want, strict=True)):
        return too_full(slots, peaks, want, warmups, (ranks, microbatches, chunks, group))
    late = [predict(schedule, dealt.cost(chunks, LATE)).makespan for schedule in (made, model)]
    if late[0] > late[1] + 1e-9:
        return (
            f"{slots} without hops and peaks {words(peaks)}: thrifty. At hop {LATE:g} it takes {late[0]:g}, par is "
            f"{late[1]:g}: no work is waiting when a message is late."
        )
    return ""


def stuck(made: Schedule, problem, warmups: list[int], group: int) -> str:
    """A list that cannot reach its end: a backward before its own forward, or a circle of ranks."""
    ranks, chunks = made.ranks, made.stages // made.ranks
    if problem.code != "order":
        return str(problem)
    action = made.programs[problem.rank][problem.position]
    said = f"Stuck: rank {problem.rank} reaches {action} before its own {F(action.stage, action.microbatch)}."
    if group != ranks and warmups == whole_warmups(ranks, chunks, ranks):
        return f"{said} A round has {group} microbatches here (`group`), not {ranks}."
    if warmups[-1] == (chunks - 1) * group - 1:
        return f"{said} One more forward first."
    both = "both" if chunks == 2 else f"all {orders.NUMBERS[chunks]}"
    return f"{said} The first round goes through {both} chunks before anything comes back."


def whole_warmups(ranks: int, chunks: int, group: int) -> list[int]:
    """The right warm-ups, for rounds of `group` microbatches."""
    return [(chunks - 1) * group + 2 * (ranks - 1 - rank) for rank in range(ranks)]


def too_full(slots: str, peaks, want, warmups: list[int], size: tuple[int, int, int, int]) -> str:
    """The right time, and more is held than need be."""
    ranks, microbatches, chunks, group = size
    if group != microbatches and warmups == whole_warmups(ranks, chunks, microbatches):
        why = f"a round has {group} microbatches here (`group`), not {microbatches}."
        return f"{slots}, but peaks {words(peaks)}: {why}"
    extra = {peak - allowed for peak, allowed in zip(peaks, want, strict=True)}
    if len(extra) == 1 and (many := extra.pop()) < len(orders.NUMBERS):
        why = f"{orders.NUMBERS[many]} too many on each rank."
    else:
        why = f"{words(want)} are enough."
    return f"{slots}, the right time, but peaks {words(peaks)}: {why}"


LESSON = Lesson(
    id="06",
    file="06_interleaved",
    title="Interleaved stages",
    questions=(
        Question(
            "One chunk a rank sends 48 messages a step: 3 borders × 8 microbatches × 2 ways. "
            "Two chunks a rank, the same layers, send…",
            options=(
                Option("48, the same layers", "A message is sent at each border between ranks: 3 before, 7 now."),
                Option("96, twice", "Not 6 borders but 7: from rank 3 the microbatch goes round to rank 0."),
                Option("112", "Right: 7 borders × 8 microbatches × 2 ways; the way round to rank 0 is a border too."),
                Option("144, three times", "Borders, not chunks: 7 × 8 × 2."),
            ),
            right=2,
            measured=lambda r: f"{len(r.two.trace.messages)} messages, {len(r.one.trace.messages)} with one chunk.",
        ),
    ),
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_placement, check_warmup),
    hints=(
        "How far must microbatch 0 have come before any backward?",
        "One whole round through all chunks but the last, then as in 05.",
        "Twice the distance to the last rank, so that a late message finds work waiting.",
    ),
)

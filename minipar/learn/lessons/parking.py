"""Does the learner's split schedule fill the gaps, and does it keep to the cap while weight gradients wait?

    3F0 3I0 3F1 3I1 3F2 3I2 3F3 3I3 3W0 …        rank 3 of 4: three may wait, the fourth sends the oldest to work
    held until W: 1 1 2 2 3 3 4 4 4              the cap is P

Asked in this order: F, I and W of everything and an order that ends; then the time; then what is held. One cause, in a
sentence. At last four real processes run the list, with the learner's own I and W in every layer.
"""

from __future__ import annotations

from collections.abc import Callable

import minipar
from minipar import learn
from minipar.learn.lessons import orders
from minipar.learn.lessons.orders import Attempt
from minipar.learn.lessons.real_run import drawn
from minipar.learn.safely import Trouble
from minipar.learn.verdict import Verdict, not_yet, right
from minipar.plan.actions import B, I, W
from minipar.plan.schedule import Schedule
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Trace

HIDDEN = tuple((ranks, m) for ranks in range(1, 7) for m in range(ranks, 13))
SIZES = ((4, 8), *HIDDEN)  # the one of the lesson first: its numbers are the ones that the learner has seen
PACE = Cost(F=0.03, B=0.06, unit="s")


def own_idle(trace: Trace) -> tuple[float, ...]:
    """By rank: idle between its own first start and its own last end."""
    return tuple(round(trace.span(rank) - trace.busy(rank), 9) for rank in range(trace.ranks))


def most_parked(trace: Trace) -> tuple[int, ...]:
    """By rank: the most weight gradients that waited at once."""
    most = []
    for rank in range(trace.ranks):
        waiting = top = 0
        for action in trace.order(rank):
            waiting += (action.op is I) - (action.op is W)
            top = max(top, waiting)
        most.append(top)
    return tuple(most)


def words(numbers) -> str:
    return " ".join(f"{number:g}" for number in numbers)


def check_mine(work) -> Verdict:
    """Every size: sound, par, under the cap, no rank with as much idle as 1F1B; then four real processes."""
    for ranks, microbatches in dict.fromkeys(SIZES):
        tried = f"{ranks} rank{'s' * (ranks > 1)}, {microbatches} microbatch{'es' * (microbatches > 1)}"
        try:
            made = orders.from_builder(work, ranks, microbatches)
            sentence = not_in_halves(made)
            if not sentence:
                sentence = what_is_off(orders.attempt(made, ranks, microbatches))
        except Trouble as told:
            sentence = str(told)
        if sentence:
            return not_yet(sentence, tried=tried)
    return for_real(work)


def not_in_halves(made: Schedule) -> str:
    """A sentence where a backward is whole, or a W comes before its I."""
    for rank in reversed(range(made.ranks)):
        done = set()
        for stage, op, m in made.programs[rank]:
            if op is B:
                return f"{B(stage, m)} is a whole backward: {I(stage, m)} now, and {W(stage, m)} when it suits."
            if op is W and I(stage, m) not in done and I(stage, m) in made.programs[rank]:
                return f"{W(stage, m)} stands before {I(stage, m)}: W needs the gradient that comes with I."
            done.add(op(stage, m))
    return ""


def what_is_off(tried: Attempt) -> str:
    """Time first, then what is held, then each rank's own gaps."""
    trace, peaks, made = tried.trace, tried.peaks, tried.schedule
    ranks, microbatches = made.ranks, made.microbatches
    par, last = 3 * microbatches + ranks - 1, ranks - 1
    if trace.makespan > par:
        return too_slow(tried, par, last)
    if max(peaks) > ranks:
        return f"{tried.slots}, par, but peaks {words(peaks)}: the cap is {ranks}."
    whole = own_idle(predict(minipar.one_f_one_b(ranks, microbatches), orders.SLOTS))
    for rank, (idle, before) in enumerate(zip(own_idle(trace), whole, strict=True)):
        if before and idle >= before:
            return f"{tried.slots}, par, but rank {rank} idles {idle:g} inside its own span, as under 1F1B."
    return ""


def too_slow(tried: Attempt, par: int, last: int) -> str:
    """Why the step is longer than it need be, by what each rank lets wait."""
    trace, peaks, parked = tried.trace, tried.peaks, most_parked(tried.trace)
    if set(parked) <= {0, 1}:
        known = tried.slots == f"{3 * tried.schedule.microbatches + 2 * last:g} slots"
        what = "the cut alone" if known else "each W right behind its I"
        return f"Legal, {tried.slots}: {what}. Par is {par}: let r of them wait on rank r."
    if max(peaks) > last + 1 and min(parked) == tried.schedule.microbatches:
        return f"{tried.slots} and peaks {words(peaks)}, the cap is {last + 1}: parked W keep their inputs."
    if parked[0] > parked[-1]:
        gained = "nothing gained" if trace.makespan >= par + 2 * last else f"par is {par}"
        return (
            f"{tried.slots}, {gained}, and peaks {words(peaks)}: rank {last} is the one that must hurry its I, "
            f"so let {last} wait there and none on rank 0."
        )
    return f"Legal, but {tried.slots}, par is {par}. {orders.longest_wait(trace)}".rstrip()


def for_real(work: Callable) -> Verdict:
    """Four processes run the list, each layer's backward made of the learner's two functions."""
    from minipar.learn.lessons import two_halves

    try:
        halves = tuple(two_halves.partner(work, name) for name in ("input_gradient", "weight_gradient"))
    except Trouble as told:
        return not_yet(str(told))
    made = orders.from_builder(work, 4, 8)
    model = two_halves.Model(8, halves)
    plan = minipar.Plan(mesh=minipar.Mesh(pipe=4), schedule=made)
    step = minipar.train_step(learn.workers(4), plan, model, two_halves.batch(8), pace=learn.paced(PACE))
    wrong = differs(made, step, model)
    if wrong:
        return not_yet(wrong, tried="4 ranks, 8 microbatches, for real")
    return right(
        f"27 slots under a cap of 4, and par on {len(HIDDEN)} sizes. Four processes ran your list as written, with "
        f"your I and your W in every layer: measured peaks {words(step.trace.peak_in_flight)}, gradients equal to "
        "autograd's for each microbatch and for the step.",
        picture=lambda: drawn(made, step),
    )


def differs(made: Schedule, step, model) -> str:
    """What ran or came out otherwise than it should, in a sentence, or nothing."""
    for rank, program in enumerate(made.programs):
        if step.trace.order(rank) != program:
            return f"Rank {rank} ran another order than the one you wrote."
    held = predict(made).peak_in_flight
    if step.trace.peak_in_flight != held:
        return f"Measured peaks {words(step.trace.peak_in_flight)}, predicted {words(held)}."
    try:
        minipar.same_gradients(model, step)
    except AssertionError as error:
        return str(error)
    return ""

"""What does lesson 03 ask, measure and check? The memory is divided by four, the time is not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import minipar
from minipar.learn.lesson import Lesson, Option, Question, Results
from minipar.learn.lessons import orders
from minipar.learn.lessons.real_run import drawn, really
from minipar.learn.verdict import Trouble, Verdict, call, not_yet, right

EXAMPLE = ([2, 3, 3, 3, 3, 3, 3, 3, 3, 7], 4)
HEAVY_END = ([4, 2, 2, 2, 2, 2, 2, 2, 2, 9], 4)
HIDDEN = (
    HEAVY_END,
    ([1], 1),
    ([5, 1, 1, 1, 1, 1], 2),
    ([1, 1, 1, 1, 1, 5], 3),
    ([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5], 5),
    ([2, 2, 2], 3),
    ([0.5, 1.25, 0.75, 3.0, 0.25], 2),
    ([7, 1, 7, 1, 7, 1, 7], 4),
)
LONG = ([1 + (7 * layer) % 5 for layer in range(60)], 8)


# -- the run -------------------------------------------------------------------------------------------------------


def see(r: Results):
    """The baton timeline with the memory of four devices under it, and the cap."""
    four, alone = (f"{step.trace.makespan * 1000:.0f} ms" for step in (r.unpaced, r.alone))
    return [
        minipar.timeline(
            r.step.trace, title="Only one device works at a time", cap=r.cap, callouts=callouts(r.step.trace)
        ),
        f"Unpaced, on this machine: four devices {four}, one uncapped process {alone}.",
    ]


def callouts(trace):
    """Three places to look at, for the first timeline of the course."""
    first, last = trace.actions(0)[0], trace.actions(0)[-1]
    return [
        (1, first.end, "a message: rank 0's activation"),
        (2, trace.actions(3)[-1].start, "waits for rank 3's gradient"),
        (0, last.start + 0.9 * (last.end - last.start), "frees its activations", "memory"),
    ]


def slots():
    return minipar.predict(minipar.naive(4), orders.SLOTS)


def facts(r: Results):
    """Refused on one device, trained on four; slots, gradients and messages counted."""
    t = slots()
    return [
        ("one device", r.one),
        ("four devices", "trained" if r.step.trace.ranks == 4 else "refused"),
        ("busy", f"{t.busy(2):g} of {t.makespan:g} slots on each rank"),
        ("executed as planned", all(r.step.trace.order(rank) == t.order(rank) for rank in range(4))),
        ("gradients equal the unsplit model's", r.equal),
        ("messages", len(r.step.trace.messages)),
    ]


def formula(r: Results, busy):
    """1/P beside the slots of the run."""
    t = slots()
    return [("busy share of a device", f"{busy:.0%}", f"{t.busy(2):g}/{t.makespan:g} = {t.busy(2) / t.makespan:.0%}")]


# -- the exercise --------------------------------------------------------------------------------------------------


def check_split_layers(split_layers) -> Verdict:
    """Covers all, in order, no part empty, optimum, quick, refuses too many parts; then the cut is run for real."""
    for costs, parts in (EXAMPLE, *HIDDEN):
        verdict = examine(split_layers, costs, parts)
        if verdict:
            return verdict
    return too_slow(split_layers) or refuses(split_layers) or for_real(split_layers)


def examine(split_layers, costs, parts) -> Verdict | None:
    """The verdict on one list of costs, or None when the learner's parts are as good as can be."""
    got = call(split_layers, costs, parts)
    tried = f"{short(costs)} in {parts}"
    try:
        cut = [[int(layer) for layer in part] for part in got]
    except TypeError:
        return not_yet(
            "Answer a list of parts, each a list of layers.",
            tried=tried,
            expected="[[0, 1], [2]]",
            got=repr(got),
        )
    fault = not_a_cut(cut, len(costs), parts)
    if fault:
        return not_yet(fault, tried=tried, got=cut)
    slowest, best = load(costs, cut), load(costs, minipar.split(costs, parts))
    if slowest > best:
        return why_slow(split_layers, costs, parts, cut)
    return None


def not_a_cut(cut: Sequence[Sequence[int]], layers: int, parts: int) -> str:
    """One sentence about a layer lost, doubled or out of order, or about the number of parts."""
    homes: dict[int, list[int]] = {}
    for part, held in enumerate(cut):
        for layer in held:
            homes.setdefault(layer, []).append(part)
    for layer in range(layers):
        if layer not in homes:
            return f"Layer {layer} is in no part."
        if len(homes[layer]) > 1:
            return f"Layer {layer} is in part {homes[layer][0]} and part {homes[layer][1]}."
    if set(homes) - set(range(layers)):
        return f"Layer {max(homes)} does not exist: {layers} layers are numbered 0 to {layers - 1}."
    if len(cut) != parts:
        return f"You made {len(cut)} parts; {parts} were asked for."
    if any(not held for held in cut):
        return f"Part {next(at for at, held in enumerate(cut) if not held)} is empty: each device needs a layer."
    if [layer for held in cut for layer in held] != list(range(layers)):
        return "The layers are out of order: a part is a run of neighbouring layers, and the parts follow each other."
    return ""


def load(costs, cut) -> float:
    return max(sum(costs[layer] for layer in part) for part in cut)


def short(costs: Sequence[float]) -> str:
    """ "[2, 3×8, 7]": equal neighbours written once."""
    runs = [(cost, len(list(same))) for cost, same in itertools.groupby(costs)]
    return f"[{', '.join(f'{cost}×{count}' if count > 1 else f'{cost}' for cost, count in runs)}]"


def why_slow(split_layers, costs, parts, cut) -> Verdict:
    """A cut that covers everything and is not the best: the usual ways to get there, else the two numbers."""
    sizes = [len(part) for part in cut]
    if filled_to_average(costs, parts, cut):
        costs, parts = HEAVY_END
        cause = (
            "Good for the first parts, and the rest lands on the last: on {list} your slowest part takes {slow}, "
            "{best} is possible."
        )
        cut = call(split_layers, costs, parts)
    elif max(sizes) - min(sizes) <= 1:
        cause = "Equal numbers are not equal work: your slowest part takes {slow}, {best} is possible ({list})."
    else:
        cause = "Your slowest part takes {slow}, {best} is possible ({list})."
    named = {"list": f"`{short(costs)}` in {parts}", "slow": f"{load(costs, cut):g}"}
    best = f"{load(costs, minipar.split(costs, parts)):g}"
    return not_yet(cause.format(best=best, **named), tried=f"{short(costs)} in {parts}", got=f"{cut}")


def filled_to_average(costs, parts, cut) -> bool:
    """Does every part but the last stop just where one layer more would pass the average?"""
    average = sum(costs) / parts
    work = [sum(costs[layer] for layer in part) for part in cut]
    next_cost = [costs[part[-1] + 1] for part in cut[:-1]]
    return all(w <= average < w + c for w, c in zip(work, next_cost, strict=False)) and work[-1] == max(work)


def too_slow(split_layers) -> Verdict | None:
    """60 layers in 8 parts, within two seconds."""
    costs, parts = LONG
    try:
        call(split_layers, costs, parts, limit=2.0)
    except Trouble as trouble:
        if trouble.kind == "limit":
            return not_yet("Right, but 60 layers in 8 parts took longer than 2 s. See hint 1.")
        raise
    return examine(split_layers, costs, parts)


def refuses(split_layers) -> Verdict | None:
    """More parts than layers is a ValueError."""
    try:
        got = call(split_layers, [1, 2], 3)
    except Trouble as trouble:
        if isinstance(trouble.error, ValueError):
            return None
        raise
    return not_yet(
        "Two layers cannot fill three parts: raise a ValueError.", tried="[1, 2] in 3", expected="ValueError", got=got
    )


def for_real(split_layers) -> Verdict:
    """The learner's cut of a real model, trained one step on four processes."""
    model = minipar.GPT(layers=6, hidden=16, heads=2, context=16)
    cut = [range(part[0], part[-1] + 1) for part in call(split_layers, list(model.costs()), 4)]
    made = minipar.naive(4)
    wrong, step = really(made, cuts=tuple(cut))
    if wrong:
        return not_yet(wrong, tried="your cut of a GPT with 6 blocks, for real")
    return right(
        f"The optimum on {len(HIDDEN) + 2} lists, and four processes trained your cut: gradients as unsplit.",
        picture=lambda: drawn(made, step),
    )


LESSON = Lesson(
    id="03",
    file="03_layer_split",
    title="Layer split",
    questions=(
        Question(
            "The same batch on four devices, 8 blocks each. Compared with one device, the step takes…",
            options=(
                Option(
                    "a quarter of one device's time",
                    "Each device has a quarter of the work, but they work one after another.",
                ),
                Option("about half", "No two devices work at once here: rank 1 cannot start before rank 0 has ended."),
                Option(
                    "the same, and a little more",
                    "Right: the work is the same, done in turn, and the messages come on top.",
                ),
                Option(
                    "four times as long", "The work is divided, not repeated: each device does its own quarter, once."
                ),
            ),
            right=2,
            measured=lambda r: (
                f"{slots().makespan:g} slots, the work of one device, and {len(r.step.trace.messages)} messages."
            ),
            name="A",
        ),
        Question(
            "How much of the step does device 2 work?",
            options=(
                Option("100 %", "Device 2 waits for the forward to reach it, and for the gradient to come back."),
                Option("50 %", "One of four works at a time: a quarter."),
                Option("25 %", "Right: 3 of 12 slots."),
                Option("3 %", "One of 32 layers would be 3 %. Device 2 has 8 of them: a quarter of the work."),
            ),
            right=2,
            measured=lambda r: (
                f"{slots().busy(2):g} of {slots().makespan:g} slots: {slots().busy(2) / slots().makespan:.0%}."
            ),
            name="B",
        ),
    ),
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_split_layers,),
    hints=(
        "Suppose the limit were 9: can you fill from the left?",
        "How many parts does a limit need?",
        "Try limits until `parts` suffice.",
    ),
)

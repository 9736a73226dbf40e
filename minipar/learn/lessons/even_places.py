"""Is the learner's placement of experts a placement, and is it nearly as even as can be?

Looked at in this order: the form, each expert once, equal numbers, the busiest rank, the learner's own list of loads.
First the example of the notebook, then loads it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from minipar.learn.lessons.devices import NUMBERS
from minipar.learn.safely import Trouble
from minipar.learn.verdict import Verdict, call, not_yet, right
from minipar.plan.placement import Placement, optimum
from minipar.plan.routing import Routing, follow

SHOWN = ([40, 24, 20, 16, 12, 8, 6, 2], 4)
HIDDEN = (
    ([91, 65, 17, 16, 15, 13, 20, 19], 4),
    ([5, 31, 8, 2, 44, 9, 12, 27, 3, 18, 22, 7], 4),
    ([3, 70, 12, 9, 41, 1, 26, 8, 15, 30, 6, 22, 11, 4, 19, 35], 2),
    ([0] * 8, 4),
)
NEAR = 1.1  # how far above the best a busiest rank may be

Slots = tuple[tuple[int, ...], ...]


def check_place(place: Callable) -> Verdict:
    """Each expert once, as many on each rank, the busiest within 10 % of the best, the loads as they were."""
    for loads, ranks in (SHOWN, *HIDDEN):
        tried = f"{' '.join(map(str, loads))} on {ranks} ranks"
        try:
            slots, after = placed(place, loads, ranks)
        except Trouble as trouble:
            return not_yet(str(trouble), tried=tried)
        fault = not_placed(slots, len(loads), ranks) or not_equal(slots, loads) or not_even(slots, loads, ranks)
        if not fault and after != loads:
            fault = f"The placement is right, but your loads are {' '.join(map(str, after))} now: sort a copy."
        if fault:
            return not_yet(fault, tried=tried, got=" | ".join(" ".join(map(str, held)) for held in slots))
    slots, _ = placed(place, *SHOWN)
    loads, ranks = SHOWN
    best, most = max(optimum(loads, ranks).rank_loads(loads)), busiest(slots, loads)
    said = f"Busiest rank {most}: " + ("no placement is better." if most == best else f"{best:g} is the best there is.")
    return right(f"{said} On {len(HIDDEN)} other loads within 10 % of the best.", picture=lambda: picture(slots, loads))


def placed(place: Callable, loads: Sequence[int], ranks: int) -> tuple[Slots, list]:
    """What the learner returned, as numbers, and the loads afterwards. Trouble where it is something else."""
    seen = {}

    def place_experts(loads, ranks):
        seen["loads"] = loads
        return place(loads, ranks)

    got = call(place_experts, list(loads), ranks)
    try:
        return tuple(tuple(int(expert) for expert in held) for held in got), list(seen["loads"])
    except (TypeError, ValueError):
        was = "nothing" if got is None else f"{got!r:.60}"
        raise Trouble(f"place_experts returned {was}; return a list for each rank: [[0, 7], [1, 6], …].") from None


def not_placed(slots: Slots, experts: int, ranks: int) -> str:
    """A sentence where a rank is missing, or an expert is not there exactly once."""
    if len(slots) != ranks:
        return f"{ranks} ranks, and you returned {len(slots)} lists: one for each rank."
    homes: dict[int, list[int]] = {}
    for rank, held in enumerate(slots):
        for expert in held:
            homes.setdefault(expert, []).append(rank)
    strange = sorted(set(homes) - set(range(experts)))
    if strange:
        return f"Expert {strange[-1]} does not exist: {experts} experts are numbered 0 to {experts - 1}."
    for expert in range(experts):
        where = homes.get(expert, [])
        if not where:
            return f"Expert {expert} is on no rank: its tokens would have nowhere to go."
        if len(where) > 1:
            twice = f"on rank {where[0]} twice" if where[0] == where[1] else f"on ranks {where[0]} and {where[1]}"
            return f"Expert {expert} is {twice}: no copies here."
    return ""


def not_equal(slots: Slots, loads: Sequence[int]) -> str:
    """A sentence where ranks hold different numbers of experts."""
    counts = [len(held) for held in slots]
    if len(set(counts)) == 1:
        return ""
    each = len(loads) // len(slots)
    many = NUMBERS[each] if each < len(NUMBERS) else each
    return (f"Busiest {busiest(slots, loads)}, but ranks hold {' '.join(map(str, counts))} experts: {many} each, "
            "memory is the same everywhere.")  # fmt: skip


def not_even(slots: Slots, loads: Sequence[int], ranks: int) -> str:
    """A sentence where the busiest rank has more than a tenth more than the best placement's."""
    best, most = max(optimum(loads, ranks).rank_loads(loads)), busiest(slots, loads)
    if most <= NEAR * best:
        return ""
    crowd = next(held for held in slots if total(held, loads) == most)
    heaviest = sorted((loads[expert] for expert in crowd), reverse=True)
    said = f"Busiest rank {most}, {best:g} is possible: "
    if heaviest[:2] == sorted(loads, reverse=True)[:2]:
        return f"{said}the two largest stand together."
    told = f"{', '.join(map(str, heaviest[:-1]))} and {heaviest[-1]}" if len(heaviest) > 1 else str(heaviest[0])
    return (f"{said}{told} on rank {slots.index(crowd)}. Largest first, each to the emptiest rank that has room.")


def total(held: Sequence[int], loads: Sequence[int]) -> int:
    return sum(loads[expert] for expert in held)


def busiest(slots: Slots, loads: Sequence[int]) -> int:
    return max(total(held, loads) for held in slots)


def routed(slots: Slots, loads: Sequence[int]) -> Routing:
    """So many tokens with one choice each that the loads come out."""
    choice = [(expert,) for expert, many in enumerate(loads) for _ in range(many)]
    return follow(choice, len(loads), placement=Placement(slots))


def picture(slots: Slots, loads: Sequence[int]):
    """The ranks in a row, and as the learner placed their experts."""
    from minipar.plan.placement import linear
    from minipar.view.load import stragglers

    before = linear(len(loads), len(slots))
    title = f"Yours: the busiest rank falls from {busiest(before.slots, loads)} to {busiest(slots, loads)} rows"
    return stragglers({"in a row": routed(before.slots, loads), "yours": routed(slots, loads)}, title, home=before)

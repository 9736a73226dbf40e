"""What does lesson 11b ask, measure and check? One long queue, and what each way of shortening it costs.

    the run    the tokens of lesson 11 as they are, with full experts, placed anew, with copies (four_ways.py)
    the build  places by load (even_places.py), a bias that teaches the router (bias_steps.py)
"""

from __future__ import annotations

from minipar.learn.lesson import Lesson, Option, Question, Results
from minipar.learn.lessons.bias_steps import check_choose, check_update
from minipar.learn.lessons.even_places import check_place
from minipar.plan.placement import linear, moves
from minipar.plan.routing import Routing, route
from minipar.view.load import stragglers
from minipar.view.words import count

EXPERTS, TOP, RANKS = 8, 2, 4
HEADING = "One queue, shortened three ways: what each costs stands on the right"
FACTORS = (1.0, 1.25, 2.0)
AS_IT_IS, FULL, PLACED, COPIED = "as they are", "full at 32", "placed", "copied"


# -- the run -----------------------------------------------------------------------------------------------------


def see(r: Results):
    """The ranks of each way on one axis, each with its price."""
    from minipar.learn.lessons.four_ways import longest, seconds

    names = {AS_IT_IS: "As they are", FULL: "Full: 32 rows an expert, no more", PLACED: "Swap desks: placed by load",
             COPIED: "Second clerk: 12 places for 8 experts"}  # fmt: skip
    notes = {names[name]: f"{longest(r.runs[name]):.2f} s, price: {price(way)}" for name, way in r.ways.items()}
    ways = {names[name]: way for name, way in r.ways.items()}
    waits = stragglers(ways, HEADING, notes=notes, home=r.ways[AS_IT_IS].placement)
    steps = ", ".join(f"{seconds(ran):.2f}" for ran in r.runs.values())
    return [waits, "Bars: rows as counted on the ranks. Seconds: the longest queue, measured, paced at 5 ms a row. "
                   f"With all messages, on this machine now: {steps} s."]  # fmt: skip


def price(way: Routing) -> str:
    """What a way costs that the first does not: choices, moved weights or more weights."""
    from minipar.learn.lessons.four_ways import EXPERT_BYTES

    if way.dropped:
        return f"{way.dropped} of {way.tokens * TOP} choices lost"
    if way.placement.added:
        return f"{count(way.placement.added, 'expert')} more: {way.placement.added * EXPERT_BYTES:,} B"
    moved = len(moves(linear(EXPERTS, RANKS), way.placement))
    return f"{count(moved, 'expert')} moved once: {moved * EXPERT_BYTES:,} B" if moved else "none"


def facts(r: Results):
    """Rows and bytes of the runs, drops and places: exact on any machine."""
    from minipar.learn.lessons.four_ways import EXPERT_BYTES, row_bytes

    full = [route(r.scores, EXPERTS, TOP, factor, ranks=RANKS) for factor in FACTORS]
    line = route(r.scores, EXPERTS, TOP, 1.0, drop="position", ranks=RANKS)
    copied = r.ways[COPIED].placement
    each = (load / copies for load, copies in zip(r.ways[COPIED].load, copied.copies, strict=True))
    return [
        *((f"rows computed, {name}", numbers(part.rows for part in ran)) for name, ran in r.runs.items()),
        ("capacity", ", ".join(str(one.capacity[0]) for one in full)),
        ("dropped of 256 choices", ", ".join(str(one.dropped) for one in full)),
        ("kept on rank 0", ", ".join(str(one.rank_loads[0]) for one in full)),
        ("tokens that lose both at 32", f"{full[0].lost} if the lowest scores go, {line.lost} if the last in line go"),
        ("dropped alike on 1, 2 and 4 ranks", alike(r)),
        ("copies", numbers(copied.copies)),
        ("rows a place", numbers(f"{one:.1f}" for one in each)),
        ("four experts more", f"{copied.added * EXPERT_BYTES:,} B"),
        ("bytes out", ", ".join(f"{row_bytes(ran.trace, 'dispatch'):,}" for ran in r.runs.values())),
        ("answers as before", ", ".join(f"{name} {same(r, name)}" for name in (FULL, PLACED, COPIED))),
    ]


def numbers(values) -> str:
    return " ".join(map(str, values))


def alike(r: Results) -> bool:
    """Whether the same choices are dropped however many ranks share the tokens."""
    return len({route(r.scores, EXPERTS, TOP, 1.0, ranks=ranks).kept for ranks in (1, 2, 4)}) == 1


def same(r: Results, name: str) -> bool:
    """Whether the ranks' answers equal those of the first way, up to the rounding of float32 sums."""
    from minipar.learn.lessons.four_ways import answers

    before = answers(r.runs[AS_IT_IS])
    return bool((answers(r.runs[name]) - before).abs().max() <= 1e-5 * before.abs().max())


def formula(r: Results, capacity=0, bound=0, pair=0):
    """The capacity and the bounds, beside what the ranks computed."""
    busiest = max(part.rows for part in r.runs[PLACED])
    return [
        ("capacity", capacity, max(r.ways[FULL].load)),
        ("no placement below", f"{bound:g}", busiest),
        ("two experts a rank: none below", pair, busiest),
    ]


def measured_drops(r: Results) -> str:
    full = r.runs[FULL]
    served = sum(part.rows for part in full)
    return f"{256 - served} of 256 choices dropped, {max(part.rows for part in full)} rows on the busiest rank"


QUESTIONS = (
    Question(
        text="Capacity factor 1.0: an expert takes 32 at most (256 / 8). The busiest rank falls from 156 to 64. Of 256 "
        "choices are dropped…",
        options=(
            Option("none, they go to the next best", "Nobody sends them on: a dropped choice is gone."),
            Option("24", "24 go even without any lean: chance alone is uneven."),
            Option("92", "Right: what is above 32 goes, 59 at expert 0 and 33 at expert 1."),
            Option("128", "Only what is above 32: 59 at expert 0 and 33 at expert 1."),
        ),
        right=2,
        measured=measured_drops,
    ),
)

HINTS = (
    "Places: which expert is the hardest to find a place for? Give it one first.",
    "Places: the emptiest rank with room takes the next one. Bias: what has to happen to whoever is above the mean?",
    "`(scores + bias).topk(top)` chooses, `scores.gather(1, choice)` weighs, `torch.sign(loads.mean() - loads)` says "
    "up or down.",
)

LESSON = Lesson(
    id="11b",
    file="11b_balance",
    title="Balance",
    questions=QUESTIONS,
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_place, check_choose, check_update),
    hints=HINTS,
)

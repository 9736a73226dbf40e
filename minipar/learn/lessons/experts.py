"""11 Experts: tokens that travel. What is asked, shown and checked?

    moe(w, x, choice, weight, mine)         each rank has its own tokens and its own experts

    x ─sort by expert─► counts ═all-to-all═► rows ═all-to-all═► my experts ═all-to-all═► unsort, weigh, add ─► y

The run is three layers of experts (post_office.py): even, skewed, and the seeded one whose bytes are counted. The check
(routed_moe.py) runs the learner's function on real processes and compares with the dense loop.
"""

from __future__ import annotations

from minipar.learn.lesson import Lesson, Option, Question
from minipar.learn.lessons import post_office
from minipar.learn.lessons.routed_moe import check_moe
from minipar.plan.balance import max_over_mean

PACE = 0.010  # seconds a token in an expert


def see(r):
    """The way of all tokens; who waits for whom, measured; the bytes of both ways."""
    from minipar.view.flow import flow
    from minipar.view.load import stragglers
    from minipar.view.traffic import matrices

    way = flow(post_office.routing("seeded"))
    paced = {name: post_office.routing(name) for name in ("even", "skewed")}
    times = {name: post_office.step_time(r[name]) for name in paced}
    longer = times["skewed"].experts / times["even"].experts
    notes = {name: f"measured, paced; predicted for the experts {pace() * max(one.rank_loads):.2g} s"
             for name, one in paced.items()}  # fmt: skip
    waits = stragglers(paced, f"The same work takes {longer:.1f} times as long: three ranks wait for rank 0", unit="s",
                       times=times, notes=notes)  # fmt: skip
    tables = {f"{leg}: {sum(map(sum, table)):,} B": table for leg, table in both(r).items()}
    into = sum(row[0] for row in post_office.rows(r.seeded)[1:])
    heading = f"Rank 0's column is full: {into} of its {post_office.rank_loads(r.seeded)[0]} rows come over the wire"
    return [way, waits, matrices(tables, heading), unpaced(r)]


def pace() -> float:
    """Seconds a token in an expert, at this session's pace."""
    from minipar.run.pace import factor

    return PACE * factor()


def both(r):
    """Bytes out and home, by link."""
    return {leg: post_office.moved(r.seeded, leg) for leg in ("dispatch", "combine")}


def unpaced(r) -> str:
    """Four ranks against one process with the dense loop, as the clock saw them."""
    times, alone = post_office.step_time(r.seeded), post_office.alone(post_office.tokens("seeded"), *r.weights)
    return (f"Unpaced, on this machine, now: the layer of the picture at the top took {1e3 * times.total:.1f} ms, its "
            f"experts worked {1e3 * max(times.work):.1f} ms of it. One process with a loop over all eight experts: "
            f"{1e3 * alone:.1f} ms.")  # fmt: skip


def facts(r):
    """Exact on any machine: rows as they were split, bytes as they were sent, answers compared."""
    loads = {name: post_office.rank_loads(r[name]) for name in ("even", "skewed", "seeded")}
    out, home = both(r).values()
    table = post_office.rows(r.seeded)
    leave = sum(many for source, row in enumerate(table) for target, many in enumerate(row) if source != target)
    return [
        ("top-1, rows a rank, even", f"{said(loads['even'])}, busiest / mean {max_over_mean(loads['even']):.2f}"),
        ("top-1, rows a rank, skewed", f"{said(loads['skewed'])}, busiest / mean {max_over_mean(loads['skewed']):.2f}"),
        ("top-2, rows an expert", said(post_office.expert_loads(r.seeded))),
        ("top-2, rows a rank", f"{said(loads['seeded'])} of {sum(loads['seeded'])}, "
                               f"busiest / mean {max_over_mean(loads['seeded']):.2f}"),
        ("rows rank → rank", " / ".join(map(said, table))),
        ("rows that leave their rank", f"{leave}: {total(out):,} B out, {total(home):,} B back"),
        ("what came goes home", tuple(zip(*home, strict=True)) == out),
        ("tokens out = tokens home", total(out) == total(home) == leave * post_office.HIDDEN * 4),
        ("equal to the dense loop", all(post_office.is_dense(r[name], post_office.tokens(name), *r.weights)
                                        for name in loads)),
    ]  # fmt: skip


def said(numbers) -> str:
    return " ".join(map(str, numbers))


def total(table) -> int:
    return sum(map(sum, table))


def formula(r, sent=0, step=0.0):
    """Bytes out from the rows that leave; the paced step from the busiest rank."""
    ran = total(both(r)["dispatch"])
    busiest = max(post_office.rank_loads(r.skewed))
    return [
        ("sent out, top-2", f"{sent:,} B", f"{ran:,} B"),
        ("experts, skewed, paced", f"{step:.2f} s", f"{busiest * PACE:.2f} s"),
    ]


def measured_time(r) -> str:
    even, skewed = (max(post_office.rank_loads(r[name])) for name in ("even", "skewed"))
    return f"{even} tokens on the busiest rank, then {skewed}: {skewed / even:.1f} times."


def measured_weights(r) -> str:
    up, down = r.weights
    held, used = [len(sizes) for _, _, sizes in r.seeded], len(post_office.routing("seeded").choice[0])
    return (f"{said(held)} experts on the four ranks, {sum(held)} together: "
            f"{up.numel() + down.numel():,} weights. A token uses {used} of them.")  # fmt: skip


QUESTIONS = (
    Question(
        name="A",
        text="112 tokens, one expert each. Evenly: 14 an expert, 28 a rank. Now 56 want expert 0, 8 each of the other "
        "seven. The expert part of the step takes…",
        options=(
            Option("as long, 112 are 112", "The work is the same, the queue is not: rank 0 has 64, the others 16, and "
                   "all wait for 64."),
            Option("1.5 times", "64 / 28, not the average of two ranks."),
            Option("2.3 times", "Right: 64 / 28. The busiest expert's rank sets the time."),
            Option("4 times", "That is when all 112 want rank 0's: 112 / 28."),
        ),
        right=2,
        measured=measured_time,
    ),
    Question(
        name="B",
        text="Each token uses 2 of 8 experts. Weights held by all ranks together:",
        options=(
            Option("two experts'", "Any token may choose any expert: all eight lie ready; few work for one token."),
            Option("four", "One expert a rank would leave no place for the other four, and some token wants them: all "
                   "eight lie ready."),
            Option("eight", "Right: any token may choose any expert, so all eight lie ready; few work for one token."),
            Option("depends on the tokens", "Any token may choose any expert: all eight lie ready; few work for one "
                   "token."),
        ),
        right=2,
        measured=measured_weights,
    ),
)  # fmt: skip

LESSON = Lesson(
    id="11",
    file="11_experts",
    title="Experts",
    questions=QUESTIONS,
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_moe,),
    hints=(
        "Sort the (token, choice) pairs by expert; keep the sort.",
        "Counts a rank first, then rows.",
        "Home again: the same counts the other way round, undo the sort, weigh, add.",
    ),
)

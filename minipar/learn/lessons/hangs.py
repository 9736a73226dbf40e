"""07b Hangs: two lists are legal, every send waits for its receiver; which of them ends, and whose lines are to blame?

    rank 0 ──► rank 1 ──► rank 2 ══► rank 3        1F1B from hand to hand: 0 sends to 1, 1 to 2, 2 to 3, and 3 to 2
                              ◄══                  the circle is 2 and 3; 0 and 1 only stand behind it

Three calls end really: one with gradients, one with the pool's report of who stands where, one refused before any byte
moves. What the run says is compared with a walk through the same lists before anything ran.
"""

from __future__ import annotations

from minipar.learn.lesson import Lesson, Option, Question
from minipar.learn.lessons.circle_swap import check_cycle, check_swap
from minipar.learn.lessons.hand_to_hand import gradients_equal, place, standing
from minipar.plan.waits import circle


def schedule():
    from minipar.plan.schedules import one_f_one_b

    return one_f_one_b(4, 4)


def arrows(ring) -> str:
    return " → ".join(map(str, (*ring, ring[0]))) if ring else "none"


def stands(r):
    """Where each rank of 1F1B stood when it was stopped; () where it was not."""
    error = r["1F1B"].error
    return standing(schedule(), error) if error is not None else ()


def see(r):
    """Who waits for whom in 1F1B, who called what in the third call, and the pool's report as it came."""
    from minipar.view.waits import Call, calls, waits

    where = stands(r)
    ring = circle({wait.rank: wait.peer for wait in where})
    table = []
    for rank, (what, at) in plain(r["mixed"].error).items():
        found = place(at)
        table.append(Call(rank, what, f"{found.function}, line {found.line}", found.code))
    return [
        waits(schedule(), where, ring, "1F1B from hand to hand: two block each other, two stand behind them"),
        calls(table, "The third call: three ranks mean one thing, one means another"),
        f"The pool's report of 1F1B, as it came:\n{r['1F1B'].error or 'none'}",
    ]


def plain(error) -> dict:
    """rank -> (operation, place) of a refused collective, without its shapes."""
    return {rank: (what.split()[0], at) for rank, (what, at) in sorted(error.calls.items())}


def facts(r):
    gpipe, stuck, mixed = r["GPipe"], r["1F1B"], r["mixed"]
    where = stands(r)
    rows = [("GPipe", f"{end(gpipe)}, gradients equal: {gpipe.finished and gradients_equal(*r.step, gpipe.values)}")]
    rows.append(("1F1B", end(stuck)))
    rows += [(f"rank {one.rank}", one.words.removeprefix(f"rank {one.rank} ")) for one in where]
    rows.append(("waits", " ".join(str(one.peer) for one in where)))
    rows.append(("circle, as the pool names it", arrows(stuck.error.cycle if stuck.error else ())))
    rows.append(("mixed", end(mixed)))
    for rank, (what, at) in plain(mixed.error).items():
        rows.append((f"rank {rank} calls", f"{what}, {place(at).file}, line {place(at).line}"))
    rows.append(("pool ready after each", all(one.ready for one in (gpipe, stuck, mixed))))
    return rows


def end(one) -> str:
    """ "finished", "stopped" or "refused"."""
    if one.finished:
        return "finished"
    return {"deadlock": "stopped", "timeout": "stopped", "disagree": "refused"}.get(one.error.kind, one.error.kind)


def formula(r, gpipe=None, one_f_one_b=None):
    """Whom each rank waits for, {rank: peer}: by the walk, and in the run."""
    if gpipe is None or one_f_one_b is None:
        return []
    ran = {one.rank: one.peer for one in stands(r)}
    gone = {} if r["GPipe"].finished else None
    return [
        ("GPipe, circle", written(circle(gpipe)), "none" if gone == {} else "stuck"),
        ("1F1B, waits", " ".join(map(str, one_f_one_b.values())), " ".join(map(str, ran.values()))),
        ("1F1B, circle", written(circle(one_f_one_b)), written(circle(ran))),
    ]


def written(ring) -> str:
    return str(list(ring)) if ring else "none"


def measured(r) -> str:
    ring = r["1F1B"].error.cycle if r["1F1B"].error else ()
    told = f" in the circle {arrows(ring)}" if ring else ""
    return f"GPipe {end(r['GPipe'])}, 1F1B {end(r['1F1B'])}{told}."


QUESTIONS = (
    Question(
        text="Every send goes hand to hand. GPipe and 1F1B, P = 4, M = 4: which finishes?",
        options=(
            Option(
                "both, both lists are legal",
                "Legal says an order exists in which every value is there. With hands full a rank cannot take.",
            ),
            Option("neither", "Under GPipe messages flow one way at a time: all down, then all up."),
            Option("GPipe only", "Right: in 1F1B a forward and a backward meet on one border, all hands full."),
            Option("1F1B only", "1F1B is the one in which a forward and a backward meet on one border."),
        ),
        right=2,
        measured=measured,
    ),
)

HINTS = (
    "Start at any rank and follow its arrow, again and again. What happens when you are in a circle?",
    "Write down whom you pass. The first rank that you meet twice opens the circle: what stands before it only waits. "
    "Start from every rank, and stop at None.",
    "swap: both run the same line, so something must be different for the two. Each knows w.rank and peer: let the "
    "smaller send first and the other receive first.",
)

LESSON = Lesson(
    id="07b",
    file="07b_hangs",
    title="Hangs",
    questions=QUESTIONS,
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_cycle, check_swap),
    hints=HINTS,
)

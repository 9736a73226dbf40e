"""08 Slicing I: columns, then rows. What is asked, shown and checked?

    mlp(tensor, x, up, up_bias, down, down_bias)            each rank holds its slices, x and y are whole

    x ─Copy─► · my columns of up ─► GELU ─► · my rows of down ─Reduce─► + down_bias ─► y
       ◄─sum──                                               ◄─as it is─

The check runs the learner's function on 2, 1 and 4 real processes and compares it with one process: the output, what
was sent forward, the gradients, what was sent backward, in this order, so that the first thing wrong is named alone.
"""

from __future__ import annotations

from minipar.learn.lesson import Lesson, Option, Question
from minipar.learn.lessons import four_orders
from minipar.learn.lessons.sliced_mlp import check_mlp

TITLE = "Only column→row needs nothing in the middle"


def measured(r) -> str:
    true = four_orders.reference(*r.mlp)[0]
    return f"with one collective at the end, {', '.join(f'{order} is {outcome(r, order, true)}' for order in r.one)}."


def outcome(r, order: str, true) -> str:
    """ "equal", "wrong by 70 %", or "refused"."""
    y = r.one[order][0]
    if isinstance(y, str):
        return "refused"
    wrong = four_orders.wrong_by(y, true)
    return "equal" if wrong < 1e-10 else f"wrong by {wrong:.0%}".replace("%", " %")


# -- the run -----------------------------------------------------------------------------------------------------


def see(r):
    """The four orders as tiles, with the bytes that were counted; under it the one token."""
    from minipar.view.slices import slices

    true = four_orders.reference(*r.mlp)[0]
    rows = [row(r, order, true) for order in r.one]
    return [slices(rows, title=TITLE), one_token(r)]


def row(r, order: str, true):
    """One order for the picture: the collectives that it needs as they were counted, the outcome with only the last."""
    from minipar.view.slices import Arrow, By, Chain, talk

    cuts = tuple(By(side) for side in order.split("→"))
    there, home = (list(way) for way in four_orders.counted(r.needed[order].trace))
    joints = talk(cuts)
    forward = tuple(Arrow(*there.pop(0)) if joint.forward else None for joint in joints)
    backward = tuple(Arrow(*home.pop()) if joint.backward else None for joint in joints)  # met last comes first
    said, y = outcome(r, order, true), r.one[order][0]
    note = y.replace("the second matrix ", "B ").replace(" inputs", "") if isinstance(y, str) else ""
    widths = r.mlp[0].shape[1], r.mlp[1].shape[0], r.mlp[2].shape[0]
    return Chain(order, cuts, forward, backward, said, said != "equal", note, widths, len(r.needed[order]))


def one_token(r) -> str:
    return (
        f"One token, on this machine, now: one process {1e6 * r.alone:.0f} µs, two ranks {1e6 * r.two:.0f} µs, "
        f"{r.two / r.alone:.1f} times as long."
    )


def facts(r):
    true = four_orders.reference(*r.mlp)
    told = []
    for order, (y, *_) in r.one.items():
        words = f"refused: {y}" if isinstance(y, str) else outcome(r, order, true[0])
        if words.startswith("wrong"):
            words = f"wrong by {four_orders.wrong_by(y, true[0]):.2f} of the output's size"
        told.append((f"one collective, {order}", words))
    for order, ranks in r.needed.items():
        there, home = four_orders.counted(ranks.trace)
        sent = sum(size for _, size in there + home)
        told.append((f"all it needs, {order}", f"{len(there)} + {len(home)}, {sent:,} B"))
    equal = all(four_orders.gradients_equal(order, ranks, true) for order, ranks in r.needed.items())
    return [*told, ("all gradients equal one process's", equal)]


def formula(r, sent=0, saved=0):
    """Bytes of column→row forward, and operations that a rank is spared for each of them."""
    there, _ = four_orders.counted(r.needed["column→row"].trace)
    ran = sum(size for _, size in there)
    x, up, down = r.mlp
    spared = (up.numel() + down.numel()) * (1 - 1 / len(r.needed["column→row"])) * 2 * x.shape[0]
    return [
        ("sent forward, column→row", f"{sent:,.0f} B", f"{ran:,} B"),
        ("operations saved a byte", f"{saved:,}", f"{spared / ran:,.0f}"),
    ]


QUESTION = Question(
    text="GELU between, exactly one collective, at the very end. Which orders are right?",
    options=(
        Option("all four", "Row first gives partial sums. 3 and −3 make 0, and GELU(0) = 0; apart, "
               "GELU(3) + GELU(−3) = 2.99."),
        Option("column→row only", "Right: columns give whole numbers for GELU, and the rows' partial sums meet in the "
               "one sum at the end."),
        Option("column→row and row→column", "Row first gives partial sums. 3 and −3 make 0, and GELU(0) = 0; apart, "
               "GELU(3) + GELU(−3) = 2.99."),
        Option("row→row only", "Row first again: GELU of half a sum. Without the GELU it is wrong too: each rank's "
               "half of the sums lacks the other's part."),
    ),
    right=1,
    measured=measured,
)  # fmt: skip

LESSON = Lesson(
    id="08",
    file="08_columns_rows",
    title="Slicing I",
    questions=(QUESTION,),
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_mlp,),
    hints=(
        "Who has all of `x`? Who has all of its gradient?",
        "Copy's backward sums, Reduce's forward sums.",
        "`Reduce(GELU(Copy(x)·up + up_bias)·down) + down_bias`. In code a door also takes the axis, "
        "`Copy(tensor, x)`, and torch's weights are turned: `· up` is `@ up.T`.",
    ),
)

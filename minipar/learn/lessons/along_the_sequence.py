"""What does lesson 10 ask, measure and check? Norms on slices of the sequence, keys in a ring.

    part one   all-reduce = reduce-scatter + all-gather; between the two the sequence may lie in slices
    part two   ring attention: the same keys pass every rank, and who holds the late positions works longest
"""

from __future__ import annotations

import math
import statistics

from minipar.learn.lesson import Lesson, Option, Question, Results
from minipar.learn.lessons.fair_merge import check_merge, check_zigzag
from minipar.learn.lessons.key_ring import check_attend
from minipar.plan import deal
from minipar.view.deal import Dealt, deals

RING = "ring_attention"
HEADING = "The last rank works seven times as long as the first; dealt from both ends, all work alike"
NOTES = {"contiguous": "In a row (contiguous): 7, one after another", "zigzag": "From both ends (zig-zag): 4"}


# -- the run -----------------------------------------------------------------------------------------------------


def worked(ring) -> deal.Work:
    """The pairs that each rank really computed, step by step."""
    return deal.Work(tuple(zip(*(tuple(met.pairs for met in part.seen) for part in ring), strict=True)))


def see(r: Results):
    """Both deals beside each other, from what the ranks wrote down, step by step; then where it does not pay."""
    panels = [Dealt(name, tuple(part.positions for part in ring), worked(ring)) for name, ring in r.rings.items()]
    alone, together = (1000 * statistics.median(times) for times in zip(*r.short, strict=True))
    return [
        deals(panels, HEADING, NOTES),
        f"64 positions, forward and backward, on this machine now: one process {alone:.1f} ms, a ring of four "
        f"{together:.1f} ms, {together / alone:.0f} times as long. So short a text is not worth passing round.",
    ]


def facts(r: Results):
    """Bytes of the ledger, gradients, pairs as computed: exact on any machine."""
    row, dealt = (worked(r.rings[name]) for name in NOTES)
    sent = (f"{each(r.slices.trace.sent(rank, what) for rank in range(4))} {lap}" for what, lap in LAPS.items())
    return [
        ("sent a rank, all-reduce", each(r.whole.trace.sent(rank, "all_reduce") for rank in range(4))),
        ("sent a rank, in two halves", " + ".join(sent)),
        ("output of both", "equal" if all(map(near, outs(r.whole), outs(r.slices))) else "different"),
        ("norm's input held a rank", f"{r.whole[0].input_bytes:,} B whole, {r.slices[0].input_bytes:,} B in slices"),
        ("norm's bias gradient", biases(r)),
        ("pairs contiguous", numbers(row.pairs)),
        ("pairs zig-zag", numbers(dealt.pairs)),
        ("slowest rank of each step, summed", f"{row.slowest:,} and {dealt.slowest:,}"),
        ("keys and values passed on, forward", passed(r.rings["zigzag"].trace)),
        ("largest score matrix", f"{largest(r.rings):,} B (keys gathered: {gathered(r.rings):,} B)"),
        ("output equals full attention's", all(near(joined(ring)[0], r.full[0]) for ring in r.rings.values())),
        ("gradients equal full attention's", all(all(map(near, joined(ring), r.full)) for ring in r.rings.values())),
    ]


LAPS = {"reduce_scatter": "reduce-scatter", "all_gather": "all-gather"}


def outs(ranks):
    return [rank.out for rank in ranks]


def each(sizes) -> str:
    """One number where all ranks are alike, else all of them."""
    return " or ".join(f"{size:,} B" for size in sorted(set(sizes)))


def numbers(values) -> str:
    return " ".join(f"{value:,}" for value in values)


def near(one, other) -> bool:
    """Equal up to the rounding of float32 sums taken in another order."""
    return bool((one - other).abs().max() <= 1e-5 * other.abs().max())


def joined(ring):
    from minipar.nn.sequence import joined

    return joined(ring)


def biases(r: Results) -> str:
    """The bias gradient of a plain sum: on each rank alone, after summing, and of the whole."""
    own, summed, whole = (
        " ".join(f"{number:g}" for number in sorted({g for rank in ranks for g in getattr(rank, name).tolist()}))
        for ranks, name in ((r.slices, "own_gradient"), (r.slices, "gradient"), (r.whole, "gradient"))
    )
    return f"{own} on each rank, {summed} after summing, {whole} whole"


def passed(trace) -> str:
    counts = {trace.message_count(rank, RING) for rank in range(4)}
    sizes = {message.bytes for message in trace.messages if message.collective == RING}
    return f"{numbers(sorted(counts))} blocks a rank of {each(sizes)}"


def largest(rings) -> int:
    return max(met.score_bytes for ring in rings.values() for part in ring for met in part.seen)


def gathered(rings) -> int:
    """Bytes of a rank's scores against all keys at once, float32."""
    return max(len(part.positions) * sum(len(other.positions) for other in ring) * 4
               for ring in rings.values() for part in ring)  # fmt: skip


def formula(r: Results, uneven=math.nan, sent=0):
    """How much longer the contiguous ring takes, and the bytes a rank passes on, beside the run's."""
    row, dealt = (worked(r.rings[name]).slowest for name in NOTES)
    trace = r.rings["zigzag"].trace
    return [
        ("contiguous / zig-zag", f"{uneven:.3g}", f"{row / dealt:.3f}"),
        ("keys and values sent a rank", f"{sent:,.0f} B", each(trace.sent(rank, RING) for rank in range(4))),
    ]


def measured_bytes(r: Results) -> str:
    return (f"{each(r.whole.trace.sent(rank) for rank in range(4))} whole, "
            f"{each(r.slices.trace.sent(rank) for rank in range(4))} on slices")  # fmt: skip


def measured_work(r: Results) -> str:
    pairs = worked(r.rings["contiguous"]).pairs
    return f"{pairs[0]:,} pairs on rank 0, {pairs[3]:,} on rank 3: {pairs[3] / pairs[0]:.2f} times"


HALVES = "491,520 = 245,760 + 245,760: the two laps of 02's ring, with work between."
BLOCKS = "Count half blocks: 1, 3, 5, 7. Rank 3 sees three whole blocks and half its own."

QUESTIONS = (
    Question(
        name="A",
        text="Norms on slices of the sequence: how many bytes on the wire, in one all-reduce's place?",
        options=(
            Option("half", HALVES),
            Option("equal", f"Right: {HALVES}"),
            Option("double", HALVES),
        ),
        right=1,
        measured=measured_bytes,
    ),
    Question(
        name="B",
        text="Causal mask, rank r has positions 256r … 256r+255. Rank 3 does how much of the work of rank 0?",
        options=(
            Option("equal", "Equal positions are not equal work: position 1,000 looks at 1,001 keys."),
            Option("2 ×", BLOCKS),
            Option("4 ×", BLOCKS),
            Option("7 ×", "Right: in half blocks 1, 3, 5, 7. Rank 3 sees three whole blocks and half its own."),
        ),
        right=3,
        measured=measured_work,
    ),
)

HINTS = (
    "Against which maximum is each sum?",
    "2P chunks; whoever takes chunk r also takes its mirror image.",
    "Scale both sides by exp(own max − new max).",
)

LESSON = Lesson(
    id="10",
    file="10_along_the_sequence",
    title="Along the sequence",
    questions=QUESTIONS,
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_merge, check_zigzag, check_attend),
    hints=HINTS,
)

"""02 What a message costs: why are a thousand small messages so much dearer than a large one of as many bytes?

    one message = a wait (alpha) + its bytes × beta            ring, P ranks, n bytes, seen from one rank:
    1,000 × 1 KB:  1,000 waits, 1,024,000 bytes                2(P−1) messages of n/P bytes each,
        1 × 1,000 KB:  1 wait,  1,024,000 bytes                2(P−1)/P · n sent, whoever it is

Bytes and messages are counted in the trace, not computed. Microseconds are shown and never compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from minipar.learn.lesson import Lesson, Option, Question
from minipar.learn.lessons.ring_sum import check_ring_sum
from minipar.view.explore_ping import seconds

WAYS = {"through_zero": "through rank 0", "everyone_to_everyone": "everyone to everyone", "ring_all_reduce": "ring"}


def see(r):
    """Three matrices of bytes on one colour scale, and the ring step by step."""
    from minipar.view.ring import matrices, ring

    tables = {WAYS[name]: runs[0].trace.traffic() for name, runs in r.ways.items()}
    found = "A ring keeps every link busy and no rank busier than the others"
    return [matrices(tables, found), "The ring, one step at a time: move the step.", ring(r.laps.ranks)]


def facts(r):
    traces = {name: runs[0].trace for name, runs in r.ways.items()}
    zero, everyone, ring = (traces[name] for name in WAYS)
    return [
        *((words, in_a_row(r.rows[count][0].trace)) for count, words in ROWS.items()),
        ("through rank 0", f"{messages(zero)}, rank 0 sends {zero.sent(0):,} B, others {each(zero, range(1, 4))}"),
        ("everyone to everyone", f"{messages(everyone)}, {each(everyone)} each"),
        ("ring", f"{messages(ring)}, {ring.message_count(0)} a rank of {each_message(ring)}, {each(ring)} each"),
        ("in all", f"{', '.join(f'{total(trace) / 1e6:g}' for trace in traces.values())} MB"),
        *((f"{lap} alone", half(r.laps, name)) for name, lap in LAPS.items()),
        ("all three sums equal torch's", all(all(run) for runs in r.ways.values() for run in runs)),
        ("1,000 messages and one, this machine, now", ", ".join(seconds(fastest(r.rows[count])) for count in ROWS)),
        ("the three sums, this machine, now", ", ".join(seconds(fastest(runs)) for runs in r.ways.values())),
    ]


ROWS = {1000: "1,000 messages of 1 KB", 1: "one message of 1,000 KB"}
LAPS = {"reduce_scatter": "lap one (reduce-scatter)", "all_gather": "lap two (all-gather)"}


def messages(trace) -> str:
    many = len(trace.messages)
    return f"{many:,} message{'' if many == 1 else 's'}"


def in_a_row(trace) -> str:
    return f"{messages(trace)}, {trace.sent(0):,} B"


def total(trace) -> int:
    return sum(map(sum, trace.traffic()))


def each(trace, ranks: Iterable[int] = range(4)) -> str:
    """What each of these ranks sent: one number where all are alike, else all of them."""
    return alike(trace.sent(rank) for rank in ranks)


def each_message(trace) -> str:
    return alike(message.bytes for message in trace.messages)


def alike(sizes: Iterable[int]) -> str:
    return " or ".join(f"{size:,} B" for size in sorted(set(sizes)))


def half(trace, collective: str) -> str:
    """One lap of the ring by itself: messages and bytes of a rank."""
    many = " or ".join(str(count) for count in sorted({trace.message_count(r, collective) for r in range(4)}))
    return f"{many} messages, {alike(trace.sent(rank, collective) for rank in range(4))} a rank"


def fastest(runs: Sequence) -> float:
    """The shortest of several runs, in seconds: from the first message handed over to the last one received."""
    traces = [run.trace for run in runs]
    return min(
        max(message.received for message in trace.messages) - min(message.sent for message in trace.messages)
        for trace in traces
    )


def formula(r, ring=None, through_zero=None):
    """Bytes a rank sends in the ring, and rank 0's in the other way; P = 4 was run."""
    if ring is None or through_zero is None:
        return []
    ran = {"ring": r.ways["ring_all_reduce"][0].trace.sent(0), "zero": r.ways["through_zero"][0].trace.sent(0)}
    rows = []
    for ranks in (2, 4, 8, 64):
        by_ring, by_zero = (f"{ran[way]:,} B" if ranks == 4 else "not run" for way in ("ring", "zero"))
        rows.append((f"P = {ranks}, each in the ring", f"{ring(ranks, 4_000_000):,.0f} B", by_ring))
        rows.append((f"P = {ranks}, rank 0 for all", f"{through_zero(ranks, 4_000_000):,.0f} B", by_zero))
    return rows


def measured_rows(r) -> str:
    many, one = (seconds(fastest(r.rows[count])) for count in ROWS)
    return f"1,000 messages took {many}, one took {one} (this machine, now)"


def measured_ways(r) -> str:
    zero, ring = (r.ways[name][0].trace for name in ("through_zero", "ring_all_reduce"))
    most = [max(trace.sent(rank) for rank in range(4)) for trace in (zero, ring)]
    return (
        f"in all {total(zero):,} B through rank 0 and {total(ring):,} B in the ring; "
        f"the busiest rank sends {most[0]:,} B and {most[1]:,} B"
    )


QUESTIONS = (
    Question(
        name="A",
        text="1,000 messages of 1 KB, one after another, or one of 1,000 KB?",
        options=(
            Option("equal, the same bytes", "The bytes are equal, the waits are 1,000 to 1."),
            Option("the small ones", "Each message pays the gate again; by formula 161 times."),
            Option("the big one, up to 3 times faster", "Each message pays the gate again; by formula 161 times."),
            Option("the big one, more than 10 times", "Right: 1,000 waits against one; by formula 161 times."),
        ),
        right=3,
        measured=measured_rows,
    ),
    Question(
        name="B",
        text="Four ranks sum a 4 MB tensor. Ring against everything through rank 0: bytes in all …",
        options=(
            Option("a quarter", "Both move 24 MB. Rank 0 sends 12 of its way's; in the ring each sends 6."),
            Option("half", "Both move 24 MB. Rank 0 sends 12 of its way's; in the ring each sends 6."),
            Option("equal, but no rank sends 12 MB any more", "Right: 24 MB both ways, 6 from each in the ring."),
            Option("double", "24 messages instead of 6, each a quarter as long."),
        ),
        right=2,
        measured=measured_ways,
    ),
)

HINTS = (
    "What must rank r hold after lap one?",
    "In step s rank r sends piece r−s and adds what comes to piece r−s−1.",
    "In lap two it sends piece r+1−s and replaces piece r−s.",
)

LESSON = Lesson(
    id="02",
    file="02_messages",
    title="What a message costs",
    questions=QUESTIONS,
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_ring_sum,),
    hints=HINTS,
)

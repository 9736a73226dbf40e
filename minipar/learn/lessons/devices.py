"""00 Devices: where does a tensor live?

    ring(w, x)      0 ──► 1 ──► 2 ──► 3      every rank adds 1 and passes it on;
                    ▲                 │      10 leaves rank 0, 14 comes home
                    └─────────────────┘

The check rehearses the program in this process, where a standstill is seen at once and every message is on record, on
2, 3 and 4 ranks; then four real processes run it.
"""

from __future__ import annotations

from minipar.learn.lesson import Lesson, Option, Question
from minipar.learn.rehearse import Rehearsal, rehearse
from minipar.learn.safely import Trouble, trouble
from minipar.learn.verdict import Verdict, not_yet, right
from minipar.learn.workers import workers

NUMBERS = ("no", "one", "two", "three", "four", "five")


# -- the run -----------------------------------------------------------------------------------------------------


def see(r):
    """The five memories three times: before, after sending, after rank 2 doubled its copy."""
    from minipar.view.strip import strip

    return strip(
        {
            "x is made: only the notebook holds it": r.before,
            "x is sent: five copies, 4 MB each": summed(r.sent, r.sums_sent),
            "rank 2 doubles x: nobody else notices": summed(r.doubled, r.sums_doubled, r.sums_sent),
        }
    )


def summed(moment, values, before=None):
    """The boxes with the sum of each one's x written in; a sum that changed says so."""
    told = zip(moment, values, before or values, strict=True)
    return [{**box, "note": f"sum {value:,.0f}{'' if value == old else ': doubled'}"} for box, value, old in told]


def facts(r):
    return [
        ("bytes of x held before", held(r.before)),
        ("bytes of x held after sending", held(r.sent)),
        ("sums of the five copies", sums(r.sums_sent)),
        ("sums after rank 2 doubled its own", sums(r.sums_doubled)),
    ]


def held(moment) -> str:
    return " ".join(f"{box['bytes']:,}" for box in moment)


def sums(values) -> str:
    return " ".join(f"{value:,.0f}" for value in values)


def formula(r, one=0, copies=0):
    boxes = [box["bytes"] for box in r.sent]
    return [
        ("bytes of x", f"{one:,}", f"{boxes[0]:,}"),
        ("bytes that did not exist before", f"{copies:,}", f"{sum(boxes) - sum(box['bytes'] for box in r.before):,}"),
    ]


QUESTION = Question(
    text="The notebook makes x = torch.ones(1000, 1000). Which of the five hold its 4 MB?",
    options=(
        Option("all five", "Nothing arrives that nobody sent: the four ranks are other processes and held 0 bytes."),
        Option("the notebook only", "Right: x stood in the notebook's memory until pool.run sent it."),
        Option("the notebook and rank 0", "Rank 0 is a worker like the others: the notebook is not a rank at all."),
        Option("one memory that all of them see", "There is no such memory: rank 2 doubled its x and nobody noticed."),
    ),
    right=1,
    measured=lambda r: f"bytes held by the notebook and by ranks 0 to 3: {held(r.before)}",
)


# -- the exercise ------------------------------------------------------------------------------------------------


def check_ring(ring) -> Verdict:
    import torch

    # 4 ranks first: the case that the learner was shown
    block = torch.arange(15.0).reshape(3, 5)
    for ranks, x, name in [(4, torch.tensor(10), "10"), (2, torch.tensor(10), "10"), (3, block, "a 3 × 5 tensor")]:
        verdict = check_once(ring, ranks, x, name)
        if verdict is not None:
            return verdict
    return check_for_real(ring, torch.tensor(10))


def check_once(ring, ranks: int, x, name: str) -> Verdict | None:
    """The verdict on one rehearsal, or None where nothing is wrong with it."""
    import torch

    seen = rehearse(ring, ranks, x)
    tried = f"{ranks} ranks, x = {name}"
    problem = what_went_wrong(seen)
    if problem:
        return not_yet(problem, tried=tried)
    home, expected = seen.results[0], x + ranks
    good = home is not None and torch.is_tensor(torch.as_tensor(home)) and torch.equal(torch.as_tensor(home), expected)
    if not good:
        shown = f"{expected.tolist()} on rank 0" if x.dim() == 0 else f"every entry {ranks} larger, on rank 0"
        return not_yet(cause_of_value(home, x, ranks), tried=tried, expected=shown, got=in_words(home))
    if seen.route() != ring_route(ranks):
        route = ", ".join(f"{source}→{target}" for source, target in seen.route()) or "no message at all"
        path = "→".join(map(str, [*range(ranks), 0]))
        return not_yet(f"The value is right, the route is not: {route}. Expected {path}.", tried=tried)
    return None


def ring_route(ranks: int) -> list[tuple[int, int]]:
    return [(rank, (rank + 1) % ranks) for rank in range(ranks)]


def what_went_wrong(seen: Rehearsal) -> str:
    """One sentence for a rehearsal that did not end as it should; empty where it did."""
    last = seen.ranks - 1
    if seen.error is not None:
        return str(trouble(f"On rank {seen.error[0]} ring", seen.error[1]))
    if seen.endless:
        return "ring had not finished after 2 s. Does it loop for ever?"
    if seen.missing is not None:
        rank, peer = seen.missing
        if (rank, peer) == (last, seen.ranks):
            return (
                f"Not yet: rank {rank} sent to rank {peer}, but {NUMBERS[seen.ranks]} ranks are numbered 0 to {last}. "
                "After the last comes 0: use the remainder."
            )
        return f"Not yet: rank {rank} names rank {peer}, but {NUMBERS[seen.ranks]} ranks are numbered 0 to {last}."
    if seen.waiting:
        return standstill(seen.waiting, seen.ranks)
    if [(sent.source, sent.target) for sent in seen.left] == [(last, 0)]:
        return f"Not yet: rank {last}'s message to rank 0 was sent and never collected. The ring closes at rank 0."
    if seen.left:
        source, target = seen.left[0].source, seen.left[0].target
        return f"Not yet: rank {source}'s message to rank {target} was sent and never collected."
    return ""


def standstill(waiting: dict[int, int], ranks: int) -> str:
    """Who waits for whom: the whole ring of them, or the first who waits for one that has left."""
    if len(waiting) == ranks:
        chain, rank = [f"Rank 0 waits for rank {waiting[0]}"], waiting[0]
        while rank != 0 and len(chain) < ranks:
            chain.append(f"{rank} for {waiting[rank]}")
            rank = waiting[rank]
        return f"Not yet: all wait. {', '.join(chain)}. One rank has to send before it receives."
    rank = next(rank for rank, source in waiting.items() if source not in waiting)
    return f"Not yet: rank {rank} waits for a message from rank {waiting[rank]}, which has finished and sent it none."


def cause_of_value(home, x, ranks: int) -> str:
    import torch

    if home is None:
        return "Rank 0 returned nothing: what comes home has to be returned."
    if torch.is_tensor(home) and home.shape == x.shape and torch.equal(home, x + ranks - 1):
        return "One too few: rank 0 adds 1 as well."
    return ""


def in_words(home) -> str:
    import torch

    if home is None:
        return "nothing"
    if torch.is_tensor(home):
        return str(home.item()) if home.numel() == 1 else f"a tensor {tuple(home.shape)}"
    return repr(home)


def check_for_real(ring, x) -> Verdict:
    """The same program on four real processes: value and messages, from the trace."""
    pool = workers(4)
    try:
        out = pool.run(ring, x, ranks=4, timeout=10)
    except RuntimeError as error:
        raise Trouble(f"Right in the rehearsal, but not on four real processes: {error}") from None
    sent = [(message.source, message.target) for message in out.trace.messages]
    if sorted(sent) != ring_route(4):
        route = ", ".join(f"{source}→{target}" for source, target in sent)
        return not_yet("The rehearsal and the real run differ.", expected="0→1, 1→2, 2→3, 3→0", got=route)
    return right(
        f"4 messages, 0→1→2→3→0: {int(x)} left rank 0 and {int(out[0])} came home, on four processes.",
        picture=lambda: picture(out.trace),
    )


def picture(trace):
    from minipar.view.timeline import timeline

    return timeline(trace, title="Your ring: each rank waits until its message comes")


HINTS = (
    "Four ranks run the same function. What differs between them is `w.rank`: let rank 0 take another path with `if`.",
    "Rank 0 sends first and receives last. Every other rank receives first, adds 1, and sends.",
    "The next rank is `(w.rank + 1) % w.ranks`, the one before is `(w.rank - 1) % w.ranks`. `w.recv(source=…)` gives "
    "the tensor; rank 0 returns it.",
)

LESSON = Lesson(
    id="00",
    file="00_devices",
    title="Devices",
    questions=(QUESTION,),
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_ring,),
    hints=HINTS,
)

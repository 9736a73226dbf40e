"""What does lesson 05 ask, measure and check? 1F1B is not faster; it holds P microbatches where GPipe holds M."""

from __future__ import annotations

import minipar
from minipar.learn.lesson import Lesson, Option, Question, Results
from minipar.learn.lessons import orders
from minipar.learn.lessons.orders import Attempt
from minipar.learn.lessons.real_run import drawn, really, same
from minipar.learn.verdict import Verdict, not_yet, right

BY_HAND = (4, 4)
START = str(minipar.gpipe(ranks=4, microbatches=4))
SIZES = ((4, 8), (2, 5), (1, 4), (5, 3), (3, 13), (6, 6), (2, 1), (6, 2), (4, 4), (5, 9))
NAMES = ("GPipe", "1F1B")


def predicted(name: str):
    build = {"GPipe": minipar.gpipe, "1F1B": minipar.one_f_one_b}[name]
    return minipar.predict(build(ranks=4, microbatches=8), orders.SLOTS)


def words(peaks) -> str:
    return " ".join(map(str, peaks))


def see(r: Results):
    """Both steps on one time axis, with what each rank holds under them, and the cap across."""
    builds = (minipar.gpipe, minipar.one_f_one_b)
    ghosts = [minipar.predict(build(ranks=4, microbatches=8), r.gpipe.pace) for build in builds]
    titles = ["GPipe: rank 0's drawer fills to 8", "1F1B: equally long, and it never holds more than 4"]
    return minipar.timelines([r.gpipe.trace, r.one_f_one_b.trace], titles=titles, ghosts=ghosts, cap=6, in_flight=True)


def facts(r: Results):
    """Counted slots and peaks, compared gradients, and who was refused under the cap."""
    t = {name: predicted(name) for name in NAMES}
    return [
        ("slots", " and ".join(f"{t[name].makespan:g}" for name in NAMES)),
        ("idle", " and ".join(f"{t[name].makespan - t[name].busy(0):g}/{t[name].makespan:g}" for name in NAMES)),
        ("peaks predicted", " and ".join(words(t[name].peak_in_flight) for name in NAMES)),
        ("peaks measured", " and ".join(words(step.trace.peak_in_flight) for step in (r.gpipe, r.one_f_one_b))),
        ("under the cap", f"GPipe {r.capped[0]}, 1F1B {r.capped[1]}"),
        ("gradients equal", same(r.gpipe, r.one_f_one_b)),
    ]


def formula(r: Results, peak):
    """The cell's formula of the rank beside the measured peaks of 1F1B."""
    measured = r.one_f_one_b.trace.peak_in_flight
    return [(f"rank {rank} holds", peak(rank), measured[rank]) for rank in range(4)]


def check_by_hand(work) -> Verdict:
    """GPipe's text for 4 ranks and 4 microbatches, reordered: peaks 4 3 2 1, and still 21 slots."""
    text = str(getattr(work, "text", work))
    if text.split() == START.split():
        return not_yet("Not started yet.")
    tried = orders.attempt(orders.from_text(text), *BY_HAND)
    sentence = what_is_off(tried)
    if sentence:
        return not_yet(sentence)
    return right(f"{tried.slots} and peaks {words(tried.peaks)}.", picture=lambda: minipar.timeline(tried.trace))


def check_mine(work) -> Verdict:
    """The generator: every size legal, as short as GPipe, peaks min(M, P-r); then four real processes."""
    failed = orders.first_failure(work, SIZES, what_is_off)
    if failed:
        return failed
    tried = orders.attempt(orders.from_builder(work, 4, 8), 4, 8)
    wrong, step = really(tried.schedule)
    if not wrong and step.trace.peak_in_flight != wanted(tried):
        wrong = f"Measured peaks {words(step.trace.peak_in_flight)}, predicted {words(wanted(tried))}."
    if wrong:
        return not_yet(wrong, tried="4 ranks, 8 microbatches, for real")
    return right(
        f"As short as GPipe on {len(SIZES)} sizes. Four processes ran your list as written: measured peaks "
        f"{words(step.trace.peak_in_flight)}, gradients equal to the whole model's.",
        picture=lambda: drawn(tried.schedule, step),
    )


def wanted(tried: Attempt) -> tuple[int, ...]:
    ranks, microbatches = tried.schedule.ranks, tried.schedule.microbatches
    return tuple(min(microbatches, ranks - rank) for rank in range(ranks))


def what_is_off(tried: Attempt) -> str:
    """Time first, then what is held; one cause, in a sentence, or nothing when both are right."""
    late = tried.trace.makespan > tried.par
    want, peaks, ranks = wanted(tried), tried.peaks, tried.schedule.ranks
    heavy = any(peak > allowed for peak, allowed in zip(peaks, want, strict=True))
    if not late and not heavy:
        return ""
    if not late:
        one_more = tuple(min(tried.schedule.microbatches, peak + 1) for peak in want)
        why = "one too many on each rank." if peaks == one_more else f"{words(want)} are enough."
        return f"{tried.slots}, the right time, but peaks {words(peaks)}: {why}"
    if set(peaks) == {1}:
        return (
            f"Legal, 1 in flight everywhere, and {tried.slots}: each microbatch walks down and back alone. "
            f"Par is {tried.par}."
        )
    if heavy and len(set(peaks)) == 1:
        return (
            f"{tried.slots}, peaks {words(peaks)}: rank {ranks - 1} can go back at once. Warm-up falls by one a rank."
        )
    if peaks[0] < want[0]:
        first_back = next(a for a in tried.schedule.programs[0] if a.op is minipar.B)
        return f"{tried.slots}: rank 0 waits at {first_back} with nothing left to do. One more forward first."
    return orders.too_slow(tried)


LESSON = Lesson(
    id="05",
    file="05_one_f_one_b",
    title="1F1B",
    questions=(
        Question(
            "Same four ranks, same 8 microbatches, same work. Against GPipe, the 1F1B step is…",
            options=(
                Option("a quarter shorter", "Many texts print this. Both need 33 slots; the triangle is the same."),
                Option(
                    "a little shorter",
                    "Both need 33 slots: the way in and the way out still cost P-1 microbatches each.",
                ),
                Option("equally long", "Right: 33 slots and 33 slots. The triangle is the same."),
                Option("longer", "Both need 33 slots: a rank that goes back early has that work behind it later."),
            ),
            right=2,
            measured=lambda r: f"{predicted('GPipe').makespan:g} slots and {predicted('1F1B').makespan:g} slots.",
            name="A",
        ),
        Question(
            "Under 1F1B, how many microbatches does rank 0 hold at most?",
            options=(
                Option(
                    "8",
                    "That is GPipe: nothing leaves before the last forward. Under 1F1B the first one leaves after 4.",
                ),
                Option(
                    "4",
                    "Right: it runs 4 forwards before the first backward comes home, then one leaves as one comes.",
                ),
                Option(
                    "2", "Four ranks are on the way down and back: rank 0 must start 4 before the first one returns."
                ),
                Option(
                    "1", "That is rank 3, which can go back at once. Rank 0 must start 4 before the first one returns."
                ),
            ),
            right=1,
            measured=lambda r: f"rank 0 held {r.one_f_one_b.trace.peak_in_flight[0]} at most.",
            name="B",
        ),
    ),
    see=see,
    facts=facts,
    formula=formula,
    checks=(check_by_hand, check_mine),
    hints=(
        "Rank 3 has the gradient as soon as its first forward ends. Let it go back at once.",
        "Rank r starts P-1-r forwards before it falls into step: one forward, one backward.",
        "Three loops: warm-up forwards; then F and B in turn while forwards are left; then the backwards that remain.",
    ),
)

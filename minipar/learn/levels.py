"""Which ten levels lead from "an action needs its value" to a V without a gap?

    1 one baton ─► 2 GPipe ─► 3 the wall ─► 4 1F1B ─► 5 interleaved ─► 6 a ragged size
                ─► 7 B costs two ─► 8 split backward ─► 9 no gap ─► 10 a V

Each level is data with one new rule. Its par is the time of a schedule that is written here beside it, and no order is
faster (`plan.score.bound`). `minipar.puzzle(3)` opens the board at level 3; the solved ones are remembered as lessons
are. "Run for real" hands the learner's schedule to worker processes, paced, and compares the gradients.
"""

from __future__ import annotations

from minipar.learn import state
from minipar.plan.puzzle import Rules
from minipar.plan.schedule import Schedule
from minipar.plan.schedules import gpipe, interleaved_1f1b, naive, one_f_one_b, zb_h1, zb_h2, zb_v
from minipar.plan.score import Level
from minipar.plan.simulate import Cost
from minipar.plan.trace import Trace
from minipar.view.presence import somebody_there

ONE = Cost(F=1, B=1)
WHOLE = Cost(F=1, B=2)
THIRDS = Cost(F=1, B=2, I=1, W=1)
SLOT = 0.06  # seconds that a slot of a real run takes


LEVELS: tuple[Level, ...] = (
    Level(
        "The baton",
        Rules((0, 1, 2), 1, cost=ONE),
        par=6,
        goal="Place all 6 actions.",
        idea="An action needs its value to be there: F takes it from the left, B from the right.",
        hint="Where is the microbatch now?",
        reference=naive(3),
        named=((naive(3), "The baton: one works, two watch (03)"),),
    ),
    Level(
        "Several on the way",
        Rules((0, 1, 2), 4, cost=ONE),
        par=12,
        goal="At most 12 slots (one by one: 24).",
        idea="Several microbatches may be on the way at once.",
        hint="Rank 0 has nothing to wait for. Why stop at one?",
        reference=gpipe(3, 4),
        named=((gpipe(3, 4), "All F, then all B: this is GPipe"),),
        peaks=(4, 4, 4),
    ),
    Level(
        "The memory wall",
        Rules((0, 1, 2), 5, (3, 3, 3), ONE),
        par=14,
        goal="At most 14 slots, never more than 3 in a drawer (GPipe wants 5).",
        idea="An activation stays in the drawer until its B. A full drawer takes no F.",
        hint="Filling 3, emptying 3, then 2 takes 18. Send the first home while others still come.",
        reference=one_f_one_b(3, 5),
        named=((one_f_one_b(3, 5), "This is 1F1B, and the wall is far away"),),
        solved="Under the wall",
        peaks=(3, 3, 3),
    ),
    Level(
        "A drawer for each",
        Rules((0, 1, 2, 3), 6, (4, 3, 2, 1), ONE),
        par=18,
        goal="At most 18 slots; drawers of 4, 3, 2 and 1.",
        idea="The drawer is of another size on each rank.",
        hint="Rank 3 has room for one: it must turn round at once. (3 warm-ups everywhere: 30.)",
        reference=one_f_one_b(4, 6),
        named=((one_f_one_b(4, 6), "This is 1F1B: GPipe's time, 4 instead of 6"),),
        peaks=(4, 3, 2, 1),
        auto=True,
    ),
    Level(
        "Two stages a rank",
        Rules((0, 1, 0, 1), 4, (5, 3), ONE),
        par=18,
        goal="At most 18 slots (one chunk, same work: 20); drawers of 5 and 3.",
        idea="A rank may hold two stages, and either may go next.",
        hint="Microbatches 0 and 1 through both chunks first.",
        reference=interleaved_1f1b(2, 4, chunks=2),
        named=((interleaved_1f1b(2, 4, chunks=2), "This is interleaved 1F1B"),),
        peaks=(5, 3),
        auto=True,
    ),
    Level(
        "A ragged size",
        Rules((0, 1, 2, 0, 1, 2), 4, (8, 7, 5), ONE),
        par=20,
        goal="At most 20 slots (one chunk: 24); drawers of 8, 7 and 5.",
        idea="The microbatches need not be a multiple of the ranks.",
        hint="One round of four, not of three.",
        reference=interleaved_1f1b(3, 4, chunks=2),
        named=((interleaved_1f1b(3, 4, chunks=2), "This is interleaved 1F1B, one round of 4"),),
        peaks=(8, 7, 5),
        auto=True,
    ),
    Level(
        "A real backward",
        Rules((0, 1, 2, 3), 4, (4, 3, 2, 1), WHOLE),
        par=21,
        goal="At most 21 slots; drawers of 4, 3, 2 and 1.",
        idea="Bars have lengths: B takes two slots.",
        hint="Same order as level 4. Where did the gaps grow?",
        reference=one_f_one_b(4, 4),
        named=((one_f_one_b(4, 4), "This is 1F1B with a real backward: 9 idle on each rank"),),
        peaks=(4, 3, 2, 1),
        auto=True,
    ),
    Level(
        "The backward is two jobs",
        Rules((0, 1, 2), 4, (3, 3, 3), THIRDS, split=True),
        par=14,
        goal="At most 14 slots (whole backward: 18, only cut: 16); 3 in each drawer.",
        idea="B is I, then W. Only I is waited for; the drawer empties at W.",
        hint="Rank 2: I as early as it can; two W may wait.",
        reference=zb_h1(3, 4),
        named=((zb_h1(3, 4), "This is ZB-H1"),),
        peaks=(3, 3, 3),
        auto=True,
    ),
    Level(
        "Not one gap inside",
        Rules((0, 1, 2), 5, (5, 5, 5), THIRDS, split=True),
        par=17,
        goal="At most 17 slots, and no gap inside any rank's own span; 5 in each drawer.",
        idea="Gaps between a rank's first start and its last end count now (ZB-H1 also takes 17, with 2 1 0).",
        hint="Rank 0 may take 5 forwards in. What fills the last gap?",
        reference=zb_h2(3, 5),
        named=((zb_h2(3, 5), "This is ZB-H2: no gap, 5 in flight for 3"),),
        peaks=(5, 5, 5),
        spans=True,
        auto=True,
    ),
    Level(
        "The way turns",
        Rules((0, 1, 1, 0), 4, (4, 4), THIRDS, split=True),
        par=25,
        goal="At most 25 slots (ZB-H1, same work: 26), no gap inside; drawers of 4 chunks.",
        idea="The way may turn: the last stage stands on rank 0.",
        hint="After 1F0 comes 2F0 on the same rank, without a message.",
        reference=zb_v(2, 4),
        named=((zb_v(2, 4), "This is ZB-V: no gap, and no drawer above 1F1B's largest"),),
        peaks=(4, 4),
        spans=True,
        auto=True,
    ),
)


def puzzle(level: int = 1):
    """The board of ten levels, open at one of them: lay a schedule by hand, then run it for real.

    A live board for a person; text and a plain figure where nobody is there. ValueError for a level that is none.
    """
    from minipar.view.puzzle import Puzzle

    if not somebody_there():  # whose progress it is cannot be known
        return Puzzle(LEVELS, level, run=really, stop=stop)
    solved = state.entry(ENTRY).get("solved", {})
    return Puzzle(LEVELS, level, run=really, stop=stop, solved=map(int, solved), remember=remember)


ENTRY = "board"


def remember(level: int, words: str) -> None:
    """Keep that a level was solved, and how, beside the lessons' progress."""
    solved = state.entry(ENTRY).get("solved", {})
    state.update(ENTRY, solved={**solved, str(level): words})


def really(schedule: Schedule, cost: Cost) -> Trace:
    """Train one step in this order on real processes, a slot in SLOT seconds; its measured trace.

    AssertionError, naming the parameter, if a gradient differs from the whole model's.
    """
    import dataclasses

    import minipar
    from minipar import learn

    pace = learn.paced(dataclasses.replace(cost.times(SLOT), unit="s"))
    model = minipar.GPT(layers=max(schedule.stages, 2), hidden=16, heads=2, context=16)
    batch = minipar.text_batch(batch=2 * schedule.microbatches, context=16)
    plan = minipar.Plan(mesh=minipar.Mesh(pipe=schedule.ranks), schedule=schedule)
    step = minipar.train_step(learn.workers(schedule.ranks), plan, model, batch, pace=pace)
    minipar.same_gradients(model, step)
    return step.trace


def stop() -> None:
    """End the run that is going on."""
    from minipar.learn.safely import busy_pools

    for pool in busy_pools():
        pool.stop()

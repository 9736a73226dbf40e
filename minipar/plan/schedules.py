"""Which orders does the field use?  Each entry is a few lines under its picture.

Every entry yields the program of one rank. Time runs to the right, ranks downwards; a whole backward (B) takes two
slots here, its halves (I for the input's gradient, W for the weights') one each.
"""

import functools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from minipar.plan.actions import Action, B, F, I, Op, Overlap, W
from minipar.plan.blocks import grow
from minipar.plan.schedule import Schedule, require_positive, schedule


def weave(forwards: Iterable[Action], backwards: Iterable[Action], warmup: int, parked: int = 0) -> Iterator[Action]:
    """`warmup` forwards, then one forward one backward by turns, then the backwards that are left.

    Where a backward is an I, its W is parked, and the oldest runs as soon as more than `parked` of them wait; what
    still waits at the end runs last:

        warmup 2, parked 1     F0 F1   F2 I0   F3 I1 W0   I2 W1   I3 W2   W3
    """
    forwards, waiting = deque(forwards), deque()
    for _ in range(min(warmup, len(forwards))):
        yield forwards.popleft()
    for backward in backwards:
        if forwards:
            yield forwards.popleft()
        yield backward
        if backward.op is I:
            waiting.append(W(backward.stage, backward.microbatch))
        if len(waiting) > parked:
            yield waiting.popleft()
    yield from waiting


@schedule
def gpipe(rank, ranks, microbatches):
    """All forwards, then all backwards (Huang et al., 2019). Bubble (P-1)/(M+P-1); every rank holds M activations.

    P = 3, M = 3                    0F0 0F1 0F2 ... ... ... ... ... ... 0B0 0B0 0B1 0B1 0B2 0B2
                                    ... 1F0 1F1 1F2 ... ... ... 1B0 1B0 1B1 1B1 1B2 1B2
                                    ... ... 2F0 2F1 2F2 2B0 2B0 2B1 2B1 2B2 2B2
    """
    for m in range(microbatches):
        yield F(rank, m)
    for m in range(microbatches):
        yield B(rank, m)


@schedule
def one_f_one_b(rank, ranks, microbatches):
    """Warm up, then one forward one backward, then drain (PipeDream-Flush, Narayanan et al., 2021).

    The bubble is GPipe's. Rank r holds min(M, P-r) activations: the last rank can go back at once, each rank before it
    runs one forward more before its first backward comes home.

    P = 3, M = 4       0F0 0F1 0F2 ... ... ... ... 0B0 0B0 0F3 0B1 0B1 ... 0B2 0B2 ... 0B3 0B3
                       ... 1F0 1F1 ... ... 1B0 1B0 1F2 1B1 1B1 1F3 1B2 1B2 ... 1B3 1B3
                       ... ... 2F0 2B0 2B0 2F1 2B1 2B1 2F2 2B2 2B2 2F3 2B3 2B3
    """
    forwards = [F(rank, m) for m in range(microbatches)]
    backwards = [B(rank, m) for m in range(microbatches)]
    yield from weave(forwards, backwards, warmup=ranks - 1 - rank)


def naive(ranks: int) -> Schedule:
    """The whole batch at once: one rank works, the others wait.

    P = 3              0F0 ... ... ... ... ... ... 0B0 0B0
                       ... 1F0 ... ... ... 1B0 1B0
                       ... ... 2F0 2B0 2B0
    """
    require_positive(ranks=ranks)
    return Schedule("naive", tuple((F(rank, 0), B(rank, 0)) for rank in range(ranks)))


@schedule
def looped_bfs(rank, ranks, microbatches, chunks=2):
    """Several stages a rank; each takes the whole batch before the next one does.

    Breadth first: GPipe with a smaller triangle. The backwards run in the reverse of the forwards' order, and every
    rank holds all chunks * M activations (Lamy-Poirier, 2023, arXiv:2211.05953).

    P = 2, M = 2, 2 chunks    0F0 0F1 2F0 2F1 ... ... ... 2B1 2B1 2B0 2B0 0B1 0B1 0B0 0B0
                              ... 1F0 1F1 3F0 3F1 3B1 3B1 3B0 3B0 1B1 1B1 1B0 1B0
    """
    require_positive(chunks=chunks)
    forwards = [F(stage, m) for stage in range(rank, chunks * ranks, ranks) for m in range(microbatches)]
    yield from forwards
    for stage, _, m in reversed(forwards):
        yield B(stage, m)


@schedule
def interleaved_1f1b(rank, ranks, microbatches, chunks=2):
    """1F1B with several stages a rank, dealt like cards (Narayanan et al., 2021, arXiv:2104.04473).

    A round of P microbatches walks through all chunks before the next round starts. The bubble is 1F1B's divided by the
    number of chunks; messages go P * chunks - 1 borders instead of P - 1. Where M is no multiple of P the rounds are
    larger, and differ by one microbatch at most.

    P = 2, M = 2, 2 chunks    0F0 0F1 2F0 2F1 ... ... 2B0 2B0 ... 2B1 2B1 0B0 0B0 0B1 0B1
                              ... 1F0 1F1 3F0 3B0 3B0 3F1 3B1 3B1 1B0 1B0 1B1 1B1
    """
    forwards, backwards, first = _in_rounds(rank, ranks, microbatches, chunks, B)
    yield from weave(forwards, backwards, warmup=(chunks - 1) * first + 2 * (ranks - 1 - rank))


@schedule
def interleaved_zero_bubble(rank, ranks, microbatches, chunks=2):
    """Interleaved 1F1B with a split backward: rank r parks r weight gradients and fills gaps with them.

    The ZB1P of the zero-bubble paper (Qi et al., 2023, arXiv:2401.10241) on several chunks a rank, in torch's order.

    P = 2, M = 2, 2 chunks    0F0 0F1 2F0 2F1 ... 2I0 2W0 2I1 2W1 0I0 0W0 0I1 0W1
                              ... 1F0 1F1 3F0 3I0 3F1 3I1 3W0 1I0 3W1 1I1 1W0 1W1
    """
    forwards, backwards, first = _in_rounds(rank, ranks, microbatches, chunks, I)
    yield from weave(forwards, backwards, warmup=(chunks - 1) * first + ranks - 1 - rank, parked=rank)


def _in_rounds(rank: int, ranks: int, microbatches: int, chunks: int, backward: Op):
    """(forwards, backwards, microbatches of the first round) of a rank whose stages are dealt like cards."""
    require_positive(chunks=chunks)
    rounds = max(1, microbatches // ranks)
    sizes = [microbatches // rounds + (number < microbatches % rounds) for number in range(rounds)]
    parts = [range(sum(sizes[:number]), sum(sizes[: number + 1])) for number in range(rounds)]
    stages = range(rank, chunks * ranks, ranks)
    forwards = [F(stage, m) for part in parts for stage in stages for m in part]
    backwards = [backward(stage, m) for part in parts for stage in reversed(stages) for m in part]
    return forwards, backwards, sizes[0]


@schedule
def zb_h1(rank, ranks, microbatches):
    """1F1B with a split backward, in 1F1B's memory (Qi et al., 2023, arXiv:2401.10241).

    Nobody waits for a weight gradient: rank r parks r of them, and they fill gaps. With F = I = W a rank idles (P-1)F
    inside its own span, where 1F1B idles (P-1)(F+B).

    P = 3, M = 4    0F0 0F1 0F2 ... ... 0I0 0W0 0F3 0I1 0W1 0I2 0W2 0I3 0W3
                    ... 1F0 1F1 ... 1I0 1F2 1I1 1W0 1F3 1I2 1W1 1I3 1W2 1W3
                    ... ... 2F0 2I0 2F1 2I1 2F2 2I2 2W0 2F3 2I3 2W1 2W2 2W3
    """
    forwards = [F(rank, m) for m in range(microbatches)]
    yield from weave(forwards, [I(rank, m) for m in range(microbatches)], warmup=ranks - 1 - rank, parked=rank)


@schedule
def zb_h2(rank, ranks, microbatches):
    """ZB-H1 with nearly twice the warm-up: no idle slot inside a rank, for nearly twice the memory.

    Rank r starts with 2(P-r)-1 forwards and parks 2r weight gradients. With F = I = W and M large enough every rank is
    busy from its first action to its last; they only start and end at different times (Qi et al., 2023).

    P = 2, M = 4    0F0 0F1 0F2 0I0 0W0 0F3 0I1 0W1 0I2 0W2 0I3 0W3
                    ... 1F0 1I0 1F1 1I1 1F2 1I2 1W0 1F3 1I3 1W1 1W2 1W3
    """
    forwards = [F(rank, m) for m in range(microbatches)]
    yield from weave(forwards, [I(rank, m) for m in range(microbatches)], 2 * (ranks - 1 - rank), parked=2 * rank)


@schedule
def zb_v(rank, ranks, microbatches):
    """Two stages a rank, placed down and up again like a V, with a split backward (Qi et al., 2023, arXiv:2401.10241).

    Rank r runs stages r and 2P-1-r, so the last stage stands on rank 0 and the first backward is home at once: 1F1B's
    memory on every rank, and with F = I = W no idle slot inside a rank. Made for at least 2P-1 microbatches; with
    fewer, those that do not exist are left out.

    P = 2, M = 3    0F0 0F1 0F2 3F0 3I0 3W0 3F1 3I1 3W1 0I0 0W0 3F2 3I2 3W2 0I1 0W1 0I2 0W2
                    ... 1F0 2F0 1F1 2F1 2I0 2W0 1F2 1I0 1W0 2F2 2I1 2W1 1I1 2I2 1I2 1W1 2W2 1W2
    """
    down, up = rank, 2 * ranks - 1 - rank
    count, done = max(2 * ranks - 1, microbatches), Counter()
    for stage, op in _v_steps(down, up, rank, ranks, count):
        m = done[stage, op]
        done[stage, op] += 1
        if m < microbatches:
            yield op(stage, m)


def _v_steps(down: int, up: int, rank: int, ranks: int, microbatches: int) -> Iterator[tuple[int, Op]]:
    """(stage, operation) of ZB-V on one rank; the microbatches of each are counted by the caller."""
    whole = [(up, F), (up, I), (up, W)]
    yield from [(down, F)] * (2 * (ranks - rank) - 1)
    yield from [(up, F), (down, F)] * rank
    yield from whole * (ranks - rank)
    for number in range(microbatches - ranks):
        yield from [(down, F)] * (number <= microbatches - 2 * ranks + rank)
        yield from [(down, I), (down, W), *whole]
    yield from [(down, I), (up, I)] * rank
    yield from [(down, I), (down, W)] * (ranks - rank)
    yield from [(up, W)] * rank + [(down, W)] * rank


def v_half(ranks: int, microbatches: int) -> Schedule:
    """ZB-V's placement in half of 1F1B's memory: forwards go down in steps of two slots, up in steps of one.

    A microbatch is on its way for half as long as in ZB-V, so a rank holds (P+2)//2 microbatches of its two stages
    at most. With F = I = W the longest rank idles about P/2M of its own span; the messages must be short. (Qi et al.,
    2024, arXiv:2405.15362; the block is theirs, the rest grows from it in `blocks.grow`.)

    P = 3, M = 2    0F0 0F1 ... ... ... 5F0 5I0 5F1 5I1 5W0 5W1 0I0 0W0 0I1 0W1
                    ... 1F0 1F1 ... 4F0 ... 4F1 4I0 4W0 4I1 1I0 4W1 1I1 1W0 1W1
                    ... ... 2F0 3F0 2F1 3F1 ... ... 3I0 2I0 3I1 2I1 3W0 2W0 3W1 2W1
    """
    require_positive(ranks=ranks, microbatches=microbatches)
    down, up, apart = 2, 3 * ranks - 2, 3 * (ranks % 2 == 0)  # apart: no two of a rank may want one slot in six
    block = [(down * r, up - r, up + 1 + apart + down * r, 2 * up + 2 + apart - r) for r in range(ranks)]
    return Schedule("V-Half", grow(block, microbatches, cap=2 * ((ranks + 2) // 2)))


def v_min(ranks: int, microbatches: int) -> Schedule:
    """ZB-V's placement in about a third of 1F1B's memory: each microbatch goes down and up again without a stop.

    No way through 2P stages and back is shorter, so none holds less: (P+4)//3 microbatches of two stages a rank. With
    F = I = W the longest rank idles about 2P/3M of its own span (Qi et al., 2024, arXiv:2405.15362).

    P = 2, M = 3    0F0 0F1 0F2 3F0 3I0 3W0 3F1 0I0 3I1 0W0 3W1 0I1 0W1 3F2 3I2 3W2 ... 0I2 0W2
                    ... 1F0 2F0 1F1 2F1 2I0 1I0 2W0 1F2 2I1 1I1 1W0 2F2 2W1 1W1 2I2 1I2 2W2 1W2
    """
    require_positive(ranks=ranks, microbatches=microbatches)
    way, apart = 2 * ranks, 2 * (ranks % 3 == 0)  # apart: as in V-Half
    block = [(r, way - 1 - r, way + apart + r, 2 * way - 1 + apart - r) for r in range(ranks)]
    return Schedule("V-Min", grow(block, microbatches, cap=2 * ((ranks + 4) // 3)))


@schedule
def dualpipe_v(rank, ranks, microbatches):
    """ZB-V's placement; in its middle a forward and a backward run at once, so that messages hide (DeepSeek, 2024).

    Rank r runs stages r and 2P-1-r. A pair in brackets overlaps: one computes while the other communicates. Needs 2P
    microbatches or more (DualPipe, arXiv:2412.19437; the V shape: Qi et al.; the order is torch's).

    P = 2, M = 4, in order, not in time:

    0F0 0F1 0F2 3F0 3I0 3W0 3F1 (0F3;3B1) (3F2;0B0) 3B2 (3F3;0B1) 3B3 0I2 0W2 0I3 0W3
    1F0 2F0 1F1 2F1 1F2 2B0 (2F2;1B0) (1F3;2B1) (2F3;1B1) 2B2 1B2 2I3 1I3 2W3 1W3
    """
    if microbatches < 2 * ranks:
        raise ValueError(f"dualpipe_v on {ranks} ranks needs {2 * ranks} microbatches or more, not {microbatches}")
    down, up, done, parked = rank, 2 * ranks - 1 - rank, Counter(), deque()
    for first, second in _dual_steps(down, up, rank, ranks, microbatches):
        if first is W:
            yield parked.popleft()
            continue
        actions = []
        for op, stage in filter(None, (first, second)):
            kind = "forward" if op is F else "backward"
            actions.append(op(stage, done[kind, stage]))
            done[kind, stage] += 1
        if actions[0].op is I:
            parked.append(W(*actions[0][::2]))
        yield Overlap(*actions) if len(actions) == 2 else actions[0]


def _dual_steps(down: int, up: int, rank: int, ranks: int, microbatches: int) -> Iterator[tuple]:
    """(what, what at the same time or None) of DualPipeV on one rank; W means: the oldest that is parked."""
    tail = ranks - rank - 1
    yield from [((F, down), None)] * 2 * tail
    yield from [((F, down), None), ((F, up), None)] * (rank + 1)
    yield from [((I, up), None), (W, None), ((F, up), None)] * tail
    for number in range(microbatches - 2 * ranks + rank + 1):
        if number == 0 and rank == ranks - 1:
            yield from [((F, down), None), ((B, up), None)]
        else:
            yield (F, down), (B, up)
        yield (F, up), (B, down)
    for _ in range(tail):
        yield (B, up), None
        yield (F, up), (B, down)
    for at, side in enumerate([up, down] * (rank + 1)):  # of these last ones, the later half is split
        yield (B if at <= rank else I, side), None
    yield from [(W, None), ((I, down), None)] * tail
    yield from [(W, None)] * (rank + 1)


gpipe.title = "GPipe"
one_f_one_b.title = "1F1B"
looped_bfs.title = "Looped BFS"
interleaved_1f1b.title = "interleaved 1F1B"
interleaved_zero_bubble.title = "interleaved zero bubble"
zb_h1.title, zb_h2.title, zb_v.title, dualpipe_v.title = "ZB-H1", "ZB-H2", "ZB-V", "DualPipeV"
v_half.title, v_min.title = "V-Half", "V-Min"


SIMPLE = {"gpipe": gpipe, "one_f_one_b": one_f_one_b}
CHUNKED = {
    "looped_bfs": looped_bfs,
    "interleaved_1f1b": interleaved_1f1b,
    "interleaved_zero_bubble": interleaved_zero_bubble,
}
OVERLAPPING = {"dualpipe_v": dualpipe_v}  # from 2P microbatches on
V_SHAPED = {"zb_v": zb_v, "v_half": v_half, "v_min": v_min}
FLAT = {**SIMPLE, "zb_h1": zb_h1, "zb_h2": zb_h2}  # one stage a rank
CATALOGUE = {**FLAT, **CHUNKED, **V_SHAPED}


def placed(placement: Sequence[int], microbatches: int) -> list[Schedule]:
    """All of the catalogue whose stages lie on the ranks of `placement`."""
    ranks = max(placement) + 1
    chunks = len(placement) // ranks
    builds = [functools.partial(build, chunks=chunks) for build in CHUNKED.values()] if chunks > 1 else FLAT.values()
    builds = [*builds, *(V_SHAPED.values() if chunks == 2 else ())]
    return [made for build in builds if (made := build(ranks, microbatches)).placement == tuple(placement)]


def recognised(schedule: Schedule) -> str:
    """The name that the catalogue has for this order; "" where it has none."""
    known = (each for each in placed(schedule.placement, schedule.microbatches) if each.programs == schedule.programs)
    return next((each.name for each in known), "")

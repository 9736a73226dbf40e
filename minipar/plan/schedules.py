"""Which orders does the field use?  Each entry is a few lines under its picture.

Every entry yields the program of one rank. Time runs to the right, ranks downwards; a backward takes two slots here.
"""

from minipar.plan.actions import B, F
from minipar.plan.schedule import Schedule, require_positive, schedule


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
    warmup = min(ranks - 1 - rank, microbatches)
    for m in range(warmup):
        yield F(rank, m)
    for m in range(microbatches - warmup):
        yield F(rank, warmup + m)
        yield B(rank, m)
    for m in range(microbatches - warmup, microbatches):
        yield B(rank, m)


gpipe.title = "GPipe"
one_f_one_b.title = "1F1B"


def naive(ranks: int) -> Schedule:
    """The whole batch at once: one rank works, the others wait.

    P = 3              0F0 ... ... ... ... ... ... 0B0 0B0
                       ... 1F0 ... ... ... 1B0 1B0
                       ... ... 2F0 2B0 2B0
    """
    require_positive(ranks=ranks)
    return Schedule("naive", tuple((F(rank, 0), B(rank, 0)) for rank in range(ranks)))


CATALOGUE = {"gpipe": gpipe, "one_f_one_b": one_f_one_b}

"""How good are the schedules that the search finds, and how long does it take?

    python -m benchmarks.search > benchmarks/search.txt

4 ranks, 8 microbatches, F = I = W = 1: against the catalogue's best that fits under the cap. 2 ranks, up to 4
microbatches: against every order there is.
"""

import contextlib
import sys
import time
from itertools import product

import minipar
from minipar.plan.order import Deadlock
from minipar.plan.schedules import CATALOGUE, CHUNKED
from minipar.plan.search import _rows, search

AIM = 2.0


def catalogue_best(ranks, microbatches, cost, cap):
    """The shortest time of the catalogue's schedules with one stage a rank that keep to the cap, and its name."""
    found = []
    for name, build in CATALOGUE.items():
        schedule = build(ranks, microbatches, **({"chunks": 1} if name in CHUNKED else {}))
        trace = minipar.predict(schedule, cost)
        if schedule.stages == ranks and max(trace.peak_in_flight) <= cap:
            found.append((round(trace.makespan, 9), schedule.name))
    return min(found, default=(float("inf"), "none fits"))


def shortest_of_all(microbatches, cost, cap):
    """The shortest of all pairs of programs for two ranks, by brute force."""
    best = float("inf")
    for pair in product(list(_rows(0, microbatches, cap)), list(_rows(1, microbatches, cap))):
        with contextlib.suppress(Deadlock):
            best = min(best, minipar.predict(minipar.Schedule("one", pair), cost).makespan)
    return best


def main():
    print(f"python {sys.version.split()[0]}, one core\n")
    print(f"{'4 ranks, M = 8':16} {'cap':>4} {'found':>8} {'catalogue':>24} {'seconds':>9}   met")
    for hop, cap in product((0, 0.1), (2, 4, 7)):
        cost = minipar.Cost(F=1, B=2, hop=hop)
        began = time.perf_counter()
        found = search(4, 8, cost, cap)
        took = time.perf_counter() - began
        slots, name = catalogue_best(4, 8, cost, cap)
        met = found.trace.makespan <= slots + 1e-9 and took < AIM
        print(f"hop {hop:<12g} {cap:4} {found.trace.makespan:8g} {f'{slots:g} ({name})':>24} {took:9.2f}   "
              f"{'yes' if met else 'MISSED'}")  # fmt: skip
    print(f"\n{'2 ranks':16} {'cap':>4} {'found':>8} {'every order':>24} {'seconds':>9}   met")
    for microbatches, cap in ((1, 1), (2, 2), (3, 2), (3, 3), (4, 1), (4, 2), (4, 3)):
        cost = minipar.Cost(F=1, B=2)
        began = time.perf_counter()
        found = search(2, microbatches, cost, cap)
        took = time.perf_counter() - began
        best = shortest_of_all(microbatches, cost, cap)
        met = found.trace.makespan <= best and took < AIM
        print(f"M = {microbatches:<12} {cap:4} {found.trace.makespan:8g} {best:24g} {took:9.2f}   "
              f"{'yes' if met else 'MISSED'}")  # fmt: skip


if __name__ == "__main__":
    main()

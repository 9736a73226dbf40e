"""The search: sound, under the cap, never longer than the catalogue, and the best there is where all were tried."""

from itertools import product

import pytest

import minipar
from minipar import Cost, problems
from minipar.plan.schedules import CATALOGUE, CHUNKED
from minipar.plan.search import _rows, search

SLOTS = Cost(F=1, B=2)


@pytest.mark.parametrize("cap", [2, 4, 7, None])
@pytest.mark.parametrize("hop", [0, 0.1])
def test_under_the_cap_and_never_longer_than_the_catalogue(cap, hop):
    cost = Cost(F=1, B=2, hop=hop)
    found = search(4, 8, cost, cap)
    assert problems(found.schedule) == []
    assert max(found.trace.peak_in_flight) <= (cap or 8)
    assert found.trace == minipar.predict(found.schedule, cost)
    for name, build in CATALOGUE.items():
        trace = minipar.predict(build(4, 8, **({"chunks": 1} if name in CHUNKED else {})), cost)
        if trace.stages == 4 and max(trace.peak_in_flight) <= (cap or 8):
            assert found.trace.makespan <= trace.makespan + 1e-9


def test_it_says_which_one_it_found():
    assert search(4, 8, SLOTS, 4).known == "ZB-H1"
    assert str(search(4, 8, SLOTS, 4)) == "27 slots, most in flight 4 4 4 4: this is ZB-H1."
    assert search(4, 8, Cost(F=1, B=2, hop=0.1), 7).known == "ZB-H2"
    assert search(4, 8, Cost(F=0.5, B=1), placement=(0, 1, 2, 3, 3, 2, 1, 0)).known == "ZB-V"
    for cap, name in ((6, "V-Half"), (4, "V-Min")):
        assert search(4, 8, Cost(F=0.5, B=1), cap, placement=(0, 1, 2, 3, 3, 2, 1, 0)).known == name
    new = search(4, 8, SLOTS, 2)
    assert (new.known, new.schedule.name) == ("", "found")
    assert str(new).endswith("it is in no catalogue: this order is new.")


def test_small_ones_are_tried_to_the_last():
    found = search(2, 3, SLOTS)
    every = product(*[list(_rows(stage, 3, 3)) for stage in (0, 1)])
    shortest = min(minipar.predict(minipar.Schedule("one", pair), SLOTS).makespan for pair in every if _ends(pair))
    assert (found.exhaustive, found.trace.makespan) == (True, shortest)
    assert str(found).endswith("this is ZB-H1, and no order is shorter.")
    assert len(list(_rows(0, 4, 4))) == 462  # ballot numbers of three candidates


def _ends(programs):
    return problems(minipar.Schedule("one", programs)) == []


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: search(2, 3, memory_cap=(1, 0)), "rank 1 may hold 0, and one microbatch alone leaves 1 there"),
        (lambda: search(2, 3, memory_cap=(1, 1, 1)), "memory_cap has 3 numbers, and there are 2 ranks"),
        (lambda: search(2, 3, placement=(0, 2)), "the placement (0, 2) does not fit 2 ranks: there is no rank 2"),
        (lambda: search(2, 3, placement=(0, 0)), "the placement (0, 0) does not fit 2 ranks: rank 1 has no stage"),
        (lambda: search(0, 3), "ranks must be a whole number, 1 or more, not 0"),
    ],
)
def test_refusals(call, sentence):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == sentence

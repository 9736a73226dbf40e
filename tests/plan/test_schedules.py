"""Each catalogue entry is the staircase it is drawn as."""

import pytest

import minipar
from minipar.plan import schedules


def staircase(schedule):
    """The predicted trace laid out as text: one word a slot, dots where a rank waits."""
    trace = minipar.predict(schedule, minipar.Cost(F=1, B=2))
    rows = []
    for rank in range(trace.ranks):
        row = ["..."] * int(trace.makespan)
        for span in trace.actions(rank):
            row[int(span.start) : int(span.end)] = [str(span.what)] * int(span.end - span.start)
        while row[-1] == "...":
            row.pop()
        rows.append(" ".join(row))
    return rows


@pytest.mark.parametrize(
    ("schedule", "builder"),
    [
        (minipar.gpipe(ranks=3, microbatches=3), schedules.gpipe),
        (minipar.one_f_one_b(ranks=3, microbatches=4), schedules.one_f_one_b),
        (minipar.naive(3), schedules.naive),
        (minipar.looped_bfs(2, 2, chunks=2), schedules.looped_bfs),
        (minipar.interleaved_1f1b(2, 2, chunks=2), schedules.interleaved_1f1b),
        (minipar.interleaved_zero_bubble(2, 2, chunks=2), schedules.interleaved_zero_bubble),
        (minipar.zb_h1(3, 4), schedules.zb_h1),
        (minipar.zb_h2(2, 4), schedules.zb_h2),
        (minipar.zb_v(2, 3), schedules.zb_v),
        (minipar.v_half(3, 2), schedules.v_half),
        (minipar.v_min(2, 3), schedules.v_min),
    ],
    ids=lambda given: getattr(given, "name", "builder"),
)
def test_the_picture_in_the_docstring_is_the_schedule(schedule, builder):
    drawn = [line[line.index("0F0") :] if "0F0" in line else line for line in builder.__doc__.splitlines()]
    drawn = [line.strip() for line in drawn if "F0" in line]
    assert drawn == staircase(schedule)


def test_the_numbers_the_lessons_print():
    cost = minipar.Cost(F=1, B=2)
    t = minipar.predict(minipar.gpipe(ranks=4, microbatches=8), cost)
    assert (t.makespan, t.peak_in_flight) == (33, (8, 8, 8, 8))
    assert t.bubble == pytest.approx(9 / 33)
    assert t.overhead == pytest.approx(9 / 24)
    t = minipar.predict(minipar.one_f_one_b(ranks=4, microbatches=8), cost)
    assert (t.makespan, t.peak_in_flight) == (33, (4, 3, 2, 1))
    assert t.bubble == pytest.approx(9 / 33)
    t = minipar.predict(minipar.naive(4), cost)
    assert (t.makespan, [t.busy(rank) for rank in range(4)]) == (12, [3, 3, 3, 3])
    unit = minipar.predict(minipar.one_f_one_b(ranks=4, microbatches=8), minipar.Cost(F=1, B=1))
    assert (unit.makespan, round(unit.bubble, 4), unit.peak_in_flight) == (22, round(3 / 11, 4), (4, 3, 2, 1))

"""Are numbers written the same everywhere?"""

from minipar.plan.schedules import gpipe, one_f_one_b
from minipar.plan.simulate import Cost, predict
from minipar.plan.trace import Span, Trace
from minipar.view import words


def test_durations():
    said = [words.duration(length, "slots") for length in (1, 33, 16.5)]
    assert said == ["1 slot", "33 slots", "16.5 slots"]
    assert [words.duration(length, "s") for length in (1.654, 0.0524)] == ["1.65 s", "52 ms"]


def test_shares_are_whole_from_ten_per_cent():
    assert [words.share(part) for part in (9 / 33, 0.099, 0, 0.0001, 1)] == ["27 %", "9.9 %", "0 %", "0 %", "100 %"]


def test_bytes_are_decimal():
    sizes = (0, 512, 4_000_000, 16_500_000_000, 999.6e6, 160e9, 2.5e15)
    assert [words.amount(size) for size in sizes] == [
        "0 B", "512 B", "4.0 MB", "16.5 GB", "1.0 GB", "160 GB", "2500 TB",
    ]  # fmt: skip


def test_the_automatic_title_is_a_finding():
    assert words.heading(predict(one_f_one_b(4, 8))) == "1F1B: 4 ranks, 8 microbatches, 27 % idle"
    assert words.heading(predict(gpipe(2, 1))) == "GPipe: 2 ranks, 1 microbatch, 50 % idle"
    assert words.heading(Trace("ring", (Span(0, "send", 0, 1),), 1)) == "ring: 1 rank"


def test_the_two_readings_of_the_bubble():
    assert words.readings(predict(gpipe(4, 8))) == (
        "Idle 9 of 33 slots a rank: 27 % of all device time.",
        "Idle 9 against 24 useful a rank: 38 % on top of the work.",
    )


def test_where_the_numbers_come_from():
    measured = Trace("x", (), 1, source="measured, paced", unit="s", device="gloo, CPU")
    assert words.origin(measured) == "measured, paced; gloo, CPU"
    assert words.origin(predict(gpipe(2, 2))) == "predicted, in slots"
    assert words.origin(predict(gpipe(2, 2), Cost(F=0.1, B=0.2, unit="s"))) == "predicted, in seconds"

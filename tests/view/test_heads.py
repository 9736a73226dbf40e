"""The head map: who holds which head, what is a copy, and bars of one scale below."""

import pytest

from minipar.plan.slices import heads as heads_of
from minipar.view.drawing import Shape, Text
from minipar.view.heads import BAR, BLUE, GREY, HELD, WIDTH, Bars, bar, column, head_map, page, rank_bars, undivided

SAID = {"gathered": "40", "sliced": "8"}
HELD_BARS = Bars("logits held", {"gathered": (40.0,) * 4, "sliced": (8.0,) * 4}, SAID, HELD)


def tips(parts):
    return [part.tip for part in parts if isinstance(part, Shape) and part.tip]


def words(parts):
    return [part.words for part in parts if isinstance(part, Text)]


def test_every_query_head_stands_on_one_rank_above_what_it_reads():
    said = tips(page(heads_of(8, 2, 4)).parts)
    assert [tip for tip in said if tip.startswith("query")] == [
        f"query head {head} reads key/value head {head // 4}" for head in range(8)
    ]


def test_copies_are_hatched_and_named():
    parts = page(heads_of(8, 2, 4)).parts
    hatched = [part.tip for part in parts if isinstance(part, Shape) and part.hatch]
    assert hatched == ["key/value head 0: a copy of what rank 0 holds", "key/value head 1: a copy of what rank 2 holds"]
    assert not any(part.hatch for part in page(heads_of(8, 2, 2)).parts if isinstance(part, Shape))


def test_heads_that_read_the_same_have_its_colour():
    fills = {}
    for part in page(heads_of(8, 2, 4)).parts:
        if isinstance(part, Shape) and part.fill and "head" in part.tip:
            fills.setdefault(part.tip.split("key/value head ")[1][0], set()).add(part.fill)
    assert len(fills["0"]) == len(fills["1"]) == 1 and fills["0"] != fills["1"]


def test_several_key_value_heads_a_rank_stand_under_their_readers():
    here = page(heads_of(8, 4, 2))
    assert here.summary == "Heads(8 query and 4 key/value heads, ranks=2: 4 + 2 a rank, no copies)"
    assert words(here.parts).count("3") == 2  # query head 3 and key/value head 3


def test_everything_stays_on_the_sheet():
    for query, kv, ranks in ((1, 1, 1), (32, 8, 32), (32, 32, 16), (8, 2, 8)):
        here = page(heads_of(query, kv, ranks), [HELD_BARS._replace(values={"sliced": (8.0,)}, say={"sliced": "8"})])
        for part in here.parts:
            points = part.points if isinstance(part, Shape) else [(part.x, part.y)]
            assert all(0 <= x <= WIDTH and 0 <= y <= here.size[1] for x, y in points)


def test_bars_have_one_scale_and_say_their_bytes():
    drawn = head_map(heads_of(8, 2, 4), [HELD_BARS], title="a finding", callout="a copy")
    bars = [part for part in drawn.parts if isinstance(part, Shape) and part.tip in ("40", "8")]
    long = {part.tip: part.points[1][0] - part.points[0][0] for part in bars}
    assert len(bars) == 8 and long["40"] == pytest.approx(5 * long["8"])
    assert long["40"] == pytest.approx(column(0, 4)[1])
    assert {part.fill for part in bars if part.tip == "8"} == {BLUE} and "a copy" in words(drawn.parts)
    assert repr(drawn) == (
        "Heads(8 query and 2 key/value heads, ranks=4: 2 + 1 a rank, each key/value head on 2 ranks; "
        "logits held a rank: gathered 40, sliced 8)"
    )


def test_words_that_do_not_fit_their_bar_stand_behind_it():
    (_, inside), (short, behind) = bar(0, 0, 100, "8.2 MB", BLUE, "#FFFFFF"), bar(0, 0, 1, "4,608 B", BLUE, "#FFFFFF")
    assert inside.ink == "#FFFFFF" and behind.ink == "ink" and behind.x > short.points[1][0] >= 2
    assert short.points[2][1] == BAR


def test_without_copies_there_is_no_callout():
    assert "a copy" not in words(head_map(heads_of(8, 2, 2), callout="a copy").parts)


def test_the_plain_form_holds_the_same_words():
    drawn = head_map(heads_of(8, 2, 4), [HELD_BARS], title="a finding")
    assert len(drawn.figure().layout.annotations) == len(words(drawn.parts))


def test_what_no_cut_fits_is_grey():
    here = undivided(8, 3)
    assert {part.fill for part in here.parts if isinstance(part, Shape)} == {GREY} and "no cut fits" in here.summary


def test_bars_alone():
    assert repr(rank_bars(4, [HELD_BARS], "t")) == "Bars(logits held a rank: gathered 40, sliced 8)"

"""The causal triangle by owner, and the ring step by step."""

from minipar.plan import deal
from minipar.view.deal import Dealt, deals, dealt, halves, stripe, table
from minipar.view.drawing import Shape, Text

ROW, ZIGZAG = dealt("contiguous", 4, 1024), dealt("zigzag", 4, 1024)


def words(parts):
    return [part.words for part in parts if isinstance(part, Text)]


def test_owners_of_the_chunks_that_are_drawn():
    assert ROW.owners == (0, 0, 1, 1, 2, 2, 3, 3)
    assert ZIGZAG.owners == (0, 1, 2, 3, 3, 2, 1, 0)
    assert dealt("striped", 4, 64).owners == (0, 1, 2, 3) * 4
    assert dealt("striped", 4, 8).owners == (0, 1, 2, 3) * 2
    assert dealt("zigzag", 1, 16).owners == (0, 0)


def test_work_in_half_blocks():
    assert [halves(pairs, ROW) for pairs in ROW.work.pairs] == ["1", "3", "5", "7"]
    assert [halves(pairs, ZIGZAG) for pairs in ZIGZAG.work.pairs] == ["4"] * 4


def test_the_table_says_in_which_step_each_tile_is_computed():
    tiles = [word for word in words(table(ZIGZAG, 0, 0, 240, None)) if word.isdigit()]
    assert len(tiles) == 36 and "".join(tiles[-8:]) == "03211230"  # the last row is rank 0's
    step = words(table(ROW, 0, 0, 240, 3))
    assert step.count("3") == 4  # rank 3 alone, two chunks against two


def test_without_a_mask_the_table_is_a_square():
    tiles = [word for word in words(table(dealt("zigzag", 4, 64, causal=False), 0, 0, 240, None)) if word.isdigit()]
    assert len(tiles) == 64
    assert stripe(0, 0, 1, 0, 0, True) == ((0, 0), (0, 0), (1, 1), (0, 1))
    assert stripe(0, 0, 1, 0, 1, False) == ((0, 0), (2, 0), (2, 1), (0, 1))


def test_both_deals_with_what_to_look_at_first():
    both = deals([ROW, ZIGZAG], "the finding", {"zigzag": "from both ends"})
    assert repr(both) == (
        "Deals(contiguous 32,896 98,432 163,968 229,504 pairs; zigzag 131,200 131,200 131,200 131,200 pairs)"
    )
    shown = words(both.view.parts)
    assert {"masked: rank 0 waits", "chunk 0 with", "chunk 7", "contiguous", "from both ends"} <= set(shown)
    assert both.view.title == "the finding"
    assert both.readout.facts[0] == ["pairs of each rank, contiguous", "32,896 98,432 163,968 229,504"]
    assert "one after the other: 7 for contiguous, 4 for zigzag." in both.readout.sentence


def test_the_slider_follows_the_keys_round_the_ring():
    both = deals([ROW, ZIGZAG])
    both.set(step=1)
    shown = words(both.view.parts)
    assert shown[:4] == ["rank 0", "keys of rank 3", "rank 1", "keys of rank 0"]
    assert both.readout.sentence == (
        "Contiguous: rank 0 waits: the keys it holds lie in its future. "
        "Zigzag: all 4 ranks compute, 32,768 pairs at most."
    )
    assert "ranks 0, 1 and 2 wait: the keys they hold" in both.set(step=3).readout.sentence
    assert "masked: rank 0 waits" not in shown


def test_measured_work_is_drawn_as_it_was_measured():
    measured = Dealt("contiguous", ROW.hands, deal.Work(((1, 1, 1, 1), (0, 2, 2, 2), (0, 0, 2, 2), (0, 0, 0, 2))))
    assert "contiguous 1 3 5 7 pairs" in repr(deals([measured]))


def test_the_plain_form_shows_the_same_shapes():
    both = deals([ROW, ZIGZAG], "t")
    figure = both.figure()
    assert len(figure.layout.annotations) == len(words(both.view.parts))
    drawn = sum(len([x for x in trace.x if x is None]) + 1 for trace in figure.data)
    assert drawn == len([part for part in both.view.parts if isinstance(part, Shape)])

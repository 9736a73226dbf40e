"""Curves: predicted numbers as plain figures."""

import pytest

from minipar.view.curves import curves, idle_sweep, peak_sweep


def test_idle_share_falls_with_microbatches_as_the_formula_says():
    figure = idle_sweep(ranks=(16,), microbatches=(32, 64, 128))
    assert [round(100 * y, 1) for y in figure.data[0].y] == [31.9, 19.0, 10.5]
    assert list(figure.data[0].y) == pytest.approx([15 / (15 + m) for m in (32, 64, 128)])


def test_gpipe_holds_all_microbatches_and_1f1b_as_many_as_ranks():
    gpipe, one_f_one_b = peak_sweep(ranks=8, microbatches=(8, 64)).data
    assert (gpipe.name, list(gpipe.y)) == ("GPipe", [8, 64])
    assert (one_f_one_b.name, list(one_f_one_b.y)) == ("1F1B", [8, 8])


def test_lines_differ_in_more_than_colour():
    lines = idle_sweep().data
    assert len({line.line.dash for line in lines}) == len({line.marker.symbol for line in lines}) == len(lines) == 3


def test_equal_calls_give_equal_figures():
    assert idle_sweep() == idle_sweep()


def test_a_line_with_too_few_values_is_refused():
    with pytest.raises(ValueError, match="The line 'a' has 1 values for 2 places on the axis."):
        curves([1, 2], {"a": [1]}, "t", "x", "y")

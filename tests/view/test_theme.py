"""Can everybody read the colours?"""

import pytest

from minipar.plan.trace import MEMORY_KINDS
from minipar.view.theme import PALETTE, SMALLEST_TEXT, Kind, contrast, darker


def test_the_colours_are_those_that_were_agreed():
    fills = {kind: paint.fill for kind, paint in PALETTE.bars.items() if paint.fill}
    assert fills[Kind.FORWARD] == "#0072B2"
    assert fills[Kind.BACKWARD] == fills[Kind.INPUT_GRADIENT] == "#E69F00"
    assert fills[Kind.WEIGHT_GRADIENT] == "#009E73"
    assert fills[Kind.COMMUNICATION] == "#CC79A7"
    assert fills[Kind.RECOMPUTE] == "#56B4E9"
    assert fills[Kind.OPTIMIZER] == "#D55E00"


def test_every_kind_has_a_paint():
    assert set(PALETTE.bars) == set(Kind)
    assert set(MEMORY_KINDS) <= set(PALETTE.memory)


@pytest.mark.parametrize("paint", [*PALETTE.bars.values(), *PALETTE.memory.values()])
def test_letters_on_a_bar_have_a_contrast_of_four_and_a_half(paint):
    assert not paint.fill or contrast(paint.fill, paint.ink) >= 4.5


def test_words_on_the_paper_of_plain_figures_have_it_too():
    assert min(contrast(PALETTE.paper, colour) for colour in (PALETTE.ink, PALETTE.quiet, PALETTE.cap)) >= 4.5
    assert SMALLEST_TEXT >= 12


def test_known_contrasts():
    assert contrast("#FFFFFF", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


def test_an_edge_is_darker():
    assert darker("#0072B2") == "#00507D"


def test_a_word_that_is_no_colour_is_refused():
    with pytest.raises(ValueError, match="'blue' is no colour: it is written #RRGGBB"):
        darker("blue")

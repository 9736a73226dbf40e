"""Is every token's way drawn, as wide as its rows, and can it be read? Live and saved."""

import pytest

from minipar.plan.balance import leaning
from minipar.plan.placement import packed
from minipar.plan.routing import follow, route
from minipar.view.drawing import Shape, Text
from minipar.view.flow import FlowView, band, clear, flow, heading, picture

SEEDED = route(leaning(128, 8), 8, 2, ranks=4, nodes=2)


def bands(routing):
    return [part for part in picture(routing).parts if isinstance(part, Shape) and part.fill.startswith("rgba")]


def words(routing):
    return [part.words for part in picture(routing).parts if isinstance(part, Text)]


def wide(shape):
    """Width of a band at its left end."""
    return shape.points[-1][1] - shape.points[0][1]


def test_the_lessons_picture_in_words():
    view = flow(SEEDED, lit=37)
    assert repr(view) == (
        "Flow(128 tokens, 8 experts, ranks=4: rows of the experts 91 65 17 16 15 13 20 19, of the ranks 156 33 28 39, "
        "199 leave their rank)"
    )
    assert view.title == "Three ranks wait for rank 0: it has 2.44 times the mean"
    assert view.tokens[37]["words"] == "token 37 of rank 1: expert 1 on rank 0 and expert 3 on rank 1"
    said = words(SEEDED)
    assert "dispatch →" in said and "combine →" in said and "rank 0: 156 rows" in said and "expert 7" in said


def test_bands_out_and_home_are_as_wide_as_their_rows():
    there = bands(SEEDED)
    assert len(there) % 2 == 0 and min(map(wide, there)) > 0
    assert sum(map(wide, there)) == pytest.approx(2 * 250)
    first = next(one for one in there if one.tip.startswith("from rank 0 to expert 0"))
    assert first.tip == (
        "from rank 0 to expert 0 on rank 0: 22 rows, tokens 0 2 3 4 5 6 8 9 12 13 14 15 and 10 more"
    )
    assert any(one.tip.startswith("home to rank 3") for one in there)


def test_a_band_names_its_tokens_the_first_twelve():
    found = follow([(0,)] * 15 + [(1,)], 2, ranks=1)
    tips = [one.tip for one in bands(found)]
    assert tips[0] == "from rank 0 to expert 0 on rank 0: 15 rows, tokens 0 1 2 3 4 5 6 7 8 9 10 11 and 3 more"
    assert tips[2] == "from rank 0 to expert 1 on rank 0: 1 row, tokens 15"


def test_dropped_choices_hang_under_their_expert_and_do_not_travel():
    full = route(leaning(128, 8), 8, 2, 1.0, ranks=4)
    assert "59 dropped" in words(full) and "33 dropped" in words(full)
    assert sum(wide(one) for one in bands(full)) == pytest.approx(2 * 250 * 164 / 256)
    lost = [token for token in picture(full).tokens if "no expert; dropped" in token["words"]]
    assert len(lost) == full.lost == 12 and repr(flow(full)).endswith("92 dropped)")


def test_copies_have_a_box_on_each_of_their_ranks():
    copied = route(leaning(128, 8), 8, 2, placement=packed(SEEDED.load, 4, 12))
    assert words(copied).count("expert 0") == 3
    assert words(copied).count("expert 1") == 2  # two of its three copies share a rank


def test_many_tokens_have_no_cells_and_bands_still_name_some():
    many = route(leaning(1024, 16), 16, 4, ranks=8, nodes=2)
    assert picture(many).tokens == () and "and" in bands(many)[0].tip


def test_headings():
    assert heading(route(leaning(128, 8), 8, 2)) == "One rank: nothing travels, nobody waits"
    assert heading(follow([(0,), (1,)], 2, ranks=2)) == "All ranks have the same work"
    assert heading(follow([(0,), (0,), (1,)], 2, ranks=2)) == "One rank waits for rank 0: it has 1.33 times the mean"


def test_empty_ones_are_drawn_too():
    assert picture(route([], 4, 2, ranks=2)).tokens == ()
    assert len(bands(follow([(0,), (0,)], 4, ranks=2, sources=(2, 0)))) == 2


def test_the_saved_figure_draws_the_lit_token():
    plain, lit = flow(SEEDED).figure(), flow(SEEDED, lit=3)
    drawn = [sum(shape.path.count("Z") for shape in one.layout.shapes) for one in (plain, lit.figure())]
    assert drawn[1] == drawn[0] + 2 + 2 * 2  # both cells, and a way out and home for each of two experts
    assert lit.figure() == lit.figure()


def test_another_routing_in_the_same_place():
    view = FlowView()
    assert view.tokens == []
    view.draw(SEEDED, "now")
    assert len(view.tokens) == 128 and view.title == "now"


def test_a_band_is_smooth_and_keeps_its_width():
    outline = band(0, 0, 100, 40, 5, steps=4)
    assert outline[0] == (0, 0) and outline[4] == (100, 40) and outline[5] == (100, 45) and outline[-1] == (0, 5)
    assert outline[2] == (50, 20)
    assert clear("#0072B2", 0.5) == "rgba(0, 114, 178, 0.5)"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: flow(SEEDED, lit=128), "there are tokens 0 to 127, and not 128"),
        (lambda: flow(route(leaning(32, 16), 16, 2, ranks=16)),
         "the flow is drawn for 8 ranks and 24 experts at most, not for 16 and 16"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(make, sentence):
    with pytest.raises(ValueError) as refusal:
        make()
    assert str(refusal.value) == sentence

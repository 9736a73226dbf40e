"""Does the picture fill what works for a token, and weigh what lies there?"""

import pytest

from minipar.plan.balance import leaning
from minipar.plan.placement import packed
from minipar.plan.routing import route
from minipar.view.drawing import Shape, Text
from minipar.view.resident import resident

SEEDED = route(leaning(128, 8), 8, 2, ranks=4)


def test_all_lie_ready_and_two_work():
    view = resident(SEEDED, 65_536, token=37)
    assert view.title == "All 8 experts lie ready, 2 of them work for one token"
    assert repr(view) == "Resident(8 experts of 65.5 kB on ranks=4: 524 kB held, 131 kB used by token 37)"
    words = [part.words for part in view.parts if isinstance(part, Text)]
    assert words.count("131 kB") == 4 and "expert 1 works" in words and "expert 3 works" in words
    assert sum(bool(part.hatch) for part in view.parts if isinstance(part, Shape)) == 6


def test_copies_weigh_too_and_a_dropped_token_uses_none():
    copied = route(leaning(128, 8), 8, 2, placement=packed(SEEDED.load, 4, 12))
    assert "12 experts of 65.5 kB" in repr(resident(copied, 65_536))
    full = route(leaning(128, 8), 8, 2, 1.0, ranks=4)
    lost = next(token for token, kept in enumerate(full.kept) if set(kept) == {-1})
    assert "0 of them work for one token" in resident(full, 65_536, lost).title
    with pytest.raises(ValueError, match="there are tokens 0 to 127, and not 128"):
        resident(full, 1, 128)

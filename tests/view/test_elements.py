"""A widget's script is what all share and then its own lines, in one text."""

from pathlib import Path

import pytest

from minipar.view import elements

SHARED = (elements.HERE / "elements.js").read_text(encoding="utf-8")
USERS = sorted(path.name for path in Path(elements.HERE).glob("*.js") if path.name != "elements.js")


def test_the_shared_lines_come_first_and_once():
    text = elements.script("ring.js")
    assert text.startswith(SHARED) and text.endswith((elements.HERE / "ring.js").read_text(encoding="utf-8"))
    assert text.count("function node(") == 1 and text.count("export default") == 1


@pytest.mark.parametrize("name", [name for name in USERS if name not in ("puzzle.js", "timeline.js")])
def test_no_picture_writes_them_again(name):
    own = (elements.HERE / name).read_text(encoding="utf-8")
    assert "function element(" not in own and "createElementNS" not in own

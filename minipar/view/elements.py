"""How does a picture's script get the few lines that all of them need?

A widget's script is one text for the browser. `elements.js` (elements of HTML and SVG, drawing again at another width,
words on a sheet) stands before the picture's own lines in it.
"""

from pathlib import Path

HERE = Path(__file__).parent


def script(name: str) -> str:
    """The text of a widget's script: what all share, then the file of this name beside this module."""
    return "\n".join((HERE / file).read_text(encoding="utf-8") for file in ("elements.js", name))

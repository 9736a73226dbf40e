"""Is somebody there?

    JupyterLab, a person at it          True     live widgets, questions with buttons
    nbval, nbconvert, a script          False    text and plain figures, nothing waits for a click
    anything, MINIPAR_UNATTENDED=1      False

A front end says with every cell it sends whether it could answer `input()`. JupyterLab can; programs that execute
notebooks without a person say that they cannot. That one word is the switch of the whole course.
"""

import os
import sys


def somebody_there() -> bool:
    """True when the cell that runs now was sent by a front end with a person at it."""
    if os.environ.get("MINIPAR_UNATTENDED"):
        return False
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    kernel = getattr(shell, "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False))


def mime_bundle(summary: str, live, plain) -> dict:
    """The outputs of one picture: text always; the live widget for a person, the plain figure for a saved notebook.

    Args:
        summary: the picture in one line of text.
        live: called for the widget's own mime bundle; only when somebody is there.
        plain: called for a plotly figure; only when nobody is there.
    """
    if somebody_there():
        bundle = live()
        bundle = dict(bundle[0] if isinstance(bundle, tuple) else bundle)
        return {**bundle, "text/plain": summary}
    return plain_bundle(summary, plain())


def plain_bundle(summary: str, figure) -> dict:
    """Text and a plain plotly figure.

    With somebody there it does not follow its container: Lab redraws it for a new width anyway, and a responsive figure
    loses its height (29 px are left) when they switch between the light and the dark theme.
    """
    given = figure.to_plotly_json()
    config = {**CONFIG, "responsive": False} if somebody_there() else CONFIG
    return {"text/plain": summary, PLOTLY: {"data": given["data"], "layout": given["layout"], "config": config}}


PLOTLY = "application/vnd.plotly.v1+json"
CONFIG = {"displaylogo": False, "displayModeBar": False, "responsive": True}

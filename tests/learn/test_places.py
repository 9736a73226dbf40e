"""What a cell shows: as text where nobody is there, as a widget that fills in where somebody is."""

import plotly.graph_objects as go
import pytest

from minipar.learn import places
from minipar.learn.attempt import Attempt, attempt
from minipar.run.pool import RemoteError


def test_words_are_aligned_text():
    words = places.Words(pairs=[("slots", "12, 21, 33"), ("equal", True)])
    assert repr(words) == "slots: 12, 21, 33\nequal: True"
    words = places.Words(rows=[("idle", "27 %", "9/33"), ("a <b>", 1, 2)])
    assert repr(words) == "       formula  run\nidle   27 %     9/33\na <b>  1        2"
    assert "a &lt;b&gt;" in words.html()


def test_a_plotly_figure_has_a_height_and_only_plain_mime_types():
    chart = places.parts(go.Figure(go.Bar(x=[1], y=[2])))[0]
    assert set(chart._repr_mimebundle_()) == {"text/plain", "application/vnd.plotly.v1+json"}
    assert chart.figure.layout.height == 360
    assert places.parts(go.Figure(layout={"height": 200}))[0].figure.layout.height == 200


def test_a_place_fills_in_and_tells_what_went_wrong(words_in):
    place = places.Place(lambda r: [f"{r} MB", None, go.Figure()], "not yet")
    assert "not yet" in words_in(place.box)
    place.fill(4)
    assert len(place.box.children) == 2 and "4 MB" in words_in(place.box)
    assert "application/vnd.plotly.v1+json" in words_in(place.box)
    broken = places.Place(lambda r: r.nothing, "not yet")
    broken.fill(4)
    assert "AttributeError: 'int' object has no attribute 'nothing'" in words_in(broken.box).replace("&#x27;", "'")


def test_nobody_there_one_drawing_is_handed_over_and_several_are_shown(shown, capsys):
    words = places.Words(pairs=[("a", 1)])
    assert places.show_now(words) is words
    figure = object()
    assert places.show_now(["a sentence", figure]) is None
    assert shown == [figure] and capsys.readouterr().out == "a sentence\n"


class Plan:
    def __init__(self, ranks):
        self.ranks = ranks


def refuses(pool, plan):
    raise RemoteError("rank 0 asked for 9 MB\nmore", kind="memory limit", rank=0, cause="rank 0 asked for 9 MB")


def test_an_attempt_tells_a_refusal_and_raises_other_errors(capsys):
    assert str(attempt(refuses, None, Plan(4))) == "refused on rank 0"
    assert str(attempt(refuses, None, Plan(1))) == "refused"
    assert capsys.readouterr().out == "rank 0 asked for 9 MB\n" * 2
    assert str(attempt(lambda pool, plan: 7, None, Plan(4))) == "trained"
    assert attempt(lambda pool, plan: 7, None, Plan(4)) == Attempt(7)

    def dies(pool, plan):
        raise RemoteError("rank 1 died", kind="died")

    with pytest.raises(RemoteError, match="died"):
        attempt(dies, None, Plan(4))

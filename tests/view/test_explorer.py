"""The one shape of all explorers: rules that hold for each of them."""

import dataclasses
import warnings

import ipywidgets as widgets
import pytest

from minipar.plan.schedules import gpipe
from minipar.view import explore
from minipar.view.edit import edit
from minipar.view.explorer import MOST_CONTROLS, Explorer, Task
from minipar.view.ring import ring

COSTS = (0.5, *[1.0] * 32, 2.0)
EXPLORERS = {
    "pipeline": lambda: explore.pipeline(),
    "cap": lambda: explore.cap(),
    "memory": lambda: explore.memory(),
    "cards": lambda: explore.cards(),
    "message": lambda: explore.message(),
    "ring": lambda: ring(4),
    "edit": lambda: edit(gpipe(3, 4)),
}


@pytest.fixture(params=EXPLORERS)
def any_explorer(request):
    return EXPLORERS[request.param]()


@pytest.fixture
def strict(monkeypatch):
    """What goes wrong in an observer is raised, as it is in all tests that move a control by hand."""
    monkeypatch.setattr(Explorer, "strict", True)


def test_at_most_three_controls_are_visible_the_rest_under_more(any_explorer):
    visible = any_explorer.panel.children[0].children[0].children
    assert 1 <= len(visible) <= MOST_CONTROLS
    folded = set(any_explorer.controls) - set(any_explorer.shown)
    if folded:
        assert any_explorer.folded.layout.display == "none"
        any_explorer.more.value = True
        assert any_explorer.folded.layout.display == "grid" and any_explorer.more.description == "less"


def test_more_than_three_visible_controls_are_refused():
    class Crowded(Toy):
        shown = ("size", "b", "c", "d")

    with pytest.raises(ValueError, match="Toy shows 4 controls; 3 at most, the rest goes under more."):
        Crowded()


def test_the_state_is_a_frozen_dataclass(any_explorer):
    assert dataclasses.is_dataclass(any_explorer.state)
    with pytest.raises(dataclasses.FrozenInstanceError):
        any_explorer.state.nothing = 1


def test_every_control_has_a_label(any_explorer):
    for name, control in any_explorer.controls.items():
        assert control.description or control.tooltip, name


def test_the_text_repr_is_stable_and_has_no_addresses(any_explorer):
    again = type(any_explorer)
    assert repr(any_explorer).startswith(again.title + "(") and "0x" not in repr(any_explorer)
    assert repr(any_explorer) == repr(any_explorer)


def test_nobody_there_gives_text_and_a_plain_figure_never_a_widget_view(any_explorer, monkeypatch):
    monkeypatch.setenv("MINIPAR_UNATTENDED", "1")
    bundle = any_explorer._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "application/vnd.plotly.v1+json"}
    assert bundle["text/plain"] == any_explorer.summary()
    assert any_explorer.figure() == any_explorer.figure()


def test_somebody_there_gives_the_widget_and_the_summary_as_text(any_explorer, monkeypatch):
    monkeypatch.setattr("minipar.view.presence.somebody_there", lambda: True)
    bundle = any_explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == any_explorer.summary()


class Toy(Explorer):
    """The smallest explorer: one number, which must not be three."""

    title = "Toy"
    shown = ("size",)

    @dataclasses.dataclass(frozen=True)
    class State:
        size: int = 1

    def __init__(self, task=None):
        self.drawn = []
        super().__init__(self.State(), task)

    def make_controls(self, state):
        return {
            "size": widgets.IntSlider(state.size, 0, 10, description="size"),
            "other": widgets.IntSlider(description="other"),
        }

    def make_view(self):
        return widgets.Label()

    def read(self):
        return {"size": self.controls["size"].value}

    def compute(self, state):
        if state.size == 3:
            raise ValueError("three is not allowed here")
        return state.size**2

    def draw(self, result):
        self.drawn.append(result)

    def facts(self, result):
        return [("square", result)]

    def describe(self, result):
        return f"size={self.state.size}, square={result}"


def test_moving_a_control_by_hand_updates_once():
    toy = Toy()
    toy.controls["size"].value = 4
    assert toy.drawn == [1, 16] and toy.readout.facts == [["square", "16"]]


def test_moving_several_in_code_updates_once():
    toy = Toy()
    toy.set(size=5, other=7)
    assert toy.drawn == [1, 25]


def test_an_exception_in_an_observer_is_told_in_the_readout_in_words():
    toy = Toy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        toy.controls["size"].value = 3
    assert toy.readout.problem == "three is not allowed here" and toy.readout.facts == []
    assert repr(toy) == "Toy(three is not allowed here)"
    toy.controls["size"].value = 2
    assert toy.readout.problem == "" and toy.readout.facts == [["square", "4"]]


def test_an_exception_in_an_observer_is_raised_again_in_tests(strict):
    with pytest.raises(ValueError, match="three is not allowed here"):
        Toy().controls["size"].value = 3


def test_setting_in_code_raises_in_the_cell():
    with pytest.raises(ValueError, match="three is not allowed here"):
        Toy().set(size=3)
    with pytest.raises(ValueError, match="size goes from 0 to 10, not 11."):
        Toy().set(size=11)
    with pytest.raises(ValueError, match="Toy has no control 'weight'; it has size, other."):
        Toy().set(weight=1)


def test_a_task_is_ticked_quietly_when_met_and_stays_ticked():
    toy = Toy(Task("Find the size whose square is 49.", lambda ex: ex.result == 49))
    assert toy.asked.tasks == [["Find the size whose square is 49.", False]]
    toy.set(size=7)
    assert toy.asked.tasks == [["Find the size whose square is 49.", True]]
    toy.set(size=6)
    assert toy.summary() == "Toy(size=6, square=36)\ndone: Find the size whose square is 49."


def test_one_state_ticks_one_of_two_tasks():
    toy = Toy((Task("one", lambda ex: ex.result > 10), Task("another", lambda ex: ex.result > 10)))
    toy.set(size=5)
    assert toy.met == [True, False]
    toy.set(size=6)
    assert toy.met == [True, True]


def test_a_bare_sentence_is_a_task_without_a_tick():
    assert Toy("Look around.").set(size=5).asked.tasks == [["Look around.", False]]

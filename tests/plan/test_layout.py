"""Does a plan say which layers stand where, and refuse what cannot lie on its mesh?"""

import pytest

from minipar.plan.layout import Plan
from minipar.plan.mesh import Mesh
from minipar.plan.schedule import Schedule
from minipar.plan.schedules import gpipe


class Costs:
    def __init__(self, *costs):
        self._costs = costs

    def costs(self):
        return self._costs


def test_without_cuts_the_models_costs_are_balanced():
    plan = Plan(Mesh(pipe=2), gpipe(2, 3))
    assert plan.cut(Costs(1, 1, 1, 3)) == (range(0, 3), range(3, 4))
    assert (plan.ranks, plan.stages_of(1)) == (2, (1,))


def test_given_cuts_are_kept():
    plan = Plan(Mesh(pipe=2), gpipe(2, 3), cuts=[range(1), range(1, 4)])
    assert plan.cut(Costs(1, 1, 1, 3)) == (range(0, 1), range(1, 4))


def test_several_stages_a_rank():
    plan = Plan(Mesh(pipe=2), Schedule.parse("0F0 2F0 2B0 0B0\n1F0 3F0 3B0 1B0"))
    assert plan.stages_of(0) == (0, 2)
    assert plan.cut(Costs(1, 1, 1, 1)) == (range(0, 1), range(1, 2), range(2, 3), range(3, 4))


@pytest.mark.parametrize(
    ("mesh", "cuts", "sentence"),
    [
        (Mesh(tensor=2), None, "Mesh(tensor=2) has no axis for the pipeline: write Mesh(pipe=2)"),
        (Mesh(pipe=3), None, "the schedule is for 2 ranks, and Mesh(pipe=3) has 3"),
        (Mesh(data=2, pipe=2), None, "the schedule is for 2 ranks, and Mesh(data=2, pipe=2) has 4"),
        (Mesh(pipe=2), [range(4)], "there are 2 stages and 1 cuts: give one range of layers for each stage"),
        (Mesh(pipe=2), [range(1), range(2, 4)], "layer 1 is in no stage: stage 1 starts at layer 2"),
        (Mesh(pipe=2), [range(2), range(1, 4)], "layer 1 is in stage 0 and in stage 1"),
        (Mesh(pipe=2), [range(2), range(2, 2)], "stage 1 has no layer"),
        (Mesh(pipe=2), [range(2), 4], "the cut of stage 1 is 4: write range(first, last + 1)"),
    ],
)
def test_refusals(mesh, cuts, sentence):
    with pytest.raises(ValueError) as refusal:
        Plan(mesh, gpipe(2, 3), cuts)
    assert str(refusal.value) == sentence


def test_cuts_for_another_model_are_refused():
    with pytest.raises(ValueError) as refusal:
        Plan(Mesh(pipe=2), gpipe(2, 3), [range(1), range(1, 3)]).cut(Costs(1, 1, 1, 1))
    assert str(refusal.value) == "the cuts end before layer 3, and the model has 4 layers"


def test_an_unsound_schedule_is_refused_with_its_problems():
    plan = Plan(Mesh(pipe=1), Schedule.parse("0F0"))
    with pytest.raises(ValueError, match="^This schedule cannot run. .*0B0"):
        plan.require_sound()

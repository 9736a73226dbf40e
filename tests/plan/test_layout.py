"""Does a plan say which layers stand where, and refuse what cannot lie on its mesh?"""

import pytest

from minipar.plan.layout import Plan
from minipar.plan.mesh import Mesh
from minipar.plan.schedule import Schedule
from minipar.plan.schedules import gpipe, one_f_one_b
from minipar.plan.simulate import Cost, predict


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
        (Mesh(data=2, pipe=3), None, "the schedule is for 2 ranks, and Mesh(data=2, pipe=3) has 3 on its pipe axis"),
        (Mesh(rows=2), None, "Mesh(rows=2) has an axis 'rows': a plan knows pipe, data, tensor, context"),
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


def test_on_a_mesh_every_pipeline_runs_the_schedule():
    plan = Plan(Mesh(data=2, pipe=2), gpipe(2, 3))
    assert (plan.ranks, plan.pipelines) == (4, ((0, 1), (2, 3)))
    assert plan.pipeline_of(3) == (2, 3)
    assert [plan.stages_of(rank) for rank in range(4)] == [(0,), (1,), (0,), (1,)]
    assert plan.place(3) == {"pipe": 1, "data": 1, "tensor": 0, "context": 0}
    assert (plan.size("data"), plan.size("tensor")) == (2, 1)


def test_the_prediction_of_a_plan_has_every_pipeline_of_its_mesh():
    plan = Plan(Mesh(data=2, pipe=2), gpipe(2, 3))
    trace, one = plan.predict(Cost(F=1, B=2)), predict(plan.schedule, Cost(F=1, B=2))
    assert (trace.ranks, trace.pipelines, trace.makespan, trace.bubble) == (4, ((0, 1), (2, 3)), 12, one.bubble)
    assert [trace.order(rank) for rank in range(4)] == [*plan.schedule.programs] * 2
    assert trace.peak_in_flight == one.peak_in_flight * 2
    assert {span.rank for span in trace.critical_path()} in ({0, 1}, {2, 3})
    assert trace.why_idle(2, 6) == one.why_idle(0, 6).replace("rank 1", "rank 3").replace("Rank 0", "Rank 2")
    assert Plan(Mesh(pipe=2), gpipe(2, 3)).predict() == predict(plan.schedule)


def test_without_a_pipe_axis_there_is_one_stage():
    plan = Plan(Mesh(tensor=2))
    assert plan.schedule.programs == Schedule.parse("0F0 0B0").programs
    assert plan.pipelines == ((0,), (1,))
    assert Plan(Mesh(tensor=2), gpipe(1, 4)).schedule.microbatches == 4
    assert Plan(Mesh(pipe=1, tensor=2)).schedule == plan.schedule


def test_a_batch_is_dealt_by_texts_over_data_and_by_positions_over_context():
    plan = Plan(Mesh(data=2, context=2))
    assert [plan.texts_of(rank, 6) for rank in range(4)] == [(0, 1, 2), (0, 1, 2), (3, 4, 5), (3, 4, 5)]
    assert [plan.positions_of(rank, 8) for rank in range(2)] == [(0, 1, 6, 7), (2, 3, 4, 5)]
    assert Plan(Mesh(context=2), deal="striped").positions_of(1, 8) == (1, 3, 5, 7)


@pytest.mark.parametrize(
    ("plan", "texts", "length", "sentence"),
    [
        (
            Plan(Mesh(data=2, pipe=2), gpipe(2, 2)), 7, None,
            "a batch of 7 texts cannot be shared by data=2 ranks: each takes as many",
        ),
        (
            Plan(Mesh(data=2, pipe=2), gpipe(2, 4)), 6, None,
            "4 microbatches cannot be cut from a batch of 3 on each of 2 data ranks: each needs at least one text.",
        ),
        (
            Plan(Mesh(tensor=4), sequence_parallel=True), 2, 10,
            "sequence_parallel cuts 10 positions into tensor=4 equal parts, and 10 / 4 is not whole",
        ),
    ],
)  # fmt: skip
def test_a_batch_that_cannot_be_shared_is_refused(plan, texts, length, sentence):
    with pytest.raises(ValueError) as refusal:
        plan.require_batch(texts, length)
    assert str(refusal.value) == sentence


def test_a_length_that_cannot_be_dealt_is_refused():
    with pytest.raises(ValueError, match="10 positions cannot be dealt zigzag"):
        Plan(Mesh(context=2)).require_batch(2, 10)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: Plan(Mesh(pipe=2, tensor=2)),
            "Mesh(pipe=2, tensor=2) has a pipeline of 2 ranks and no schedule: "
            "give one, as in schedule=minipar.one_f_one_b(2, microbatches=8)",
        ),
        (
            lambda: Plan(Mesh(context=2), deal="bridge"),
            "deal='bridge': choose 'contiguous' or 'zigzag' or 'striped'",
        ),
        (
            lambda: Plan(Mesh(tensor=2), overlap=True, sequence_parallel=True),
            "overlap hides the backward's all-reduce, and with sequence_parallel there is none: choose one",
        ),
        (lambda: Plan(Mesh(tensor=2), collectives="own"), "collectives='own': choose 'backend' or 'ring'"),
    ],
)
def test_choices_that_are_none_are_refused(make, sentence):
    with pytest.raises(ValueError) as refusal:
        make()
    assert str(refusal.value) == sentence


def test_cuts_for_another_model_are_refused():
    with pytest.raises(ValueError) as refusal:
        Plan(Mesh(pipe=2), gpipe(2, 3), [range(1), range(1, 3)]).cut(Costs(1, 1, 1, 1))
    assert str(refusal.value) == "the cuts end before layer 3, and the model has 4 layers"


def test_an_unsound_schedule_is_refused_with_its_problems():
    plan = Plan(Mesh(pipe=1), Schedule.parse("0F0"))
    with pytest.raises(ValueError, match="^This schedule cannot run. .*0B0"):
        plan.require_sound()


@pytest.mark.parametrize(("data", "texts"), [(1, 8), (2, 8), (4, 8), (2, 12), (3, 15)])
def test_a_microbatch_is_the_same_texts_on_any_number_of_data_ranks(data, texts):
    plan = Plan(Mesh(data=data, pipe=2), one_f_one_b(2, 2))
    parts = plan.microbatches_of(texts)
    assert [text for part in parts for text in part] == list(range(texts))
    assert texts % (2 * data) or parts == Plan(Mesh(pipe=2), one_f_one_b(2, 2)).microbatches_of(texts)
    for number, part in enumerate(parts):
        share = len(part) // data
        before = sum(len(earlier) for earlier in parts[:number]) // data
        held = [plan.texts_of(2 * at, texts)[before : before + share] for at in range(data)]
        assert [text for texts in held for text in texts] == list(part)


def test_every_token_of_a_microbatch_is_on_one_rank_of_a_stage():
    plan = Plan(Mesh(pipe=2, data=2, context=2, tensor=2), one_f_one_b(2, 2), sequence_parallel=True)
    owned = plan.tokens_of_ranks(4, 8)
    assert len(owned) == 8 and sorted(token for tokens in owned for token in tokens) == list(range(32))


@pytest.mark.parametrize(
    ("mesh", "experts", "sentence"),
    [
        (Mesh(data=4, expert=4), 6, "experts=6 cannot be cut in 4 equal parts: 4 or 8 can."),
        (Mesh(data=4, expert=4), 0, "Mesh(data=4, expert=4) has ranks for different experts, and this model has none"),
        (
            Mesh(tensor=2),
            4,
            "experts beside tensor=2 need sequence_parallel=True: without it all 2 tensor ranks hold the same tokens, "
            "and each token would travel 2 times",
        ),
    ],
)
def test_experts_that_cannot_lie_on_a_mesh_are_refused(mesh, experts, sentence):
    with pytest.raises(ValueError) as refusal:
        Plan(mesh).require_experts(experts)
    assert str(refusal.value) == sentence

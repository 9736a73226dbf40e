"""Does a rank build its own stages and nothing else, and get the part of a batch it needs?"""

import pytest
import torch

import minipar
from minipar.nn.gpt import GPT
from minipar.nn.stack import Stack
from minipar.nn.text import text_batch
from minipar.plan.slices import Cut
from minipar.run.part import Part, feed, gather, slices

MODEL = GPT(layers=4, hidden=16, heads=2, context=8, tied=True)


def built(w, plan):
    return list(Part(w, plan, MODEL).parameters)


def test_no_rank_holds_a_layer_of_another(pool):
    plan = minipar.Plan(minipar.Mesh(pipe=3), minipar.gpipe(3, 2))
    names = pool.run(built, plan, mesh=plan.mesh)
    for rank, cut in enumerate(plan.cut(MODEL)):
        assert {int(name.split(".")[1]) for name in names[rank]} == set(cut)
    assert sum(names, []) == [*dict(MODEL.whole().named_parameters()), *MODEL.ties]


def test_inputs_go_to_the_first_stage_and_targets_to_the_last():
    batch, plan = text_batch(2, 8), minipar.Plan(minipar.Mesh(pipe=3), minipar.gpipe(3, 2))
    assert feed(plan, 0, batch) == (batch.inputs, None)
    assert feed(plan, 1, batch) == (None, None)
    assert feed(plan, 2, batch) == (None, batch.targets)
    alone = minipar.Plan(minipar.Mesh(pipe=1), minipar.gpipe(1, 2))
    assert feed(alone, 0, batch) == (batch.inputs, batch.targets)


def test_data_ranks_read_other_texts_and_context_ranks_other_positions():
    batch = text_batch(4, 8)
    plan = minipar.Plan(minipar.Mesh(data=2, context=2), deal="contiguous")
    for rank, (texts, places) in enumerate([((0, 2), (0, 4)), ((0, 2), (4, 8)), ((2, 4), (0, 4)), ((2, 4), (4, 8))]):
        mine = feed(plan, rank, batch)
        for got, whole in zip(mine, batch, strict=True):
            assert torch.equal(got, whole[slice(*texts), slice(*places)])
    pipes = minipar.Plan(minipar.Mesh(tensor=2, pipe=2), minipar.gpipe(2, 2))
    assert [feed(pipes, rank, batch).inputs is batch.inputs for rank in range(4)] == [True, False, True, False]
    assert [feed(pipes, rank, batch).targets is batch.targets for rank in range(4)] == [False, True, False, True]


def test_slices_are_put_together_also_where_they_are_uneven_or_copied():
    whole = torch.arange(21.0).reshape(7, 3)
    uneven = Cut(0, (range(0, 3), range(3, 6), range(6, 7), range(7, 7)))
    pieces = [whole[part.start : part.stop] for part in uneven.parts]
    assert torch.equal(gather(pieces, uneven), whole)
    copied = Cut(1, (range(0, 1), range(0, 1), range(1, 3), range(1, 3)))
    assert torch.equal(gather([whole[:, part.start : part.stop] for part in copied.parts], copied), whole)


def test_a_model_that_cannot_be_sliced_is_refused():
    stack = Stack([torch.nn.Linear(2, 2)], loss=torch.nn.functional.mse_loss)
    assert slices(minipar.Plan(minipar.Mesh(data=2)), stack) == {}
    with pytest.raises(ValueError) as refusal:
        slices(minipar.Plan(minipar.Mesh(tensor=2)), stack)
    assert str(refusal.value) == "tensor=2 slices layers, and those of a Stack cannot be sliced."

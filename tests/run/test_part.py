"""Does a rank build its own stages and nothing else, and get the part of a batch it needs?"""

import minipar
from minipar.nn.gpt import GPT
from minipar.nn.text import text_batch
from minipar.run.part import Part, feed

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

"""Are the bytes that a step should send along each axis those that a real step did send?"""

import pytest

import minipar
from minipar.cost.axes import Load, layer_costs, step_traffic
from minipar.cost.model import Shape
from minipar.nn.gpt import GPT
from minipar.nn.text import Batch, text_batch
from minipar.plan.mesh import Mesh

SMALL = {"layers": 3, "hidden": 16, "heads": 4, "context": 8, "vocabulary": 30}
CASES = [
    ({}, Mesh(tensor=4), False),
    ({}, Mesh(tensor=2), True),
    ({"kv_heads": 2}, Mesh(tensor=4), True),
    ({}, Mesh(context=4), False),
    ({"kv_heads": 1}, Mesh(context=2, tensor=2), False),
    ({}, Mesh(data=4), False),
    ({}, Mesh(pipe=4), False),
    ({"tied": True}, Mesh(pipe=4), False),
    ({"tied": True}, Mesh(pipe=2, tensor=2), True),
    ({"tied": True}, Mesh(data=2, tensor=2), False),
    ({"dtype": "float64"}, Mesh(pipe=2, data=2), False),
    ({}, Mesh(tensor=2, pipe=2), False),
    ({"kv_heads": 2}, Mesh(pipe=2, context=2), False),
]


@pytest.mark.parametrize(("fields", "mesh", "sequence_parallel"), CASES, ids=repr)
def test_a_real_step_sends_what_is_priced(pool, fields, mesh, sequence_parallel):
    model, load = GPT(**{**SMALL, **fields}), Load(8, 8, 3 if "data" not in mesh.axes else 2, sequence_parallel)
    schedule = minipar.gpipe(mesh.axes.get("pipe", 1), load.microbatches)
    plan = minipar.Plan(mesh, schedule, sequence_parallel=sequence_parallel, collectives="ring")
    batch = Batch(*(numbers % 30 for numbers in text_batch(load.texts, load.positions)))
    trace = minipar.train_step(pool, plan, model, batch).trace
    priced = step_traffic(mesh, model, load)
    ranks = range(mesh.size)
    in_all = tuple(tuple(sum(table[a][b] for table in priced.values()) for b in ranks) for a in ranks)
    assert trace.traffic() == in_all
    assert sum(map(sum, in_all)) > 0


def test_by_hand():
    shape = Shape(layers=1, hidden=4, heads=2, vocabulary=8, context=2)
    load = Load(texts=2, positions=2, microbatches=2)  # a microbatch's stream: 1 text, 2 positions, 4 wide: 32 bytes
    assert step_traffic(Mesh(pipe=2), shape, load) == {"pipe": ((0, 64), (64, 0))}
    sums = 2 * (6 * 32 + 8 + 16)  # a microbatch: embedding 1, block 4, head 1; the loss's 2 and 4 numbers
    assert step_traffic(Mesh(tensor=2), shape, load) == {"tensor": ((0, sums), (sums, 0))}
    weights = (8 * 4 + 2 * 4) + (12 * 16 + 13 * 4) + (8 + 32)
    assert step_traffic(Mesh(data=2), shape, load) == {"data": ((0, 4 * weights), (4 * weights, 0))}


def test_costs_of_layers_are_the_models_own():
    model = GPT(layers=3, hidden=32, heads=4, kv_heads=2, vocabulary=100)
    assert layer_costs(model) == model.costs()


def test_axes_of_one_rank_send_nothing():
    assert step_traffic(Mesh(data=1, tensor=2), Shape())["data"] == ((0, 0), (0, 0))

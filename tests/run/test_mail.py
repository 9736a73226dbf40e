"""Which receives are posted ahead, and what does a message prove?"""

import torch

import minipar
from minipar.nn.stack import Stack
from minipar.plan.actions import Kind, Value
from minipar.plan.messages import lower
from minipar.run.mail import _proofs, _queues, boundary_forms, name, tag
from minipar.run.stage import Stage


def test_every_value_has_a_tag_of_its_own():
    values = [Value(kind, s, m) for kind in (Kind.ACTIVATION, Kind.GRADIENT) for s in range(4) for m in range(8)]
    assert len({tag(value, 8) for value in values}) == len(values)
    assert name(values[1]) == "activation 0 m1"


def test_a_link_is_received_in_order_and_its_first_is_posted_at_the_start():
    lowered = lower(minipar.one_f_one_b(3, 3))
    first, following = _queues(lowered.programs[1])
    assert [str(step.value) for step in first] == [
        "the activation of stage 0, microbatch 0",
        "the gradient of stage 2, microbatch 0",
    ]
    chain = [first[0]]
    while chain[-1].value in following:
        chain.append(following[chain[-1].value])
    assert [step.value.microbatch for step in chain] == [0, 1, 2]


def test_a_gradient_proves_that_the_activation_came_and_an_activation_that_a_gradient_came():
    proofs = _proofs(lower(minipar.one_f_one_b(2, 4)), rank=0)
    for m in range(4):
        assert proofs[Value(Kind.GRADIENT, 1, m)] == (Value(Kind.ACTIVATION, 0, m),)
    proofs = _proofs(lower(minipar.one_f_one_b(2, 4)), rank=1)
    assert proofs[Value(Kind.ACTIVATION, 0, 3)] == (Value(Kind.GRADIENT, 1, 1),)


def test_gpipe_sends_all_activations_before_one_is_proved():
    proofs = _proofs(lower(minipar.gpipe(2, 3)), rank=0)
    assert proofs[Value(Kind.GRADIENT, 1, 0)] == tuple(Value(Kind.ACTIVATION, 0, m) for m in range(3))
    assert proofs[Value(Kind.GRADIENT, 1, 1)] == ()


class Pipe:
    """Rank r's end of a row of mailboxes in one process."""

    device = torch.device("cpu")

    def __init__(self, rank, boxes):
        self.rank, self.boxes = rank, boxes

    def post_send(self, tensor, to, tag):
        self.boxes[to] = tensor
        return self

    def post_recv(self, buffer, source, tag):
        buffer.copy_(self.boxes[self.rank])
        return self

    def wait(self):
        """Everything is here already."""


def test_forms_walk_from_stage_to_stage():
    layers = [torch.nn.Linear(3, 5), torch.nn.Linear(5, 2), torch.nn.BatchNorm1d(2)]
    stack, boxes, found = Stack(layers, loss=torch.nn.functional.mse_loss), {}, []
    for rank in range(3):
        stages = {rank: Stage(stack.build([rank]))}
        inputs = torch.zeros(5, 3).tensor_split(2) if rank == 0 else ()
        found.append(boundary_forms(Pipe(rank, boxes), (0, 1, 2), stages, inputs, 2))
        assert all(buffer.sum() == 0 for name, buffer in stages[rank].module.named_buffers() if "running_mean" in name)
    assert found[0][0] == found[1][0] == [((3, 5), torch.float32), ((2, 5), torch.float32)]
    assert found[1][1] == found[2][1] == [((3, 2), torch.float32), ((2, 2), torch.float32)]

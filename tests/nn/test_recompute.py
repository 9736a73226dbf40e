"""Does a model that recomputes its blocks have the same gradients, and does it keep less?"""

import torch

from minipar.nn.gpt import GPT
from minipar.nn.text import text_batch


def gradients(model):
    batch, whole = text_batch(2, 16), model.whole()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x):
        loss = model.loss(whole(batch.inputs), batch.targets)
    loss.backward()
    return {name: parameter.grad for name, parameter in whole.named_parameters()}, sum(saved)


def test_gradients_are_those_of_the_model_that_keeps_everything():
    kept, much = gradients(GPT(layers=3, hidden=16, heads=2, context=16, dtype="float64"))
    again, little = gradients(GPT(layers=3, hidden=16, heads=2, context=16, dtype="float64", recompute=True))
    assert kept.keys() == again.keys()
    for name in kept:
        assert torch.equal(kept[name], again[name]), name
    assert little < much / 2


def test_the_second_forward_drops_what_the_first_did_though_time_has_passed():
    batch, found = text_batch(4, 16), []
    for recompute in (False, True):
        model = GPT(layers=2, hidden=16, heads=2, context=16, dtype="float64", dropout=0.3, recompute=recompute)
        whole = model.whole()
        losses = []
        for first in (0, 2):  # two microbatches are in flight before the first one's backward
            whole.at(step=5, text=first)
            losses.append(model.loss(whole(batch.inputs[first : first + 2]), batch.targets[first : first + 2]))
        for loss in losses:
            loss.backward()
        found.append({name: parameter.grad for name, parameter in whole.named_parameters()})
        assert whole.moment.now == (5, 2, 1.0)
    for name, gradient in found[0].items():
        assert torch.equal(gradient, found[1][name]), name

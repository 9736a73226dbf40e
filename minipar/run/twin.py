"""What would one process have done with this batch?

The ordinary, unsplit model reads the whole batch at once. With layers of experts it reads the plan's microbatches one
after the other, for who is dropped and what their losses are is counted over a microbatch on all ranks; and where each
rank counts its own tokens, the twin is told which tokens are whose.
"""

import torch

from minipar.plan.layout import Plan


def backward(model, whole, plan: Plan | None, batch, step: int = 0) -> float:
    """Forward and backward of the whole batch on the unsplit model `whole`: adds to its gradients; the mean loss.

    The losses of layers of experts are in the gradients, and not in what is returned; `whole`'s tallies have them.
    plan: needed where the model has experts. step: of the training, for dropout.
    """
    if not getattr(model, "experts", 0):
        if getattr(model, "dropout", 0):
            whole.at(step)
        loss = model.loss(whole(batch.inputs), batch.targets)
        loss.backward()
        return loss.item()
    total, (texts, length) = 0.0, batch.inputs.shape
    for part in plan.microbatches_of(texts):
        rows, share = slice(part.start, part.stop), len(part) / texts
        for module in whole.modules():
            if hasattr(module, "groups"):
                module.groups = _owners(plan, len(part), length)
        loss = model.loss(whole.at(step, part.start, share)(batch.inputs[rows]), batch.targets[rows]) * share
        loss.backward()
        total += loss.item()
    return total


def _owners(plan: Plan, texts: int, length: int):
    """A function for `DenseMoE.groups`: the tokens of each rank."""
    owned = [torch.tensor(tokens) for tokens in plan.tokens_of_ranks(texts, length)]
    return lambda tokens: owned

"""What fills a device that trains a GPT, before anything has run?

    parameter    ████            every weight, 4 bytes each in float32
    gradient     ████            one number a weight
    optimizer    ████████        SGD none, momentum one, AdamW two numbers a weight
    activation   ██████████ …    what the forward keeps for the backward: grows with batch and sequence
    batch        ▏               token numbers and targets, 8 bytes each, and the sum of the losses

A model is anything with the fields of `Shape`, which are plain numbers: `minipar.GPT` has them too.
N = batch · sequence is the number of tokens in what follows.

Activations of one block, counted in storages that autograd keeps once each (numbers, not bytes):

    first norm     input N·h, mean and deviation 2·N        queries, keys, values    their input N·h, 3·N·h themselves
    softmax        weights heads·batch·sequence²            output layer             its input N·h
    second norm    input N·h, mean and deviation 2·N        up, GELU, down           N·h, 4·N·h, 4·N·h
                                                            ────────────────────────────────────────────────────
    together       16·N·h + 4·N + heads·batch·sequence²

On `tensor` ranks that share each layer, a rank keeps of its block: the inputs of the norms and of the two column
layers whole (4·N·h + 4·N), and its part of all the rest. With sequence parallel the norms are cut too, and only what
the column layers read is whole (2·N·h). Figures for slices are the first rank's, which never holds less than another.

A model with layers of experts (`experts`, `expert_layers`, …) has its weights counted; what these layers keep for the
backward depends on who chooses them, and is not.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from minipar.plan.slices import heads, padded


class Optimizer(enum.Enum):
    """An optimizer by the name a learner reads; ``averages`` is how many numbers it keeps a parameter."""

    SGD = "SGD"
    MOMENTUM = "momentum"
    ADAMW = "AdamW"

    @property
    def averages(self) -> int:
        return {Optimizer.SGD: 0, Optimizer.MOMENTUM: 1, Optimizer.ADAMW: 2}[self]

    @classmethod
    def named(cls, name: str | Optimizer) -> Optimizer:
        """The optimizer of this name; ValueError lists the names there are."""
        try:
            return cls(name)
        except ValueError:
            raise ValueError(
                f"{name!r} is no optimizer here; there are {', '.join(one.value for one in cls)}."
            ) from None


#: Bytes of a number, by its type.
NUMBER = {"float32": 4, "float64": 8}


@dataclass(frozen=True)
class Shape:
    """The sizes of a GPT as plain numbers, with the names that `minipar.GPT` uses."""

    layers: int = 8
    hidden: int = 64
    heads: int = 4
    vocabulary: int = 256
    context: int = 64
    tied: bool = False
    recompute: bool = False
    dtype: str = "float32"
    kv_heads: int | None = None
    dropout: float = 0.0


@dataclass(frozen=True)
class Bytes:
    """Bytes of one training step by kind, each at its own highest point of the step."""

    parameter: int
    gradient: int
    optimizer: int
    batch: int
    activation: int

    @property
    def total(self) -> int:
        """All kinds together: an upper bound, since they do not all stand highest at the same moment."""
        return self.parameter + self.gradient + self.optimizer + self.batch + self.activation


def layer_parameters(model, tensor: int = 1, expert: int = 1) -> tuple[int, ...]:
    """Numbers of weights, layer by layer: the embedding, the blocks, the head. On the first of `tensor` ranks.

    expert: ranks that share out each layer's experts. A tied head uses the embedding's table and adds only its norm.
    ValueError when heads or hidden do not divide.
    """
    hidden, mine = model.hidden, heads(model.heads, _kv_heads(model), tensor)
    table = len(padded(model.vocabulary, tensor)[0]) * hidden
    keys = len(mine.kv[0]) * hidden // model.heads
    attention = hidden * hidden // tensor * 2 + hidden // tensor + 2 * (hidden + 1) * keys + hidden
    mlp = (8 * hidden * hidden + 4 * hidden) // tensor + hidden
    head = 2 * hidden + (0 if model.tied else table)
    blocks = [attention + mlp + 4 * hidden] * depth(model)
    for layer in getattr(model, "expert_layers", ()):
        width = model.expert_expansion * hidden
        shared = model.shared_experts * width
        mixed = model.experts * hidden + 2 * hidden * width * (model.experts // expert)
        mixed += (2 * hidden * shared + shared) // tensor + hidden * (shared > 0)
        blocks[layer - 1] = attention + mixed + 4 * hidden
    return (table + model.context * hidden, *blocks, head)


def parameters(model, tensor: int = 1) -> int:
    """The number of weights of the whole model, or of the first of `tensor` ranks."""
    return sum(layer_parameters(model, tensor))


def _kv_heads(model) -> int:
    return getattr(model, "kv_heads", None) or model.heads


def depth(model) -> int:
    """How many blocks; a description that lists its layers counts embedding and head too."""
    return model.layers if isinstance(model.layers, int) else len(model.layers) - 2


def block_activations(model, batch: int, sequence: int, tensor: int = 1, sequence_parallel: bool = False) -> int:
    """Numbers that one block keeps for its backward, its own input included. With dropout the weights twice."""
    tokens, slices = batch * sequence, tensor if sequence_parallel else 1
    norms = (2 * tokens * model.hidden + 4 * tokens) // slices
    weights = model.heads * batch * sequence**2 * (2 if getattr(model, "dropout", 0) else 1)
    whole = 2 * tokens * model.hidden if tensor > 1 else 0  # what the column layers read
    shared = (12 if whole else 14) * tokens * model.hidden
    return norms + whole + (shared + weights) // tensor


def head_activations(model, batch: int, sequence: int, tensor: int = 1, sequence_parallel: bool = False) -> int:
    """Numbers that head and loss keep: the norm with its input, the table's input, log-probabilities, the loss.

    On several ranks the loss keeps, in place of log-probabilities, one exponential for each of its own words and their
    sum for each token.
    """
    tokens, slices = batch * sequence, tensor if sequence_parallel else 1
    norm, read = (tokens * model.hidden + 2 * tokens) // slices, tokens * model.hidden
    words = len(padded(model.vocabulary, tensor)[0])
    return norm + read + tokens * words + (tokens + 1 if tensor > 1 else 2)


def activations(model, batch: int, sequence: int, tensor: int = 1, sequence_parallel: bool = False) -> int:
    """Numbers held at the highest point of a step. What a sliced embedding keeps, token numbers, is left out.

    With recompute each block keeps its input alone. The highest point is then one of two: the end of the forward, with
    the head's part, or the backward of the last block, which has just been computed once more (the loss is still held).
    """
    sizes = batch, sequence, tensor, sequence_parallel
    block, head = block_activations(model, *sizes), head_activations(model, *sizes)
    if not model.recompute:
        return depth(model) * block + head
    stream = batch * sequence * model.hidden // (tensor if sequence_parallel else 1)
    return depth(model) * stream + max(head, block - stream + 1)


def step_bytes(model, batch: int, sequence: int, optimizer: str | Optimizer = "AdamW", tensor: int = 1,
               sequence_parallel: bool = False) -> Bytes:  # fmt: skip
    """Bytes of one training step by kind, on one device, or on the first of `tensor` that share every layer."""
    weights, width = parameters(model, tensor), NUMBER[model.dtype]
    states = Optimizer.named(optimizer).averages
    return Bytes(
        parameter=width * weights,
        gradient=width * weights,
        optimizer=states * width * weights,
        batch=2 * 8 * batch * sequence + width,  # and the sum of the losses
        activation=width * activations(model, batch, sequence, tensor, sequence_parallel),
    )


#: Bytes a parameter, weights alone in FP16, and to train in mixed precision with AdamW:
#: 2 weight + 2 gradient + 4 weight in FP32 + 8 averages (Rajbhandari et al. 2020, ZeRO, section 3.1).
TO_SERVE, TO_TRAIN = 2, 16

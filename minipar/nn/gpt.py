"""Which model do all lessons train, and how can a rank build only its own part of it?

    layer 0      layer 1 … n                 layer n + 1
    Embedding ── Block ── Block ── … ── Block ── Head        a list that can be cut anywhere

    Block:  x ──┬── norm ── attention ──(+)──┬── norm ── MLP ──(+)──►
                └────────────────────────┘   └──────────────────┘

A `GPT` only *describes*: it holds no weights. `build(indices)` makes those layers and no others, each from a random
stream of its own that depends on the seed and the layer's index alone. So every cut of one description has the same
weights, and no process ever holds the whole model unless it asks for `whole()`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from minipar.cost.model import block_activations, head_activations, layer_parameters
from minipar.nn.attention import Attention
from minipar.nn.embedding import Embedding, Head
from minipar.nn.loss import next_token_loss
from minipar.nn.mlp import MLP
from minipar.nn.recompute import Recompute

ITEM_SIZE = {"float32": 4, "float64": 8}


@dataclass(frozen=True)
class GPT:
    """A byte-level GPT, described.

    layers: number of blocks; hidden: width of the residual stream; heads: must divide hidden; vocabulary: 256 for
    bytes; context: longest text in tokens; tied: the head reads the embedding's table; recompute: blocks keep only
    their input for the backward; dtype: "float32" or "float64".
    """

    layers: int = 8
    hidden: int = 64
    heads: int = 4
    vocabulary: int = 256
    context: int = 64
    tied: bool = False
    recompute: bool = False
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self):
        for name in ("layers", "hidden", "heads", "vocabulary", "context"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: a GPT needs at least 1.")
        if self.hidden % self.heads:
            raise ValueError(f"heads={self.heads} must divide hidden={self.hidden}.")
        if self.dtype not in ITEM_SIZE:
            raise ValueError(f"dtype={self.dtype!r}: choose {' or '.join(map(repr, ITEM_SIZE))}.")

    @property
    def layer_names(self) -> tuple[str, ...]:
        """What `split` cuts, in order: embedding, blocks, head."""
        return ("embedding", *(f"block {number}" for number in range(1, self.layers + 1)), "head")

    @property
    def ties(self) -> dict[str, str]:
        """Parameters that are copies of another one: {name of the copy: name of the original}."""
        return {f"layers.{self.layers + 1}.output.weight": "layers.0.token.weight"} if self.tied else {}

    def build(self, indices: Iterable[int], device: str | torch.device = "cpu") -> "Layers":
        """The layers with these indices and no others, with the weights they have in every other cut."""
        layers = {index: self._layer(index, device) for index in indices}
        head = self.layers + 1
        if self.tied and 0 in layers and head in layers:
            layers[head].output.weight = layers[0].token.weight
        return Layers(layers, self.recompute)

    def whole(self, device: str | torch.device = "cpu") -> "Layers":
        """The unsplit model in one process: what every split of it is compared with."""
        return self.build(range(self.layers + 2), device)

    def _layer(self, index: int, device) -> nn.Module:
        layer = self._empty(index).to(device, getattr(torch, self.dtype))
        fill(layer, self._stream(index), residual_branches=2 * self.layers)
        if self.tied and index == self.layers + 1:  # the first thing drawn from stream 0 is the token table
            draw(layer.output.weight, self._stream(0))
        return layer

    def _empty(self, index: int) -> nn.Module:
        if index == 0:
            return Embedding(self.vocabulary, self.context, self.hidden)
        if 1 <= index <= self.layers:
            return Block(self.hidden, self.heads)
        if index == self.layers + 1:
            return Head(self.vocabulary, self.hidden)
        raise ValueError(f"layer {index} does not exist: layers are numbered 0 to {self.layers + 1}.")

    def _stream(self, index: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed * 100_003 + index)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits [batch, seq, vocabulary], targets [batch, seq] -> mean loss in nats a token, a scalar."""
        return next_token_loss(logits, targets)

    def costs(self) -> tuple[float, ...]:
        """Multiplications a token in each layer's forward, with a block as 1: what `split` balances."""
        block = 12 * self.hidden**2 + 2 * self.context * self.hidden
        return (self.hidden / block, *(1.0,) * self.layers, self.vocabulary * self.hidden / block)

    def parameter_counts(self) -> tuple[int, ...]:
        """Parameters of each layer, as that layer alone would hold them (a tied table counts at both ends)."""
        return layer_parameters(replace(self, tied=False))

    def parameter_bytes(self, indices: Iterable[int] | None = None) -> int:
        """Bytes of the weights of these layers on one device (all layers: the whole model, a tied table once)."""
        held = set(range(self.layers + 2) if indices is None else indices)
        count = sum(self.parameter_counts()[index] for index in held)
        if self.tied and {0, self.layers + 1} <= held:
            count -= self.vocabulary * self.hidden
        return count * ITEM_SIZE[self.dtype]

    def activation_bytes(self, indices: Iterable[int], sequences: int, seq: int | None = None) -> int:
        """Bytes that one microbatch of `sequences` texts leaves on a stage of these layers until its backward.

        The count of a block and of the head stands in `cost.model`; a stage that does not end in the head holds its
        own output too.
        """
        seq, indices = seq or self.context, sorted(indices)
        stream = sequences * seq * self.hidden
        block = stream if self.recompute else block_activations(self, sequences, seq)
        blocks = sum(1 <= index <= self.layers for index in indices)
        end = head_activations(self, sequences, seq) if indices[-1] == self.layers + 1 else stream
        return (blocks * block + end) * ITEM_SIZE[self.dtype]


class Block(nn.Module):
    """One transformer layer: attention and MLP, each behind a norm and added to the residual stream."""

    def __init__(self, hidden: int, heads: int):
        super().__init__()
        self.attention_norm = nn.LayerNorm(hidden)
        self.attention = Attention(hidden, heads)
        self.mlp_norm = nn.LayerNorm(hidden)
        self.mlp = MLP(hidden)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, seq, hidden] -> [batch, seq, hidden]."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class Layers(nn.Module):
    """Some consecutive layers of a model. Parameters are named as in the whole one: `layers.3.mlp.up.weight`."""

    def __init__(self, layers: dict[int, nn.Module], recompute: bool = False):
        super().__init__()
        self.layers = nn.ModuleDict({str(index): layer for index, layer in layers.items()})
        self.recompute = recompute

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [batch, seq] or a residual stream [batch, seq, hidden] -> what the last of these layers makes."""
        for layer in self.layers.values():
            recompute = self.recompute and isinstance(layer, Block) and torch.is_grad_enabled()
            x = Recompute.apply(layer, x) if recompute else layer(x)
        return x


def fill(layer: nn.Module, stream: torch.Generator, residual_branches: int) -> None:
    """GPT-2's start: tables and matrices normal with deviation 0.02 (smaller where they feed the residual stream),
    biases 0, norms 1. Drawn on the CPU as float32 whatever the dtype, so that the weights are the same everywhere."""
    for name, parameter in layer.named_parameters():
        if parameter.dim() > 1:
            feeds_stream = name.endswith(("attention.output.weight", "mlp.down.weight"))
            draw(parameter, stream, 0.02 / math.sqrt(residual_branches) if feeds_stream else 0.02)
        else:
            nn.init.constant_(parameter, 1.0 if name.endswith("norm.weight") else 0.0)


def draw(parameter: nn.Parameter, stream: torch.Generator, deviation: float = 0.02) -> None:
    """Fill with normal random numbers from this stream."""
    with torch.no_grad():
        parameter.copy_(torch.randn(parameter.shape, generator=stream).mul_(deviation))

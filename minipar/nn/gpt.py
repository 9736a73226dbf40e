"""Which model do all lessons train, and how can a rank build only its own part of it?

    layer 0      layer 1 … n                 layer n + 1
    Embedding ── Block ── Block ── … ── Block ── Head        a list that can be cut anywhere

    Block:  x ──┬── norm ── attention ──(+)──┬── norm ── MLP ──(+)──►
                └────────────────────────┘   └──────────────────┘

A `GPT` only *describes*: it holds no weights. `build(indices)` makes those layers and no others, each from a random
stream of its own that depends on the seed and the layer's index alone. So every cut of one description has the same
weights, and no process ever holds the whole model unless it asks for `whole()`.

With `experts`, every n-th block has a layer of experts (experts.py) in the place of its MLP.

With `axes` each of these layers is sliced besides: its whole twin is made, this rank takes its slices, and the twin
goes. Which slices, `cuts(ranks)` says without making anything.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from minipar.cost.model import block_activations, head_activations, layer_parameters
from minipar.nn.attention import Attention, ParallelAttention
from minipar.nn.axes import ALONE, Axes, place, size
from minipar.nn.dropout import Dropout, Moment, require_probability
from minipar.nn.embedding import Embedding, Head, ParallelHead, VocabParallelEmbedding
from minipar.nn.experts import DenseMoE, MoE, Rules
from minipar.nn.loss import gather_logits, next_token_loss, vocab_parallel_cross_entropy
from minipar.nn.mlp import MLP, ParallelMLP
from minipar.nn.recompute import Recompute
from minipar.nn.router import require_top
from minipar.nn.state import take
from minipar.plan import slices

ITEM_SIZE = {"float32": 4, "float64": 8}


@dataclass(frozen=True)
class GPT:
    """A byte-level GPT, described.

    layers: number of blocks; hidden: width of the residual stream; heads: must divide hidden; vocabulary: 256 for
    bytes; context: longest text in tokens; tied: the head reads the embedding's table; recompute: blocks keep only
    their input for the backward; dtype: "float32" or "float64"; kv_heads: key/value heads, a divisor of heads (all of
    them if None); dropout: the share dropped after the embedding, of the attention weights, and after each branch.

    experts: how many in each layer of experts, 0 for none; such a layer stands in every `expert_every`-th block.
    top: experts that a token takes; expert_expansion: an expert's width, in units of hidden; shared_experts: those that
    every token uses. capacity, drop, capacity_per_rank, router ("softmax" or "sigmoid"), balance_loss, z_loss and
    bias_rate: see `experts.Rules`. What is dropped depends on the microbatches that a plan makes.
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
    kv_heads: int | None = None
    dropout: float = 0.0
    experts: int = 0
    top: int = 2
    expert_every: int = 2
    expert_expansion: int = 4
    shared_experts: int = 0
    capacity: float | None = None
    drop: str = "probability"
    capacity_per_rank: bool = False
    router: str = "softmax"
    balance_loss: float = 0.0
    z_loss: float = 0.0
    bias_rate: float = 0.0

    axes = Axes  # not a field: `model.axes(tensor=…)` makes what `build` and `loss` take, for floors below this one

    def __post_init__(self):
        for name in ("layers", "hidden", "heads", "vocabulary", "context"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: a GPT needs at least 1.")
        if self.hidden % self.heads:
            raise ValueError(f"heads={self.heads} must divide hidden={self.hidden}.")
        slices.require_groups(self.heads, self.keys)
        require_probability(self.dropout)
        if self.dtype not in ITEM_SIZE:
            raise ValueError(f"dtype={self.dtype!r}: choose {' or '.join(map(repr, ITEM_SIZE))}.")
        if self.experts:
            require_top(self.experts, self.top)
            if not 1 <= self.expert_every <= self.layers:
                raise ValueError(f"expert_every={self.expert_every}: of {self.layers} blocks every 1st to every "
                                 f"{self.layers}th can have experts.")  # fmt: skip

    @property
    def layer_names(self) -> tuple[str, ...]:
        """What `split` cuts, in order: embedding, blocks, head."""
        return ("embedding", *(f"block {number}" for number in range(1, self.layers + 1)), "head")

    @property
    def ties(self) -> dict[str, str]:
        """Parameters that are copies of another one: {name of the copy: name of the original}."""
        return {f"layers.{self.layers + 1}.output.weight": "layers.0.token.weight"} if self.tied else {}

    @property
    def keys(self) -> int:
        """How many key/value heads there are."""
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def expert_layers(self) -> tuple[int, ...]:
        """The blocks with experts, by layer number."""
        return tuple(range(self.expert_every, self.layers + 1, self.expert_every)) if self.experts else ()

    def build(self, indices: Iterable[int], device: str | torch.device = "cpu", axes: Axes | None = None) -> "Layers":
        """The layers with these indices and no others, with the weights they have in every other cut.

        axes: this rank's axes, for layers that hold its slices alone. ValueError when they do not divide.
        """
        if axes is not None and self.dropout and size(axes.context) > 1:
            raise ValueError("dropout with a context axis is not built: no rank of a ring sees all weights of a row.")
        layers = {index: self._layer(index, device, axes) for index in indices}
        head = self.layers + 1
        if self.tied and 0 in layers and head in layers:
            layers[head].output.weight = layers[0].token.weight
        return Layers(layers, self.recompute)

    def whole(self, device: str | torch.device = "cpu") -> "Layers":
        """The unsplit model in one process: what every split of it is compared with."""
        return self.build(range(self.layers + 2), device)

    def cuts(self, ranks: int) -> dict[str, slices.Cut]:
        """Which slice of each parameter each of `ranks` tensor ranks holds; what is not named is whole on all.

        ValueError, with both numbers, when heads or hidden cannot be cut so.
        """
        block = slices.block_cuts(self.hidden, self.heads, self.keys, ranks)
        found = slices.under("layers.0", slices.embedding_cuts(self.vocabulary, ranks))
        for index in range(1, self.layers + 1):
            mine = block if index not in self.expert_layers else self._expert_block_cuts(ranks)
            found |= slices.under(f"layers.{index}", mine)
        return found | slices.under(f"layers.{self.layers + 1}", slices.head_cuts(self.vocabulary, ranks))

    def _expert_block_cuts(self, ranks: int) -> dict[str, slices.Cut]:
        found = slices.under("attention", slices.attention_cuts(self.hidden, self.heads, self.keys, ranks))
        if self.shared_experts:
            width = self.shared_experts * self.expert_expansion
            found |= slices.under("mlp.shared", slices.mlp_cuts(self.hidden, width, ranks))
        return found

    def expert_cuts(self, ranks: int, width: int = 1) -> dict[str, tuple[slices.Cut, slices.Cut]]:
        """How the experts lie on `ranks` ranks with different ones, and each expert on `width` ranks with its slices.

        ValueError, with both numbers, when they cannot be cut so.
        """
        if not self.experts:
            return {}
        whole = slices.even(self.experts, ranks, "experts")
        parts = slices.even(self.expert_expansion * self.hidden, width, "an expert's width")
        dims = {"up": 1, "down": 2}
        return {f"layers.{index}.mlp.experts.{name}": (slices.Cut(0, whole), slices.Cut(dim, parts))
                for index in self.expert_layers for name, dim in dims.items()}  # fmt: skip

    def _layer(self, index: int, device, axes: Axes | None = None) -> nn.Module:
        layer = self._empty(index).to(device, getattr(torch, self.dtype))
        fill(layer, self._stream(index), residual_branches=2 * self.layers)
        if self.tied and index == self.layers + 1:  # the first thing drawn from stream 0 is the token table
            draw(layer.output.weight, self._stream(0))
        return layer if axes is None else SLICED[type(layer)](layer, axes)

    def _empty(self, index: int) -> nn.Module:
        if index == 0:
            return Embedding(self.vocabulary, self.context, self.hidden, self._dropout(0, "embedding"))
        if 1 <= index <= self.layers:
            attention = Attention(self.hidden, self.heads, self.keys, self._dropout(index, "weights"))
            branches = self._dropout(index, "attention"), self._dropout(index, "mlp")
            mlp = self._experts() if index in self.expert_layers else MLP(self.hidden)
            return Block(self.hidden, attention, mlp, branches)
        if index == self.layers + 1:
            return Head(self.vocabulary, self.hidden)
        raise ValueError(f"layer {index} does not exist: layers are numbered 0 to {self.layers + 1}.")

    def _experts(self) -> DenseMoE:
        rules = Rules(self.top, self.capacity, self.drop, self.capacity_per_rank, self.router,
                      balance=self.balance_loss, z=self.z_loss, bias_rate=self.bias_rate)  # fmt: skip
        inner = self.expert_expansion * self.hidden
        return DenseMoE(self.hidden, inner, self.experts, shared=self.shared_experts, **vars(rules))

    def _dropout(self, index: int, where: str) -> Dropout:
        return Dropout(self.dropout, (self.seed, index, where))

    def _stream(self, index: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed * 100_003 + index)

    def loss(self, logits: Tensor, targets: Tensor, axes: Axes | None = None) -> Tensor:
        """logits [batch, seq, vocabulary], targets [batch, seq] -> mean loss in nats a token, a scalar.

        axes: those the head was built with; logits are then [batch, seq, my words].
        """
        if axes is None:
            return next_token_loss(logits, targets)
        mine = slices.padded(self.vocabulary, size(axes.tensor))[place(axes.tensor)]
        with axes.billed("loss"):
            return vocab_parallel_cross_entropy(axes.tensor, logits, targets, mine.start)

    def whole_logits(self, logits: Tensor, axes: Axes) -> Tensor:
        """[…, my words] of a sliced head -> […, vocabulary] on each rank: to draw the next token from."""
        with axes.billed("logits"):
            return gather_logits(axes.tensor, logits, self.vocabulary)

    def costs(self) -> tuple[float, ...]:
        """Multiplications a token in each layer's forward, with a block as 1: what `split` balances."""
        keys = self.hidden * self.keys // self.heads
        block = 10 * self.hidden**2 + 2 * self.hidden * keys + 2 * self.context * self.hidden
        works = 2 * self.expert_expansion * self.hidden**2 * (self.top + self.shared_experts)
        expert = 1 + (works + self.experts * self.hidden - 8 * self.hidden**2) / block
        blocks = (expert if index in self.expert_layers else 1.0 for index in range(1, self.layers + 1))
        return (self.hidden / block, *blocks, self.vocabulary * self.hidden / block)

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
        seq = seq or self.context
        stream = sequences * seq * self.hidden
        block = stream if self.recompute else block_activations(self, sequences, seq)
        blocks = sum(1 <= index <= self.layers for index in indices)
        end = head_activations(self, sequences, seq) if indices[-1] == self.layers + 1 else stream
        return (blocks * block + end) * ITEM_SIZE[self.dtype]


class Block(nn.Module):
    """One transformer layer: attention and MLP, each behind a norm and added to the residual stream.

    attention, mlp: whole or sliced. dropout: of the two branches. axes: where the stream lies, None for one device.
    """

    def __init__(self, hidden: int, attention: nn.Module, mlp: nn.Module, dropout=(None, None), axes: Axes = ALONE):
        super().__init__()
        self.attention_norm = nn.LayerNorm(hidden)
        self.attention = attention
        self.mlp_norm = nn.LayerNorm(hidden)
        self.mlp = mlp
        self.attention_dropout, self.mlp_dropout = (one or Dropout() for one in dropout)
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        """[batch, seq, hidden] -> [batch, seq, hidden]; with sequence parallel seq is this rank's slice."""
        x = x + self.dropped(self.attention_dropout, self.attention(self.attention_norm(x)))
        return x + self.dropped(self.mlp_dropout, self.mlp(self.mlp_norm(x)))

    def dropped(self, dropout: Dropout, x: Tensor) -> Tensor:
        """x after this dropout, which is told where in the text each of its rows stands."""
        return dropout(x, self.axes.stream_positions(x.shape[1]), range(x.shape[2])) if dropout.p else x


class ParallelBlock(Block):
    """The same block with sliced attention and MLP. Its norms are whole; with sequence parallel they see a slice."""

    @classmethod
    def from_whole(cls, whole: Block, axes: Axes) -> "ParallelBlock":
        """This rank's slices of a whole block, with its weights."""
        attention = ParallelAttention.from_whole(whole.attention, axes)
        mlp = (MoE if isinstance(whole.mlp, DenseMoE) else ParallelMLP).from_whole(whole.mlp, axes)
        dropout = whole.attention_dropout, whole.mlp_dropout
        sliced = cls(len(whole.mlp_norm.weight), attention, mlp, dropout, axes)
        for name in ("attention_norm", "mlp_norm"):
            take(getattr(sliced, name), getattr(whole, name), axes.tensor, axes.sequence_parallel)
        return sliced

    def cuts(self, ranks: int) -> dict[str, slices.Cut]:
        """Which part of each parameter each of `ranks` ranks holds."""
        return slices.under("attention", self.attention.cuts(ranks)) | slices.under("mlp", self.mlp.cuts(ranks))


#: How each kind of layer is sliced: (whole layer, axes) -> sliced layer.
SLICED = {
    Embedding: VocabParallelEmbedding.from_whole,
    Block: ParallelBlock.from_whole,
    Head: ParallelHead.from_whole,
}


class Layers(nn.Module):
    """Some consecutive layers of a model. Parameters are named as in the whole one: `layers.3.mlp.up.weight`."""

    def __init__(self, layers: dict[int, nn.Module], recompute: bool = False):
        super().__init__()
        self.layers = nn.ModuleDict({str(index): layer for index, layer in layers.items()})
        self.recompute, self.moment = recompute, Moment()
        for name, module in self.named_modules():
            if isinstance(module, Dropout | DenseMoE):
                module.moment = self.moment
            if hasattr(module, "billed_as"):
                module.billed_as = name

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [batch, seq] or a residual stream [batch, seq, hidden] -> what the last of these layers makes."""
        for layer in self.layers.values():
            recompute = self.recompute and isinstance(layer, Block) and torch.is_grad_enabled()
            x = Recompute.apply(layer, x, self.moment) if recompute else layer(x)
        return x

    def at(self, step: int = 0, text: int = 0, share: float = 1.0) -> "Layers":
        """Say before a forward which step of the training it is and the number in the batch of its first text: with
        dropout, what is dropped follows from both. share: what the experts' losses of this microbatch count."""
        self.moment.step, self.moment.text, self.moment.share = step, text, share
        return self


_OF_EXPERTS = "mlp.experts.down", "mlp.shared.down.weight"


def fill(layer: nn.Module, stream: torch.Generator, residual_branches: int) -> None:
    """GPT-2's start: tables and matrices normal with deviation 0.02 (smaller where they feed the residual stream),
    biases 0, norms 1. Drawn on the CPU as float32 whatever the dtype, so that the weights are the same everywhere."""
    for name, parameter in layer.named_parameters():
        if parameter.dim() > 1:
            feeds_stream = name.endswith(("attention.output.weight", "mlp.down.weight", *_OF_EXPERTS))
            draw(parameter, stream, 0.02 / math.sqrt(residual_branches) if feeds_stream else 0.02)
        else:
            nn.init.constant_(parameter, 1.0 if name.endswith("norm.weight") else 0.0)


def draw(parameter: nn.Parameter, stream: torch.Generator, deviation: float = 0.02) -> None:
    """Fill with normal random numbers from this stream."""
    with torch.no_grad():
        parameter.copy_(torch.randn(parameter.shape, generator=stream).mul_(deviation))

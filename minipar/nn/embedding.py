"""How do token numbers become vectors, and vectors become guesses at the next token?

    tokens [batch, seq] ── Embedding ──► x [batch, seq, hidden] ── … ── Head ──► logits [batch, seq, vocabulary]

The two ends of the model. When they are *tied*, the head's table is the embedding's own table. In a split model the
ends live on different devices, so each holds a copy, and their gradients are added before the optimizer sees them.

Sliced, each rank holds the rows of some words (plan/slices.py, `padded`):

    embedding   my words' rows, 0 for the others' ──reduce──► x + positions        one rank has the row, the rest add 0
    head        norm ──copy── my words' rows ──► my words' logits                  they stay apart: loss.py
"""
from torch import Tensor, nn

from minipar.nn.axes import ALONE, Axes, place, size
from minipar.nn.dropout import Dropout
from minipar.nn.linear import SEQUENCE, ColumnParallelLinear, Linear, Table, columns
from minipar.nn.regions import reduce, reduce_scatter
from minipar.nn.state import take
from minipar.plan.slices import Cut, embedding_cuts, even, head_cuts, padded


class Embedding(nn.Module):
    """A learned vector for each token plus a learned vector for each position."""

    def __init__(self, vocabulary: int, context: int, hidden: int, dropout: Dropout | None = None):
        super().__init__()
        self.token = Table(vocabulary, hidden)
        self.position = Table(context, hidden)
        self.dropout = dropout or Dropout()

    def forward(self, tokens: Tensor) -> Tensor:
        """[batch, seq] integers -> [batch, seq, hidden]. More positions than the context are refused."""
        seq, (context, hidden) = tokens.shape[1], self.position.weight.shape
        _require_room(seq, context)
        return self.dropout(self.token(tokens) + self.position.rows(range(seq)), range(seq), range(hidden))


class VocabParallelEmbedding(nn.Module):
    """The same, with this rank's words alone. vocabulary need not divide: the last ranks then hold fewer words."""

    def __init__(self, vocabulary: int, context: int, hidden: int, axes: Axes = ALONE, dropout: Dropout | None = None):
        super().__init__()
        self.axes, self.billed_as, self.vocabulary = axes, "embedding", vocabulary
        self.words = padded(vocabulary, size(axes.tensor))[place(axes.tensor)]
        self.token = Table(len(self.words), hidden)
        self.position = Table(context, hidden)
        self.dropout = dropout or Dropout()

    @classmethod
    def from_whole(cls, whole: Embedding, axes: Axes) -> "VocabParallelEmbedding":
        """This rank's words of a whole embedding, with its weights."""
        sizes = len(whole.token.weight), *whole.position.weight.shape
        return take(cls(*sizes, axes, whole.dropout), whole, axes.tensor, axes.sequence_parallel)

    def cuts(self, ranks: int) -> dict[str, Cut]:
        """Which words each of `ranks` ranks holds."""
        return embedding_cuts(self.vocabulary, ranks)

    def forward(self, tokens: Tensor) -> Tensor:
        """[batch, seq] integers, the same on each rank -> [batch, seq, hidden], or this rank's slice of the sequence.

        With a context axis `tokens` are this rank's positions of the texts.
        """
        axes, (context, hidden) = self.axes, self.position.weight.shape
        _require_room(tokens.shape[1] * size(axes.context), context)
        if axes.sequence_parallel:
            even(tokens.shape[1], size(axes.tensor), "sequence")
        with axes.billed(self.billed_as):
            x, sequence_parallel = self.mine(tokens), axes.sequence_parallel
            x = reduce_scatter(axes.tensor, x, SEQUENCE) if sequence_parallel else reduce(axes.tensor, x)
        places = axes.stream_positions(x.shape[1])
        return self.dropout(x + self.position.rows(places), places, range(hidden))

    def mine(self, tokens: Tensor) -> Tensor:
        """[batch, seq, hidden]: the vectors of my words, and 0 wherever another rank's word stands."""
        if not self.words:  # more ranks than words: a table of no rows, whose sum is 0
            return self.token.weight.new_zeros(*tokens.shape, self.token.weight.shape[1]) + self.token.weight.sum()
        theirs = (tokens < self.words.start) | (tokens >= self.words.stop)
        rows = (tokens - self.words.start).masked_fill(theirs, 0)
        return self.token(rows).masked_fill(theirs.unsqueeze(-1), 0)


class Head(nn.Module):
    """The last norm and the table that scores every token of the vocabulary."""

    def __init__(self, vocabulary: int, hidden: int):
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.output = Linear(hidden, vocabulary, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, seq, hidden] -> [batch, seq, vocabulary], not yet normalised to probabilities."""
        return self.output(self.norm(x))


class ParallelHead(nn.Module):
    """The same, with this rank's words alone."""

    def __init__(self, vocabulary: int, hidden: int, axes: Axes = ALONE):
        super().__init__()
        self.axes, self.billed_as, self.vocabulary = axes, "head", vocabulary
        self.norm = nn.LayerNorm(hidden)
        parts = padded(vocabulary, size(axes.tensor))
        self.output = ColumnParallelLinear(hidden, vocabulary, axes.tensor, bias=False, parts=parts)

    @classmethod
    def from_whole(cls, whole: Head, axes: Axes) -> "ParallelHead":
        """This rank's words of a whole head, with its weights."""
        return take(cls(*whole.output.weight.shape, axes), whole, axes.tensor, axes.sequence_parallel)

    def cuts(self, ranks: int) -> dict[str, Cut]:
        """Which words each of `ranks` ranks holds."""
        return head_cuts(self.vocabulary, ranks)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, seq, hidden], or this rank's slice of the sequence -> [batch, seq, my words]."""
        axes = self.axes
        with axes.billed(self.billed_as):
            (logits,) = columns(axes.tensor, self.norm(x), [self.output], axes.overlap, axes.sequence_parallel)
        return logits


def _require_room(seq: int, context: int) -> None:
    if seq > context:
        raise ValueError(f"The text is {seq} tokens long, the model has positions for {context}.")

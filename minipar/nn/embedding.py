"""How do token numbers become vectors, and vectors become guesses at the next token?

    tokens [batch, seq] ── Embedding ──► x [batch, seq, hidden] ── … ── Head ──► logits [batch, seq, vocabulary]

The two ends of the model. When they are *tied*, the head's table is the embedding's own table. In a split model the
ends live on different devices, so each holds a copy, and their gradients are added before the optimizer sees them.
"""

from torch import Tensor, nn

from minipar.nn.linear import Linear, Table


class Embedding(nn.Module):
    """A learned vector for each token plus a learned vector for each position."""

    def __init__(self, vocabulary: int, context: int, hidden: int):
        super().__init__()
        self.token = Table(vocabulary, hidden)
        self.position = Table(context, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """[batch, seq] integers -> [batch, seq, hidden]. More positions than the context are refused."""
        seq, context = tokens.shape[1], self.position.weight.shape[0]
        if seq > context:
            raise ValueError(f"The text is {seq} tokens long, the model has positions for {context}.")
        return self.token(tokens) + self.position.weight[:seq]


class Head(nn.Module):
    """The last norm and the table that scores every token of the vocabulary."""

    def __init__(self, vocabulary: int, hidden: int):
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.output = Linear(hidden, vocabulary, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, seq, hidden] -> [batch, seq, vocabulary], not yet normalised to probabilities."""
        return self.output(self.norm(x))

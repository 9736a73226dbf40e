"""Where does a training environment get real text without downloading any?

Python ships its own language reference as one module, `pydoc_data.topics`: about 460,000 characters of English.
The model reads it as bytes, so its vocabulary is 256 and there is no tokenizer. The text differs a little between
Python versions: compare losses with `unigram_entropy()`, never with a number written down.
"""

import functools
import math
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """What the model reads and what it should have said: both [batch, context] integers, targets one byte ahead."""

    inputs: Tensor
    targets: Tensor


@functools.cache
def text_bytes() -> bytes:
    """The whole text, topics in alphabetical order."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics)).encode()


@functools.cache
def _tokens() -> Tensor:
    return torch.frombuffer(bytearray(text_bytes()), dtype=torch.uint8)


def text_batch(batch: int, context: int, seed: int = 0) -> Batch:
    """`batch` pieces of the text, each `context` bytes long, at places drawn from `seed`: the same on every rank."""
    tokens = _tokens()
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(tokens) - context - 1, (batch, 1), generator=generator)
    pieces = tokens[starts + torch.arange(context + 1)].long()
    return Batch(pieces[:, :-1].contiguous(), pieces[:, 1:].contiguous())


@dataclass(frozen=True)
class Text:
    """Batches for a whole training run: `Text(16, 64)(step)` is the batch of that step, the same on every rank."""

    batch: int
    context: int
    seed: int = 0

    def __call__(self, step: int) -> Batch:
        """The batch of one step. A large odd stride keeps runs with neighbouring seeds apart."""
        return text_batch(self.batch, self.context, seed=self.seed * 1_000_003 + step)


@functools.cache
def unigram_entropy() -> float:
    """Nats a byte, for a guesser that knows how often each byte comes and nothing of what stands before it."""
    counts = Counter(text_bytes())
    total = sum(counts.values())
    return -sum(count / total * math.log(count / total) for count in counts.values())

"""How can four ranks drop the same numbers as one, without telling each other which?

    ordinary dropout   asks a stream for the next number: who asked before decides what is dropped
    here               a number's fate follows from its own place: seed, layer, step, text, position, feature

So where ranks hold the same tensor they drop the same; where each holds a slice, each drops what the whole model drops
there; and a microbatch dropped once more (recompute) is dropped alike. The backward works the mask out again, so
nothing is kept for it. (Counter-based random numbers: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
3"; the mixing function is Chris Wellons' lowbias32. Megatron instead keeps two streams, one shared and one its own.)
"""

import contextlib
import zlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

_WORD = 0xFFFFFFFF


class Moment:
    """When a forward takes place: the step of the training, and the number in the batch of the first text it sees.

    share: the microbatch's share of the batch, by which a loss inside the model is weighted.
    """

    def __init__(self):
        self.step = self.text = 0
        self.share = 1.0

    @property
    def now(self) -> tuple[int, int, float]:
        """(step, first text, share)."""
        return self.step, self.text, self.share

    @contextlib.contextmanager
    def back_at(self, then: tuple[int, int, float]) -> Iterator[None]:
        """While it is open, it is then."""
        before, (self.step, self.text, self.share) = self.now, then
        try:
            yield
        finally:
            self.step, self.text, self.share = before


class Dropout(nn.Module):
    """Sets numbers to 0 with probability p, and multiplies the others by 1 / (1 - p); nothing in `eval()`.

    name: what tells this dropout from all others of the model (seed, layer, where in it). moment: shared by all
    dropouts of a model's part; see `Layers.at`. ValueError unless 0 <= p < 1.
    """

    def __init__(self, p: float = 0.0, name: tuple = ()):
        super().__init__()
        require_probability(p)
        self.p, self.name, self.moment = p, name, Moment()

    def forward(self, x: Tensor, *places: Sequence[int]) -> Tensor:
        """x [batch, …]; places: for each dimension after the batch, the numbers that its indices have in the whole."""
        if self.p == 0 or not self.training:
            return x
        step, text = self.moment.step, self.moment.text
        key = zlib.crc32(repr((self.name, step)).encode())
        return _Dropped.apply(x, self.p, key, (range(text, text + x.shape[0]), *places))


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(context, x, p, key, places):
        context.said = p, key, places
        return x * kept(x, p, key, places)

    @staticmethod
    def backward(context, gradient):
        return gradient * kept(gradient, *context.said), None, None, None


def kept(like: Tensor, p: float, key: int, places: Sequence[Sequence[int]]) -> Tensor:
    """0 or 1 / (1 - p) for each element of `like`, by its key and its place alone. Shape: the lengths of `places`."""
    word = torch.tensor(key, device=like.device)
    for numbers in places:
        word = mixed(word.unsqueeze(-1) ^ mixed(torch.tensor([number + 1 for number in numbers], device=like.device)))
    return (word >= int(p * (_WORD + 1))).to(like.dtype).div_(1 - p)


def mixed(word: Tensor) -> Tensor:
    """lowbias32: 32-bit words, held as int64, to words that look random: one bit changed changes half of them."""
    word = (word ^ (word >> 16)) * 0x7FEB352D & _WORD
    word = (word ^ (word >> 15)) * 0x846CA68B & _WORD
    return word ^ (word >> 16)


def require_probability(p: float) -> None:
    """ValueError unless p can be the share of numbers that are dropped."""
    if not 0 <= p < 1:
        raise ValueError(f"dropout={p}: the share that is dropped must be at least 0 and less than 1.")

"""Do the two ends of the model turn tokens into vectors and vectors into scores?"""

import pytest
import torch

from minipar.nn.axes import Axes
from minipar.nn.embedding import Embedding, Head, ParallelHead, VocabParallelEmbedding


def test_a_vector_is_its_tokens_plus_its_positions():
    embedding = Embedding(vocabulary=5, context=4, hidden=3)
    torch.nn.init.normal_(embedding.token.weight)
    torch.nn.init.normal_(embedding.position.weight)
    x = embedding(torch.tensor([[2, 2, 0]]))
    assert torch.equal(x[0, 1], embedding.token.weight[2] + embedding.position.weight[1])
    assert x.shape == (1, 3, 3)


def test_text_longer_than_the_context_is_refused():
    with pytest.raises(ValueError) as refusal:
        Embedding(vocabulary=5, context=2, hidden=3)(torch.zeros(1, 3, dtype=torch.long))
    assert str(refusal.value) == "The text is 3 tokens long, the model has positions for 2."


def test_head_scores_every_token():
    head = Head(vocabulary=5, hidden=3)
    torch.nn.init.normal_(head.output.weight)
    assert head(torch.randn(2, 4, 3)).shape == (2, 4, 5)


class Place:
    """An axis as a layer sees it before anything is sent."""

    size, rank = 4, 2


def test_a_rank_holds_its_words_and_nobody_holds_padding():
    axes = Axes(tensor=Place())
    assert VocabParallelEmbedding(7, 4, 3, axes).words == range(4, 6)
    assert VocabParallelEmbedding(7, 4, 3, axes).token.weight.shape == (2, 3)
    assert ParallelHead(7, 3, axes).output.weight.shape == (2, 3)
    assert VocabParallelEmbedding(2, 4, 3, axes).token.weight.shape == (0, 3)


def test_others_words_are_0_here():
    embedding = VocabParallelEmbedding(7, 4, 3, Axes(tensor=Place()))
    torch.nn.init.ones_(embedding.token.weight)
    x = embedding.mine(torch.tensor([[3, 4, 5, 6]]))
    assert x[0, :, 0].tolist() == [0, 1, 1, 0]
    x.sum().backward()
    assert embedding.token.weight.grad[:, 0].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("tokens", "axes", "sentence"),
    [
        (6, Axes(tensor=Place(), sequence_parallel=True), "sequence=6 cannot be cut in 4 equal parts: 4 or 8 can."),
        (9, Axes(tensor=Place()), "The text is 9 tokens long, the model has positions for 8."),
        (3, Axes(context=Place()), "The text is 12 tokens long, the model has positions for 8."),
    ],
)
def test_a_text_that_does_not_fit_is_refused_before_anything_is_sent(tokens, axes, sentence):
    with pytest.raises(ValueError) as refusal:
        VocabParallelEmbedding(7, 8, 3, axes)(torch.zeros(1, tokens, dtype=torch.long))
    assert str(refusal.value) == sentence

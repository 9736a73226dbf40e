"""Do the two ends of the model turn tokens into vectors and vectors into scores?"""

import pytest
import torch

from minipar.nn.embedding import Embedding, Head


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

"""The exercise of lesson 09: every case on real processes, each listed slip met by its sentence, others too."""

import pytest
import torch

from minipar.learn.lessons import vocab_loss as exercise
from minipar.learn.safely import Trouble
from tests.lessons.splice import blocks_of

SOLUTIONS, MISTAKES = blocks_of("09_heads_vocabulary")
SUMS = "total, score = tensor.all_reduce(torch.stack([weights.sum(dim=-1), score]))"


def made(code):
    """The function that a block defines, as it is in a notebook."""
    names = {"torch": torch, "cross_entropy": torch.nn.functional.cross_entropy, "__name__": "__main__"}
    exec(code, names)
    return names["vocab_loss"]


@pytest.fixture(autouse=True)
def on_the_tests_pool(pool, monkeypatch):
    monkeypatch.setattr(exercise, "workers", lambda count: pool)


def edited(*changes):
    """The solution with these pieces of text replaced."""
    code = SOLUTIONS["stub"]
    for old, new in changes:
        assert old in code
        code = code.replace(old, new)
    return made(code)


def test_the_solution_is_right_in_every_case():
    verdict = exercise.check_vocab_loss(made(SOLUTIONS["stub"]))
    assert verdict.good, str(verdict)
    assert "3 numbers a token in 2 collectives" in verdict.sentence
    assert repr(verdict.picture()) == "Bars(numbers a token a rank: all scores 250, yours 3)"


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_each_listed_wrong_answer_gets_its_sentence(mistake):
    verdict = exercise.check_vocab_loss(made(mistake.code))
    assert not verdict.good and mistake.said_in(str(verdict)), str(verdict)


def test_sizes_from_one_to_four_ranks_are_tried_and_every_number_of_the_example_is_true():
    assert sorted({case.ranks for case in exercise.cases()}) == [1, 2, 3, 4]
    example = exercise.cases()[0]
    loss, gradient = example.expected()
    assert f"{loss:.4f}" == "4.4562"
    assert exercise.rows(gradient, example) == "[0.0043, −0.9884, 0.0315] and [0.0858, 0.2331, 0.6337]"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            [("gradient / len(targets)", "gradient")],
            "The gradient is 64 times too large: the loss is a mean over 64 tokens.",
        ),
        (
            [("    gradient[row, column] -= 1\n", "")],
            "The gradient's row sums to 1, expected 0: nobody took the target's 1 off. Who owns the target does.",
        ),
        (
            [(SUMS, "total = weights.sum(-1)")],
            "Rank 0 says 1.41, rank 1 says 0.41, expected 4.46: the loss is one for all ranks, so each must end with "
            "the same sums.",
        ),
        (
            [("(total.log() - score).mean()", "(total.log() - score).sum()")],
            "{sum}: that is the sum over 64 tokens. Take the mean.",
        ),
        (
            [
                (
                    SUMS,
                    "tensor.all_reduce(score); total = tensor.all_reduce(weights.sum(-1)); "
                    "score = tensor.all_reduce(score)",
                )
            ],
            "The right loss, too much on the wire: 4 numbers a token from each rank, 3 suffice.",
        ),
    ],
)
def test_other_slips(changes, sentence):
    verdict = exercise.check_vocab_loss(edited(*changes))
    if sentence.startswith("{sum}"):
        assert verdict.sentence.endswith(sentence.removeprefix("{sum}"))
    else:
        assert verdict.sentence == sentence


def test_scores_sent_by_hand_are_counted_too():
    by_hand = edited(
        ("    largest = ", "    tensor.exchange(logits, to=tensor.next, source=tensor.previous)\n    largest = ")
    )
    verdict = exercise.check_vocab_loss(by_hand)
    assert "too much on the wire: 6 numbers a token" in verdict.sentence


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ("None", "Rank 0 returned nothing. Return two things: the mean loss, the gradient."),
        ("total.log().mean()", "Rank 0 returned a tensor (). Return two things: the mean loss, the gradient."),
        ("total.log(), gradient[0]", "Rank 0's gradient is a tensor (3,), and its logits are a tensor (1, 3)."),
        ("gradient, gradient", "Rank 0's loss is a tensor (1, 3); it is one number, the mean over the tokens."),
    ],
)
def test_what_is_no_loss_and_gradient_is_said(returned, sentence):
    with pytest.raises(Trouble) as told:
        good = "return (total.log() - score).mean(), gradient / len(targets)"
        exercise.check_vocab_loss(edited((good, f"return {returned}")))
    assert str(told.value) == sentence


def test_many_small_collectives_are_told():
    more = "    tensor.all_reduce(total[:0])\n" * 2 + "    gradient = "
    told = exercise.check_vocab_loss(edited(("    gradient = ", more)))
    assert told.sentence == "The right loss in 4 collectives, 2 suffice: what is summed can travel together."


def test_any_way_of_three_numbers_is_welcome():
    """torch's own log-sum-exp on each rank, gathered, with the target's score beside it: two numbers a token."""

    def vocab_loss(tensor, logits, targets, first):
        import torch

        local = targets - first
        mine = (local >= 0) & (local < logits.shape[1])
        score = logits.gather(1, local.clamp(0, logits.shape[1] - 1)[:, None])[:, 0]
        known = torch.stack([logits.logsumexp(-1), torch.where(mine, score, 0)])
        every = tensor.all_gather(known[None], dim=0)
        total = every[:, 0].logsumexp(0)
        gradient = (logits - total[:, None]).exp()
        gradient[mine.nonzero()[:, 0], local[mine]] -= 1
        return (total - every[:, 1].sum(0)).mean(), gradient / len(targets)

    verdict = exercise.check_vocab_loss(vocab_loss)
    assert verdict.good and "2 numbers a token in 1 collective," in verdict.sentence

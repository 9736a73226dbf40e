"""Lesson 09's own run, at the sizes of the notebook: its facts, its picture, and every number in its prose."""

import types

import pytest
import torch

import minipar
from minipar.learn.lesson import Results
from minipar.learn.lessons import heads_vocabulary as lesson
from minipar.plan.slices import heads as heads_of
from tests.lessons.splice import read


@pytest.fixture(scope="module")
def notebook(pool):
    """The notebook's own programs, run on the tests' pool: its names, and its experiment's results."""
    names = types.ModuleType("__main__").__dict__ | {"pool": pool}
    cells = {cell.id: cell.source for cell in read("09_heads_vocabulary").cells}
    setup = [line for line in cells["setup"].splitlines() if "pool" not in line]
    program = cells["run"].rsplit("\n\nrun = ", 1)[0]
    exec("\n".join([*setup, cells["programs"], program]), names)
    names["r"] = Results(names["experiment"]())
    return names


def test_the_facts_are_those_of_the_lesson(notebook):
    assert lesson.facts(notebook["r"]) == [
        ("collectives over all ranks, P = 1, 2, 4", "0, 2, 2"),
        ("and between twins, P = 1, 2, 4", "0, 0, 1"),
        ("weights a rank, P = 1, 2, 4", "10,240, 5,120, 3,072"),
        ("attention and its gradients equal", True),
        ("logits held a rank", "gathered 40,960,000 B, sliced 8,192,000 B"),
        ("sent a rank", "gathered 24,576,000 B, sliced 4,608 B"),
        ("sliced", "2 all-reduces, payload 3,072 B a rank"),
        ("messages in the sliced loss's backward", 0),
        ("loss and gradients equal", True),
    ]


def test_one_rank_alone_is_the_whole_layer(notebook):
    """P = 1 is what the facts compare with; here it is compared with the ordinary layer."""
    whole, x = notebook["whole"], notebook["x"]
    y = whole(x)
    y.square().sum().backward()
    output, gradients = notebook["r"].heads[1][0]
    assert lesson.close(output, y.detach())
    least = max(gradient.abs().max() for gradient in gradients.values()) / 10_000
    assert all(lesson.close(gradients[name], one.grad, least) for name, one in whole.named_parameters())


def test_every_rank_sends_the_same_and_no_rank_is_billed_less(notebook):
    r = notebook["r"]
    assert set(lesson.sent_by(r)["sliced"]) == {4_608} and set(lesson.sent_by(r)["gathered"]) == {24_576_000}
    assert r.sliced.trace.message_count(0) == 12 and r.gathered.trace.message_count(0) == 3


def test_a_sum_without_twins_is_seen(notebook):
    """The comparison in the facts fails where the copied heads' gradients were not added."""
    r = notebook["r"]
    spoilt = [(y, {name: gradient.clone() for name, gradient in gradients.items()}) for y, gradients in r.heads[4]]
    spoilt[0][1]["key.weight"] /= 2
    assert not lesson.same_attention(Results({"heads": {1: r.heads[1], 4: spoilt}}), 4)


def test_the_picture_says_its_bytes(notebook):
    drawn, price = lesson.see(notebook["r"])
    assert "one process" in price and "not worth slicing" in price
    assert drawn.title == "Three numbers a token instead of 8,000"
    assert str(drawn).endswith(
        "logits held a rank: gathered 41.0 MB, sliced 8.2 MB; bytes sent a rank: gathered 24.6 MB, sliced 4,608 B)"
    )


def test_the_formula_and_what_was_measured(notebook):
    r = notebook["r"]
    rows = lesson.formula(r, sliced=12 * 256 * 2 * 3 // 4, gathered=4 * 256 * 32_000 * 3 // 4)
    assert all(by_formula == run for _, by_formula, run in rows)
    first, second = lesson.QUESTIONS
    assert first.found(r) == "3 numbers a token from each rank, the same loss."
    assert second.found(r) == "1 key/value head a rank at P = 2, 1 at P = 8."


def test_one_sum_goes_forward_and_one_comes_back(pool):
    def counted(w, whole):
        from minipar.nn.attention import ParallelAttention
        from minipar.nn.axes import Axes

        mine = ParallelAttention.from_whole(whole, Axes(tensor=w.axis("tensor").ring))
        y = mine(torch.ones(1, 4, 64, requires_grad=True))
        forward = len(w.recorder.collectives)
        y.sum().backward()
        return forward, len(w.recorder.collectives) - forward

    whole = minipar.GPT(layers=1, hidden=64, heads=8, kv_heads=2).build([1]).layers["1"].attention
    assert list(pool.run(counted, whole, mesh=minipar.Mesh(tensor=4))) == [(1, 1)] * 4


# ---- numbers in the text


def test_weights_of_eight_ranks_and_what_a_token_keeps():
    def weights(ranks):
        here, width, hidden = heads_of(8, 2, ranks), 8, 64
        return 2 * hidden * width * (len(here.query[0]) + len(here.kv[0]))

    assert [weights(ranks) for ranks in (1, 2, 4, 8)] == [10_240, 5_120, 3_072, 2_048]
    assert (10_240 // 4, 10_240 // 8) == (2_560, 1_280)
    assert [2 * len(heads_of(8, 2, ranks).kv[0]) * 8 * 4 for ranks in (2, 4, 8)] == [64] * 3


def test_gathering_is_quicker_below_2300_words():
    from minipar.cost.comm import seconds
    from minipar.cost.machine import Link

    link, tokens = Link(alpha=70e-6, beta=1 / 2.8e9), 256

    def sliced():
        return sum(seconds("all_reduce", "ring", 4, many * tokens * 4, link) for many in (1, 2))

    def gathered(words):
        return seconds("all_gather", "ring", 4, tokens * words * 4, link)

    assert gathered(2_200) < sliced() < gathered(2_400)
    assert gathered(2_300) == pytest.approx(sliced(), rel=0.01)


def test_the_transfer():
    ranks, tokens, words = 8, 8_192, 128_000
    assert f"{4 * tokens * words / 1e9:.2f} {4 * tokens * words / ranks / 1e9:.2f}" == "4.19 0.52"
    assert 12 * tokens * 2 * (ranks - 1) // ranks == 172_032
    assert f"{4 * tokens * words * (ranks - 1) / ranks / 1e9:.2f}" == "3.67"


def test_every_option_is_answered_in_a_sentence():
    for question in lesson.QUESTIONS:
        assert all(option.answer.endswith((".", "?")) for option in question.options)
        assert question.options[question.right].answer.startswith("Right")

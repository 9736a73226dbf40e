"""The explorer of heads and words: when copies begin, what is refused, and the bytes by formula."""

import pytest

from minipar.cost import comm
from minipar.view.explore_heads import HeadsState, heads, laid, largest_ranks


def test_it_says_itself_in_one_line():
    assert repr(heads()) == (
        "Heads(8 query and 2 key/value heads, ranks=4: 2 + 1 a rank, each key/value head on 2 ranks; "
        "logits held a rank: gathered 41.0 MB, sliced 8.2 MB; bytes sent a rank: gathered 24.6 MB, sliced 4,608 B)"
    )


def test_the_readout_counts():
    assert heads().readout.facts == [
        ["heads a rank, query + key/value", "2 + 1"],
        ["each key/value head", "on 2 ranks"],
        ["logits held, sliced", "8.2 MB"],
        ["sent for the loss, sliced", "4,608 B"],
        ["waits, sliced against gathered", "12 : 3"],
    ]


def test_words_and_tokens_stand_under_more():
    ex = heads().set(words=2_000, tokens=1)
    assert set(ex.controls) - set(ex.shown) == {"words", "tokens"}
    assert (ex.result.held_sliced, ex.result.sent_sliced) == (2_000, 24)


def test_heads_that_do_not_divide_are_refused_in_a_sentence_and_drawn_grey():
    ex = heads().set(ranks=3)
    assert ex.readout.problem == "heads=8 cannot be cut in 3 equal parts: 6 or 9 can." and ex.error is None
    assert repr(ex) == "Heads(8 query and 2 key/value heads: no cut fits)"
    assert heads().set(kv=16).readout.problem.startswith("kv_heads=16 must divide heads=8")
    assert heads(query=24, kv=8).set(ranks=12).readout.problem.startswith("kv_heads=8 cannot lie on 12 ranks")


def test_the_two_findings_of_the_task():
    ex = heads(task=largest_ranks(32, 8))
    assert ex.set(query=32, kv=8, ranks=4).met == [False, False]
    assert ex.set(ranks=8).met == [True, False]
    assert ex.readout.sentence == "Every head stands once: cutting by heads needs no copy."
    assert ex.set(ranks=16).met == [True, False]
    assert "More ranks only make more copies" in ex.readout.sentence
    assert ex.set(ranks=32).met == [True, True]
    assert ex.set(ranks=40).met == [True, True] and ex.readout.problem


def test_one_rank_sends_nothing():
    result = laid(HeadsState(ranks=1))
    assert (result.sent_gathered, result.sent_sliced, result.held_sliced) == (0, 0, 32_768_000)
    assert result.held_gathered == result.held_sliced


@pytest.mark.parametrize(("ranks", "tokens", "words"), [(4, 256, 32_000), (8, 1_024, 128_000), (2, 64, 1_000)])
def test_the_bytes_are_those_of_the_rings(ranks, tokens, words):
    result = laid(HeadsState(ranks, 32, 32, words, tokens))
    sums = [comm.sent("all_reduce", "ring", ranks, many * tokens * 4)[0] for many in (1, 2)]
    assert result.sent_sliced == sum(sums)
    assert result.sent_gathered == comm.sent("all_gather", "ring", ranks, tokens * words * 4)[0]


def test_the_plain_form_can_be_saved():
    assert heads().figure().layout.title.text.startswith("Heads on ranks")
    assert heads(ranks=3).figure().data

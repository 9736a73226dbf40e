"""Does every row, column, head and word have its owner, and is what cannot be cut refused with its numbers?"""

import pytest

from minipar.plan.slices import (
    Cut,
    attention_cuts,
    block_cuts,
    column_cuts,
    embedding_cuts,
    even,
    head_cuts,
    heads,
    mlp_cuts,
    padded,
    row_cuts,
    under,
)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 6])
def test_even_ranges_cover_everything_once(ranks):
    parts = even(24, ranks)
    assert [number for part in parts for number in part] == list(range(24))
    assert {len(part) for part in parts} == {24 // ranks}


@pytest.mark.parametrize(
    ("size", "ranks", "what", "sentence"),
    [
        (10, 4, "hidden", "hidden=10 cannot be cut in 4 equal parts: 8 or 12 can."),
        (3, 4, "heads", "heads=3 cannot be cut in 4 equal parts: 4 can."),
    ],
)
def test_what_does_not_divide_is_refused_with_both_numbers(size, ranks, what, sentence):
    with pytest.raises(ValueError) as refusal:
        even(size, ranks, what)
    assert str(refusal.value) == sentence


def test_padded_ranges_are_ceil_sized_and_the_last_ones_shorter_or_empty():
    assert padded(8, 4) == (range(0, 2), range(2, 4), range(4, 6), range(6, 8))
    assert padded(7, 2) == (range(0, 4), range(4, 7))
    assert [list(part) for part in padded(5, 4)] == [[0, 1], [2, 3], [4], []]
    assert [list(part) for part in padded(3, 4)] == [[0], [1], [2], []]


@pytest.mark.parametrize("size", range(1, 40))
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 7])
def test_padded_ranges_follow_one_another(size, ranks):
    assert [word for part in padded(size, ranks) for word in part] == list(range(size))


def test_heads_are_cut_with_the_keys_they_read():
    assert heads(8, 4, 2) == ((range(0, 4), range(4, 8)), (range(0, 2), range(2, 4)), ((0,), (1,)))


def test_fewer_key_heads_than_ranks_are_copied():
    found = heads(8, 2, 4)
    assert found.query == (range(0, 2), range(2, 4), range(4, 6), range(6, 8))
    assert found.kv == (range(0, 1), range(0, 1), range(1, 2), range(1, 2))
    assert found.copies == ((0, 1), (2, 3))


@pytest.mark.parametrize(
    "query_heads, kv_heads, ranks", [(8, 8, 4), (8, 4, 2), (8, 2, 4), (8, 2, 8), (12, 1, 3), (12, 6, 3)]
)
def test_every_rank_holds_the_keys_its_queries_read(query_heads, kv_heads, ranks):
    share = heads(query_heads, kv_heads, ranks)
    for query, kv in zip(share.query, share.kv, strict=True):
        assert {head * kv_heads // query_heads for head in query} == set(kv)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((8, 8, 3), "heads=8 cannot be cut in 3 equal parts: 6 or 9 can."),
        ((8, 3, 2), "kv_heads=3 must divide heads=8: each is read by the same number."),
        (
            (12, 3, 2),
            "kv_heads=3 cannot lie on 2 ranks: either the heads must divide by the ranks, or the ranks by the heads "
            "(then each head is held by several).",
        ),
    ],
)
def test_heads_that_cannot_be_shared_are_refused(arguments, sentence):
    with pytest.raises(ValueError) as refusal:
        heads(*arguments)
    assert str(refusal.value) == sentence


def test_a_cut_knows_its_size_and_its_twins():
    cut = attention_cuts(64, 8, 2, 4)["key.weight"]
    assert cut == Cut(0, (range(0, 8), range(0, 8), range(8, 16), range(8, 16)))
    assert cut.size == 16
    assert [cut.twins(rank) for rank in range(4)] == [(0, 1), (0, 1), (2, 3), (2, 3)]
    empty = embedding_cuts(2, 4)["token.weight"]
    assert [empty.twins(rank) for rank in range(4)] == [(0,), (1,), (2,), (3,)]  # two empty parts are no twins


def test_columns_cut_the_bias_and_rows_do_not():
    parts = even(8, 2)
    assert column_cuts(parts) == {"weight": Cut(0, parts), "bias": Cut(0, parts)}
    assert column_cuts(parts, bias=False) == {"weight": Cut(0, parts)}
    assert row_cuts(parts) == {"weight": Cut(1, parts)}


def test_cuts_of_a_block_name_what_is_cut_and_nothing_else():
    found = block_cuts(64, 8, 8, 4)
    assert {name for name, cut in found.items() if cut.dim == 1} == {"attention.output.weight", "mlp.down.weight"}
    assert sorted(found) == sorted(
        [f"attention.{which}.{what}" for which in ("query", "key", "value") for what in ("weight", "bias")]
        + ["attention.output.weight", "mlp.up.weight", "mlp.up.bias", "mlp.down.weight"]
    )
    assert found["mlp.up.weight"].parts == mlp_cuts(64, 4, 4)["up.weight"].parts == even(256, 4)


def test_both_ends_cut_the_vocabulary_alike():
    assert embedding_cuts(257, 4)["token.weight"] == head_cuts(257, 4)["output.weight"]
    assert list(under("layers.0", embedding_cuts(8, 2))) == ["layers.0.token.weight"]

"""Are the numbers that lesson 10 says the ones that come out? What the run counts stands in the notebook's facts."""

import minipar
from minipar.learn.lesson import lesson
from minipar.plan import deal


def test_part_one_is_the_two_laps_of_a_ring():
    tensor = 512 * 160 * 4
    assert tensor == 327_680 and tensor // 4 == 81_920
    assert 2 * 3 * tensor // 4 == 491_520 == 245_760 + 245_760


def test_pairs_and_steps():
    row, dealt = (deal.work(deal.hands(name, 4, 1024)) for name in ("contiguous", "zigzag"))
    assert row.pairs == (32_896, 98_432, 163_968, 229_504) and dealt.pairs == (131_200,) * 4
    assert round(row.slowest / dealt.slowest, 3) == 1.749 and (2 * 4 - 1) / 4 == 1.75
    assert [deal.work(deal.hands(name, 4, 16)).slowest for name in ("contiguous", "zigzag")] == [58, 34]
    assert 3 * 2 * 256 * 64 * 4 == 393_216 and 2 * 256 * 64 * 4 == 131_072
    assert 256 * 256 * 4 == 262_144 and 256 * 1024 * 4 == 1_048_576


def test_the_transfer():
    ranks, positions, width, speed = 64, 1_048_576, 128, 989e12
    share = positions // ranks
    assert share == 16_384 and 2 * share * width * 2 == 8_388_608
    assert round((2 * ranks - 1) / ranks, 2) == 1.98
    operations, passed = 4 * width * share**2, 2 * share * width * 2  # an unmasked block
    assert operations / passed == share
    assert [round(speed / link) for link in (450e9, 50e9)] == [2_198, 19_780]
    assert [round(2 * speed / link) for link in (450e9, 50e9)] == [4_396, 39_560]  # causal and dealt: half the pairs


def test_a_block_of_c_positions_gives_c_over_two_operations_a_byte():
    c, width = 100, 64
    assert 4 * width * c**2 / (2 * c * width * 4) == c / 2


def test_questions_and_hints():
    of = lesson("10")
    assert [question.name for question in of.questions] == ["A", "B"]
    assert of.questions[0].options[0].answer == of.questions[0].options[2].answer
    assert [question.options[question.right].text for question in of.questions] == ["equal", "7 ×"]
    assert len(of.hints) == 3 and len(of.checks) == 3


def test_its_explorer_is_in_the_vocabulary():
    assert minipar.explore.deal().state.ranks == 4

"""Cards: every number with its source, and how many hold a model."""

from minipar.cost.machine import CARDS, GB, cards_needed
from minipar.cost.model import TO_SERVE, TO_TRAIN


def test_every_card_names_its_source():
    assert all(card.source and card.memory > 0 for card in CARDS)
    assert len({card.name for card in CARDS}) == len(CARDS)


def test_ten_billion_parameters_are_20_gb_to_serve_and_160_to_train():
    assert (TO_SERVE * 10**10, TO_TRAIN * 10**10) == (20 * GB, 160 * GB)
    memory = {card.name: card for card in CARDS}
    assert cards_needed(20 * GB, memory["NVIDIA T4"]) == 2
    assert cards_needed(160 * GB, memory["NVIDIA A100 80 GB"]) == 2
    assert all(cards_needed(160 * GB, card) > 1 for card in CARDS)


def test_a_card_that_is_exactly_full_is_one_card():
    assert cards_needed(CARDS[1].memory, CARDS[1]) == 1 and cards_needed(1, CARDS[1]) == 1

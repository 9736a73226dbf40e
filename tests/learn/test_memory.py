"""Lesson 01: every listed wrong answer is met by its sentence; forecasts are judged against real measurements."""

import pytest

from minipar.learn.lessons import memory
from minipar.learn.verdict import judge_one


def training_bytes(parameters, optimizer):
    return parameters * {"SGD": 8, "momentum": 12, "AdamW": 16}[optimizer]


def forecast(measure, batch):
    one, two = measure(1), measure(2)
    return one + (two - one) * (batch - 1)


def multiplies_all(measure, batch):
    return measure(1) * batch


def straight(batch):
    """Bytes of a made-up step: 456 stay, 1062 a sequence."""
    return 456 + 1062 * batch


def check_forecast(work):
    return judge_one(lambda given: memory.check_forecast(given, real=straight), work)


@pytest.mark.parametrize(
    ("each", "sentence"),
    [
        (4, "4 bytes: that is the weights alone. Training with AdamW also holds 4 of gradient and 8 of averages: 16."),
        (12, "12 bytes: AdamW keeps two averages a parameter, not one."),
    ],
)
def test_each_listed_wrong_number_of_bytes_gets_its_sentence(each, sentence):
    verdict = memory.check_bytes(lambda parameters, optimizer: each * parameters)
    assert not verdict.good and verdict.sentence == sentence
    assert verdict.tried == 'training_bytes(1,000,000, "AdamW")' and verdict.expected == "16,000,000"


def test_multiplying_the_weights_gets_its_sentence():
    verdict = check_forecast(multiplies_all)
    assert verdict.sentence == (
        "At batch 12 you forecast 38 % too much: you multiplied the weights too. What does not grow?"
    )


def test_solutions_pass():
    assert memory.check_bytes(training_bytes).good
    verdict = check_forecast(forecast)
    assert verdict.good and verdict.sentence == "Batches 12 and 20 forecast within 0.1 % of what was then measured."
    assert [trace.name for trace in verdict.picture().data] == ["your forecast", "you measured", "measured afterwards"]


@pytest.mark.parametrize(
    ("work", "start"),
    [
        (lambda p, o: 16 * p, "16 bytes: that is AdamW's. momentum keeps one average a parameter."),
        (lambda p, o: 8 * p, "8 bytes: weights and gradients. AdamW also keeps two averages a parameter."),
        (lambda p, o: None, ""),
        (lambda p, o: 16_000_000, "16 bytes: that is AdamW's. momentum keeps one average a parameter."),
    ],
)
def test_other_slips_in_bytes(work, start):
    verdict = memory.check_bytes(work)
    assert not verdict.good and verdict.sentence == start


def measures_three_times(measure, batch):
    return measure(1) + measure(2) + measure(3)


def measures_the_answer(measure, batch):
    return measure(batch)


def measures_nothing(measure, batch):
    return 0


@pytest.mark.parametrize(
    ("work", "sentence"),
    [
        (measures_three_times, "You measured three times. Two are enough: "),
        (measures_the_answer, "measure(12) is no forecast of batch 12: measure smaller batches."),
        (measures_nothing, "At batch 12 you forecast 100 % too little."),
        (lambda measure, batch: measure(0), "measure(0) cannot be run"),
    ],
)
def test_other_slips_in_the_forecast(work, sentence):
    verdict = check_forecast(work)
    assert not verdict.good and verdict.sentence.startswith(sentence)

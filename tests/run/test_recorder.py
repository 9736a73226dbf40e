"""Does the recorder keep what it is told, and can two ranks' halves of a message be joined?"""

import time

import torch

from minipar.plan.actions import F
from minipar.run.ledger import BATCH, Ledger, NoLedger
from minipar.run.recorder import UNKNOWN, Recorder, join


def test_exports_plain_data():
    recorder = Recorder(2, memory=True)
    recorder.add(F(2, 0), 1.0, 2.0, "overran")
    recorder.message(2, 3, 40, 1.5, 1.75, "activation 2 m0")
    recorder.memory.hold(torch.zeros(10), BATCH)
    parts = recorder.export()
    assert parts["spans"] == [(2, F(2, 0), 1.0, 2.0, "overran")]
    assert parts["messages"] == [(2, 3, 40, 1.5, 1.75, "activation 2 m0", "", "")]
    ((when, kind, size),) = parts["ledger"]
    assert (kind, size) == ("batch", 40) and when <= time.monotonic()


def test_off_means_off():
    recorder = Recorder(0, spans=False)
    recorder.add("optimizer", 1.0, 2.0)
    recorder.message(0, 1, 40, 1.0, 2.0)
    recorder.collective("all_reduce", "tensor", (0, 1), 40, 1.0, 2.0, own=False)
    assert isinstance(recorder.memory, NoLedger)
    assert recorder.export() == {"spans": [], "messages": [], "collectives": [], "ledger": [], "allocator": []}


def test_a_pause_keeps_what_was_seen():
    recorder = Recorder(0, memory=True)
    x = torch.zeros(10)
    recorder.memory.hold(x, BATCH)
    recorder.pause()
    recorder.memory.release(x, BATCH)
    recorder.add("optimizer", 1.0, 2.0)
    assert [sample[1:] for sample in recorder.export()["ledger"]] == [("batch", 40)]
    assert recorder.spans == [] and isinstance(recorder.memory, NoLedger)


def test_ledger_and_recorder_share_a_clock():
    assert Ledger().clock is Recorder.clock


def test_halves_are_joined_and_a_message_that_never_arrived_is_left_out():
    bill = "", "layers.1"
    sent, received = (0, 1, 40, 1.0, UNKNOWN, "a", *bill), (0, 1, 40, UNKNOWN, 2.0, "a", *bill)
    lost, whole = (0, 1, 40, 3.0, UNKNOWN, "b", *bill), (1, 0, 8, 4.0, 5.0, "", *bill)
    assert sorted(join([sent, whole, lost, received])) == [(0, 1, 40, 1.0, 2.0, "a", *bill), whole]
    assert join([received, sent]) == [(0, 1, 40, 1.0, 2.0, "a", *bill)]


def test_the_innermost_layer_is_billed():
    recorder = Recorder(0)
    with recorder.layer("layers.3"):
        with recorder.layer("layers.3.mlp"):
            recorder.message(0, 1, 8, 1.0, 2.0)
        recorder.doing = "all_reduce"
        recorder.message(0, 1, 4, 1.0, 2.0)
        recorder.collective("all_reduce", "tensor", (0, 1), 40, 1.0, 2.0, own=True)
        recorder.collective("all_gather", "tensor", (0, 1), 20, 1.0, 2.0, own=False, layer="layers.2")
    recorder.message(0, 1, 2, 1.0, 2.0)
    parts = recorder.export()
    assert [message[2:3] + message[-2:] for message in parts["messages"]] == [
        (8, "", "layers.3.mlp"), (4, "all_reduce", "layers.3"), (2, "all_reduce", "")]  # fmt: skip
    assert parts["collectives"] == [
        (0, "all_reduce", "tensor", (0, 1), "layers.3", 40, 1.0, 2.0, True),
        (0, "all_gather", "tensor", (0, 1), "layers.2", 20, 1.0, 2.0, False)]  # fmt: skip
    assert [span[1::3] for span in parts["spans"]] == [("all_reduce", "layers.3"), ("all_gather", "layers.2")]

"""Is what torch's files say read exactly, and whatever they say wrongly refused at its cell?"""

import pytest

import minipar
from minipar.plan import torch_csv
from minipar.plan.schedules import CATALOGUE, OVERLAPPING

EVERY = {**CATALOGUE, **OVERLAPPING}
SIZES = [(1, 1), (2, 2), (3, 5), (4, 8)]


def read(text):
    return torch_csv.read(text, "mine")


@pytest.mark.parametrize("communication", [False, True])
@pytest.mark.parametrize("name", EVERY)
def test_there_and_back(name, communication):
    for ranks, microbatches in SIZES:
        s = EVERY[name](ranks, 2 * microbatches)
        assert torch_csv.read(torch_csv.write(s, communication), s.name) == s


def test_the_two_forms():
    s = minipar.gpipe(2, 1)
    assert torch_csv.write(s) == "0F0,0B0\r\n1F0,1B0\r\n"
    assert torch_csv.write(s, communication=True).split() == [
        "0UNSHARD,0F0,0SEND_F0,0RECV_B0,0B0,0REDUCE_GRAD,0RESHARD",
        "1RECV_F0,1UNSHARD,1F0,1B0,1REDUCE_GRAD,1RESHARD,1SEND_B0",
    ]


def test_neighbouring_stages_on_one_rank_send_nothing():
    text = torch_csv.write(minipar.zb_v(1, 2), communication=True)
    assert "SEND" not in text and "RECV" not in text


def test_bubbles_blanks_and_empty_rows_at_the_end_do_not_count():
    assert read("0F0,, 0B0 ,\n,1F0,1B0\n\n,,\n").programs == minipar.gpipe(2, 1).programs
    assert read("0F0,0B0").programs == minipar.gpipe(1, 1).programs


def test_an_unsound_schedule_is_not_written():
    with pytest.raises(ValueError) as refusal:
        torch_csv.write(minipar.Schedule.parse("0F0"))
    assert str(refusal.value) == (
        "torch could not run this schedule. 0B0 is missing: rank 0 never runs microbatch 0 backward."
    )


def test_a_pair_that_overlaps_is_one_cell():
    s = minipar.dualpipe_v(2, 4)
    row = torch_csv.write(s, communication=True).splitlines()[0].split(",")
    at = row.index("(3F2;0B0)OVERLAP_F_B")
    assert {"0RECV_B0"} <= set(row[:at]) and "3F2" not in row and "0B0" not in row
    assert read("0F0,1F0,1B0,0F1,(1F1;0B0)OVERLAP_F_B,1B1,0B1").stages == 2


NEITHER = (
    "is neither an action (2F0; letters F, B, I or W) nor a pair at once ((3F4;0B0)OVERLAP_F_B) nor a message "
    "(2SEND_F0, 2RECV_B0)"
)


@pytest.mark.parametrize(("text", "sentence"), [
    ("", "row 1, column 1: the file is empty; it has one row a rank, as in 0F0,0B0"),
    (",,\n", "row 1, column 1: the file is empty; it has one row a rank, as in 0F0,0B0"),
    ("0F0,0B0\n,1F0x,1B0", f"row 2, column 2: '1F0x' {NEITHER}"),
    ("0F0,0B0\n1F0,1SEND_X0", f"row 2, column 2: '1SEND_X0' {NEITHER}"),
    ("0F0 0B0", f"row 1, column 1: '0F0 0B0' {NEITHER}"),
    ("0F0,(0B0;0F1)OVERLAP_F_B", f"row 1, column 2: '(0B0;0F1)OVERLAP_F_B' {NEITHER}"),
    ("0F0,0F1,0B0,(1F0;0B1)OVERLAP_F_B\n1B0,1F1,1B1", "row 2, column 1: '1B0' cannot stand here: stage 1 is on rank 0, "
                                                      "so in row 1"),
    ("٠F0,0B0", f"row 1, column 1: '٠F0' {NEITHER}"),
    ('0F0,"0B0', "row 1: this is no comma-separated text (unexpected end of data)"),
    ("0F0,0B0\n\n1F0,1B0", "row 2 has no action: rank 1 would have nothing to do"),
    ("0F0,0B0\n0UNSHARD", "row 2 has no action: rank 1 would have nothing to do"),
    ("0F0,0B0\n2F0,2B0", "Stage 1 is on no rank: stages are numbered 0 to 2 without a gap."),
    ("0F0,0B0,1F0\n1F0,1B0", "row 2, column 1: '1F0' cannot stand here: stage 1 is on rank 0, so in row 1"),
    ("0F0,0F0,0B0", "row 1, column 2: '0F0' cannot stand here. 0F0 stands twice on rank 0: each action runs once."),
    ("0F0", "row 1: 0B0 is missing: rank 0 never runs microbatch 0 backward."),
    ("0F0,0I0,0F1,0I1,0W1", "row 1: 0W0 is missing: a split backward needs both I and W."),
    ("0F0,0B0\n,,1B0,1F0", "row 2, column 3: '1B0' cannot stand here. Rank 1 runs 1B0 before 1F0, which makes the "
                           "activation of stage 1, microbatch 0 that it needs."),
    ("0F999999999,0B0", "row 1, column 1: '0F999999999' cannot be right: with 2 actions no stage or microbatch has so "
                        "high a number"),
    ("0F0,0B0\n1F3,1B0", "row 1: 0F1 is missing: rank 0 never runs microbatch 1 forward."),
    (",".join(f"0F{m}" for m in range(98)) + ",99F0,0F99", "0F98 is missing, and most others: 100 actions cannot be a "
                                                         "whole schedule"),
    ("0F0,0B0,2F0,2B0\n1F0,1B0", "row 1, column 2: '0B0' cannot stand here. Stuck: rank 0 waits at 0B0 for 1B0; rank 1 "
                                 "waits at 1B0 for 2B0; 2B0 stands behind 0B0."),
], ids=range(21))  # fmt: skip
def test_what_is_malformed_is_refused_at_its_place(text, sentence):
    with pytest.raises(ValueError) as refusal:
        read(text)
    assert str(refusal.value) == sentence


FINE = ["0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1", "1RECV_F0,1F0,1RECV_F1,1F1,1B0,1SEND_B0,1B1,1SEND_B1"]


@pytest.mark.parametrize(("row", "old", "new", "sentence"), [
    (0, "0SEND_F1,", "", "row 1: '0SEND_F1' is missing: rank 0 is sending the activation of stage 0, microbatch 1 to "
                         "rank 1"),
    (1, "1RECV_F1,", "", "row 2: '1RECV_F1' is missing: rank 1 is receiving the activation of stage 0, microbatch 1 "
                         "from rank 0"),
    (0, "0SEND_F1", "0SEND_F0", "row 1, column 4: '0SEND_F0' stands twice: each message travels once"),
    (0, "0SEND_F1", "0SEND_B1", "row 1, column 4: '0SEND_B1' is a message that this schedule does not need on this "
                                "rank"),
    (0, "0SEND_F1", "7SEND_F1", "row 1, column 4: '7SEND_F1' is a message that this schedule does not need on this "
                                "rank"),
    (0, "0F0,0SEND_F0", "0SEND_F0,0F0", "row 1, column 1: '0SEND_F0' is where this file gets stuck. Stuck: rank 0 "
                                        "waits at sending the activation of stage 0, microbatch 0 to rank 1 for 0F0; "
                                        "0F0 stands behind sending the activation of stage 0, microbatch 0 to rank 1."),
    (1, "1RECV_F0,1F0,1RECV_F1", "1RECV_F1,1RECV_F0,1F0",
     "row 2, column 1: '1RECV_F1' takes the next message of rank 0, which is the activation of stage 0, microbatch 0: "
     "torch tells the messages of two ranks apart by their order alone"),
], ids=range(7))  # fmt: skip
def test_messages_that_do_not_fit_are_refused_at_their_cell(row, old, new, sentence):
    assert read("\n".join(FINE)).programs == minipar.gpipe(2, 2).programs
    rows = list(FINE)
    rows[row] = rows[row].replace(old, new)
    with pytest.raises(ValueError) as refusal:
        read("\n".join(rows))
    assert str(refusal.value) == sentence

"""What lesson 10 answers to rings that are not: standstills, messages too large or too many, masks by row number."""

import math

import pytest
import torch

from minipar.learn.lessons import key_ring
from minipar.learn.verdict import judge_one
from minipar.nn import context
from minipar.plan import deal
from tests.lessons.splice import blocks_of

CODE, MISTAKES = blocks_of("10_along_the_sequence")


def functions(*sources):
    """What these cells define, as in a notebook."""
    made = {"torch": torch, "block": context.block, "__name__": "__main__"}
    for source in sources:
        exec(source, made)
    return made


def judged(source, setup=CODE["stub"]):
    return judge_one(key_ring.check_attend, functions(setup, source)["attend"])


def around(middle, last="return done[2] / done[1]"):
    """An attend whose loop body is `middle`."""
    body = "\n".join(f"        {line}" for line in middle.splitlines())
    return f"""
def attend(w, q, k, v):
    length, held, done = len(q) * w.ranks, torch.stack((k, v)), None
    rows, after, before = zigzag(w.rank, w.ranks, length), (w.rank + 1) % w.ranks, (w.rank - 1) % w.ranks
    for step in range(w.ranks):
{body}
    {last}
"""


WORK = """columns = zigzag((w.rank - step) % w.ranks, w.ranks, length)
part = block(q, held[0], held[1], rows, columns)
done = part if done is None else merge(done, part)"""


def test_the_solution_is_right_on_real_processes(pool):
    verdict = judged(CODE["stub-2"])
    assert verdict.good and verdict.sentence == (
        "Three passes a rank, one block at a time: full attention to 1e-10 on 1, 2, 3 and 4 real processes. "
        "This is zig-zag."
    )
    assert "yours 131,200 131,200 131,200 131,200 pairs" in repr(verdict.picture())


def test_striped_is_accepted_by_name(pool):
    striped = CODE["stub"] + "\ndef zigzag(rank, ranks, length):\n    return range(rank, length, ranks)\n"
    verdict = judged(CODE["stub-2"], striped)
    assert verdict.good and verdict.sentence.endswith("This is striped: 1.05 at 64 positions on 4.")


@pytest.mark.parametrize("mistake", [one for one in MISTAKES if one.cell == "stub-2"], ids=lambda one: one.name)
def test_listed_mistakes(mistake):
    assert judged(mistake.code).sentence == mistake.sentence


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def attend(w, q, k, v):\n    return print()",
         "Rank 0 returned nothing; return the mixed values of its own positions: weighted / sum."),
        ("def attend(w, q, k, v):\n    return q[:1]",
         "Rank 0 returned shape [1, 16], expected [4, 16]: a row for each position it has."),
        ("def attend(w, q, k, v):\n    w.axis()",
         "On rank 0 attend stopped with AttributeError: this exercise needs only w.rank, w.ranks, w.send, w.recv and "
         "w.exchange, not w.axis"),
        ("def attend(w, q, k, v):\n    return w.recv(source=(w.rank - 1) % w.ranks)",
         "Not yet: rank 0 waits for a block from rank 3, which sends it none."),
        ("def attend(w, q, k, v):\n    w.send(k, to=w.rank + 1)",
         "Not yet: rank 3 names rank 4, but four ranks are numbered 0 to 3. After the last comes 0: "
         "use the remainder."),
        ("def attend(w, q, k, v):\n    w.send(k, to=(w.rank + 1) % w.ranks)",
         "Not yet: rank 0's block to rank 1 was sent and never received."),
        (around(WORK), "Nothing was sent: each rank met its own keys only."),
        (around("if step: held = w.exchange(held, to=after, source=before)\n" + WORK.replace("done is None", "True")),
         "Position 12 did not look at 2: each rank must meet every block."),
        (around("if step: held = w.exchange(held, to=before, source=after)\n" +
                WORK.replace("w.rank - step", "w.rank + step")),
         "Rank 0 sent to rank 3; the ring goes on to rank 1."),
        (around("if step: held = w.exchange((held[0], held[1]), to=after, source=before)\n" + WORK),
         "A message is one tensor: torch.stack((k, v)) makes one of two."),
        (around("if step: held = w.exchange(held, to=after, source=before)\n" + WORK, "return done[2]"), ""),
    ],
)  # fmt: skip
def test_other_mistakes(pool, source, sentence):
    verdict = judged(source)
    assert not verdict.good and verdict.sentence.startswith(sentence) and (sentence or verdict.got)


def test_keys_and_values_in_two_messages_are_as_good(pool):
    passing = "if step: w.send(held[0], to=after); w.send(held[1], to=after); "
    passing += "held = torch.stack((w.recv(source=before), w.recv(source=before)))\n"
    assert judged(around(passing + WORK)).good


def test_all_keys_in_one_message_are_refused():
    sent = [(rank, (rank + 1) % 4, 100 * (step + 1)) for rank in range(4) for step in range(3)]
    assert key_ring.wrong_messages(sent, 4, 100) == (
        "A message held 2 blocks, expected one at a time: memory is what the ring saves."
    )
    assert key_ring.wrong_messages([(rank, (rank + 1) % 4, 100) for rank in range(4)], 4, 100) == (
        "1 passes a rank, expected 3."
    )


def test_who_looked_at_whom_is_told_in_order():
    dealt = deal.hands("zigzag", 4, 16)
    right = [torch.tensor([[float(key <= row) for key in range(16)] for row in hand]) for hand in dealt]
    assert key_ring.wrong_looks(right, dealt) == []
    right[0][0, 0] = 0
    assert key_ring.wrong_looks(right, dealt) == ["Position 0 did not look at 0: each rank must meet every block."]
    right[2][0, 1] = math.nan
    assert key_ring.wrong_looks(right, dealt)[1] == "nan at position 4: was a sum of 0 divided by?"

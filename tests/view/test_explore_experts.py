"""Does the explorer say what the lesson's run says, and do its tasks want what they ask?"""

import pytest

from minipar.view import explore
from minipar.view.explore_experts import PLACEMENTS
from minipar.view.explorer import Explorer


@pytest.fixture(autouse=True)
def strict(monkeypatch):
    monkeypatch.setattr(Explorer, "strict", True)


def test_it_opens_with_the_lessons_tokens():
    ex = explore.experts()
    assert repr(ex) == (
        "Experts(8 experts, top 2, ranks=4, lean 0.6, in a row: rows 156 33 28 39, busiest / mean 2.44, "
        "199 rows and 50,944 B leave their rank)"
    )
    assert ex.readout.facts == [
        ["busiest rank / mean", "2.44"], ["rows that travel, and back", "199 of 256, 50.9 kB"],
        ["predicted step", "216 slots"], ["experts held by all ranks, used by a token", "8, 2"],
    ]  # fmt: skip
    assert ex.readout.sentence.startswith("Rank 0 computes 156 rows, 120 of them from other ranks")
    assert ex.waits.title == "Three ranks wait for rank 0: it has 2.44 times the mean"


def test_the_lean_moves_the_work_and_hardly_the_bytes():
    ex = explore.experts().set(lean=0)
    assert "rows 64 63 59 70" in repr(ex) and "193 rows and 49,408 B" in repr(ex)


def test_capacity_drops_and_says_who_lost_both():
    ex = explore.experts(capacity=1.0)
    assert ex.readout.facts[1] == ["choices dropped", "92 of 256"] and "92 dropped, 12 tokens lost" in repr(ex)
    assert ex.readout.sentence == "12 tokens lost all their choices: the residual alone carries them on."
    assert "lost their choice:" in ex.set(top=1).readout.sentence


def test_placements_and_copies():
    ex = explore.experts()
    rows = [max(ex.set(placement=way).result.routing.computed) for way in PLACEMENTS]
    assert rows == [156, 106, 104, 66]


def test_once_a_rank_and_nodes():
    ex = explore.experts().set(once="rank")
    assert ex.result.carried == 158 and "158 rows and 40,448 B" in repr(ex)
    ex.set(nodes=2, once="node")
    assert ex.result.routing.placement.nodes == 2
    ex.set(ranks=1)
    assert ex.state.nodes == 1 and ex.result.carried == 0
    assert ex.readout.sentence == "One rank holds all 8 experts: no row travels, and no memory is saved."


def test_the_tasks_of_the_lesson():
    ex = explore.experts(task=explore.no_bytes_then_twice())
    assert ex.met == [False, False]
    assert ex.set(ranks=1).met == [True, False]
    assert ex.set(ranks=4).met == [True, False]
    assert ex.set(lean=0.4).met == [True, True]


def test_few_tokens_and_waiting_messages_want_few_ranks():
    ex = explore.experts(wait=16, tokens=64)
    assert ex.readout.sentence == (
        "Quickest on 1 rank (slots: 128 on 1, 154 on 2, 204 on 4, 290 on 8): "
        "with more ranks each rank sends more messages."
    )
    ex.set(tokens=4096)
    assert min(ex.by_ranks(), key=ex.by_ranks().get) == 8
    assert ex.by_ranks()[4] == pytest.approx(ex.result.time.total)
    ex.set(placement="packed, a copy more a rank", nodes=2)
    assert ex.by_ranks()[4] == pytest.approx(ex.result.time.total)


def test_who_waits_is_drawn_above_the_flow_and_alone_where_it_is_saved():
    ex = explore.experts()
    assert ex.waits.sheet[0] == 760 and any(shape["hatch"] for shape in ex.waits.shapes)
    words = [note.text for note in ex.figure().layout.annotations]
    assert "waits for rank 0" in words and "<b>dispatch →</b>" not in words
    assert "dispatch →" in [word["words"] for word in ex.flow.words]


def test_at_its_largest():
    assert explore.experts(tokens=4096, experts=16, top=4, ranks=8).result.carried > 10_000


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"ranks": 3}, "ranks is one of 1, 2, 4, 8, not 3."),
        ({"top": 5}, "top is one of 1, 2, 3, 4, not 5."),
        ({"capacity": 7}, "capacity is one of None, 0.5, 1.0, 1.25, 1.5, 2.0, not 7."),
        ({"placement": "luck"},
         "placement is one of in a row, round robin, packed, packed, a copy more a rank, not 'luck'."),
        ({"experts": 32}, "the explorer has room for 2 to 16 experts, not for 32"),
        ({"tokens": 100}, "tokens is one of 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, not 100."),
        ({"wait": 3}, "wait is one of 0, 1, 2, 4, 8, 16, 32, not 3."),
        ({"experts": 6, "ranks": 4}, "ranks is one of 1, 2, not 4."),
    ],
)  # fmt: skip
def test_what_is_not_among_the_options_is_refused(given, sentence):
    with pytest.raises(ValueError) as refusal:
        explore.experts(**given)
    assert str(refusal.value) == sentence


def test_it_keeps_the_rules_of_all_explorers(monkeypatch):
    ex = explore.experts()
    assert len(ex.panel.children[0].children[0].children) == 3
    assert all(control.description for control in ex.controls.values())
    monkeypatch.setenv("MINIPAR_UNATTENDED", "1")
    assert set(ex._repr_mimebundle_()) == {"text/plain", "application/vnd.plotly.v1+json"}
    assert ex.figure() == ex.figure()

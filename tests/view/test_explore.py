"""The explorers one by one: what their numbers say, what their tasks want, what they refuse."""

import subprocess
import sys

import pytest

import minipar
from minipar.plan.schedule import schedule
from minipar.plan.split import split as best_split
from minipar.view import explore
from minipar.view.explore_ping import seconds
from minipar.view.explore_split import evenly

# pipeline ---------------------------------------------------------------------------------------------------------


def test_pipeline_moves_by_code_and_says_so_in_one_line():
    ex = explore.pipeline()
    assert repr(ex) == "Pipeline(gpipe, ranks=4, microbatches=8, T = 33 slots, idle 27.3 % of all, peak 8 8 8 8)"
    ex.set(microbatches=64)
    assert repr(ex) == "Pipeline(gpipe, ranks=4, microbatches=64, T = 201 slots, idle 4.5 % of all, peak 64 64 64 64)"


def test_pipeline_says_both_readings_of_idle_time_and_the_peaks():
    ex = explore.pipeline("one_f_one_b", ranks=4, microbatches=8)
    assert ex.readout.facts == [
        ["time", "33 slots"],
        ["idle, of all time", "27 %"],
        ["idle, against useful time", "38 %"],
        ["most in flight, rank 0, 1, …", "4 3 2 1"],
    ]


def test_pipeline_draws_what_the_controls_say():
    ex = explore.pipeline()
    ex.controls["schedule"].value = "one_f_one_b"
    assert ex.view.panels[0].trace is ex.trace and ex.trace.peak_in_flight == (4, 3, 2, 1)


def test_pipeline_hop_and_durations_stand_under_more():
    ex = explore.pipeline().set(hop=0.5, F=2, B=4)
    assert (ex.trace.hop, ex.state.F, ex.state.B) == (0.5, 2, 4) and "hop=0.5" in repr(ex)
    assert set(ex.controls) - set(ex.shown) == {"F", "B", "hop"}


def test_pipeline_naive_takes_the_batch_whole_and_greys_the_microbatches():
    ex = explore.pipeline().set(schedule="naive")
    assert ex.trace.makespan == 12 and ex.controls["microbatches"].disabled
    assert not ex.set(schedule="gpipe").controls["microbatches"].disabled


def test_pipeline_takes_a_builder_of_ones_own():
    @schedule
    def mine(rank, ranks, microbatches):
        for m in range(microbatches):
            yield minipar.F(rank, m)
            yield minipar.B(rank, m)

    assert repr(explore.pipeline(mine)) == (
        "Pipeline(mine, ranks=4, microbatches=8, T = 96 slots, idle 75.0 % of all, peak 1 1 1 1)"
    )


def test_pipeline_offers_the_whole_catalogue_to_whoever_names_more_of_it():
    ex = explore.pipeline("zb_v")
    assert repr(ex) == (
        "Pipeline(zb_v, ranks=4, microbatches=8, T = 25.5 slots, idle 5.9 % of all, peak 8 8 8 8)"
    )  # stages half as large, so half as long
    for name in minipar.plan.schedules.CATALOGUE:
        assert ex.set(schedule=name).trace.busy(0) == 24
    assert "v_min" not in explore.pipeline().builders


def test_pipeline_task_is_met_at_the_smallest_m_alone():
    ex = explore.pipeline(task=explore.idle_below(0.10, ranks=4))
    assert ex.asked.tasks[0][0] == "Find the smallest M with less than 10 % idle on 4 ranks."
    for m in (27, 29, 64):
        assert ex.set(microbatches=m).met == [False]
    assert ex.set(ranks=5, microbatches=37).met == [False]
    assert ex.set(ranks=4, microbatches=28).met == [True]


def test_pipeline_task_asks_again_with_a_hop():
    ex = explore.pipeline(hop=0.5, task=explore.idle_below(0.10))
    assert ex.set(microbatches=28).met == [False]
    assert any(ex.set(microbatches=m).met == [True] for m in range(29, 60))


def test_pipeline_refuses_a_schedule_there_is_none_of():
    with pytest.raises(ValueError, match="There is no schedule 'zigzag'; there are gpipe, one_f_one_b, naive"):
        explore.pipeline("zigzag")


def test_pipeline_is_quick_at_its_largest():
    assert explore.pipeline(ranks=16, microbatches=128).trace.ranks == 16


# cap --------------------------------------------------------------------------------------------------------------


def test_cap_4_lets_gpipe_take_4_and_1f1b_any():
    ex = explore.cap(cap=4)
    assert repr(ex) == "Cap(cap=4, ranks=4, microbatches=8: GPipe M up to 4, 1F1B any M)"
    assert ex.readout.sentence == "At M = 8 only 1F1B fits, on every rank."
    assert ex.set(microbatches=4).readout.sentence == "At M = 4 both fit."
    assert ex.set(cap=3).readout.sentence.startswith("Neither fits")


def test_cap_task_is_met_at_gpipes_largest_m():
    ex = explore.cap(task=explore.largest_under(4))
    assert ex.set(cap=4, microbatches=5).met == [False]
    assert ex.set(microbatches=4).met == [True]


# memory -----------------------------------------------------------------------------------------------------------


def test_memory_takes_a_gpt_and_starts_over_its_cap():
    ex = explore.memory(minipar.GPT(layers=4, hidden=64))
    assert (ex.state.layers, ex.state.hidden, ex.state.sequence) == (4, 64, 64)
    assert ex.result.total > ex.state.cap * 1e6 and "over the cap" in repr(ex)


def test_memory_task_wants_two_different_ways():
    ex = explore.memory(task=explore.two_ways_under_the_cap())
    assert ex.met == [False, False]
    assert ex.set(optimizer="SGD").met == [True, False]
    assert ex.set(optimizer="AdamW", batch=1).met == [True, True]


def test_memory_task_is_not_met_by_raising_the_cap():
    ex = explore.memory(task=explore.two_ways_under_the_cap())
    assert ex.set(cap=100).met == [False, False]


def test_memory_shows_the_start_beside_now_once_something_moved():
    ex = explore.memory()
    assert [row["label"] for row in ex.view.rows] == ["now"]
    ex.set(batch=2)
    assert [row["label"] for row in ex.view.rows] == ["at the start", "now"]


def test_memory_bytes_of_the_bar_are_those_of_the_readout():
    ex = explore.memory(batch=4)
    assert sum(part["value"] for part in ex.view.rows[0]["parts"]) == ex.result.total
    assert f"{ex.result.total:,} bytes" in repr(ex)


# cards ------------------------------------------------------------------------------------------------------------


def test_cards_say_how_many_hold_ten_billion_parameters():
    ex = explore.cards()
    assert repr(ex).startswith("Cards(10 billion parameters: serve 20.0 GB, train 160 GB; cards to serve/train: ")
    assert "NVIDIA T4 2/10" in repr(ex) and "NVIDIA A100 80 GB 1/2" in repr(ex)
    assert "data sheet" in ex.sources()


# split ------------------------------------------------------------------------------------------------------------

COSTS = (2, 3, 3, 3, 3, 3, 3, 3, 3, 7)


def test_split_starts_even_and_says_what_is_possible():
    ex = explore.split(COSTS, 4)
    assert repr(ex) == "Split(10 layers as 3 3 2 2: slowest 10, best possible 9)"
    assert ex.readout.sentence == "Device 3 is the slowest, 11 % over the best possible: give it less."


def test_split_follows_typed_cuts_at_every_key():
    ex = explore.split(COSTS, 4)
    ex.controls["layers"].value = "3 3 3"
    assert ex.readout.problem == "3 + 3 + 3 = 9 layers, and there are 10: 1 is on no device."
    ex.controls["layers"].value = "3, 3, 3, 1"
    assert repr(ex) == "Split(10 layers as 3 3 3 1: slowest 9, best possible 9)" and ex.cuts.starts == [3, 6, 9]


def test_split_follows_dragged_cuts():
    ex = explore.split(COSTS, 4)
    ex.cuts.starts = [3, 6, 9]
    assert ex.controls["layers"].value == "3 3 3 1" and ex.state.layers == (3, 3, 3, 1)


def test_split_takes_cuts_in_code_and_a_new_number_of_devices():
    ex = explore.split(COSTS, 4).set(layers=(1, 3, 3, 3))
    assert ex.cuts.starts == [1, 4, 7]
    assert ex.set(parts=2).state.layers == (5, 5) and ex.controls["layers"].value == "5 5"


@pytest.mark.parametrize(
    "typed, sentence",
    [
        ("3 3 x 1", "'x' is no number of layers: write one whole number a device, as in 8 9 9 8."),
        ("", "'' is no number of layers: write one whole number a device, as in 8 9 9 8."),
        ("5 0 5", "Device 1 has no layer: every device needs one."),
        ("3 3 3 2", "3 + 3 + 3 + 2 = 11 layers, and there are 10: that is 1 too many."),
    ],
)
def test_split_answers_wrong_cuts_in_a_sentence(typed, sentence):
    ex = explore.split(COSTS, 4)
    ex.controls["layers"].value = typed
    assert ex.readout.problem == sentence


def test_split_of_a_model_knows_its_memory():
    ex = explore.split(minipar.GPT(layers=32), 4)
    assert len(ex.costs) == 34 and sum(ex.result.memory) == minipar.GPT(layers=32).parameter_bytes()
    best = best_split(ex.costs, 4)
    assert "No cut is better" in ex.set(layers=[len(part) for part in best]).readout.sentence


def test_split_refuses_more_devices_than_layers():
    with pytest.raises(ValueError, match="2 layers cannot fill 3 parts"):
        explore.split([1, 2], 3)


def test_evenly_gives_every_layer_away():
    assert [sum(evenly(34, parts)) for parts in range(1, 9)] == [34] * 8


# ping -------------------------------------------------------------------------------------------------------------


class Run:
    """A run that has ended."""

    def __init__(self, result):
        self.result = lambda: result


class Pool:
    """Four workers that answer at once, as long as they are not busy."""

    size = 4

    def __init__(self):
        self.asked, self.busy = [], False

    def ping(self, source, target, size, times):
        if self.busy:
            raise RuntimeError("this pool is still running train")
        self.asked.append((source, target, size))
        return Run([0.002 if rank == source else None for rank in range(4)])


def test_ping_sends_nothing_until_the_button_is_pressed():
    pool = Pool()
    ex = explore.ping(pool).set(source=1, target=3, size=4_000_000)
    assert pool.asked == [] and repr(ex) == "Ping(rank 1 to rank 3, 4.0 MB, none sent yet)"
    ex.button.click()
    ex.wait()
    assert pool.asked == [(1, 3, 4_000_000)]
    assert ex.view.points == [{"x": 4_000_000, "y": 0.002, "text": "4.0 MB from rank 1 to rank 3: 2 ms"}]
    assert ex.readout.facts[2] == ["bytes per second", "2.0 GB/s"] and not ex.button.disabled


def test_ping_from_a_rank_to_itself_steps_aside():
    ex = explore.ping(Pool()).set(source=1)
    assert (ex.state.source, ex.state.target, ex.controls["target"].value) == (1, 2, 2)


def test_ping_of_a_busy_pool_says_so_in_the_readout():
    pool = Pool()
    pool.busy = True
    ex = explore.ping(pool).ping()
    assert ex.readout.problem == "this pool is still running train" and ex.pongs == []


def test_ping_wants_two_ranks():
    pool = Pool()
    pool.size = 1
    with pytest.raises(ValueError, match="A message needs two ranks: this pool has one."):
        explore.ping(pool)


def test_short_times_in_words():
    assert [seconds(t) for t in (9.5e-5, 1.2e-3, 0.2, 3.0)] == ["95 µs", "1.2 ms", "200 ms", "3 s"]


# all --------------------------------------------------------------------------------------------------------------


def test_exploring_imports_no_torch():
    program = (
        "import sys; from minipar.view import explore; from minipar.view.edit import edit; "
        "explore.pipeline(); explore.memory(); explore.cards(); explore.cap(); explore.split([1, 2, 3], 2); "
        "edit('0F0 0B0'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_task_of_the_cuts_is_met_by_any_best_cut():
    explorer = explore.split([0.5, *[1] * 32, 2.5], parts=4, task=explore.best_cut())
    assert explorer.met == [False]
    explorer.set(layers=(9, 9, 9, 7))
    assert explorer.met == [True]

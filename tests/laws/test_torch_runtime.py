"""torch's own runtime loads our CSV files and trains on real processes; its own dumps load here, action for action."""

import pytest

import minipar
from minipar import export
from minipar.nn.gpt import GPT
from minipar.nn.text import text_batch
from minipar.plan.schedules import CATALOGUE, OVERLAPPING
from tests.laws.torch_ranks import TorchRanks

MODEL, MICROBATCHES = GPT(layers=6, hidden=16, heads=2, context=8, dtype="float64"), 8
EVERY = {**CATALOGUE, **OVERLAPPING}
FORMS = {False: "compute_only", True: "compute_comms"}


@pytest.fixture(scope="module")
def torch_ranks(tmp_path_factory):
    """Processes of torch's own, two and four of them."""
    folder = tmp_path_factory.mktemp("stores")
    with TorchRanks(2, folder) as two, TorchRanks(4, folder) as four:
        yield {2: two, 4: four}


def stages_of(rank, schedule):
    """torch's stages of this rank, on our layers."""
    import torch
    from torch.distributed.pipelining import PipelineStage

    cuts = minipar.split(MODEL.costs(), schedule.stages)
    return [PipelineStage(MODEL.build(cuts[stage]), stage, schedule.stages, torch.device("cpu"))
            for stage, home in enumerate(schedule.placement) if home == rank]  # fmt: skip


def with_torch(rank, path, form, schedule, batch):
    """One step of a CSV file in torch's runtime: this rank's gradients. torch scales them by the microbatches."""
    from torch.distributed.pipelining.schedules import _PipelineScheduleRuntime

    stages = stages_of(rank, schedule)
    runtime = _PipelineScheduleRuntime(stages, schedule.microbatches, MODEL.loss, scale_grads=True)
    runtime._load_csv(path, form)
    inputs = (batch.inputs,) if any(stage.is_first for stage in stages) else ()
    ends = {"target": batch.targets, "losses": []} if any(stage.is_last for stage in stages) else {}
    runtime.step(*inputs, return_outputs=False, **ends)
    return {name: each.grad for stage in stages for name, each in stage.submod.named_parameters()}


@pytest.fixture(scope="module")
def expected():
    whole, batch = MODEL.whole(), text_batch(MICROBATCHES, 8)
    MODEL.loss(whole(batch.inputs), batch.targets).backward()
    return batch, {name: parameter.grad for name, parameter in whole.named_parameters()}


@pytest.mark.parametrize("communication", [False, True])
@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("name", EVERY)
def test_torch_trains_with_our_file(torch_ranks, expected, name, ranks, communication, tmp_path):
    schedule, (batch, gradients) = EVERY[name](ranks, MICROBATCHES), expected
    path = export.torch_csv(schedule, tmp_path / "mine.csv", communication)
    parts = torch_ranks[ranks].run(with_torch, str(path), FORMS[communication], schedule, batch)
    found = {name: gradient for part in parts for name, gradient in part.items()}
    assert found.keys() == gradients.keys()
    for parameter, gradient in gradients.items():
        assert (found[parameter] - gradient).abs().max() < 1e-10, parameter


def dumped(rank, kind, ours, paths):
    """The files that torch writes of its own schedule, made as a program makes it."""
    from torch.distributed.pipelining import schedules

    runtime = getattr(schedules, kind)(stages_of(rank, ours), ours.microbatches, MODEL.loss)
    for communication, form in FORMS.items():
        if rank == 0:
            runtime._dump_csv(paths[communication], form)


@pytest.mark.parametrize(("name", "kind"), {
    "looped_bfs": "ScheduleLoopedBFS", "interleaved_1f1b": "ScheduleInterleaved1F1B",
    "interleaved_zero_bubble": "ScheduleInterleavedZeroBubble", "zb_v": "ScheduleZBVZeroBubble",
    "dualpipe_v": "ScheduleDualPipeV",
}.items())  # fmt: skip
def test_torchs_own_dumps_are_ours_action_for_action(torch_ranks, name, kind, tmp_path):
    for ranks in (2, 4):
        ours = EVERY[name](ranks, MICROBATCHES)
        paths = [str(tmp_path / f"{form}.csv") for form in FORMS.values()]
        torch_ranks[ranks].run(dumped, kind, ours, paths)
        for path in paths:
            assert export.read_torch_csv(path, ours.name) == ours

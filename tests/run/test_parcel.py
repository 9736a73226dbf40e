"""What travels between the notebook and a worker, and how."""

import pytest
import torch

from minipar.run import parcel


def trip(value):
    return parcel.loads(bytes(parcel.dumps(value)))


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_tensors_arrive_equal(dtype, shape):
    tensor = torch.arange(6)[: max(1, torch.tensor(shape).prod().int().item() if shape else 1)].to(torch.float32)
    tensor = (tensor.reshape(shape) if tensor.numel() == torch.empty(shape).numel() else torch.empty(shape)).to(dtype)
    came = trip(tensor)
    assert came.dtype == dtype
    assert came.shape == tensor.shape
    assert came.float().tolist() == tensor.float().tolist() if dtype != torch.complex64 else torch.equal(came, tensor)


def test_a_view_is_as_large_as_it_looks():
    big = torch.zeros(1_000_000)
    assert len(parcel.dumps(big[:3])) < 1000
    assert trip(torch.arange(6.0).reshape(2, 3).T).tolist() == [[0, 3], [1, 4], [2, 5]]


def test_the_copy_can_be_changed_and_the_original_stays():
    tensor = torch.ones(3)
    came = trip(tensor)
    came += 1
    assert tensor.tolist() == [1, 1, 1]


def test_a_leaf_stays_a_leaf_and_a_result_comes_without_its_graph():
    leaf = torch.ones(2, requires_grad=True)
    assert trip(leaf).requires_grad
    assert not trip(leaf * 2).requires_grad


def test_modules_keep_tied_weights():
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    module[1].weight = module[0].weight
    came = trip(module)
    assert came[0].weight is came[1].weight
    assert torch.equal(came(torch.ones(3)), module(torch.ones(3)))


class Point:
    def __init__(self, x):
        self.x = x


def make(w):
    return Point(w.rank)


def test_a_class_made_here_is_the_same_class_when_it_comes_home(pool):
    class Local:
        pass

    def local(w):
        return Local()

    assert all(type(each) is Point and each.x == rank for rank, each in enumerate(pool.run(make)))
    assert all(type(each) is Local for each in pool.run(local))


def test_a_changed_module_of_the_learners_own_is_the_changed_one_in_the_workers(pool, tmp_path, monkeypatch):
    import importlib
    import sys

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "mine_of_parcel.py").write_text("def answer(w): return 1\n")
    import mine_of_parcel

    assert pool.run(mine_of_parcel.answer, ranks=1) == [1]
    (tmp_path / "mine_of_parcel.py").write_text("def answer(w): return 22\n")
    importlib.reload(mine_of_parcel)
    assert pool.run(mine_of_parcel.answer, ranks=1) == [22]

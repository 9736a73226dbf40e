"""Is the machine measured, kept, and found again?"""

import pytest

import minipar
from minipar.cost.machine import TYPICAL
from minipar.run import calibrate


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPAR_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_measured_once_and_kept(pool, state):
    assert calibrate.this_machine() is TYPICAL
    machine = minipar.calibrate(pool, sizes=(4, 4096, 65536), seconds=0.2)
    assert machine.measured and machine.link.alpha > 0 and "4 processes on this CPU" in machine.how
    found = {(point.what, point.ranks): [] for point in machine.points}
    for point in machine.points:
        found[point.what, point.ranks].append(point.bytes)
        assert 0 < point.least <= point.middle <= point.longest and point.repeats >= 1
    assert found == {("send", 2): [4, 4096, 65536]} | {
        (what, 4): [16, 4096, 65536] for what in calibrate.COLLECTIVES}  # fmt: skip
    assert machine.link == machine.fits["send", 2]
    assert calibrate.this_machine() == machine == calibrate.calibrate(pool)
    assert calibrate.calibrate(pool, again=True, sizes=(4, 64), seconds=0.1) != machine
    assert len(list(state.iterdir())) == 1
    assert pool.run(lambda w: w.everyone.size).trace.collectives == ()


def test_a_file_that_cannot_be_read_or_written_is_let_be(state):
    state.mkdir()
    (state / "machine.json").write_text("{")
    assert calibrate.read() == {} and calibrate.this_machine() is TYPICAL
    (state / "machine.json").unlink()
    state.rmdir()
    state.write_text("a file, not a folder")
    calibrate.write({"a": 1})
    assert calibrate.read() == {}


def test_one_worker_has_no_link(state):
    with minipar.WorkerPool(1) as alone:
        machine = calibrate.calibrate(alone, seconds=0.1)
    assert not machine.measured and machine.link == TYPICAL.link and machine.points == ()

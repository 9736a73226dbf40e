"""Does the doctor see what would stop a lesson, and say what to do?"""

import re
import shutil
import subprocess
import sys

from minipar import _doctor
from minipar._python import ROOT


def test_doctor_exits_1_when_something_would_stop_lessons(monkeypatch, capsys):
    good = _doctor.Line(_doctor.OK, "CPU", "2 cores")
    monkeypatch.setattr(_doctor, "examine", lambda: iter([good]))
    assert _doctor.main() == 0 and "Lessons will run here." in capsys.readouterr().out
    monkeypatch.setattr(_doctor.socket, "create_connection", lambda *a, **k: (_ for _ in ()).throw(OSError("refused")))
    monkeypatch.setattr(_doctor, "examine", lambda: iter([good, _doctor.loopback()]))
    assert _doctor.main() == 1
    assert "BAD   loopback     127.0.0.1 does not work (refused); allow it" in capsys.readouterr().out


def test_doctor_says_when_torch_cannot_use_the_gpu(monkeypatch):
    facts = '{"version": "2.13.0+cpu", "cuda": null, "gpus": [], "gloo": true}'
    monkeypatch.setattr(_doctor, "ask", lambda command, seconds: ["Some GPU, 550"] if "smi" in command[0] else [facts])
    monkeypatch.setattr(_doctor._setup, "has_nvidia_driver", lambda: True)
    torch, gpu = _doctor.torch_and_gpus()
    assert torch.text == "2.13.0+cpu, CPU build"
    assert gpu.mark == _doctor.NOTE and gpu.text.startswith(
        "GPU present but torch cannot use it (the driver names Some"
    )


def test_doctor_notices_a_small_shared_memory(monkeypatch):
    monkeypatch.setattr(_doctor.os.path, "isdir", lambda path: True)
    monkeypatch.setattr(_doctor.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(64 << 20, 0, 64 << 20))
    assert _doctor.shared_memory().text.startswith("64 MB, small")


def test_doctor_here():
    done = subprocess.run([sys.executable, "-m", "minipar", "doctor"], cwd=ROOT, capture_output=True, text=True)
    subjects = [line.split()[1] for line in done.stdout.splitlines() if re.match(r"(ok|note|BAD) ", line)]
    assert done.returncode == ("BAD " in done.stdout)
    for subject in [
        "Python",
        "environment",
        "packages",
        "torch",
        "GPU",
        "CPU",
        "memory",
        "/dev/shm",
        "loopback",
        "browser",
        "folder",
    ]:
        assert subject in subjects
    assert "not looked for" not in done.stdout

"""A pool's folder is removed by its owner, and after a killed owner by whoever comes next."""

import os
import subprocess
import sys

from minipar.run.keeper import make_folder


def test_a_folder_of_a_process_that_is_no_more_is_removed_and_others_stay():
    code = "from minipar.run.keeper import make_folder; print(make_folder())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert os.path.isdir(dead)
    living = [make_folder(), make_folder()]
    assert not os.path.exists(dead)
    assert all(os.path.isdir(folder) and str(os.getpid()) in folder for folder in living)
    for folder in living:
        os.rmdir(folder)

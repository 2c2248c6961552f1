"""The launcher survives what submitit does to it: it is pickled, and pickled again within a job that is requeued."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("hydra_plugins.hydra_submitit_launcher")

# As in a job: the pickle is read, Hydra's state is set (Hydra then runs its plugins' files again), the call is made.
PROGRAM = """
import os, pickle, signal, sys
import cloudpickle
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton

source, target = sys.argv[1:]
if source == "new":
    launcher = Plugins.instance().class_name_to_class["hydra_plugins.rnc_lightning.slurm_launcher.SlurmLauncher"]()
else:
    with open(source, "rb") as file:
        launcher, state = pickle.load(file)
    Singleton.set_state(state)
    try:
        launcher([], "", 0, "", Singleton.get_state())
    except AssertionError as error:  # the launcher of the extra is reached, and has nothing to run
        print("reached")
with open(target, "wb") as file:
    cloudpickle.dump((launcher, Singleton.get_state()), file)
"""


def test_a_job_can_be_requeued_more_than_once(tmp_path: Path) -> None:
    Path("program.py").write_text(PROGRAM)
    for source, target in [("new", "first"), ("first", "second"), ("second", "third")]:
        called = subprocess.run([sys.executable, "program.py", source, target], capture_output=True, text=True)
        assert called.returncode == 0, called.stderr
        assert called.stdout.strip() == ("" if source == "new" else "reached")

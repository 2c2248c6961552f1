"""Whole runs in several processes: the numbers of one, and errors in one line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from rnc_lightning.runs.run import run
from rnc_lightning.system.errors import UserError

WORDS = [
    "+experiment=digits_rnc",
    "encoder._target_=plain_encoder.PlainEncoder",
    "~encoder.in_channels",
    "~encoder.width",
    "~encoder.stages",
    "data.digits=[3]",
    "data.size=16",
    "data.eval_angles=1",
    "data.batch_size=12",
    "recipe.pretrain.epochs=2",
    "recipe.pretrain.lr=0.05",
    "recipe.linear_probe.epochs=2",
    "recipe.linear_probe.batch_size=12",
    "data.val_fraction=0.19",
    "trainer.enable_progress_bar=false",
    "callbacks.model_summary=null",
    "print_config=false",
]
Start = Callable[..., dict[str, Any]]


@pytest.fixture
def start(compose_config: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch) -> Start:
    """Runs the experiment, in a place of its own, and returns its result."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "helpers"), prepend=os.pathsep)

    def go(place: str, *words: str) -> dict[str, Any]:
        words = (*WORDS, *words)
        run(compose_config(*words, f"paths.run_dir={place}", "paths.encoder_dir=null"), words)
        found: dict[str, Any] = json.loads(Path(place, "result.json").read_text())
        return found

    return go


@pytest.mark.parametrize(
    ("scheme", "counts"),
    [
        ("linear_probe", [2]),
        pytest.param("linear_probe", [3], marks=pytest.mark.slow),
        pytest.param("end_to_end", [2, 3], marks=pytest.mark.slow),
        pytest.param("regularization", [2, 3], marks=pytest.mark.slow),
    ],
)
def test_several_processes_end_with_the_numbers_of_one(scheme: str, counts: list[int], start: Start) -> None:
    words = [f"scheme={scheme}", "recipe.end_to_end.epochs=2", "recipe.regularization.epochs=2"]
    one = start("one", "trainer=cpu", *words)
    assert one["counts"]["train"] % 12 == 3  # the last batch is uneven
    for count in counts:
        several = start(f"processes{count}", "trainer=ddp_cpu", f"trainer.devices={count}", *words)
        for name in ("test", "constant"):
            assert several[name] == pytest.approx(one[name], rel=2e-3, abs=2e-3)
        for stage, expected in one["stages"].items():
            assert several["stages"][stage]["metrics"] == pytest.approx(expected["metrics"], rel=2e-3, abs=2e-3)
        assert Path(f"processes{count}/predictions.csv").read_text().count("\n") == one["counts"]["test"] + 1
    left = subprocess.run(["ps", "-eo", "ppid,args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in left.splitlines() if f"{os.getpid()} " in line and "rnc_lightning.runs.worker" in line]


@pytest.mark.slow
def test_a_batch_that_cannot_be_divided_is_one_line(start: Start) -> None:
    with pytest.raises(UserError, match=r"batch_size: 13 samples cannot be divided evenly among 2 .*: use 12 or 14"):
        start("run", "trainer=ddp_cpu", "data.batch_size=13")
    assert json.loads(Path("run/result.json").read_text())["status"] == "failed"


@pytest.mark.slow
def test_two_nodes_end_with_the_numbers_of_one(start: Start) -> None:
    one = start("one", "trainer=ddp_cpu")
    words = ["trainer=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2", "paths.encoder_dir=null"]
    command = [sys.executable, "-m", "rnc_lightning.train", *WORDS, *words, "paths.run_dir=two"]
    place = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29611", "SLURM_NTASKS": "4"}
    nodes = [
        subprocess.Popen(command, env={**place, "NODE_RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in (1, 0)
    ]
    printed = [node.communicate(timeout=300)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0]
    assert "run directory: two" in printed[1]
    assert not printed[0].strip()  # node 1 has nothing to say
    assert json.loads(Path("two/result.json").read_text())["test"] == one["test"]
    assert Path("two/predictions.csv").read_bytes() == Path("one/predictions.csv").read_bytes()
    assert [path.name for path in Path("two/processes").iterdir()] == ["rank_1.log"]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_run_and_the_same_command_goes_on(rank: int, start: Start) -> None:
    words = [*WORDS, "trainer=ddp_cpu", "recipe.pretrain.epochs=40", "paths.encoder_dir=null"]
    undisturbed = start("undisturbed", *words[len(WORDS) :])
    command = [sys.executable, "-m", "rnc_lightning.train", *words, "paths.run_dir=killed"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    history = Path("killed/stages/pretrain/metrics.csv")
    deadline = time.monotonic() + 120
    while not history.is_file() or history.read_text().count("\n") < 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(_process_of(rank, running.pid), signal.SIGKILL)
    printed, _ = running.communicate(timeout=60)
    assert running.returncode == 1, printed
    assert f"process {rank} of 2 ended with signal SIGKILL" in printed
    assert json.loads(Path("killed/result.json").read_text())["status"] == "failed"
    assert 4 <= history.read_text().count("\n") < 40  # it was in the middle
    subprocess.run(command, check=True, capture_output=True)
    result = json.loads(Path("killed/result.json").read_text())
    assert result["test"] == undisturbed["test"]
    assert Path("killed/predictions.csv").read_bytes() == Path("undisturbed/predictions.csv").read_bytes()


def _process_of(rank: int, parent: int) -> int:
    """The child of a run's first process that has this rank."""
    called = subprocess.run(["ps", "--ppid", str(parent), "-o", "pid="], capture_output=True, text=True, check=True)
    for pid in map(int, called.stdout.split()):
        if f"RANK={rank}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            return pid
    raise AssertionError("no such process")

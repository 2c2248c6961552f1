"""W&B with a server that is there, that is not there, and that dies in the middle of training."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wandb_file import written_runs
from wandb_server import PlayedServer

PATIENCE = 300
KEY = "a" * 40
WANDB = str(Path(sys.executable).with_name("wandb"))


@pytest.fixture
def command(tiny_digits: list[str], tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a training of W&B's server at an address."""

    def start(url: str, *words: str) -> subprocess.Popen[str]:
        fixed = ["+experiment=digits_rnc", "logger=wandb", "paths.run_dir=run", "recipe.pretrain.epochs=2"]
        environment = {**os.environ, "WANDB_BASE_URL": url, "WANDB_API_KEY": KEY}
        environment.pop("WANDB_MODE", None)
        return subprocess.Popen(
            [sys.executable, "-m", "rnc_lightning.train", *fixed, *tiny_digits, *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def _ended(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=PATIENCE)
    return said


def _wait_for(there: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not there():
        assert process.poll() is None, _ended(process)
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _result(tmp_path: Path) -> dict[str, Any]:
    return json.loads((tmp_path / "run/result.json").read_text())


def test_without_a_server_it_goes_on_offline(command: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = command("http://127.0.0.1:9", "logger.wandb.init_timeout=2", "recipe.linear_probe.epochs=2")
    said = _ended(process)
    assert process.returncode == 0, said
    assert said.count("W&B goes on offline") == 1
    assert _result(tmp_path)["status"] == "finished"
    (written,) = [found for found in written_runs(tmp_path) if found.exit_code is not None]
    assert written.summary["test/mae"] == _result(tmp_path)["test"]["mae"]
    assert len(re.findall(r"wandb sync \S*/offline-run-\S+$", said, re.MULTILINE)) == 1


@pytest.mark.slow
def test_a_server_that_dies_stops_nothing_and_what_is_left_can_be_sent_later(
    command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    server = PlayedServer()
    process = command(server.url, "logger.wandb.finish_timeout=5", "recipe.linear_probe.epochs=60")
    _wait_for(lambda: list(tmp_path.glob("run/stages/regress/last.ckpt")), process)
    server.stop()
    said = _ended(process)
    assert process.returncode == 0, said
    assert _result(tmp_path)["status"] == "finished"
    assert said.count("W&B has not got all of this run") == 1
    assert not server.exit_codes
    (words,) = re.findall(r"wandb sync (.*)$", said, re.MULTILINE)

    again = PlayedServer()  # what it has got already
    again.runs, again.history = server.runs, server.history
    environment = {**os.environ, "WANDB_BASE_URL": again.url, "WANDB_API_KEY": KEY}
    subprocess.run([WANDB, "sync", *words.split()], env=environment, check=True, timeout=PATIENCE, capture_output=True)
    again.stop()
    ((run, rows),) = again.history.items()
    assert again.exit_codes == {run: 0}
    assert len([row for row in rows if "regress/val/mae" in row]) == 60
    assert [row["test/mae"] for row in rows if "test/mae" in row] == [_result(tmp_path)["test"]["mae"]]


@pytest.mark.slow
def test_a_stopped_run_goes_on_under_the_same_id(
    command: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    server = PlayedServer()
    words = ("recipe.linear_probe.epochs=100",)
    first = command(server.url, *words)
    _wait_for(lambda: list(tmp_path.glob("run/stages/regress/last.ckpt")), first)
    os.kill(first.pid, signal.SIGINT)
    said = _ended(first)
    assert first.returncode == 130, said
    ((run, code),) = server.exit_codes.items()
    assert code == 255
    seen = len(server.history[run])
    second = command(server.url, *words)
    said = _ended(second)
    assert second.returncode == 0, said
    server.stop()
    assert server.exit_codes == {run: 0}
    rows = server.history[run]
    assert len(rows) > seen
    assert [row["_step"] for row in rows] == list(range(len(rows)))
    epochs = [row["regress/epoch"] for row in rows if "regress/val/mae" in row]
    assert sorted(set(epochs)) == list(range(100))
    assert f"{server.url}/entity/project/runs/{run}" in said
    assert {"config.yaml", "wandb-summary.json"} <= set(server.uploads)
    assert [name for name in server.uploads if "projection_pca" in name]

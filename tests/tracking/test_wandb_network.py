"""W&B with a server that is there, that is not there, and that dies in the middle of training."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from omegaconf import DictConfig
from wandb_file import IDENTITY, written_runs
from wandb_server import PlayedServer

from rnc_lightning.runs.run import run
from rnc_lightning.tracking import weights_and_biases as wandb_run

PATIENCE = 900
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


def _children() -> list[int]:
    told = (path.read_text().split() for path in Path("/proc/self/task").glob("*/children"))
    return [int(pid) for pids in told for pid in pids]


def _result(tmp_path: Path) -> dict[str, Any]:
    return json.loads((tmp_path / "run/result.json").read_text())


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A key, and no server, for this process."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.delenv("WANDB_MODE")
    wandb.teardown()  # the client keeps what it read of the environment
    yield
    wandb.teardown()


@pytest.mark.usefixtures("unreachable")
def test_without_a_server_it_goes_on_offline(
    compose_config: Callable[..., DictConfig],
    tiny_digits: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    short = ["recipe.pretrain.epochs=2", "recipe.linear_probe.epochs=2", "logger.wandb.init_timeout=2"]
    run(compose_config("+experiment=digits_rnc", "logger=wandb", "paths.run_dir=run", *short, *tiny_digits))
    assert len([message for message in caplog.messages if message.startswith("W&B continues offline")]) == 1
    (place,) = tmp_path.glob("run/wandb/offline-run-*")
    (written,) = written_runs(place)
    assert written.exit_code == 0
    assert written.summary["test/mae"] == _result(tmp_path)["test"]["mae"]
    assert f"to send this run to W&B: wandb sync {place}" in caplog.messages


def test_after_the_service_was_killed_the_next_run_has_a_new_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rest: dict[str, Any] = {"name": "e/seed=0", "config": {"stages": {}}, "identity": IDENTITY, "project": "p",
                            "entity": None, "tags": [], "init_timeout": 5, "finish_timeout": 5}  # fmt: skip
    first = wandb_run.open_run(tmp_path / "first", **rest)
    assert first is not None
    for pid in _children():
        if Path(f"/proc/{pid}/comm").read_text().startswith("wandb-core"):
            os.kill(pid, signal.SIGKILL)

    def failures() -> list[str]:
        return [message for message in caplog.messages if "logging metrics failed" in message]

    deadline = time.monotonic() + 60
    told = False
    while not told:  # a busy machine takes its time to see that the service is gone
        assert time.monotonic() < deadline
        with wandb_run.warn_on_error("logging metrics"):
            first.log({"step": 0})
        told = bool(failures())
    for step in range(3):
        with wandb_run.warn_on_error("logging metrics"):
            first.log({"step": step})
    wandb_run.finish(0)
    assert len(failures()) == 1
    assert wandb_run.open_run(tmp_path / "second", **rest) is not None
    wandb_run.finish(0)
    (second,) = written_runs(tmp_path / "second")
    assert second.exit_code == 0


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
    assert said.count("W&B has not received all data of this run") == 1
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
def test_a_stopped_run_goes_on_under_the_same_id(command: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
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

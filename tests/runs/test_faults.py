"""What goes wrong with whole runs: one line that says so, and the same numbers from the same command afterwards.

`make check-faults` does more of it, in real processes at random moments.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback
from omegaconf import DictConfig

from rnc_lightning.command_line.compose import compose_config as compose_options
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.fitting.checkpoints import LAST
from rnc_lightning.runs.run import run
from rnc_lightning.system.errors import RunInUseError, UserError
from rnc_lightning.system.locks import lock_folder
from rnc_lightning.system.signals import Terminated

WORDS = ["+experiment=digits_rnc", "recipe.pretrain.epochs=3", "recipe.linear_probe.epochs=3", "paths.encoder_dir=null"]
STRIKES = "+callbacks.strikes._target_=test_faults.Strikes"
Start = Callable[..., dict[str, Any]]


class Strikes(Callback):
    """Does something once, at the second epoch of a stage."""

    stage: str = ""
    deed: Callable[[], None] | None = None

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if Strikes.deed and type(pl_module).__name__ == Strikes.stage and trainer.current_epoch == 1:
            deed, Strikes.deed = Strikes.deed, None
            deed()


@pytest.fixture
def start(compose_config: Callable[..., DictConfig], tiny_digits: list[str]) -> Start:
    """Gives the same command in a place of its own, and returns the run's result."""

    def go(place: str, *words: str) -> dict[str, Any]:
        run(compose_config(*WORDS, *tiny_digits, *words, STRIKES, f"paths.run_dir={place}"))
        return _result(place)

    return go


def _result(place: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(place, "result.json").read_text())
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_digits: list[str]) -> Path:
    """The same command's run directory where nothing strikes."""
    place = tmp_path_factory.mktemp("faults") / "undisturbed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "test_faults", sys.modules[__name__])
        run(compose_options([*WORDS, *tiny_digits, STRIKES, f"paths.run_dir={place}"]))
    return place


def _strike(monkeypatch: pytest.MonkeyPatch, stage: str, deed: Callable[[], None]) -> None:
    monkeypatch.setitem(sys.modules, "test_faults", sys.modules[__name__])
    monkeypatch.setattr(Strikes, "stage", stage)
    monkeypatch.setattr(Strikes, "deed", staticmethod(deed))


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    stages = [{name: stage["metrics"] for name, stage in result["stages"].items()} for result in (one, other)]
    return one["test"] == other["test"] and stages[0] == stages[1]


@pytest.mark.parametrize(("stage", "workers"), [("Pretrain", 0), ("Pretrain", 2), ("Regress", 1)])
def test_sigterm_ends_the_run_at_once_and_the_same_command_goes_on(
    stage: str, workers: int, start: Start, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    _strike(monkeypatch, stage, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Terminated) as stopped:
        start("stopped", f"data.num_workers={workers}")
    assert stopped.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == handler
    assert RunDirectory(Path("stopped")).result()["status"] == "unfinished"  # type: ignore[index]
    assert len(list(Path("stopped/stages", stage.lower()).glob("*.ckpt"))) >= 1
    # Workers fetch ahead: what they fetch first after a resume must be the right epoch's already.
    assert _same(start("stopped", f"data.num_workers={workers}"), _result(undisturbed))


def test_a_data_worker_that_dies_is_one_line_and_the_same_command_goes_on(
    start: Start, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _strike(monkeypatch, "Pretrain", lambda: os.kill(active_children()[0].pid, signal.SIGKILL))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"a data worker died \(DataLoader worker .*\).* \(data\.num_workers=\.\.\.\)"):
        start("run", "data.num_workers=1")
    assert json.loads(Path("run/result.json").read_text())["status"] == "failed"
    assert _same(start("run", "data.num_workers=1"), _result(undisturbed))


def test_damaged_checkpoints_of_a_finished_stage_are_trained_again(
    start: Start, undisturbed: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _strike(monkeypatch, "Regress", lambda: None)
    shutil.copytree(undisturbed, "run")
    Path("run/result.json").unlink()
    os.truncate("run/stages/regress/best.ckpt", 1000)
    with caplog.at_level(logging.WARNING):
        assert _same(start("run"), _result(undisturbed))
    assert "best.ckpt missing or damaged; the stage is copied or trained again" in caplog.text


def test_a_malicious_checkpoint_is_refused_by_a_run(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    class Program:
        def __reduce__(self) -> Any:
            return Path.touch, (Path("executed").resolve(),)

    def replace_and_stop() -> None:
        torch.save({"state_dict": Program()}, f"run/stages/pretrain/{LAST}")
        raise Terminated

    _strike(monkeypatch, "Pretrain", replace_and_stop)
    with pytest.raises(Terminated):
        start("run")
    with pytest.raises(UserError, match=r"last\.ckpt contains more than tensors and plain values"):
        start("run")
    assert not Path("executed").exists()


def test_a_run_directory_in_use_is_refused_and_left_as_it_is(start: Start) -> None:
    with lock_folder(Path("run")):
        before = sorted(path.name for path in Path("run").iterdir())
        with pytest.raises(RunInUseError, match="run: another process is working on this run; wait for it, or stop it"):
            start("run")
        assert sorted(path.name for path in Path("run").iterdir()) == before
    assert not Path("run").exists()  # nothing was written


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 100 kB; only root can make one."""
    place = tmp_path / "small"
    place.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(place)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("needs root and mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_one_line_and_the_same_command_goes_on_once_there_is_room(
    start: Start, undisturbed: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(path.stat().st_size for path in (undisturbed / "stages/pretrain").glob("*.ckpt"))

    def fill() -> None:
        free = os.statvfs(small_disk)
        (small_disk / "filler").write_bytes(b"\0" * (free.f_bavail * free.f_bsize - size // 2))

    def grow(room: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={room}", str(small_disk)], check=True)

    grow("8m")
    _strike(monkeypatch, "Pretrain", fill)
    with pytest.raises(
        UserError, match=r"last\.ckpt: the disk is full: free some space\. .*the same command to continue"
    ):
        start(str(small_disk / "run"))
    assert (small_disk / "run/stages/pretrain" / LAST).is_file()
    (small_disk / "filler").unlink()
    assert _same(start(str(small_disk / "run")), _result(undisturbed))


def test_a_read_only_disk_is_one_line(start: Start, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(UserError, match=r"run: the file system is read-only: write runs to another folder \(paths"):
        start(str(small_disk / "run"))

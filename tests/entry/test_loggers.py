"""Loggers beside the CSV: chosen by one word, never in the way."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rnc_lightning import loggers
from rnc_lightning.train import run

SHORT = ["recipe.pretrain.epochs=2", "recipe.linear_probe.epochs=2"]


def test_tensorboard_keeps_the_stages_apart(
    compose_config: Callable[..., DictConfig], tiny_digits: list[str], tmp_path: Path
) -> None:
    run(compose_config("+experiment=digits_rnc", "logger=tensorboard", "paths.run_dir=run", *SHORT, *tiny_digits))
    found = {}
    for stage in ("pretrain", "regress"):
        events = EventAccumulator(str(tmp_path / "run/tensorboard" / stage))
        events.Reload()
        found[stage] = events.Tags()["scalars"]
        assert len(events.Scalars("train/loss")) == 2
    assert "train/excess" in found["pretrain"]
    assert "val/mae" in found["regress"]


def test_wandb_works_offline_and_the_second_run_is_another(
    compose_config: Callable[..., DictConfig],
    tiny_digits: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WANDB_MODE")  # no key, no word: offline is what it must choose
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for seed in (0, 1):
        words = ["+experiment=digits_rnc", "logger=wandb", f"paths.run_dir=run{seed}", f"seed={seed}"]
        run(compose_config(*words, *SHORT, *tiny_digits))
        assert json.loads((tmp_path / f"run{seed}/result.json").read_text())["status"] == "finished"
    found = [list((tmp_path / f"run{seed}").rglob("run-*.wandb")) for seed in (0, 1)]
    assert [len(files) for files in found] == [1, 1]
    assert found[0][0].name != found[1][0].name
    assert all(b"pretrain/train/excess" in files[0].read_bytes() for files in found)
    assert all(b"regress/val/mae" in files[0].read_bytes() for files in found)


def test_a_key_is_found_where_wandb_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert not loggers._has_key()
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert loggers._has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert not loggers._has_key()
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert loggers._has_key()

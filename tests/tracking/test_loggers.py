"""Loggers beside the CSV: chosen by one word, never in the way."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lightning.pytorch.loggers.logger import DummyLogger
from omegaconf import DictConfig
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rnc_lightning.runs.parts import Parts
from rnc_lightning.runs.run import run

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


def test_of_several_processes_only_the_first_one_logs(
    compose_config: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnc_lightning.numerics.distributed.is_first", lambda: False)
    made = Parts(compose_config("logger=[wandb,tensorboard]")).loggers(directory=Path("run"))
    assert [type(logger) for logger in made] == [DummyLogger, DummyLogger]  # callbacks that ask for a logger find one
    assert not list(Path().iterdir())

"""The Trainer of a stage: its progress bar."""

from functools import partial
from typing import Any

import pytest
from lightning import Trainer
from lightning.pytorch.callbacks import ProgressBar, TQDMProgressBar

from rnc_lightning.runs.fitting.trainers import SignificantProgress, trainer_factory


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, SignificantProgress),
        ({"enable_progress_bar": False}, None),
        ({"callbacks": [TQDMProgressBar()]}, TQDMProgressBar),
    ],
)
def test_there_is_one_progress_bar_unless_it_is_off(settings: dict[str, Any], expected: type | None) -> None:
    chosen = partial(Trainer, accelerator="cpu", devices=1, enable_model_summary=False)
    trainer = trainer_factory(chosen)(logger=False, enable_checkpointing=False, **settings)
    bars = [type(callback) for callback in trainer.callbacks if isinstance(callback, ProgressBar)]
    assert bars == ([] if expected is None else [expected])


def test_the_progress_bar_shows_significant_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)
    values = {"train/loss": 1.234e-5, "train/rnc": 350125.0}
    monkeypatch.setattr(Trainer, "progress_bar_metrics", property(lambda self: values))
    shown = SignificantProgress().get_metrics(trainer, None)  # type: ignore[arg-type]
    assert shown == {"train/loss": "1.234e-05", "train/rnc": "350125"}

"""FDS within a fit: when its statistics are taken, from which features, and that a resumed run has the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback
from omegaconf import DictConfig
from torch import Tensor

from rnc_lightning.regularizers.fds import FDS
from rnc_lightning.runs.run import run

EPOCHS = 3


class _StoppedError(Exception):
    pass


class _StopAfter(Callback):
    """Ends the run as a crash would, after an epoch has been saved."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise _StoppedError


@pytest.fixture
def train(compose_config: Callable[..., DictConfig], tiny_digits: list[str]) -> Callable[..., dict[str, Any]]:
    def train(folder: str, *words: str) -> dict[str, Any]:
        given = [
            "data=digits",
            "method=lds_fds",
            *tiny_digits,
            "target.dimensions.angle.step=20",  # a few samples in each bin
            f"recipe.end_to_end.epochs={EPOCHS}",
            *words,
        ]
        run(compose_config(*given, f"paths.run_dir={folder}"), given)
        return json.loads((Path(folder) / "result.json").read_text())

    return train


def state(folder: str) -> dict[str, Tensor]:
    return torch.load(Path(folder) / "stages/regress/last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize("second_pass", ["true", "false"])
def test_a_resumed_run_is_the_undisturbed_one(
    train: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, second_pass: str
) -> None:
    word = f"calibration.second_pass={second_pass}"
    whole = train("whole", word)
    assert whole["with"] == ["lds", "fds"]
    with monkeypatch.context() as patch:
        patch.setattr("rnc_lightning.runs.parts.Parts.callbacks", lambda _self: [_StopAfter(2)])
        with pytest.raises(_StoppedError):
            train("again", word)
    again = train("again", word)
    assert again["test"] == whole["test"]
    for name, tensor in state("whole").items():
        assert torch.equal(tensor, state("again")[name]), name
    assert state("whole")["calibration.used"].any()
    assert not torch.equal(state("whole")["calibration.mean"], state("whole")["calibration.used_mean"])


def test_the_statistics_are_those_of_the_chosen_features(
    train: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    collected: list[int] = []
    at_the_end: list[int] = []
    collect, end = FDS.collect, FDS.end_epoch

    def noting(self: FDS, features: Tensor, targets: Tensor) -> None:
        assert not features.requires_grad or not self.second_pass
        collected.append(len(features))
        collect(self, features, targets)

    def ending(self: FDS) -> None:
        at_the_end.append(sum(collected))
        end(self)

    monkeypatch.setattr(FDS, "collect", noting)
    monkeypatch.setattr(FDS, "end_epoch", ending)
    samples = train("a", "calibration.second_pass=true")["counts"]["train"]
    assert at_the_end == [samples * (epoch + 1) for epoch in range(EPOCHS)]
    collected.clear()
    at_the_end.clear()
    train("b", "calibration.second_pass=false")
    assert at_the_end == [samples * (epoch + 1) for epoch in range(EPOCHS)]
    # in the first epoch the two see other weights: those of its end, and those of its course
    assert not torch.equal(state("a")["calibration.mean"], state("b")["calibration.mean"])


def test_a_regularizer_that_draws_goes_on_as_if_undisturbed(
    train: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RankSim draws one sample of each label from the generator that a network's dropout draws from."""
    whole = train("whole", "method=ranksim", "head=l1", "data.num_workers=1")
    with monkeypatch.context() as patch:
        patch.setattr("rnc_lightning.runs.parts.Parts.callbacks", lambda _self: [_StopAfter(2)])
        with pytest.raises(_StoppedError):
            train("again", "method=ranksim", "head=l1", "data.num_workers=1")
    assert train("again", "method=ranksim", "head=l1", "data.num_workers=1")["test"] == whole["test"]
    for name, tensor in state("whole").items():
        assert torch.equal(tensor, state("again")[name]), name

"""Samples that belong together, such as the windows of a recording, are judged by their mean prediction."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Trainer
from torch import Tensor, nn

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.heads import PointHead
from rnc_lightning.runs.directory import TestFolder
from rnc_lightning.runs.fitting.features_once import FeaturesOnce
from rnc_lightning.runs.testing import evaluate_regressor, write_predictions
from rnc_lightning.stages import CosinePerEpoch, Regress
from rnc_lightning.targets import TargetSpec
from rnc_lightning.targets.groups import Groups, group_means

SIZES = [3, 1, 4, 2, 5]  # windows of each recording


class _Windows(RegressionDataModule):
    """Windows in a mixed order; the recordings have different numbers of them."""

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        generator = torch.Generator().manual_seed(0)
        index = torch.repeat_interleave(torch.arange(5), torch.tensor(SIZES))
        index = index[torch.randperm(len(index), generator=generator)]
        ages = torch.tensor([[20.0], [30.0], [40.0], [50.0], [60.0]])
        x = torch.randn(len(index), 3, generator=generator)
        groups = Groups(index, [f"recording-{i}" for i in range(5)])
        split = Split(list(x), ages[index], [f"w{i}" for i in range(len(index))], groups)
        return {"train": Split(list(x), ages[index], split.names), "val": split, "test": split}


class _Same(nn.Module):
    num_features = 3

    def forward(self, x: Tensor) -> Tensor:
        return x


def _module(frozen: bool = False) -> Regress:
    torch.manual_seed(0)
    return Regress(
        head=lambda in_features, target: PointHead(in_features, target),
        encoder=_Same(),
        target=TargetSpec({"age": {}}),
        optimizer=lambda p: torch.optim.SGD(p, lr=0.1),
        schedule=lambda optimizer, epochs: CosinePerEpoch(optimizer, epochs=epochs, decay_rate=0.1),
        epochs=1,
        freeze_encoder=frozen,
    )


def _data() -> _Windows:
    same: Callable[[Any], Tensor] = lambda x: x  # noqa: E731
    module = _Windows(train_transform=same, eval_transform=same, batch_size=4, eval_batch_size=4)
    module.setup()
    return module


def _trainer(**more: Any) -> Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **quiet, **more)


def _by_hand(module: Regress, data: _Windows) -> dict[int, tuple[float, float]]:
    """Recording to (age, mean prediction), window after window."""
    split = data.splits["test"]
    assert split.groups is not None
    seen: dict[int, list[float]] = {}
    for i in range(len(split)):
        with torch.no_grad():
            seen.setdefault(int(split.groups.index[i]), []).append(float(module(split.inputs[i][None])))
    return {group: (20.0 + 10 * group, float(np.mean(values))) for group, values in seen.items()}


def test_the_test_averages_each_recording(tmp_path: Path) -> None:
    module, data = _module(), _data()
    metrics, predictions = evaluate_regressor(module, data, _trainer())
    expected = _by_hand(module, data)
    assert metrics["mae"] == pytest.approx(np.mean([abs(a - b) for a, b in expected.values()]), rel=1e-5)
    write_predictions(predictions, data, module.target, TestFolder(tmp_path))
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert table["name"].tolist() == [f"recording-{i}" for i in range(5)]
    assert table["age_target"].tolist() == [20.0, 30.0, 40.0, 50.0, 60.0]
    np.testing.assert_allclose(table["age_prediction"], [expected[i][1] for i in range(5)], rtol=1e-5)
    assert np.load(tmp_path / "features.npz")["features"].shape == (5, 3)
    assert data.counts == {"train": 15, "val": 5, "test": 5}
    assert data.splits["test"].labels[:, 0].tolist() == [20.0, 30.0, 40.0, 50.0, 60.0]


@pytest.mark.parametrize("frozen", [False, True])
def test_validation_averages_each_recording(frozen: bool) -> None:
    """Also where features of a frozen encoder are computed once."""
    module, data = _module(frozen), _data()
    trainer = _trainer(callbacks=[FeaturesOnce(["val"])] if frozen else [])
    trainer.fit(module, datamodule=data)
    expected = np.mean([abs(a - b) for a, b in _by_hand(module, data).values()])
    assert float(trainer.callback_metrics["val/mae"]) == pytest.approx(expected, rel=1e-5)


def test_a_test_cut_short_has_only_the_recordings_that_were_seen() -> None:
    module, data = _module(), _data()
    _, predictions = evaluate_regressor(module, data, _trainer(limit_test_batches=1))
    assert data.splits["test"].groups is not None
    assert predictions.index.tolist() == data.splits["test"].groups.index[:4].unique().tolist()
    assert torch.isfinite(predictions.prediction).all()


def test_group_means_against_a_loop() -> None:
    generator = torch.Generator().manual_seed(1)
    index = torch.randint(0, 7, (40,), generator=generator)
    values = torch.randn(40, 3, generator=generator)
    found = group_means(values, Groups(index, list("abcdefg")))
    for g in range(7):
        torch.testing.assert_close(found[g], values[index == g].mean(dim=0))


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 names for indices up to 2"):
        Groups(torch.tensor([0, 2]), ["a", "b"])
    with pytest.raises(ValueError, match="int64"):
        Groups(torch.tensor([0.0]), ["a"])
    with pytest.raises(ValueError, match="2 targets and 1 group indices"):
        Split([0, 0], torch.zeros(2, 1), ["a", "b"], Groups(torch.tensor([0]), ["a"]))

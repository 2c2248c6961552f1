"""A frozen encoder sees each unaugmented input once, and nothing else about the fit changes."""

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from lightning import Trainer
from torch import Tensor, nn

from rnc_lightning.datasets.digits import DigitsDataModule
from rnc_lightning.datasets.images.transforms import augmented_digit, plain_digit
from rnc_lightning.datasets.loading.sampling import SeededBatches, SeededSampler
from rnc_lightning.heads import PointHead
from rnc_lightning.runs.directory import StageDirectory
from rnc_lightning.runs.fitting.fit import StagePlan, fit_stage
from rnc_lightning.stages import CosinePerEpoch, Regress
from rnc_lightning.targets import TargetSpec


class _CountingEncoder(nn.Module):
    """Rows one by one, so that a feature does not depend on the batch that it is computed in."""

    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(256, 4)
        self.rows = 0

    def forward(self, x: Tensor) -> Tensor:
        self.rows += len(x)
        return torch.stack([self.linear(row) for row in x.flatten(1)])


def _fit(folder: Path, plan: dict[str, Any], freeze: bool = True) -> tuple[Regress, DigitsDataModule, pd.DataFrame]:
    torch.manual_seed(0)
    data = DigitsDataModule(
        train_transform=augmented_digit(16), eval_transform=plain_digit(), digits=[3], size=16, batch_size=10
    )
    data.setup()
    module = Regress(
        head=PointHead,
        freeze_encoder=freeze,
        encoder=_CountingEncoder(),
        target=TargetSpec({"angle": {}}),
        optimizer=partial(torch.optim.SGD, lr=0.01),
        schedule=partial(CosinePerEpoch, decay_rate=0.1),
        epochs=plan["epochs"],
    )
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    make_trainer = partial(Trainer, accelerator="cpu", **quiet)
    settings: dict[str, Any] = {"seed": 0, "origin": {"run": "test"}, "make_trainer": make_trainer}
    fit_stage(module, data, StagePlan(batch_size=16, **plan), StageDirectory(folder), **settings)
    return module, data, pd.read_csv(folder / "metrics.csv")


@pytest.mark.parametrize("augment", [False, True])
def test_each_unaugmented_input_is_encoded_once(tmp_path: Path, augment: bool) -> None:
    module, data, _ = _fit(tmp_path, {"epochs": 3, "augment": augment, "features_once": True})
    train, val = data.counts["train"], data.counts["val"]
    assert module.encoder.rows == (3 * train + val if augment else train + val)


@pytest.mark.parametrize("augment", [False, True])
def test_the_fit_is_bit_for_bit_that_of_computing_them_every_epoch(tmp_path: Path, augment: bool) -> None:
    plan = {"epochs": 3, "augment": augment}
    once, _, once_history = _fit(tmp_path / "once", {**plan, "features_once": True})
    every, _, every_history = _fit(tmp_path / "every", {**plan, "features_once": False})
    pd.testing.assert_frame_equal(
        once_history.drop(columns="seconds"), every_history.drop(columns="seconds"), check_exact=True
    )
    for name, tensor in once.state_dict().items():
        assert torch.equal(tensor, every.state_dict()[name]), name


def test_an_encoder_that_trains_is_never_left_out(tmp_path: Path) -> None:
    module, data, _ = _fit(tmp_path, {"epochs": 2, "augment": False, "features_once": True}, freeze=False)
    assert module.encoder.rows == 2 * (data.counts["train"] + data.counts["val"])


def test_the_next_stage_gets_inputs_again(tmp_path: Path) -> None:
    _, data, _ = _fit(tmp_path, {"epochs": 1, "augment": False, "features_once": True})
    assert "features" in next(iter(data.train_dataloader()))
    data.for_stage(seed=0, batch_size=8)
    assert next(iter(data.train_dataloader()))["x"].shape == (8, 1, 16, 16)


@pytest.mark.parametrize(
    ("size", "batch_size", "drop_last"), [(10, 4, False), (10, 4, True), (8, 4, False), (3, 4, True)]
)
def test_batches_are_those_of_a_data_loader(size: int, batch_size: int, drop_last: bool) -> None:
    sampler = SeededSampler(size, seed=1)
    batches = SeededBatches(sampler, batch_size, drop_last)
    batches.set_epoch(5)
    order = [draw.sample for draw in sampler]
    expected = [order[i : i + batch_size] for i in range(0, size, batch_size)]
    expected = [batch for batch in expected if len(batch) == batch_size or not drop_last]
    assert [[draw.sample for draw in batch] for batch in batches] == expected
    assert len(batches) == len(expected)
    batches.set_epoch(6)
    assert size == 3 or [[draw.sample for draw in batch] for batch in batches] != expected

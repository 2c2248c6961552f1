"""Stage one is seen, and not touched."""

import random
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn

from rnc_lightning import RnCLoss
from rnc_lightning.datasets.digits import DigitsDataModule
from rnc_lightning.datasets.images.transforms import augmented_digit, plain_digit
from rnc_lightning.encoders import SmallResNet
from rnc_lightning.heads import PointHead
from rnc_lightning.metrics import effective_rank, feature_ordinality, neighbours_error, ridge_error
from rnc_lightning.runs.directory import StageDirectory
from rnc_lightning.runs.fitting.diagnostics import StageOneDiagnostics, evenly_spaced
from rnc_lightning.runs.fitting.fit import StagePlan, fit_stage
from rnc_lightning.stages import CosinePerEpoch, Pretrain, Regress, Stage
from rnc_lightning.targets import TargetSpec

EPOCHS = 5
VALUES = ("ridge_mae", "neighbours_mae", "spearman", "kendall", "effective_rank", "view_alignment")


class _Restless(SmallResNet):
    """Draws from every generator in any mode, and drops out in training."""

    drop = 0.1

    def forward(self, x: Tensor) -> Tensor:
        _ = random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
        return nn.functional.dropout(super().forward(x), self.drop, self.training)


class _Stop(Callback):
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == EPOCHS - 1:
            raise InterruptedError


class _Notes(Logger):
    """Keeps what it is given."""

    name, version = "notes", "0"

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[dict[str, float], int | None]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:  # type: ignore[override]
        self.given.append((metrics, step))

    def log_hyperparams(self, *_: Any, **__: Any) -> None: ...


def _data() -> DigitsDataModule:
    data = DigitsDataModule(
        train_transform=augmented_digit(16), eval_transform=plain_digit(), digits=[3], size=16, batch_size=10,
        eval_batch_size=7,
    )  # fmt: skip
    data.setup()
    return data


def _module(kind: type[Stage] = Pretrain, **more: Any) -> Stage:
    torch.manual_seed(0)
    return kind(
        encoder=_Restless(1, 4, 2),
        target=TargetSpec({"angle": {}}),
        optimizer=partial(torch.optim.SGD, lr=0.1, momentum=0.9),
        schedule=partial(CosinePerEpoch, decay_rate=0.1),
        epochs=EPOCHS,
        **({"objective": RnCLoss()} if issubclass(kind, Pretrain) else {"head": PointHead}),
        **more,
    )


def _fit(folder: Path, *callbacks: Callback, module: Stage | None = None, loggers: tuple[Logger, ...] = ()) -> Stage:
    module = module or _module()
    views = 2 if isinstance(module, Pretrain) else None
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    fit_stage(
        module,
        _data(),
        StagePlan(epochs=EPOCHS, batch_size=32, views=views, drop_last=True),
        StageDirectory(folder),
        seed=0,
        origin={},
        make_trainer=partial(Trainer, accelerator="cpu", **quiet),
        callbacks=callbacks,
        loggers=loggers,
    )
    return module


def _table(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "diagnostics.csv").drop(columns="seconds")


def _history(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "metrics.csv").drop(columns="seconds")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Stage, _Notes]:
    """A fit of five epochs with a row every second one, and after the last."""
    folder, notes = tmp_path_factory.mktemp("watched"), _Notes()
    return folder, _fit(folder, StageOneDiagnostics(every_n_epochs=2, max_samples=20), loggers=(notes,)), notes


def test_the_training_is_bit_for_bit_that_without_it(tmp_path: Path, watched: tuple[Path, Stage, _Notes]) -> None:
    folder, module, _ = watched
    alone = _fit(tmp_path)
    assert not (tmp_path / "diagnostics.csv").exists()
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, alone.state_dict()[name]), name
    pd.testing.assert_frame_equal(_history(folder), _history(tmp_path), check_exact=True)


def test_rows_are_due_every_n_epochs_and_at_the_end(watched: tuple[Path, Stage, _Notes]) -> None:
    folder, _, notes = watched
    table = _table(folder)
    assert table["epoch"].tolist() == [2, 4, 5]
    assert np.isfinite(table.to_numpy()).all()
    given = [(metrics, step) for metrics, step in notes.given if "diagnostics/ridge_mae" in metrics]
    for (metrics, step), row in zip(given, table.to_dict("records"), strict=True):
        assert (metrics["epoch"], step) == (row["epoch"] - 1, row["step"] - 1)
        assert metrics["diagnostics/ridge_mae"] == pytest.approx(row["diagnostics/ridge_mae"], rel=1e-12)
    assert not any("diagnostics" in name for name in _history(folder))


def test_the_last_row_is_what_the_functions_say_of_the_final_encoder(watched: tuple[Path, Stage, _Notes]) -> None:
    folder, module, _ = watched
    encoder, splits = module.encoder.eval(), _data().splits
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for part in ("train", "val"):
        index = evenly_spaced(len(splits[part]), 20)
        assert (len(set(index)), index[0], index[-1]) == (20, 0, len(splits[part]) - 1)
        x = torch.stack([plain_digit()(splits[part].inputs[i]) for i in index])
        with torch.no_grad():
            found[part] = encoder(x), splits[part].targets[index]
    val, val_y = found["val"]
    expected = {
        "ridge_mae": ridge_error(*found["train"], val, val_y),
        "neighbours_mae": neighbours_error(*found["train"], val, val_y, 10),
        **feature_ordinality(val, val_y, "l1"),
        "effective_rank": effective_rank(val),
    }
    last = _table(folder).iloc[-1]
    assert {name: last[f"diagnostics/{name}"] for name in expected} == pytest.approx(expected, rel=1e-4)
    assert set(last.index) == {"epoch", "step", *(f"diagnostics/{name}" for name in VALUES)}
    assert 0 < last["diagnostics/view_alignment"] < 1


def test_a_stopped_fit_ends_with_the_undisturbed_table(tmp_path: Path) -> None:
    diagnostics = partial(StageOneDiagnostics, every_n_epochs=2, max_samples=20)
    with pytest.raises(InterruptedError):
        _fit(tmp_path / "stopped", diagnostics(), _Stop())
    assert _table(tmp_path / "stopped")["epoch"].tolist() == [2, 4]
    _fit(tmp_path / "stopped", diagnostics())
    _fit(tmp_path / "whole", diagnostics())
    pd.testing.assert_frame_equal(_table(tmp_path / "stopped"), _table(tmp_path / "whole"), check_exact=True)


def test_one_instance_serves_all_stages_and_leaves_a_regressor_alone(tmp_path: Path) -> None:
    diagnostics = StageOneDiagnostics(every_n_epochs=EPOCHS, max_samples=8)
    _fit(tmp_path / "first", diagnostics)
    _fit(tmp_path / "regress", diagnostics, module=_module(Regress, freeze_encoder=True))
    assert not (tmp_path / "regress/diagnostics.csv").exists()
    _fit(tmp_path / "second", diagnostics)
    pd.testing.assert_frame_equal(_table(tmp_path / "second"), _table(tmp_path / "first"), check_exact=True)


def test_modes_generators_and_statistics_are_put_back(tmp_path: Path) -> None:
    module = _module()
    before: dict[str, Any] = {}

    def state() -> dict[str, Any]:
        return {
            "python": random.getstate(),
            "numpy": np.random.get_state()[1].tolist(),  # type: ignore[index]  # noqa: NPY002
            "torch": torch.get_rng_state().tolist(),
            "modes": [part.training for part in module.modules()],
            "tensors": {name: tensor.tolist() for name, tensor in module.state_dict().items()},
        }

    class Witness(StageOneDiagnostics):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            next(iter(module.encoder.children())).eval()  # as one who freezes a part
            before.update(state())
            super().on_train_epoch_end(trainer, pl_module)
            assert state() == before

    _fit(tmp_path, Witness(every_n_epochs=1, max_samples=8), module=module)
    assert len(set(before["modes"])) == 2
    assert len(_table(tmp_path)) == EPOCHS


class _Taught(Pretrain):
    """Hands on another encoder than the one that is trained: one whose weights are all 0."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.teacher = SmallResNet(1, 4, 2).requires_grad_(False)
        for part in self.teacher.parameters():
            part.zero_()

    @property
    def exported_encoder(self) -> nn.Module:
        return self.teacher


def test_the_encoder_that_is_handed_on_is_the_one_that_counts(tmp_path: Path) -> None:
    module = _module(_Taught)
    _fit(tmp_path, StageOneDiagnostics(every_n_epochs=EPOCHS, max_samples=8), module=module)
    assert _table(tmp_path)["diagnostics/effective_rank"].tolist() == [0]


@pytest.mark.parametrize("setting", ["every_n_epochs", "max_samples", "neighbours"])
@pytest.mark.parametrize("value", [0, 1.5, True])
def test_what_is_no_number_is_refused(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{setting} must be a whole number from 1 up"):
        StageOneDiagnostics(**{setting: value})

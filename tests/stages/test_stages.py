from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from rnc_lightning import RnCLoss
from rnc_lightning.encoders import SmallResNet
from rnc_lightning.heads import PointHead
from rnc_lightning.runs.fitting.callbacks import NonFiniteLossGuard
from rnc_lightning.stages import CosinePerEpoch, Pretrain, Regress
from rnc_lightning.system.errors import NonFiniteLossError
from rnc_lightning.targets import TargetSpec

TARGET = TargetSpec({"angle": {"unit": "degrees"}})


def _settings(encoder: nn.Module) -> dict[str, Any]:
    return {
        "encoder": encoder,
        "target": TARGET,
        "optimizer": partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.1),
        "schedule": partial(CosinePerEpoch, decay_rate=0.1),
        "epochs": 2,
    }


def _batches(views: int | None, n: int = 22, bad: int | None = None) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(0)
    shape = (1, 16, 16) if views is None else (views, 1, 16, 16)
    samples = [
        {"x": torch.randn(shape, generator=generator), "y": torch.randn(1, generator=generator), "index": 100 + i}
        for i in range(n)
    ]
    if bad is not None:
        samples[bad]["y"] = torch.tensor([float("nan")])
    return DataLoader(samples, batch_size=8)  # type: ignore[arg-type]


def _trainer(folder: Path, **more: Any) -> Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return Trainer(max_epochs=2, accelerator="cpu", logger=False, default_root_dir=folder, **quiet, **more)


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_only_the_test_has_metrics_of_each_dimension() -> None:
    target = TargetSpec({"height": {}, "weight": {}})
    stage = Regress(head=PointHead, **{**_settings(SmallResNet(1, 4, 2)), "target": target})
    values = []
    for metrics in (stage.val_metrics, stage.test_metrics):
        metrics.update(torch.zeros(2, 2), torch.tensor([[1.0, 3.0], [1.0, float("nan")]]))
        values.append({name: value.item() for name, value in metrics.compute().items() if "mae" in name})
    assert values[0] == {"val/mae": 2.0}
    assert values[1] == {"test/mae": 2.0, "test/mae/height": 1.0, "test/mae/weight": 3.0}


def test_a_frozen_encoder_does_not_change_in_one_tensor(tmp_path: Path) -> None:
    stage = Regress(head=PointHead, freeze_encoder=True, **_settings(SmallResNet(1, 4, 2)))
    encoder, head = _copy(stage.encoder), _copy(stage.head)
    _trainer(tmp_path).fit(stage, _batches(None), _batches(None))
    for name, tensor in stage.encoder.state_dict().items():
        assert torch.equal(tensor, encoder[name]), name
    assert any("running_mean" in name for name in encoder)  # else batch norm would not have been tried
    assert not torch.equal(stage.head.state_dict()["linear.weight"], head["linear.weight"])
    assert not stage.encoder.training
    assert stage.head.training


@pytest.mark.parametrize("freeze", [True, False])
def test_only_the_unfrozen_is_optimised(freeze: bool) -> None:
    stage = Regress(head=PointHead, freeze_encoder=freeze, **_settings(SmallResNet(1, 4, 2)))
    optimised = {id(p) for g in stage.configure_optimizers()["optimizer"].param_groups for p in g["params"]}
    assert {id(p) for p in stage.head.parameters()} <= optimised
    assert bool({id(p) for p in stage.encoder.parameters()} & optimised) is not freeze


def test_an_unfrozen_encoder_learns(tmp_path: Path) -> None:
    stage = Regress(head=PointHead, **_settings(SmallResNet(1, 4, 2)))
    encoder = _copy(stage.encoder)
    _trainer(tmp_path).fit(stage, _batches(None), _batches(None))
    assert all(not torch.equal(t, encoder[n]) for n, t in stage.encoder.state_dict().items() if t.is_floating_point())


class _CountingEncoder(nn.Module):
    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(256, 4)
        self.calls: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(len(x))
        return self.linear(x.flatten(1))


@pytest.mark.parametrize("views", [1, 2, 3])
def test_all_views_take_one_forward_and_stay_in_place(views: int) -> None:
    stage = Pretrain(objective=RnCLoss(), **_settings(_CountingEncoder()))
    x = torch.randn(5, views, 1, 16, 16)
    features = stage(x)
    assert stage.encoder.calls == [5 * views]
    for b in range(5):
        for v in range(views):
            torch.testing.assert_close(features[b, v], stage.encoder(x[b, v][None])[0])


def test_pretraining_logs_the_loss_its_floor_and_their_distance(tmp_path: Path) -> None:
    stage = Pretrain(objective=RnCLoss(), **_settings(SmallResNet(1, 4, 2)))
    trainer = _trainer(tmp_path)
    trainer.fit(stage, _batches(2))
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert logged["train/excess"] == pytest.approx(logged["train/loss"] - logged["train/loss_floor"], abs=1e-5)
    assert logged["train/excess"] > 0


def test_a_loss_that_is_nan_stops_the_run_and_names_the_batch(tmp_path: Path) -> None:
    stage = Regress(head=PointHead, **_settings(SmallResNet(1, 4, 2)))
    before = _copy(stage)
    report = tmp_path / "non_finite_loss.json"
    trainer = _trainer(tmp_path, callbacks=[NonFiniteLossGuard(report)])
    with pytest.raises(NonFiniteLossError, match="epoch 1, step 2"):
        trainer.fit(stage, _batches(None, bad=17))
    assert '"epoch": 1' in report.read_text()
    assert [int(word.strip(" ,")) for word in report.read_text().split("[")[1].split("]")[0].split(",")] == list(
        range(116, 122)
    )
    assert all(torch.isfinite(t).all() for t in stage.state_dict().values())
    assert not torch.equal(before["head.linear.weight"], stage.state_dict()["head.linear.weight"])


def test_metrics_are_those_of_the_whole_set_with_a_short_last_batch(tmp_path: Path) -> None:
    stage = Regress(head=PointHead, **_settings(SmallResNet(1, 4, 2)))
    loader = _batches(None)  # 8 + 8 + 6
    trainer = _trainer(tmp_path)
    metrics = trainer.test(stage, loader, verbose=False)[0]
    kept = stage.predictions()
    assert kept.index.tolist() == list(range(100, 122))
    error = (kept.prediction - kept.target).abs()
    assert metrics["test/mae"] == pytest.approx(float(error.mean()), rel=1e-5)
    assert metrics["test/rmse"] == pytest.approx(float((error**2).mean().sqrt()), rel=1e-5)
    total = ((kept.target - kept.target.mean()) ** 2).sum()
    assert metrics["test/r2"] == pytest.approx(float(1 - (error**2).sum() / total), rel=1e-4)
    assert kept.features.shape == (22, 8)
